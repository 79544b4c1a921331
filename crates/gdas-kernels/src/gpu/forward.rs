//! The forward pass of a graph, one or a few launches per operation.

use burn::backend::{Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

use super::conv::Conv;
use super::gates::{Term, sum_forward};
use super::kernels::Geometry;
use super::norms::Statistics;
use super::place::{Place, element, launch, storage};
use super::plan::{Plan, norm_of};
use crate::extension::{Call, Tensors};
use crate::graph::{Op, ValueId};

/// What a forward pass saves for the backward pass.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(super) call: Call,
    pub(super) batch: usize,
    /// Every stored value, `[batch, height, width, channels]`; `None` for a ReLU or normalisation that its readers apply.
    pub(super) values: Vec<Option<CubeTensor>>,
    /// Per max pool: the pixel of each maximum.
    pub(super) places: Vec<Option<CubeTensor>>,
    /// Coefficients of every normalisation, `[4, channels]` one after another: mean, reciprocal of the standard deviation, gamma
    /// and beta.
    pub(super) norms: CubeTensor,
    /// Per normalisation: whether it used the batch's statistics.
    pub(super) batch_stats: Vec<bool>,
    pub(super) gates: CubeTensor,
    pub(super) masks: CubeTensor,
    pub(super) plan: Plan,
    pub(super) place: Place,
}

/// A stored value.
pub(super) fn computed(values: &[Option<CubeTensor>], x: ValueId) -> &CubeTensor {
    values[x].as_ref().expect("a value is read only after it was computed")
}

/// Runs the graph. Returns outputs `[batch, sum of classes]`, statistics, and the tape if `save`.
pub(crate) fn forward(call: &Call, tensors: &Tensors<Cube>, save: bool) -> (CubeTensor, CubeTensor, Option<Tape>) {
    let graph = &*call.graph;
    let place = Place::of(&tensors.image);
    let batch = tensors.image.shape()[0];
    let plan = Plan::new(graph, storage(call.precision));
    let narrow = element(storage(call.precision));
    let mut statistics = Statistics::new(call, &plan, tensors, &place);
    let mut values: Vec<Option<CubeTensor>> = Vec::with_capacity(graph.nodes.len());
    let mut places = vec![None; graph.nodes.len()];
    let gates = &tensors.gates;
    for (index, node) in graph.nodes.iter().enumerate() {
        if matches!(node.op, Op::Image) {
            let image = &tensors.image;
            let stored = if plan.types[index] == image.dtype {
                image.clone()
            } else {
                let shape = node.shape;
                let stored = place.of_type([batch, shape.height, shape.width, shape.channels], plan.types[index]);
                let pair = [element(image.dtype), narrow];
                launch!(place, convert, batch * shape.elements(), [image, stored], pair, 1.0);
                stored
            };
            values.push(Some(stored));
            continue;
        }
        if plan.rectifiers[index] || plan.in_sum[index].is_some() {
            values.push(None);
            continue;
        }
        let shape = node.shape;
        let y = place.of_type([batch, shape.height, shape.width, shape.channels], plan.types[index]);
        let count = batch * shape.elements();
        let x = |i: usize| computed(&values, node.inputs[i]);
        match &node.op {
            Op::Image => {}
            Op::Relu => launch!(place, relu_forward, count, [x(0), y], narrow),
            Op::Conv { weight, bias, window, groups } => {
                let (from, relu) = plan.source(graph, node.inputs[0]);
                let input = computed(&values, from);
                let g = Geometry::new(graph.shape(from), shape, window, *groups);
                let bias = bias.map(|bias| &tensors.params[bias]);
                Conv { place: &place, g, relu }.forward(input, &tensors.params[*weight], bias, &y);
            }
            Op::Norm { norm, .. } => {
                statistics.compute(&[index], &values);
                let at = 2 * plan.offsets[*norm];
                launch!(place, norm_forward, count, [x(0), statistics.norms, y], narrow, at, shape.channels);
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
                let normed: Vec<_> = node.inputs.iter().copied().filter(|&x| plan.in_sum[x].is_some()).collect();
                statistics.compute(&normed, &values);
                let term = |&x: &ValueId| match norm_of(graph, x).filter(|_| plan.in_sum[x].is_some()) {
                    Some(norm) => Term { value: computed(&values, norm.x), norm: Some(plan.norm_at(&norm)) },
                    None => Term { value: computed(&values, x), norm: None },
                };
                let terms: Vec<_> = node.inputs.iter().map(term).collect();
                sum_forward(&place, sum, &terms, &statistics.norms, gates, &y);
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
    let Statistics { stats, norms, batch_stats, .. } = statistics;
    let tape = save.then(|| Tape {
        call: call.clone(),
        batch,
        values,
        places,
        norms,
        batch_stats,
        gates: gates.clone(),
        masks: tensors.masks.clone(),
        place: place.clone(),
        plan,
    });
    (outputs, stats, tape)
}
