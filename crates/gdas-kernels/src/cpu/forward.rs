//! The forward pass of a [`Plan`].

use std::ops::Range;

use rayon::prelude::*;

use super::conv::Algorithm;
use super::elementwise::{Frame, Map, accumulate, axpy, channels, moments, norm_sums, pack};
use super::plan::{Plan, View};
use super::pool::{Buffer, Shared};
use super::pooling::{average, maximum};
use super::{Inputs, Tape};
use crate::graph::{NORM_EPSILON, Op, Sum, ValueId};

/// A normalisation as the affine map that it is, with padded channels.
#[derive(Clone, Debug, Default)]
pub(crate) struct NormState {
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
    pub(crate) inverse: Vec<f32>,
    /// Gamma, or ones.
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    /// `gamma * inverse`.
    pub(crate) scale: Vec<f32>,
    /// `beta - mean * scale`.
    pub(crate) shift: Vec<f32>,
}

/// The values during a pass: tasks write their own images and read those or finished ones.
pub(crate) struct Values<'a> {
    pub(crate) plan: &'a Plan,
    shared: Vec<Option<Shared>>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(plan: &'a Plan, values: &mut [Option<Buffer>]) -> Self {
        Self { plan, shared: values.iter_mut().map(|v| v.as_mut().map(|v| Shared::new(v))).collect() }
    }

    /// The finished values of a tape, for reading only.
    pub(crate) fn of_tape(tape: &'a Tape) -> Self {
        let shared = tape.values.iter().map(|v| v.as_ref().map(|v| Shared::reading(v))).collect();
        Self { plan: &tape.plan, shared }
    }

    /// One image of a stored value.
    pub(crate) fn image(&self, v: ValueId, n: usize) -> &[f32] {
        let len = self.plan.image(v);
        // SAFETY: a task reads only its own images of the stage's values, after writing them, and any image of the
        // values of earlier stages, which nobody writes any more.
        unsafe { self.shared[v].as_ref().expect("a read value is stored").read(n * len, len) }
    }

    /// One image of a value of the stage, to be written by the task that owns image `n`.
    fn image_mut(&self, v: ValueId, n: usize) -> &mut [f32] {
        let len = self.plan.image(v);
        // SAFETY: image `n` belongs to one task, which holds no other reference to it while writing.
        unsafe { self.shared[v].as_ref().expect("a written value is stored").slice(n * len, len) }
    }
}

/// The map of a view; `norms` must be complete for it.
pub(crate) fn map_of(norms: &[NormState], view: View) -> Map<'_> {
    let (scale, shift): (&[f32], &[f32]) = view.norm.map_or((&[], &[]), |n| (&norms[n].scale, &norms[n].shift));
    Map { scale, shift, relu: view.relu }
}

/// An image of a view: the stored image itself, or its map written to `scratch`.
pub(crate) fn read<'b>(
    values: &'b Values,
    norms: &[NormState],
    view: View,
    n: usize,
    scratch: &'b mut Option<Buffer>,
) -> &'b [f32] {
    let map = map_of(norms, view);
    let image = values.image(view.base, n);
    if map.is_identity() {
        return image;
    }
    let out = scratch.insert(Buffer::new(image.len()));
    pack(values.plan.level, out, image, &flat(values.plan, view.base), map);
    out
}

/// The frame without a border of a value.
pub(crate) fn flat(plan: &Plan, v: ValueId) -> Frame {
    let s = plan.graph.shape(v);
    let channels = plan.channels[v];
    Frame { rows: s.height, columns: s.width, top: 0, left: 0, height: s.height, width: s.width, channels }
}

/// `[image][channels]` sums and squares around the image's first pixel.
type Moments = Option<(Buffer, Buffer)>;

