//! Computation of some images of one value, by a task of the forward pass.

use std::ops::Range;

use crate::cpu::Inputs;
use crate::cpu::conv::small::frames;
use crate::cpu::conv::{Algorithm, Conv};
use crate::cpu::elementwise::{Frame, Map, accumulate, axpy, channels, norm_sums, pack};
use crate::cpu::norm::NormState;
use crate::cpu::plan::{Plan, View};
use crate::cpu::pool::Buffer;
use crate::cpu::pooling::{PoolTable, average, maximum};
use crate::cpu::values::{Values, map_of};
use crate::graph::{Op, Sum, ValueId};

/// Inputs of the computation of a value.
pub(super) struct Computation<'a> {
    pub(super) values: Values<'a>,
    pub(super) norms: &'a [NormState],
    pub(super) inputs: &'a Inputs<'a>,
    /// Per convolution, its weights as its algorithm reads them.
    pub(super) weights: &'a [Option<Buffer>],
}

/// A term of a gated sum for one image.
struct Term<'t> {
    x: &'t [f32],
    gate: f32,
    /// Scale and shift per channel, gate included, of a normalisation that is applied while adding.
    affine: Option<(Vec<f32>, Vec<f32>)>,
}

impl Computation<'_> {
    fn plan(&self) -> &Plan {
        self.values.plan
    }

    fn weight(&self, conv: ValueId) -> &[f32] {
        self.weights[conv].as_ref().expect("every convolution's weights are arranged")
    }

    fn pool(&self, v: ValueId) -> &PoolTable {
        self.plan().pools[v].as_ref().expect("every pool has its table")
    }

    /// Computes some images of a value; `out` is their place.
    pub(super) fn compute(&self, v: ValueId, images: Range<usize>, out: &mut [f32]) {
        let plan = self.plan();
        let len = plan.image(v);
        if len == 0 {
            return;
        }
        if let Some(conv) = &plan.convs[v] {
            self.convolution(conv, v, images, out);
            if let Op::Conv { bias: Some(bias), .. } = plan.graph.nodes[v].op
                && !plan.bias_cancels(v)
            {
                let bias = self.inputs.params[bias];
                for pixel in out.chunks_exact_mut(plan.channels[v]) {
                    pixel.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            }
            return;
        }
        for (n, out) in images.zip(out.chunks_exact_mut(len)) {
            self.image(v, n, out);
        }
    }

    fn convolution(&self, conv: &Conv, v: ValueId, images: Range<usize>, out: &mut [f32]) {
        let plan = self.plan();
        let len = plan.image(v);
        let view = plan.input(v, 0);
        let map = map_of(self.norms, view);
        if conv.algorithm == Algorithm::Winograd {
            let mut out: Vec<_> = out.chunks_exact_mut(len).collect();
            let line = plan.graph.shape(view.base).width * plan.channels[view.base];
            conv.winograd(&mut out, self.weight(v), |i, rows, frame, strip| {
                let image = &self.values.image(view.base, images.start + i)[rows.start * line..];
                pack(plan.level, strip, image, frame, map);
            });
        } else if plan.inline[view.base] {
            self.separable(view.base, v, images, out);
        } else if conv.is_pointwise() {
            self.pointwise(conv, v, view, map, images, out);
        } else if conv.is_small() {
            let frame = conv.input_frame();
            let mut framed = frames(&frame, images.len());
            for (n, framed) in images.zip(framed.chunks_exact_mut(frame.len())) {
                pack(plan.level, framed, self.values.image(view.base, n), &frame, map);
            }
            conv.small_forward(out, &framed, self.weight(v));
        } else {
            let frame = conv.input_frame();
            let unframed = map.is_identity() && frame.len() == frame.inner();
            let mut scratch = Buffer::new(if unframed { 0 } else { frame.len() });
            if !unframed {
                frame.clear_border(&mut scratch);
            }
            for (n, out) in images.zip(out.chunks_exact_mut(len)) {
                let image = self.values.image(view.base, n);
                if !unframed {
                    pack(plan.level, &mut scratch, image, &frame, map);
                }
                conv.forward(out, if unframed { image } else { &scratch }, self.weight(v));
            }
        }
    }

    /// A 1x1 convolution, a few pixels at a time.
    fn pointwise(&self, conv: &Conv, v: ValueId, view: View, map: Map, images: Range<usize>, out: &mut [f32]) {
        let plan = self.plan();
        let (i, o) = (plan.channels[view.base], plan.channels[v]);
        let at_once = conv.pixels_at_once();
        let mut scratch = Buffer::new(if map.is_identity() { 0 } else { at_once * i });
        for (n, out) in images.zip(out.chunks_exact_mut(plan.image(v))) {
            let image = self.values.image(view.base, n);
            for (out, x) in out.chunks_mut(at_once * o).zip(image.chunks(at_once * i)) {
                if map.is_identity() {
                    conv.pointwise(out, x, self.weight(v));
                } else {
                    pack(plan.level, &mut scratch, x, &Frame::run(x.len() / i, i), map);
                    conv.pointwise(out, &scratch, self.weight(v));
                }
            }
        }
    }

    /// A depthwise convolution and the pointwise one after it, a few rows at a time: the intermediate values and the rows of the
    /// frame that the first one reads stay in the first-level cache.
    fn separable(&self, depthwise: ValueId, pointwise: ValueId, images: Range<usize>, out: &mut [f32]) {
        let plan = self.plan();
        let [first, second] = [depthwise, pointwise].map(|v| plan.convs[v].as_ref().expect("a convolution"));
        let view = plan.input(depthwise, 0);
        let map = map_of(self.norms, view);
        let frame = first.input_frame();
        let mut framed = Buffer::new(frame.len());
        frame.clear_border(&mut framed);
        let shape = plan.graph.shape(depthwise);
        let line = shape.width * plan.channels[depthwise];
        let at_once = first.rows_at_once();
        let mut between = Buffer::new(at_once * line);
        for (n, out) in images.zip(out.chunks_exact_mut(plan.image(pointwise))) {
            let image = self.values.image(view.base, n);
            let mut packed = 0;
            for start in (0..shape.height).step_by(at_once) {
                let rows = start..(start + at_once).min(shape.height);
                let needed = if rows.end == shape.height { frame.height } else { first.rows_read(rows.end) };
                let from = &image[packed * frame.width * frame.channels..];
                pack(plan.level, &mut framed, from, &frame.rows(packed..needed), map);
                packed = needed;
                let between = &mut between[..rows.len() * line];
                first.depthwise_rows(rows.clone(), between, &framed, self.weight(depthwise));
                let width = plan.channels[pointwise] * shape.width;
                second.pointwise(&mut out[rows.start * width..rows.end * width], between, self.weight(pointwise));
            }
        }
    }

    /// One image of a value that is not a convolution.
    fn image(&self, v: ValueId, n: usize, out: &mut [f32]) {
        let plan = self.plan();
        let (node, level) = (&plan.graph.nodes[v], plan.level);
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
                let x = self.values.view(self.norms, view, n, &mut scratch);
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
        let x = self.values.view(self.norms, view, n, &mut scratch);
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

    /// One image of a gated sum.
    fn sum(&self, v: ValueId, sum: &Sum, n: usize, out: &mut [f32]) {
        let plan = self.plan();
        let (node, c) = (&plan.graph.nodes[v], plan.channels[v]);
        let mut scratches: Vec<Option<Buffer>> = node.inputs.iter().map(|_| None).collect();
        let mut terms = Vec::with_capacity(node.inputs.len());
        for ((slot, &input), scratch) in node.inputs.iter().enumerate().zip(&mut scratches) {
            let gate = sum.gates[slot].map_or(1.0, |g| self.inputs.gates[g]);
            let view = plan.input(v, slot);
            if plan.inline[input] {
                let mut source = None;
                let x = self.values.view(self.norms, plan.input(input, 0), n, &mut source);
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
                terms.push(Term { x: self.values.view(self.norms, view, n, scratch), gate, affine: None });
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
