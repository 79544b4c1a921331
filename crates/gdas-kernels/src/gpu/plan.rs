//! What of a graph is stored and how, and what is applied as it is read: the same on both ways.

use burn::tensor::DType;

use super::kernels::LANES;
use crate::graph::{Graph, Op, ValueId};

/// What follows from a graph alone.
#[derive(Debug)]
pub(super) struct Plan {
    /// Which rectifiers their readers apply.
    pub(super) rectifiers: Vec<bool>,
    /// Which normalisations their sum applies.
    pub(super) in_sum: Vec<Option<InSum>>,
    /// How every value, and its gradient, is stored.
    pub(super) types: Vec<DType>,
    /// First statistic of every normalisation.
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

    /// What a convolution reads: the value before a fused rectifier, and whether there was one.
    pub(super) fn source(&self, graph: &Graph, x: ValueId) -> (ValueId, bool) {
        if self.rectifiers[x] { (graph.nodes[x].inputs[0], true) } else { (x, false) }
    }

    /// Where what normalises stands, `[4, channels]`.
    pub(super) fn norm_at(&self, norm: &Norm) -> usize {
        2 * self.offsets[norm.index]
    }
}

/// Into how many parts, of one cube each, a sum over so many pixels is cut: never a matter of the device. A thread takes
/// [`WORTH_A_THREAD`] numbers at least, and of many pixels as many as one that adds up the parts.
pub(super) fn channel_parts(pixels: usize) -> usize {
    (pixels / (LANES * WORTH_A_THREAD)).min(pixels.isqrt()).max(1)
}

/// Numbers that a thread of a sum takes, so that adding up with the others is worth it.
pub(super) const WORTH_A_THREAD: usize = 16;

/// The rectifiers that their readers, all convolutions, apply as they read.
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
    /// Which of the graph's normalisations.
    pub(super) index: usize,
    /// What it normalises.
    pub(super) x: ValueId,
    pub(super) scale: Option<usize>,
    pub(super) shift: Option<usize>,
}

/// The normalisation that gives a value, if one does.
pub(super) fn norm_of(graph: &Graph, value: ValueId) -> Option<Norm> {
    let node = &graph.nodes[value];
    let Op::Norm { scale, shift, norm: index } = node.op else { return None };
    Some(Norm { index, x: node.inputs[0], scale, shift })
}

/// A normalisation that the one sum which reads it applies as it reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct InSum {
    /// The gate of its term.
    pub(super) gate: Option<usize>,
}

/// The normalisations that are applied so. Those with parameters and a gate are not: their gradients would have to be taken
/// times the gate.
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

/// How every value, and its gradient, is stored. The images and the class scores stay float32 where nothing but convolutions
/// touches them, which read and write any type; everything else is stored as `storage` says.
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

/// First statistic of every normalisation, and their total.
fn stat_offsets(graph: &Graph) -> (Vec<usize>, usize) {
    let mut total = 0;
    let offsets = graph.norms.iter().map(|norm| {
        total += 2 * norm.channels;
        total - 2 * norm.channels
    });
    (offsets.collect(), total)
}