pub(crate) fn forward(plan: Plan, inputs: &Inputs) -> Tape {
    let (graph, batch) = (plan.graph.clone(), inputs.batch);
    let weights: Vec<Option<Buffer>> = (0..graph.nodes.len())
        .into_par_iter()
        .map(|id| match graph.nodes[id].op {
            Op::Conv { weight, .. } => Some(plan.convs[id]?.forward_weight(inputs.params[weight])),
            _ => None,
        })
        .collect();
    let mut values: Vec<Option<Buffer>> = (0..graph.nodes.len()).map(|_| None).collect();
    let mut norms: Vec<NormState> = (0..graph.norms.len()).map(|n| prepare_norm(&plan, n, inputs)).collect();
    for stage in &plan.forward {
        for &v in &stage.items {
            values[v] = Some(Buffer::new(batch * plan.image(v)));
        }
        let measured = |v: ValueId| plan.norms.iter().any(|n| n.base == v && n.of_batch);
        let mut parts: Vec<Moments> = stage
            .items
            .iter()
            .map(|&v| {
                let len = batch * plan.channels[v];
                measured(v).then(|| (Buffer::new(len), Buffer::new(len)))
            })
            .collect();
        let shared_parts: Vec<_> =
            parts.iter_mut().map(|p| p.as_mut().map(|(s, q)| (Shared::new(s), Shared::new(q)))).collect();
        {
            let pass = Pass { values: Values::new(&plan, &mut values), norms: &norms, inputs, weights: &weights };
            (0..batch.div_ceil(stage.block)).into_par_iter().for_each(|task| {
                let images = task * stage.block..((task + 1) * stage.block).min(batch);
                for (&v, parts) in stage.items.iter().zip(&shared_parts) {
                    pass.compute(v, images.clone());
                    let Some((sums, squares)) = parts else { continue };
                    let c = plan.channels[v];
                    for n in images.clone().filter(|_| plan.image(v) > 0) {
                        let x = pass.values.image(v, n);
                        // SAFETY: image `n` belongs to this task alone.
                        let (s, q) = unsafe { (sums.slice(n * c, c), squares.slice(n * c, c)) };
                        moments(plan.level, x, &x[..c], s, q);
                    }
                }
            });
        }
        for n in 0..norms.len() {
            let at = stage.items.iter().position(|&v| v == plan.norms[n].base);
            if let Some((sums, squares)) = at
                .and_then(|at| parts[at].as_ref())
                .filter(|_| plan.norms[n].of_batch && plan.image(plan.norms[n].base) > 0)
            {
                let x = values[plan.norms[n].base].as_ref().expect("computed in this stage");
                let per_image = plan.image(plan.norms[n].base);
                finish_norm(&mut norms[n], batch, per_image, x, sums, squares);
            }
        }
    }
    Tape { plan, batch, values, gates: inputs.gates.to_vec(), masks: inputs.masks.to_vec(), norms }
}

/// Everything of a normalisation that does not depend on the batch.
fn prepare_norm(plan: &Plan, n: usize, inputs: &Inputs) -> NormState {
    let norm = &plan.norms[n];
    let (real, padded) = (plan.graph.norms[n].channels, plan.channels[norm.node]);
    let pad = |values: Option<&[f32]>, otherwise: f32| -> Vec<f32> {
        let mut out = vec![0.0; padded];
        match values {
            Some(v) => out[..real].copy_from_slice(v),
            None => out[..real].fill(otherwise),
        }
        out
    };
    let mut state = NormState {
        gamma: pad(norm.scale.map(|p| inputs.params[p]), 1.0),
        beta: pad(norm.shift.map(|p| inputs.params[p]), 0.0),
        mean: vec![0.0; padded],
        variance: vec![0.0; padded],
        ..NormState::default()
    };
    if !norm.of_batch {
        let running = inputs.running[n];
        state.mean[..real].copy_from_slice(&running[..real]);
        state.variance[..real].copy_from_slice(&running[real..2 * real]);
    }
    state.derive();
    state
}

impl NormState {
    /// The affine map from the statistics.
    fn derive(&mut self) {
        self.inverse = self.variance.iter().map(|v| 1.0 / (v + NORM_EPSILON).sqrt()).collect();
        self.scale = self.gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect();
        self.shift = (0..self.mean.len()).map(|c| self.beta[c] - self.mean[c] * self.scale[c]).collect();
    }
}

/// Combines the images' moments, in order and in `f64` (Chan, Golub and LeVeque).
fn finish_norm(norm: &mut NormState, batch: usize, per_image: usize, x: &[f32], sums: &[f32], squares: &[f32]) {
    let c = norm.mean.len();
    let pixels = (per_image / c) as f64;
    for j in 0..c {
        let (mut count, mut mean, mut spread) = (0.0f64, 0.0f64, 0.0f64);
        for n in 0..batch {
            let sum = f64::from(sums[n * c + j]);
            let own = f64::from(x[n * per_image + j]) + sum / pixels;
            let own_spread = f64::from(squares[n * c + j]) - sum * sum / pixels;
            let delta = own - mean;
            let total = count + pixels;
            mean += delta * pixels / total;
            spread += own_spread + delta * delta * count * pixels / total;
            count = total;
        }
        norm.mean[j] = mean as f32;
        // Not `max`, which would lose a NaN.
        let variance = spread / count.max(1.0);
        norm.variance[j] = if variance < 0.0 { 0.0 } else { variance as f32 };
    }
    norm.derive();
}

struct Pass<'a> {
    values: Values<'a>,
    norms: &'a [NormState],
    inputs: &'a Inputs<'a>,
    weights: &'a [Option<Buffer>],
}

