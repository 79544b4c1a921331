//! The way forward through a graph, one or a few launches per operation.

use burn::backend::{Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::gates::sum_forward;
use super::kernels::Geometry;
use super::place::{Place, element, launch, storage};
use crate::Mode;
use crate::extension::{Call, Tensors};
use crate::graph::{Graph, Op, ValueId};

/// What the backward pass needs of the forward pass.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(super) call: Call,
    pub(super) batch: usize,
    /// Of every value that was computed; a rectifier that its readers apply is not. `[batch, height, width, channels]`.
    pub(super) values: Vec<Option<CubeTensor>>,
    /// Of every max pool: the pixel where each maximum was found.
    pub(super) places: Vec<Option<CubeTensor>>,
    /// Mean and variance of each normalisation, one after the other.
    pub(super) stats: CubeTensor,
    /// Which normalisations used the batch's statistics.
    pub(super) of_batch: Vec<bool>,
    pub(super) gates: CubeTensor,
    pub(super) masks: CubeTensor,
    /// How values and their gradients are stored; see [`value_types`].
    pub(super) types: Vec<DType>,
    pub(super) place: Place,
}

/// Into how many parts a sum over so many pixels is cut: never a matter of the device.
pub(super) fn channel_parts(pixels: usize) -> usize {
    (pixels / 64).clamp(1, 512)
}

/// The rectifiers that their readers, all convolutions, apply as they read.
pub(super) fn fused_rectifiers(graph: &Graph) -> Vec<bool> {
    let mut fused: Vec<bool> = graph.nodes.iter().map(|node| matches!(node.op, Op::Relu)).collect();
    for node in &graph.nodes {
        if !matches!(node.op, Op::Conv { .. }) {
            node.inputs.iter().for_each(|&x| fused[x] = false);
        }
    }
    graph.outputs.iter().for_each(|&x| fused[x] = false);
    fused
}

