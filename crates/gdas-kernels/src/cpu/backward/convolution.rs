//! Backward pass of a convolution: the gradients of input, weight and bias.

use std::ops::Range;

use super::task::{Grad, GradReader, Task};
use crate::cpu::conv::small::frames;
use crate::cpu::conv::{Algorithm, Conv};
use crate::cpu::elementwise::{Frame, Map, norm_sums, pack, unpack};
use crate::cpu::plan::{GradId, Plan, Upstream, View};
use crate::cpu::pool::Buffer;
use crate::cpu::values::{Values, map_of};
use crate::graph::ValueId;

/// The backward pass of one convolution, for some images.
struct ConvBackward<'a> {
    plan: &'a Plan,
    conv: &'a Conv,
    reader: GradReader<'a>,
    values: Values<'a>,
    node: ValueId,
    upstream: Upstream,
    /// Input of the convolution: a stored value through a map.
    base: ValueId,
    map: Map<'a>,
    /// The weights for the input's gradient, if it is needed.
    weight: Option<&'a [f32]>,
    /// Accumulator of the weight's gradient; empty if it is not needed.
    dw: &'a mut [f32],
    /// Accumulator of the bias's gradient; empty if it is not needed.
    db: &'a mut [f32],
}

impl Task<'_> {
    /// Adds the contribution of a convolution to the gradient of its input, and computes those of weight and bias.
    pub(super) fn pull_conv(
        &mut self,
        id: GradId,
        node: ValueId,
        relu: bool,
        grad: &mut Grad,
        images: Range<usize>,
        add: bool,
    ) {
        let (context, plan) = (self.context, self.context.plan);
        let conv = plan.convs[node].as_ref().expect("a convolution");
        let [want_weight, want_bias] = context.required.weight[node];
        let needed = context.required.gradient[id];
        if !(needed || want_weight || want_bias) || conv.output_frame().inner() == 0 {
            if needed && !add {
                images.for_each(|n| grad.image_mut(n).fill(0.0));
            }
            return;
        }
        let place = self.take_weights(node);
        let (dw, db) = place.split_at_mut(if place.is_empty() { 0 } else { conv.gradient_len() });
        let view = View { relu, ..context.view(id) };
        let mut backward = ConvBackward {
            plan,
            conv,
            reader: self.reader(),
            values: context.values,
            node,
            upstream: plan.upstream[node],
            base: view.base,
            map: map_of(&context.tape.norms, view),
            weight: needed.then(|| &**context.weights[node].as_ref().expect("arranged where needed")),
            dw: if want_weight { dw } else { &mut [] },
            db: if want_bias { db } else { &mut [] },
        };
        if conv.algorithm == Algorithm::Winograd {
            backward.winograd(grad, images, add);
        } else if conv.is_pointwise() {
            backward.pointwise(grad, images, add);
        } else {
            backward.framed(grad, images, add);
        }
        self.return_weights(node, place);
    }
}

/// Adds the sum of a gradient over the pixels to that of the bias, unless `db` is empty.
fn add_bias(plan: &Plan, gradient: &[f32], db: &mut [f32]) {
    if !db.is_empty() {
        let mut sums = vec![0.0; db.len()];
        norm_sums(plan.level, gradient, &[], &[], &mut sums, &mut []);
        db.iter_mut().zip(&sums).for_each(|(b, s)| *b += s);
    }
}

impl ConvBackward<'_> {
    /// Winograd, all images of the block at once.
    fn winograd(&mut self, grad: &mut Grad, images: Range<usize>, add: bool) {
        let Self { plan, conv, reader, values, node, upstream, base, map, weight, .. } = *self;
        let (first, db) = (images.start, &mut *self.db);
        let shape = plan.graph.shape(node);
        let (output_line, input_line) = (shape.width * plan.channels[node], shape.width * plan.channels[base]);
        conv.winograd_backward(
            images.len(),
            weight,
            self.dw,
            |i, rows, out| {
                let frame = Frame::run(rows.len() * shape.width, plan.channels[node]);
                reader.unpack(node, upstream, first + i, rows.start * output_line, &frame, out);
                add_bias(plan, &out[..frame.len()], db);
            },
            |i, rows, frame, out| {
                pack(plan.level, out, &values.image(base, first + i)[rows.start * input_line..], frame, map);
            },
            |i, rows, framed, frame| {
                let dx = &mut grad.image_mut(first + i)[rows.start * input_line..rows.end * input_line];
                unpack(plan.level, dx, framed, frame, add);
            },
        );
    }

    /// A 1x1 convolution, a few pixels at a time.
    fn pointwise(&mut self, grad: &mut Grad, images: Range<usize>, add: bool) {
        let Self { plan, conv, reader, values, node, upstream, base, map, weight, .. } = *self;
        let (i, o) = (plan.channels[base], plan.channels[node]);
        let want_weight = !self.dw.is_empty();
        let at_once = conv.pixels_at_once();
        let mut gradient = Buffer::new(at_once * o);
        let mut input = Buffer::new(if want_weight && !map.is_identity() { at_once * i } else { 0 });
        for n in images {
            let x = values.image(base, n);
            for start in (0..x.len() / i).step_by(at_once) {
                let pixels = at_once.min(x.len() / i - start);
                let gradient = &mut gradient[..pixels * o];
                reader.unpack(node, upstream, n, start * o, &Frame::run(pixels, o), gradient);
                add_bias(plan, gradient, self.db);
                if want_weight {
                    let x = &x[start * i..][..pixels * i];
                    if map.is_identity() {
                        conv.pointwise_weight(self.dw, x, gradient);
                    } else {
                        pack(plan.level, &mut input, x, &Frame::run(pixels, i), map);
                        conv.pointwise_weight(self.dw, &input, gradient);
                    }
                }
                if let Some(weight) = weight {
                    let dx = &mut grad.image_mut(n)[start * i..][..pixels * i];
                    conv.pointwise_backward(dx, gradient, weight, add);
                }
            }
        }
    }

    /// Any other convolution: images and gradients in frames, one image at a time unless they are small.
    fn framed(&mut self, grad: &mut Grad, images: Range<usize>, add: bool) {
        let Self { plan, conv, reader, values, node, upstream, base, map, weight, .. } = *self;
        let want_weight = !self.dw.is_empty();
        let (input_frame, output_frame) = (conv.input_frame(), conv.output_frame());
        // Small images: the gradients of all of them, for the products with the weights.
        let together = weight.is_some() && conv.is_small();
        let mut gradients = frames(&output_frame, if together { images.len() } else { 1 });
        let unframed = map.is_identity() && input_frame.len() == input_frame.inner();
        let mut input = Buffer::new(if want_weight && !unframed { input_frame.len() } else { 0 });
        if !input.is_empty() {
            input_frame.clear_border(&mut input);
        }
        for (i, n) in images.clone().enumerate() {
            let start = if together { i * output_frame.len() } else { 0 };
            let gradient = &mut gradients[start..][..output_frame.len()];
            reader.unpack(node, upstream, n, 0, &output_frame, gradient);
            add_bias(plan, gradient, self.db);
            if want_weight {
                let image = values.image(base, n);
                if !unframed {
                    pack(plan.level, &mut input, image, &input_frame, map);
                }
                conv.backward_weight_image(self.dw, if unframed { image } else { &input }, gradient);
            }
            if let Some(weight) = weight.filter(|_| !together) {
                conv.backward(grad.image_mut(n), gradient, weight, add);
            }
        }
        if let Some(weight) = weight.filter(|_| together) {
            conv.small_backward(grad.block_mut(images), &gradients, weight, add);
        }
    }
}