impl Pass<'_> {
    fn plan(&self) -> &Plan {
        self.values.plan
    }

    /// Computes some images of a value.
    fn compute(&self, v: ValueId, images: Range<usize>) {
        let plan = self.plan();
        let node = &plan.graph.nodes[v];
        if let Some(conv) = &plan.convs[v] {
            let weight = self.weights[v].as_ref().expect("every convolution's weights are arranged");
            let view = plan.input(v, 0);
            let map = map_of(self.norms, view);
            if conv.algorithm == Algorithm::Winograd {
                let mut out: Vec<_> = images.clone().map(|n| self.values.image_mut(v, n)).collect();
                conv.winograd(&mut out, weight, |i, frame, scratch| {
                    pack(plan.level, scratch, self.values.image(view.base, images.start + i), frame, map);
                });
            } else if plan.inline[view.base] {
                self.separable(view.base, v, images.clone());
            } else if conv.is_pointwise() {
                let (i, o) = (plan.channels[view.base], plan.channels[v]);
                let at_once = conv.pixels_at_once();
                let mut scratch = Buffer::new(if map.is_identity() { 0 } else { at_once * i });
                for n in images.clone() {
                    let image = self.values.image(view.base, n);
                    for (out, x) in self.values.image_mut(v, n).chunks_mut(at_once * o).zip(image.chunks(at_once * i)) {
                        if map.is_identity() {
                            conv.pointwise(out, x, weight);
                        } else {
                            pack(plan.level, &mut scratch, x, &Frame::run(x.len() / i, i), map);
                            conv.pointwise(out, &scratch, weight);
                        }
                    }
                }
            } else {
                let frame = conv.input_frame();
                let unframed = map.is_identity() && frame.len() == frame.inner();
                let mut scratch = Buffer::new(if unframed { 0 } else { frame.len() });
                if !unframed {
                    frame.clear_border(&mut scratch);
                }
                for n in images.clone() {
                    let image = self.values.image(view.base, n);
                    if !unframed {
                        pack(plan.level, &mut scratch, image, &frame, map);
                    }
                    conv.forward(self.values.image_mut(v, n), if unframed { image } else { &scratch }, weight);
                }
            }
            if let Op::Conv { bias: Some(bias), .. } = node.op
                && !plan.bias_cancels(v)
            {
                let bias = self.inputs.params[bias];
                for n in images {
                    for pixel in self.values.image_mut(v, n).chunks_exact_mut(plan.channels[v]) {
                        pixel.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                    }
                }
            }
            return;
        }
        for n in images.filter(|_| plan.image(v) > 0) {
            self.compute_image(v, n);
        }
    }

    /// A depthwise convolution and the pointwise one behind it, a few rows at a time: what passes between the two, and
    /// the frame's rows that the first one reads, stay in the first-level cache.
    fn separable(&self, depthwise: ValueId, pointwise: ValueId, images: Range<usize>) {
        let plan = self.plan();
        let [first, second] = [depthwise, pointwise].map(|v| plan.convs[v].as_ref().expect("a convolution"));
        let [first_weight, second_weight] =
            [depthwise, pointwise].map(|v| self.weights[v].as_ref().expect("every convolution's weights are arranged"));
        let view = plan.input(depthwise, 0);
        let map = map_of(self.norms, view);
        let frame = first.input_frame();
        let mut framed = Buffer::new(frame.len());
        frame.clear_border(&mut framed);
        let shape = plan.graph.shape(depthwise);
        let line = shape.width * plan.channels[depthwise];
        let at_once = first.rows_at_once();
        let mut between = Buffer::new(at_once * line);
        for n in images.filter(|_| plan.image(pointwise) > 0) {
            let image = self.values.image(view.base, n);
            let out = self.values.image_mut(pointwise, n);
            let mut packed = 0;
            for start in (0..shape.height).step_by(at_once) {
                let rows = start..(start + at_once).min(shape.height);
                let needed = if rows.end == shape.height { frame.height } else { first.rows_read(rows.end) };
                let from = &image[packed * frame.width * frame.channels..];
                pack(plan.level, &mut framed, from, &frame.rows(packed..needed), map);
                packed = needed;
                let between = &mut between[..rows.len() * line];
                first.depthwise_rows(rows.clone(), between, &framed, first_weight);
                let width = plan.channels[pointwise] * shape.width;
                second.pointwise(&mut out[rows.start * width..rows.end * width], between, second_weight);
            }
        }
    }

    fn compute_image(&self, v: ValueId, n: usize) {
        let plan = self.plan();
        let (node, level) = (&plan.graph.nodes[v], plan.level);
        let out = self.values.image_mut(v, n);
        let c = plan.channels[v];
        let mut scratch = None;
        if let Op::Sum(sum) = &node.op {
            return self.sum(v, sum, n, out);
        }
        if matches!(node.op, Op::Image) {
            let real = node.shape.channels;
            let image = &self.inputs.image[n * node.shape.elements()..][..node.shape.elements()];
            for (to, from) in out.chunks_exact_mut(c).zip(image.chunks_exact(real)) {
                to[..real].copy_from_slice(from);
                to[real..].fill(0.0);
            }
            return;
        }
        if matches!(node.op, Op::Concat) {
            let mut start = 0;
            for slot in 0..node.inputs.len() {
                let view = plan.input(v, slot);
                let x = read(&self.values, self.norms, view, n, &mut scratch);
                let (real, padded) = (plan.graph.shape(view.base).channels, plan.channels[view.base]);
                let pixels = node.shape.height * node.shape.width;
                channels(level, &mut out[start..], c, x, padded, pixels, real, false);
                start += real;
            }
            if start < c {
                out.chunks_exact_mut(c).for_each(|to| to[start..].fill(0.0));
            }
            return;
        }
        let view = plan.input(v, 0);
        let x = read(&self.values, self.norms, view, n, &mut scratch);
        match &node.op {
            Op::Relu | Op::Norm { .. } => out.copy_from_slice(x),
            Op::AvgPool(_) => average(level, out, x, self.pool(v)),
            Op::MaxPool(_) => maximum(level, out, x, self.pool(v)),
            Op::Shift => {
                let line = node.shape.width * c;
                for (row, to) in out.chunks_exact_mut(line).enumerate() {
                    if row + 1 < node.shape.height {
                        to[..line - c].copy_from_slice(&x[(row + 1) * line + c..(row + 2) * line]);
                        to[line - c..].fill(0.0);
                    } else {
                        to.fill(0.0);
                    }
                }
            }
            Op::ScaleImages { mask } => {
                axpy(level, out, x, self.inputs.masks[mask * self.inputs.batch + n], false);
            }
            Op::GlobalAvgPool => {
                norm_sums(level, x, &[], &[], out, &mut []);
                let pixels = (x.len() / c) as f32;
                for y in out.iter_mut() {
                    *y /= pixels;
                }
            }
            Op::Image | Op::Conv { .. } | Op::Sum(_) | Op::Concat => unreachable!("computed above"),
        }
    }

    fn pool(&self, v: ValueId) -> &super::pooling::PoolTable {
        self.plan().pools[v].as_ref().expect("every pool has its table")
    }

    fn sum(&self, v: ValueId, sum: &Sum, n: usize, out: &mut [f32]) {
        let plan = self.plan();
        let (node, c) = (&plan.graph.nodes[v], plan.channels[v]);
        struct Term<'t> {
            x: &'t [f32],
            gate: f32,
            affine: Option<(Vec<f32>, Vec<f32>)>,
        }
        let mut scratches: Vec<Option<Buffer>> = node.inputs.iter().map(|_| None).collect();
        let mut terms = Vec::with_capacity(node.inputs.len());
        for ((slot, &input), scratch) in node.inputs.iter().enumerate().zip(&mut scratches) {
            let gate = sum.gates[slot].map_or(1.0, |g| self.inputs.gates[g]);
            let view = plan.input(v, slot);
            if plan.inline[input] {
                let mut source = None;
                let x = read(&self.values, self.norms, plan.input(input, 0), n, &mut source);
                let pooled = scratch.insert(Buffer::new(out.len()));
                match plan.graph.nodes[input].op {
                    Op::AvgPool(_) => average(plan.level, pooled, x, self.pool(input)),
                    _ => maximum(plan.level, pooled, x, self.pool(input)),
                }
                terms.push(Term { x: pooled, gate, affine: None });
            } else if let (Some(norm), false) = (view.norm, view.relu) {
                let times = |v: &[f32]| v.iter().map(|v| gate * v).collect();
                let affine = Some((times(&self.norms[norm].scale), times(&self.norms[norm].shift)));
                terms.push(Term { x: self.values.image(view.base, n), gate, affine });
            } else {
                terms.push(Term { x: read(&self.values, self.norms, view, n, scratch), gate, affine: None });
            }
        }
        let constant: f32 = sum.constant.iter().map(|&g| self.inputs.gates[g]).sum();
        // Piece by piece, so that the result stays in the first-level cache while the terms pass.
        let piece = (4096 / c).max(1) * c;
        for (at, out) in out.chunks_mut(piece).enumerate() {
            let mut add = constant != 0.0 || terms.is_empty();
            if add {
                out.fill(constant);
            }
            for term in &terms {
                let x = &term.x[at * piece..][..out.len()];
                match &term.affine {
                    Some((scale, shift)) => accumulate(plan.level, out, x, scale, shift, add),
                    None => axpy(plan.level, out, x, term.gate, add),
                }
                add = true;
            }
        }
    }
}
