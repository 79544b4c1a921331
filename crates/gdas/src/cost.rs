//! Cost of a network: parameters, multiply-adds, memory while training, and time.
//!
//! # What is counted
//!
//! Multiply-adds follow the count of NAS-Bench-201 (its `FLOPs` column, from `get_model_infos` of the
//! published code), so that figures can be compared with the benchmark's and with the DARTS line of papers:
//!
//! * a convolution costs `kernel_h * kernel_w * in_channels / groups * out_channels` per output position,
//! * a bias costs one more per output element, of convolutions and of the linear layer alike,
//! * batch normalisation, ReLU, pooling, sums, shifts and concatenations cost nothing.
//!
//! One multiply-add is one unit. Parameters are the trainable arrays; running statistics are none. The published
//! `M` is 10^6 for both.
//!
//! A convolution whose result reaches no output (possible in the benchmark's cells) is counted, as the benchmark computes
//! it. Layers that only auxiliary heads need are counted separately, as papers exclude them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Inputs};
use gdas_kernels::graph::{Graph, Node, Op, ParamId};

/// Parameters and multiply-adds (per image) of a network or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Trainable scalars.
    pub params: u64,
    /// Multiply-adds of one forward pass for one image.
    pub multiply_adds: u64,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.params += other.params;
        self.multiply_adds += other.multiply_adds;
    }

    /// Parameters in millions (10^6).
    pub fn params_m(self) -> f64 {
        self.params as f64 / 1e6
    }

    /// Multiply-adds in millions (10^6).
    pub fn multiply_adds_m(self) -> f64 {
        self.multiply_adds as f64 / 1e6
    }
}

/// The cost of everything with one name prefix.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// The prefix, its components joined by dots.
    pub name: String,
    /// Sum of the costs of its layers.
    pub cost: Cost,
}

/// The parameters that a node reads.
pub fn node_params(node: &Node) -> impl Iterator<Item = ParamId> {
    let [first, second] = match node.op {
        Op::Conv { weight, bias, .. } => [Some(weight), bias],
        Op::Norm { scale, shift, .. } => [scale, shift],
        _ => [None, None],
    };
    [first, second].into_iter().flatten()
}

/// Multiply-adds of one node for one image, by the rule of the [module](self).
pub fn node_multiply_adds(graph: &Graph, node: &Node) -> u64 {
    let Op::Conv { bias, window, groups, .. } = &node.op else { return 0 };
    let input = graph.shape(node.inputs[0]);
    let per_output = window.kernel[0] * window.kernel[1] * (input.channels / groups) + usize::from(bias.is_some());
    (per_output * node.shape.elements()) as u64
}

/// Cost of the network after training: without layers that only auxiliary outputs need.
pub fn network(graph: &Graph) -> Cost {
    let auxiliary = auxiliary_nodes(graph);
    sum(graph, |index| !auxiliary.contains(&index))
}

/// Cost of the layers that only auxiliary outputs need; zero for a network with one output.
pub fn auxiliary(graph: &Graph) -> Cost {
    let auxiliary = auxiliary_nodes(graph);
    sum(graph, |index| auxiliary.contains(&index))
}

/// Cost per name prefix of `depth` components, in order of first use, auxiliary heads included.
///
/// A layer is counted under the name of its first parameter: `depth = 1` gives stem, cells and classifier, a greater depth
/// divides them further.
pub fn parts(graph: &Graph, depth: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut seen = BTreeSet::new();
    for node in &graph.nodes {
        let Some(first) = node_params(node).next() else { continue };
        let full = &graph.params[first].name;
        // The last component names the array within its layer ("weight").
        let layer = full.rsplit_once('.').map_or(full.as_str(), |(layer, _)| layer);
        let name = layer.split('.').take(depth.max(1)).collect::<Vec<_>>().join(".");
        let cost = node_cost(graph, node, &mut seen);
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.cost.add(cost),
            None => parts.push(Part { name, cost }),
        }
    }
    parts
}

fn node_cost(graph: &Graph, node: &Node, seen: &mut BTreeSet<ParamId>) -> Cost {
    // An array used by several nodes is counted once.
    let params = node_params(node).filter(|&id| seen.insert(id)).map(|id| graph.params[id].len() as u64).sum();
    Cost { params, multiply_adds: node_multiply_adds(graph, node) }
}

fn sum(graph: &Graph, keep: impl Fn(usize) -> bool) -> Cost {
    let mut total = Cost::default();
    let mut seen = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if keep(index) {
            total.add(node_cost(graph, node, &mut seen));
        }
    }
    total
}

/// Nodes that an auxiliary output needs and the main output does not.
fn auxiliary_nodes(graph: &Graph) -> BTreeSet<usize> {
    let Some((&main, others)) = graph.outputs.split_first() else { return BTreeSet::new() };
    let main = ancestors(graph, &[main]);
    ancestors(graph, others).difference(&main).copied().collect()
}

