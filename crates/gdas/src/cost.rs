//! What a network costs: parameters, multiply-adds, memory while training, and time.
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
//! A convolution whose result reaches no output (the benchmark's cells may hold some) still counts: the
//! benchmark runs it. What only the auxiliary heads need is counted apart, as papers leave it out.

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
    /// What its layers cost together.
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

/// Cost of the network as it is used after training: without what only auxiliary outputs need.
pub fn network(graph: &Graph) -> Cost {
    let auxiliary = auxiliary_nodes(graph);
    sum(graph, |index| !auxiliary.contains(&index))
}

/// Cost of what only the auxiliary outputs need; zero for a network with one output.
pub fn auxiliary(graph: &Graph) -> Cost {
    let auxiliary = auxiliary_nodes(graph);
    sum(graph, |index| auxiliary.contains(&index))
}

/// Cost per name prefix of `depth` components, in order of first use, auxiliary heads included.
///
/// A layer belongs to the name of its first parameter, so `depth = 1` gives the stem, the cells together
/// and the classifier, and a greater depth opens them up.
pub fn parts(graph: &Graph, depth: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut seen = BTreeSet::new();
    for node in &graph.nodes {
        let Some(first) = node_params(node).next() else { continue };
        let full = &graph.params[first].name;
        // The last component names the array within its layer ("weight"), never a part of its own.
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
    // An array used by several nodes is trained once, so it counts once.
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
    /// Room for the largest value, its gradient and one more of its size while a step is computed.
    pub working: u64,
}

impl TrainingMemory {
    /// Everything together.
    pub fn total(self) -> u64 {
        self.weights + self.activations + self.working
    }
}

/// Estimates the memory of a training step with `batch` images in float32.
///
/// Counted as kept are the inputs of convolutions, normalisations, max pools and gated sums, each value
/// once. An engine that recomputes cheap values needs less, one that keeps every result needs more.
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

/// Measured time of one call.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Median over the calls, in seconds.
    pub median: f64,
    /// Fastest call, in seconds.
    pub best: f64,
    /// Slowest call, in seconds.
    pub worst: f64,
    /// Number of calls that were timed.
    pub calls: usize,
}

/// Times `call`, after two untimed calls, until `budget` is spent, at least five and at most 1000 times.
///
/// The error of `call` ends the measurement. Other work on the machine shows in `worst` first; compare medians.
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

/// Times the network's forward pass in evaluation on this machine's CPU, with the threads that are there.
///
/// Weights and images are all the same: the time does not depend on them. For a network without gates.
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

