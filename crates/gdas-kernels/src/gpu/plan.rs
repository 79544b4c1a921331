//! The plan of a graph for both passes: which values are stored in which type, and which operations their readers apply.

use burn::tensor::DType;

use super::kernels::LANES;
use crate::graph::{Graph, Op, ValueId};

/// Everything that depends on the graph alone.
#[derive(Debug)]
pub(super) struct Plan {
    /// Per node: whether it is a ReLU that its readers apply.
    pub(super) rectifiers: Vec<bool>,
    /// Per node: the sum that applies it, if it is a normalisation that its sum applies.
    pub(super) in_sum: Vec<Option<InSum>>,
    /// Per node: number type of the value and of its gradient.
    pub(super) types: Vec<DType>,
    /// Per normalisation: index of its first statistic.
    pub(super) offsets: Vec<usize>,
    /// Number of statistics.
    pub(super) statistics: usize,
}

impl Plan {
    pub(super) fn new(graph: &Graph, storage: DType) -> Self {
        let (offsets, statistics) = stat_offsets(graph);
        Self {
            rectifiers: fused_rectifiers(graph),
            in_sum: fused_norms(graph),
            types: value_types(graph, storage),
            offsets,
            statistics,
        }
    }

    /// The stored value that a convolution reads, and whether it applies a ReLU to it.
    pub(super) fn source(&self, graph: &Graph, x: ValueId) -> (ValueId, bool) {
        if self.rectifiers[x] { (graph.nodes[x].inputs[0], true) } else { (x, false) }
    }

    /// Index of the coefficients of a normalisation, `[4, channels]`.
    pub(super) fn norm_at(&self, norm: &Norm) -> usize {
        2 * self.offsets[norm.index]
    }
}

/// Number of parts, one cube each, of a sum over `pixels`. It does not depend on the device. A thread adds up at least
/// [`WORTH_A_THREAD`] numbers, and for large sums as many as a thread that adds up the parts.
pub(super) fn channel_parts(pixels: usize) -> usize {
    (pixels / (LANES * WORTH_A_THREAD)).min(pixels.isqrt()).max(1)
}

/// Smallest number of elements per thread of a sum.
pub(super) const WORTH_A_THREAD: usize = 16;

/// Per node: whether it is a ReLU whose readers are all convolutions, which apply it while reading.
fn fused_rectifiers(graph: &Graph) -> Vec<bool> {
    let mut fused: Vec<bool> = graph.nodes.iter().map(|node| matches!(node.op, Op::Relu)).collect();
    for node in &graph.nodes {
        if !matches!(node.op, Op::Conv { .. }) {
            node.inputs.iter().for_each(|&x| fused[x] = false);
        }
    }
    graph.outputs.iter().for_each(|&x| fused[x] = false);
    fused
}

/// A normalisation of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    /// Index in [`Graph::norms`].
    pub(super) index: usize,
    /// Its input.
    pub(super) x: ValueId,
    pub(super) scale: Option<usize>,
    pub(super) shift: Option<usize>,
}

/// The normalisation whose result a value is, if it is one.
pub(super) fn norm_of(graph: &Graph, value: ValueId) -> Option<Norm> {
    let node = &graph.nodes[value];
    let Op::Norm { scale, shift, norm: index } = node.op else { return None };
    Some(Norm { index, x: node.inputs[0], scale, shift })
}

/// A normalisation whose only reader is a sum, which applies it while reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct InSum {
    /// The gate of its term.
    pub(super) gate: Option<usize>,
}

/// The normalisations that their sum applies. Those with both parameters and a gate are not among them: the gradients of the
/// parameters would need the gate as a factor.
fn fused_norms(graph: &Graph) -> Vec<Option<InSum>> {
    let mut readers = vec![0; graph.nodes.len()];
    let inputs = graph.nodes.iter().flat_map(|node| &node.inputs);
    inputs.chain(&graph.outputs).for_each(|&x| readers[x] += 1);
    let mut fused = vec![None; graph.nodes.len()];
    for node in &graph.nodes {
        let Op::Sum(sum) = &node.op else { continue };
        for (&x, &gate) in node.inputs.iter().zip(&sum.gates) {
            let Some(norm) = norm_of(graph, x) else { continue };
            if readers[x] == 1 && (gate.is_none() || (norm.scale.is_none() && norm.shift.is_none())) {
                fused[x] = Some(InSum { gate });
            }
        }
    }
    fused
}

/// Number type of every value and its gradient: `storage`, but float32 for images and class scores that only convolutions
/// read or write, which can mix types.
fn value_types(graph: &Graph, storage: DType) -> Vec<DType> {
    let mut types = vec![storage; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let scores = matches!(node.op, Op::Conv { .. }) && graph.outputs.contains(&index);
        if scores || matches!(node.op, Op::Image) {
            types[index] = DType::F32;
        }
    }
    for node in graph.nodes.iter().filter(|node| !matches!(node.op, Op::Conv { .. })) {
        node.inputs.iter().for_each(|&x| types[x] = storage);
    }
    types
}

/// Index of the first statistic of every normalisation, and the total number of statistics.
fn stat_offsets(graph: &Graph) -> (Vec<usize>, usize) {
    let mut total = 0;
    let offsets = graph.norms.iter().map(|norm| {
        total += 2 * norm.channels;
        total - 2 * norm.channels
    });
    (offsets.collect(), total)
}