fn ancestors(graph: &Graph, of: &[usize]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = of.to_vec();
    while let Some(value) = open.pop() {
        if found.insert(value) {
            open.extend(&graph.nodes[value].inputs);
        }
    }
    found
}

/// An estimate of the memory that training needs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TrainingMemory {
    /// Weights, gradients and momentum: three float32 arrays.
    pub weights: u64,
    /// Activations that the backward pass reads again.
    pub activations: u64,
    /// Working memory: the largest value, its gradient and one more array of this size.
    pub working: u64,
}

impl TrainingMemory {
    /// The sum.
    pub fn total(self) -> u64 {
        self.weights + self.activations + self.working
    }
}

/// Estimates the memory of a training step with `batch` images in float32.
///
/// The inputs of convolutions, normalisations, max pools and gated sums are counted as kept, each value once. An engine
/// that recomputes cheap values needs less, one that keeps all values needs more.
pub fn training_memory(graph: &Graph, batch: usize) -> TrainingMemory {
    let mut kept = BTreeSet::new();
    for node in &graph.nodes {
        match &node.op {
            Op::Conv { .. } | Op::Norm { .. } | Op::MaxPool(_) => kept.extend(&node.inputs),
            Op::Sum(sum) => {
                kept.extend(node.inputs.iter().zip(&sum.gates).filter(|(_, g)| g.is_some()).map(|(x, _)| x));
            }
            _ => {}
        }
    }
    let bytes = |elements: usize| (elements * batch * size_of::<f32>()) as u64;
    let params: usize = graph.params.iter().map(gdas_kernels::graph::ParamSpec::len).sum();
    let largest = graph.nodes.iter().map(|n| n.shape.elements()).max().unwrap_or(0);
    TrainingMemory {
        weights: 3 * (params * size_of::<f32>()) as u64,
        activations: kept.iter().map(|&v| bytes(graph.shape(v).elements())).sum(),
        working: 3 * bytes(largest),
    }
}

/// Measured time per call.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Median over the calls, in seconds.
    pub median: f64,
    /// Fastest call, in seconds.
    pub best: f64,
    /// Slowest call, in seconds.
    pub worst: f64,
    /// Number of timed calls.
    pub calls: usize,
}

/// Measures the time of `call`, after two warm-up calls, until `budget` is spent, at least five and at most 1000 times. An
/// error of `call` ends the measurement.
///
/// Compare medians: other load on the machine affects `worst` first.
pub fn latency<E>(budget: Duration, mut call: impl FnMut() -> Result<(), E>) -> Result<Latency, E> {
    for _ in 0..2 {
        call()?;
    }
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (times.len() < 1000 && start.elapsed() < budget) {
        let before = Instant::now();
        call()?;
        times.push(before.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(Latency { median: times[times.len() / 2], best: times[0], worst: times[times.len() - 1], calls: times.len() })
}

/// Measures the network's forward pass in evaluation mode on this machine's CPU, with the current thread pool.
///
/// Weights and images are constant, as the time does not depend on them. For a network without gates.
pub fn cpu_latency(graph: &Graph, batch: usize, budget: Duration) -> Latency {
    let params: Vec<Vec<f32>> = graph.params.iter().map(|spec| vec![0.01; spec.len()]).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let running = graph.norms.iter().map(|spec| vec![1.0; if spec.track { 2 * spec.channels } else { 0 }]);
    let running: Vec<Vec<f32>> = running.collect();
    let running: Vec<&[f32]> = running.iter().map(Vec::as_slice).collect();
    let image = vec![0.5; batch * graph.shape(0).elements()];
    let (gates, masks) = (vec![1.0; graph.gates], vec![1.0; graph.masks * batch]);
    let inputs = Inputs { batch, image: &image, params: &params, gates: &gates, masks: &masks, running: &running };
    let graph = Arc::new(graph.clone());
    let measured = latency::<Infallible>(budget, || {
        std::hint::black_box(cpu::forward(&graph, Mode::Eval, &inputs, false).outputs.len());
        Ok(())
    });
    match measured {
        Ok(latency) => latency,
        Err(never) => match never {},
    }
}

/// Formats a count with a unit prefix: `220.12 M`, `73.3 k`, `12`.
pub fn readable(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// Formats bytes with a binary unit: `1.5 GiB`.
pub fn readable_bytes(bytes: u64) -> String {
    let value = bytes as f64;
    let (scale, unit) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..1_048_576 => (10, "KiB"),
        1_048_576..1_073_741_824 => (20, "MiB"),
        _ => (30, "GiB"),
    };
    format!("{:.1} {unit}", value / f64::from(1u32 << scale))
}

#[cfg(test)]
mod tests;