/// How every value, and its gradient, is stored. The images and the class scores stay float32 where nothing but convolutions
/// touches them, which read and write any type; everything else is stored as `storage` says.
pub(super) fn value_types(graph: &Graph, storage: DType) -> Vec<DType> {
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

/// What a convolution reads: the value before a fused rectifier, and whether there was one.
pub(super) fn source(graph: &Graph, fused: &[bool], x: ValueId) -> (ValueId, bool) {
    if fused[x] { (graph.nodes[x].inputs[0], true) } else { (x, false) }
}

/// First statistic of every normalisation, and their total.
pub(super) fn stat_offsets(graph: &Graph) -> (Vec<usize>, usize) {
    let mut total = 0;
    let offsets = graph.norms.iter().map(|norm| {
        total += 2 * norm.channels;
        total - 2 * norm.channels
    });
    (offsets.collect(), total)
}

/// Runs the graph; returns outputs `[batch, sum of classes]`, statistics, and the tape if asked for.
pub(crate) fn forward(call: &Call, tensors: &Tensors<Cube>, save: bool) -> (CubeTensor, CubeTensor, Option<Tape>) {
    let graph = &*call.graph;
    let place = Place::of(&tensors.image);
    let batch = tensors.image.shape()[0];
    let fused = fused_rectifiers(graph);
    let types = value_types(graph, storage(call.precision));
    let narrow = element(storage(call.precision));
    let (offsets, total) = stat_offsets(graph);
    let stats = place.empty([total.max(1)]);
    let mut of_batch = vec![true; graph.norms.len()];
    let mut values: Vec<Option<CubeTensor>> = Vec::with_capacity(graph.nodes.len());
    let mut places = vec![None; graph.nodes.len()];
    let gates = &tensors.gates;
    let param = |id: Option<usize>| id.map_or(&place.none, |id| &tensors.params[id]);
    for (index, node) in graph.nodes.iter().enumerate() {
        if matches!(node.op, Op::Image) {
            let image = &tensors.image;
            let stored = if types[index] == image.dtype {
                image.clone()
            } else {
                let shape = node.shape;
                let stored = place.of_type([batch, shape.height, shape.width, shape.channels], types[index]);
                let pair = [element(image.dtype), narrow];
                launch!(place, convert, batch * shape.elements(), [image, stored], pair, 1.0);
                stored
            };
            values.push(Some(stored));
            continue;
        }
        if fused[index] {
            values.push(None);
            continue;
        }
        let shape = node.shape;
        let y = place.of_type([batch, shape.height, shape.width, shape.channels], types[index]);
        let count = batch * shape.elements();
        let x = |i: usize| values[node.inputs[i]].as_ref().expect("a value is read only after it was computed");
        match &node.op {
            Op::Image => {}
            Op::Relu => launch!(place, relu_forward, count, [x(0), y], narrow),
            Op::Conv { weight, bias, window, groups } => {
                let (from, relu) = source(graph, &fused, node.inputs[0]);
                let input = values[from].as_ref().expect("a value is read only after it was computed");
                let g = Geometry::new(graph.shape(from), shape, window, *groups);
                let w = &tensors.params[*weight];
                let pair = [element(types[from]), element(types[index])];
                launch!(place, conv_forward, count, [input, w, param(*bias), y], pair, g, relu, bias.is_some());
            }
            Op::Norm { scale, shift, norm } => {
                let (c, offset) = (shape.channels, offsets[*norm]);
                let pixels = batch * shape.height * shape.width;
                let running =
                    tensors.running.get(*norm).filter(|r| call.mode == Mode::Eval && r.shape().num_elements() > 1);
                if let Some(running) = running {
                    launch!(place, copy_into, 2 * c, [running, stats], offset);
                    of_batch[*norm] = false;
                } else {
                    let parts = channel_parts(pixels);
                    let partial = place.empty([parts, 2, c]);
                    launch!(place, moments, parts * c, [x(0), partial], narrow, pixels, parts, c);
                    let count = pixels as f32;
                    launch!(place, moments_finish, c, [x(0), partial, stats], narrow, offset, count, parts, c);
                }
                let (gamma, beta) = (param(*scale), param(*shift));
                launch!(
                    place,
                    norm_forward,
                    count,
                    [x(0), stats, gamma, beta, y],
                    narrow,
                    offset,
                    c,
                    scale.is_some(),
                    shift.is_some(),
                );
            }
            Op::AvgPool(window) => {
                let g = Geometry::new(graph.shape(node.inputs[0]), shape, window, 1);
                launch!(place, avg_forward, count, [x(0), y], narrow, g);
            }
            Op::MaxPool(window) => {
                let g = Geometry::new(graph.shape(node.inputs[0]), shape, window, 1);
                let found = place.of_type([batch, shape.height, shape.width, shape.channels], DType::U32);
                launch!(place, max_forward, count, [x(0), y, found], narrow, g);
                places[index] = Some(found);
            }
            Op::Shift => {
                let (h, w, c) = (shape.height, shape.width, shape.channels);
                launch!(place, shift_forward, count, [x(0), y], narrow, h, w, c);
            }
            Op::Sum(sum) => {
                let terms: Vec<_> = (0..node.inputs.len()).map(x).collect();
                sum_forward(&place, sum, &terms, gates, &y);
            }
            Op::ScaleImages { mask } => {
                let (first, each) = (mask * batch, shape.elements());
                launch!(place, scale_forward, count, [x(0), tensors.masks, y], narrow, first, each);
            }
            Op::Concat => {
                let mut first = 0;
                for (i, &input) in node.inputs.iter().enumerate() {
                    let from = graph.shape(input);
                    let (length, own) = (batch * from.elements(), from.channels);
                    launch!(place, concat_forward, length, [x(i), y], [narrow, narrow], first, own, shape.channels);
                    first += from.channels;
                }
            }
            Op::GlobalAvgPool => {
                let from = graph.shape(node.inputs[0]);
                launch!(place, mean_forward, count, [x(0), y], narrow, from.height * from.width, from.channels);
            }
        }
        values.push(Some(y));
    }
    let classes: usize = graph.outputs.iter().map(|&value| graph.shape(value).channels).sum();
    let outputs = place.empty([batch, classes]);
    let mut first = 0;
    for &value in &graph.outputs {
        let own = graph.shape(value).channels;
        let scores = values[value].as_ref().expect("outputs are computed");
        let pair = [element(scores.dtype), element(outputs.dtype)];
        launch!(place, concat_forward, batch * own, [scores, outputs], pair, first, own, classes);
        first += own;
    }
    let tape = save.then(|| Tape {
        call: call.clone(),
        batch,
        values,
        places,
        stats: stats.clone(),
        of_batch,
        gates: gates.clone(),
        masks: tensors.masks.clone(),
        place: place.clone(),
        types,
    });
    (outputs, stats, tape)
}