/// A count with a readable unit: `220.12 M`, `73.3 k`, `12`.
pub fn readable(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// Bytes with a readable binary unit: `1.5 GiB`.
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
mod tests {
    use super::*;
    use gdas_kernels::graph::{Shape, Sum, Window};

    /// The benchmark's skeleton written out by hand, independent of the space's own lowering. `ops` are the six
    /// operations in the benchmark's order of edges: (1,0) (2,0) (2,1) (3,0) (3,1) (3,2).
    fn benchmark_network(ops: [&str; 6], classes: usize, image: usize) -> Graph {
        let mut g = Graph::new(Shape::new(image, image, 3));
        let stem = g.conv(0, "stem.conv", 16, Window::same(3, 1, 1), 1, false);
        let mut x = g.norm(stem, "stem.norm", true, true);
        for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
            if stage > 0 {
                let name = format!("reduction{stage}");
                let r = g.relu(x);
                let a = g.conv(r, &format!("{name}.a"), channels, Window::same(3, 2, 1), 1, false);
                let a = g.norm(a, &format!("{name}.an"), true, true);
                let a = g.relu(a);
                let b = g.conv(a, &format!("{name}.b"), channels, Window::same(3, 1, 1), 1, false);
                let b = g.norm(b, &format!("{name}.bn"), true, true);
                let p = g.avg_pool(x, Window::valid(2, 2));
                let s = g.conv(p, &format!("{name}.s"), channels, Window::valid(1, 1), 1, false);
                x = g.add(vec![b, s]);
            }
            for cell in 0..5 {
                let mut nodes = vec![x];
                let mut edge = 0;
                for node in 1..4 {
                    let mut inputs = vec![];
                    for from in 0..node {
                        let name = format!("stage{stage}.cell{cell}.edge{edge}");
                        let input = nodes[from];
                        match ops[edge] {
                            "none" => {}
                            "skip_connect" => inputs.push(input),
                            "avg_pool_3x3" => inputs.push(g.avg_pool(input, Window::same(3, 1, 1))),
                            conv => {
                                let kernel = if conv == "nor_conv_1x1" { 1 } else { 3 };
                                let r = g.relu(input);
                                let c = g.conv(r, &name, channels, Window::same(kernel, 1, 1), 1, false);
                                inputs.push(g.norm(c, &format!("{name}.norm"), true, true));
                            }
                        }
                        edge += 1;
                    }
                    let gates = vec![None; inputs.len()];
                    let shape = g.shape(x);
                    nodes.push(g.sum(inputs, Sum { gates, constant: vec![] }, shape));
                }
                x = nodes[3];
            }
        }
        let x = g.norm(x, "last", true, true);
        let x = g.relu(x);
        let x = g.global_avg_pool(x);
        let out = g.linear(x, "classifier", classes);
        g.outputs.push(out);
        g
    }

    const CONV3: &str = "nor_conv_3x3";
    const CONV1: &str = "nor_conv_1x1";
    const SKIP: &str = "skip_connect";
    const POOL: &str = "avg_pool_3x3";

    fn rounded(cost: Cost) -> (String, String) {
        (format!("{:.2}", cost.multiply_adds_m()), format!("{:.3}", cost.params_m()))
    }

    #[test]
    fn published_costs_of_benchmark_cells() {
        let best = [CONV3, CONV3, CONV3, SKIP, CONV3, CONV3];
        let pooled = [POOL, CONV1, SKIP, CONV1, SKIP, SKIP];
        // (operations, classes, image size, M multiply-adds, M parameters)
        let published = [
            ([CONV3; 6], 10, 32, "220.12", "1.532"),
            (best, 10, 32, "184.73", "1.289"),
            (best, 100, 32, "184.74", "1.294"),
            (best, 120, 16, "46.19", "1.296"),
        ];
        for (ops, classes, image, flops, params) in published {
            let cost = network(&benchmark_network(ops, classes, image));
            assert_eq!(rounded(cost), (flops.to_owned(), params.to_owned()), "{ops:?} {classes} {image}");
        }
        // This one is published with all its digits: 15.64737 M and 0.129306 M.
        let cost = network(&benchmark_network(pooled, 10, 32));
        assert_eq!(cost, Cost { params: 129_306, multiply_adds: 15_647_370 });
        // What all cells share, by formula: stem, two residual blocks of equal cost, classifier.
        let residual = 16 * 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32);
        let shared = network(&benchmark_network([SKIP; 6], 10, 32));
        assert_eq!(shared.multiply_adds, 32 * 32 * 27 * 16 + 2 * residual + 650);
    }

    /// The space's own lowering gives the very network of the benchmark, for cells with and without dead operations.
    #[test]
    fn lowered_benchmark_networks_cost_the_same() {
        use crate::network::{NetworkConfig, Stem, derive};
        use crate::space::{Genotype, spaces::nas_bench_201};
        let space = nas_bench_201();
        let names = ["none", SKIP, CONV1, CONV3, POOL];
        for picks in
            [[3, 3, 3, 3, 3, 3], [4, 2, 1, 2, 1, 1], [3, 2, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0], [1, 3, 0, 2, 4, 3]]
        {
            let config = NetworkConfig {
                image: Shape::new(32, 32, 3),
                classes: 10,
                channels: 16,
                stem: Stem::Cifar,
                affine: true,
                track: true,
                auxiliary: false,
                drop_path: false,
            };
            let genotype = Genotype::from_picks(&space, &[picks.to_vec()]);
            let lowered = derive(&space.derived_blocks(5), &config, &genotype).unwrap();
            let by_hand = benchmark_network(picks.map(|pick| names[pick]), 10, 32);
            assert_eq!(network(&lowered), network(&by_hand), "{genotype}");
        }
    }

    /// The published code of DARTS builds networks of 3,169,414 and 3,349,342 parameters (C = 36, 20 cells) and an
    /// auxiliary head of 476,426; it has no normalisation before the last pool, which in ours holds 2 x 576 parameters. The paper gives 3.4 M for GDAS with a searched
    /// reduction cell, as `GDAS_V1` has one (its 2.5 M belong to the fixed reduction cell).
    #[test]
    fn published_parameters_of_nasnet_cells() {
        use crate::network::{NetworkConfig, Stem, derive};
        use crate::space::Genotype;
        let of = |name: &str| {
            let genotype = Genotype::named(name).unwrap();
            let config = NetworkConfig {
                image: Shape::new(32, 32, 3),
                classes: 10,
                channels: 36,
                stem: Stem::Cifar,
                affine: true,
                track: true,
                auxiliary: true,
                drop_path: true,
            };
            derive(&genotype.space.derived_blocks(6), &config, &genotype).unwrap()
        };
        assert_eq!(network(&of("DARTS_V1")).params - 2 * 576, 3_169_414);
        assert_eq!(network(&of("DARTS_V2")).params - 2 * 576, 3_349_342);
        assert_eq!(format!("{:.1}", network(&of("GDAS_V1")).params_m()), "3.4");
        // The auxiliary head does not depend on the cell: 1x1 to 128, 2x2 to 768, two normalisations, linear.
        let head = 576 * 128 + 256 + 4 * 128 * 768 + 1536 + 7690;
        assert_eq!(head, 476_426);
        assert_eq!(["DARTS_V1", "DARTS_V2", "GDAS_V1"].map(|name| auxiliary(&of(name)).params), [head; 3]);
    }

    #[test]
    fn operations_that_reach_no_output_still_count() {
        // Node 1 gets a convolution, but nothing reads node 1.
        let dead = [CONV3, CONV1, "none", SKIP, "none", SKIP];
        let alive = [CONV3, CONV1, "none", SKIP, SKIP, SKIP];
        assert_eq!(network(&benchmark_network(dead, 10, 32)), network(&benchmark_network(alive, 10, 32)));
    }

    #[test]
    fn groups_and_bias() {
        let mut g = Graph::new(Shape::new(8, 8, 4));
        let x = g.conv(0, "depthwise", 4, Window::same(5, 2, 1), 4, false);
        let x = g.conv(x, "pointwise", 6, Window::valid(1, 1), 1, true);
        g.outputs.push(x);
        // 4x4 outputs: 25 per element of 4 channels, then (4 + 1 bias) per element of 6 channels.
        let cost = network(&g);
        assert_eq!(cost.multiply_adds, 25 * 16 * 4 + 5 * 16 * 6);
        assert_eq!(cost.params, 100 + 24 + 6);
    }

    #[test]
    fn auxiliary_head_is_counted_apart() {
        let mut g = Graph::new(Shape::new(8, 8, 3));
        let x = g.conv(0, "stem", 4, Window::same(3, 1, 1), 1, false);
        let main = g.global_avg_pool(x);
        let main = g.linear(main, "classifier", 10);
        let aux = g.conv(x, "auxiliary.conv", 2, Window::valid(8, 1), 1, false);
        let aux = g.linear(aux, "auxiliary.classifier", 10);
        g.outputs = vec![main, aux];
        assert_eq!(network(&g).params, 27 * 4 + 4 * 10 + 10);
        assert_eq!(auxiliary(&g).params, 64 * 4 * 2 + 2 * 10 + 10);
        let parts = parts(&g, 1);
        let names: Vec<_> = parts.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["stem", "classifier", "auxiliary"]);
        let total: u64 = parts.iter().map(|p| p.cost.params).sum();
        assert_eq!(total, network(&g).params + auxiliary(&g).params);
    }

    #[test]
    fn memory_grows_with_the_batch_but_weights_do_not() {
        let g = benchmark_network([CONV3; 6], 10, 32);
        let (one, many) = (training_memory(&g, 1), training_memory(&g, 64));
        assert_eq!(one.weights, many.weights);
        assert_eq!(one.weights, 3 * 4 * network(&g).params);
        assert_eq!(64 * one.activations, many.activations);
        // Each cell keeps six inputs of convolutions (one shared ReLU value per edge) and six of normalisations.
        let per_cell = |side: u64, channels: u64| 12 * side * side * channels * 4;
        assert!(one.activations > 5 * (per_cell(32, 16) + per_cell(16, 32) + per_cell(8, 64)));
    }

    #[test]
    fn latency_counts_its_calls_and_passes_errors_on() {
        let mut calls = 0;
        let measured = latency::<()>(Duration::ZERO, || {
            calls += 1;
            Ok(())
        });
        assert_eq!(measured.map(|m| m.calls), Ok(5));
        assert_eq!(calls, 7);
        assert_eq!(latency(Duration::ZERO, || Err("broken")), Err("broken"));
    }

    #[test]
    fn more_images_take_longer() {
        let mut g = Graph::new(Shape::new(16, 16, 8));
        let x = g.conv(0, "conv", 16, Window::same(3, 1, 1), 1, false);
        let x = g.norm(x, "norm", true, true);
        let x = g.global_avg_pool(x);
        let x = g.linear(x, "classifier", 3);
        g.outputs.push(x);
        let time = |batch| cpu_latency(&g, batch, Duration::from_millis(5)).best;
        assert!(time(64) > 2.0 * time(1));
    }

    #[test]
    fn readable_units() {
        assert_eq!(readable(999), "999");
        assert_eq!(readable(73_306), "73.3 k");
        assert_eq!(readable(220_119_690), "220.12 M");
        assert_eq!(readable_bytes(1536), "1.5 KiB");
        assert_eq!(readable_bytes(3 << 29), "1.5 GiB");
    }
}
