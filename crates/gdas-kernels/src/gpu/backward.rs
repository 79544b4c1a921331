//! The backward pass of a graph, from the last operation to the first. The readers of a value come after it, so that its
//! gradient is complete when the pass reaches it: the first reader writes it, the others add to it.

use burn::backend::{Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::conv::{Conv, Gradients};
use super::forward::{Tape, computed};
use super::gates::{GateRows, sum_backward};
use super::kernels::{self, Geometry};
use super::norms::norms_backward;
use super::place::{Fold, Place, element, launch, storage};
use crate::Precision;
use crate::extension::{GradTargets, GraphGradients};
use crate::graph::{Graph, Op, ValueId};

/// Per value: whether a target of the backward pass lies at or before it.
fn needed(graph: &Graph, targets: &GradTargets) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let wanted = |id: &Option<usize>| id.is_some_and(|id| targets.params[id]);
        needed[index] = node.inputs.iter().any(|&x| needed[x])
            || match &node.op {
                Op::Image => targets.image,
                Op::Conv { weight, bias, .. } => targets.params[*weight] || wanted(bias),
                Op::Norm { scale, shift, .. } => wanted(scale) || wanted(shift),
                Op::Sum(sum) => {
                    targets.gates.is_some() && (!sum.constant.is_empty() || sum.gates.iter().any(Option::is_some))
                }
                _ => false,
            };
    }
    needed
}

/// Factor of float16 gradients per image of the batch, for a loss that is a mean over the images.
const SCALE_PER_IMAGE: f32 = 1024.0;

/// Factor of the stored gradients of values; undone in float32 where gradients leave the engine. A power of two, so that it
/// changes no bit of a gradient's fraction.
///
/// float16 numbers lie between 2^-24 and 2^16, with all their 11 bits from 2^-14 on. The mean over a batch of B images and
/// that over P pixels leave gradients of some 1 / (B P), which would lose bits or vanish. Times B they no longer depend on the
/// batch; the further 2^10 bring those of usual sizes (P = 64) to the middle of the range. For 64 images it is the 2^16 that
/// PyTorch's gradient scaler begins with. bfloat16 has the range of float32 and needs none.
fn gradient_scale(precision: Precision, batch: usize) -> f32 {
    match precision {
        Precision::Float16 => SCALE_PER_IMAGE * batch.next_power_of_two() as f32,
        Precision::Float32 | Precision::BFloat16 => 1.0,
    }
}

/// The gradients of the values.
pub(super) struct Grads<'a> {
    of: Vec<Option<CubeTensor>>,
    needed: Vec<bool>,
    tape: &'a Tape,
}

impl Grads<'_> {
    /// The tensor of a gradient, and whether to add to it. `None`: the gradient is not needed.
    pub(super) fn slot(&mut self, value: ValueId) -> Option<(CubeTensor, bool)> {
        if !self.needed[value] {
            return None;
        }
        if let Some(there) = &self.of[value] {
            return Some((there.clone(), true));
        }
        let Tape { call, plan, batch, place, .. } = self.tape;
        let shape = call.graph.shape(value);
        let new = place.of_type([*batch, shape.height, shape.width, shape.channels], plan.types[value]);
        self.of[value] = Some(new.clone());
        Some((new, false))
    }
}

/// State of a backward pass.
pub(super) struct BackwardPass<'a> {
    pub(super) tape: &'a Tape,
    pub(super) targets: &'a GradTargets,
    pub(super) grads: Grads<'a>,
    /// The gradients of the gates, if they are a target.
    pub(super) gates: Option<GateRows>,
    /// Sums over parts of the gradients of parameters and gates, launched at the end.
    pub(super) folds: Vec<Fold>,
    pub(super) result: GraphGradients<Cube>,
}

/// The gradients in `targets`, given that of the outputs.
pub(crate) fn backward(
    tape: &Tape,
    params: &[CubeTensor],
    upstream: &CubeTensor,
    targets: &GradTargets,
) -> GraphGradients<Cube> {
    let graph = &*tape.call.graph;
    let (batch, place) = (tape.batch, &tape.place);
    let narrow = element(storage(tape.call.precision));
    let typed = |id: ValueId| element(tape.plan.types[id]);
    let scale = gradient_scale(tape.call.precision, batch);
    let mut pass = BackwardPass {
        tape,
        targets,
        grads: Grads { of: vec![None; graph.nodes.len()], needed: needed(graph, targets), tape },
        gates: targets.gates.map(|_| GateRows::new(graph, &tape.plan.in_sum, place)),
        folds: Vec::new(),
        result: GraphGradients { params: vec![None; params.len()], gates: None, image: None },
    };
    let value = |id: ValueId| computed(&tape.values, id);

    let classes: usize = graph.outputs.iter().map(|&value| graph.shape(value).channels).sum();
    let mut first = 0;
    for &output in &graph.outputs {
        let own = graph.shape(output).channels;
        if let Some((dx, add)) = pass.grads.slot(output) {
            let pair = [element(upstream.dtype), typed(output)];
            launch!(place, concat_backward, batch * own, [upstream, dx], pair, scale, first, own, classes, add);
        }
        first += own;
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if matches!(node.op, Op::Image) || tape.plan.rectifiers[index] {
            continue;
        }
        let Some(dy) = pass.grads.of[index].take() else { continue };
        let shape = node.shape;
        let from = node.inputs.first().map(|&x| graph.shape(x));
        let length = from.map_or(0, |from| batch * from.elements());
        match &node.op {
            Op::Image => {}
            Op::Relu => {
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    launch!(place, relu_backward, length, [value(node.inputs[0]), dy, dx], narrow, add);
                }
            }
            Op::Conv { weight, bias, window, groups } => {
                let (x, relu) = tape.plan.source(graph, node.inputs[0]);
                let g = Geometry::new(graph.shape(x), shape, window, *groups);
                let conv = Conv { place, g, relu };
                let ids = [Some(*weight), *bias].map(|id| id.filter(|&id| targets.params[id]));
                if ids != [None, None] {
                    let wanted = kernels::Parameters { weight: ids[0].is_some(), bias: ids[1].is_some() };
                    let Gradients { partial, parts, stride } = conv.parameter_gradients(value(x), &dy, wanted);
                    let mut start = 0;
                    for id in ids.into_iter().flatten() {
                        let out = place.empty([graph.params[id].len()]);
                        pass.result.params[id] = Some(out.clone());
                        pass.folds.push(Fold::whole(partial.clone(), out, parts, stride, start));
                        start += graph.params[id].len();
                    }
                }
                if let Some((dx, add)) = pass.grads.slot(x) {
                    conv.image_gradient(&dy, &params[*weight], value(x), &dx, add);
                }
            }
            Op::Norm { .. } => norms_backward(&mut pass, &[(index, None)], &dy),
            Op::AvgPool(window) => {
                let g = Geometry::new(graph.shape(node.inputs[0]), shape, window, 1);
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    launch!(place, avg_backward, length, [dy, dx], narrow, g, add);
                }
            }
            Op::MaxPool(window) => {
                let g = Geometry::new(graph.shape(node.inputs[0]), shape, window, 1);
                let found = tape.places[index].as_ref().expect("a tape holds where maxima were found");
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    launch!(place, max_backward, length, [dy, found, dx], narrow, g, add);
                }
            }
            Op::Shift => {
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    let (h, w, c) = (shape.height, shape.width, shape.channels);
                    launch!(place, shift_backward, length, [dy, dx], narrow, h, w, c, add);
                }
            }
            Op::Sum(sum) => sum_backward(&mut pass, sum, &node.inputs, &dy),
            Op::ScaleImages { mask } => {
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    let (first, each) = (mask * batch, shape.elements());
                    launch!(place, scale_backward, length, [dy, tape.masks, dx], narrow, first, each, add);
                }
            }
            Op::Concat => {
                let mut first = 0;
                for &input in &node.inputs {
                    let from = graph.shape(input);
                    if let Some((dx, add)) = pass.grads.slot(input) {
                        let (length, own, all) = (batch * from.elements(), from.channels, shape.channels);
                        let pair = [narrow, narrow];
                        launch!(place, concat_backward, length, [dy, dx], pair, 1.0, first, own, all, add);
                    }
                    first += from.channels;
                }
            }
            Op::GlobalAvgPool => {
                let from = graph.shape(node.inputs[0]);
                if let Some((dx, add)) = pass.grads.slot(node.inputs[0]) {
                    let pixels = from.height * from.width;
                    launch!(place, mean_backward, length, [dy, dx], narrow, pixels, from.channels, add);
                }
            }
        }
    }
    let BackwardPass { mut grads, gates, mut folds, mut result, .. } = pass;
    folds.extend(gates.as_ref().and_then(GateRows::fold));
    place.fold_many(&folds, 1.0 / scale);
    if let Some((gates, length)) = gates.zip(targets.gates) {
        result.gates = Some(gates.finish(place, length));
    }
    if targets.image {
        result.image = grads.of[0].take().map(|gradient| unscaled(place, gradient, 1.0 / scale));
    }
    result
}

/// The gradient of the images in float32, times a factor.
fn unscaled(place: &Place, gradient: CubeTensor, factor: f32) -> CubeTensor {
    if gradient.dtype == DType::F32 && factor == 1.0 {
        return gradient;
    }
    let shape = gradient.shape();
    let out = place.empty([shape[0], shape[1], shape[2], shape[3]]);
    let pair = [element(gradient.dtype), element(DType::F32)];
    launch!(place, convert, out.shape().num_elements(), [gradient, out], pair, factor);
    out
}
