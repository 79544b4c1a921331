//! Backward pass of a depthwise convolution and the pointwise one after it, whose intermediate value is not stored.

use std::ops::Range;

use super::task::{Grad, Task};
use crate::cpu::elementwise::{Frame, norm_sums, pack};
use crate::cpu::plan::{GradId, View};
use crate::cpu::pool::Buffer;
use crate::cpu::values::map_of;
use crate::graph::ValueId;

impl Task<'_> {
    /// Adds the contribution of the pair `[depthwise, pointwise]` to the gradient of its input, and computes both weight
    /// gradients. The intermediate value is recomputed for the pointwise weight's gradient only; its gradient is written
    /// directly to the frame that the depthwise convolution's passes read.
    pub(super) fn pull_separable(
        &mut self,
        id: GradId,
        pair: [ValueId; 2],
        relu: bool,
        grad: &mut Grad,
        images: Range<usize>,
        add: bool,
    ) {
        let (context, plan) = (self.context, self.context.plan);
        let [depthwise, pointwise] = pair.map(|v| plan.convs[v].as_ref().expect("a convolution"));
        let [want_depthwise, _] = context.required.weight[pair[0]];
        let [want_pointwise, want_bias] = context.required.weight[pair[1]];
        let needed = context.required.gradient[id];
        let frame = depthwise.output_frame();
        if frame.inner() == 0 {
            if needed && !add {
                images.for_each(|n| grad.image_mut(n).fill(0.0));
            }
            return;
        }
        let channels = pair.map(|v| plan.channels[v]);
        let places = pair.map(|v| self.take_weights(v));
        let [depthwise_place, pointwise_place] = places;
        let depthwise_len = if depthwise_place.is_empty() { 0 } else { depthwise.gradient_len() };
        let pointwise_len = if pointwise_place.is_empty() { 0 } else { pointwise.gradient_len() };
        let (depthwise_gradient, _) = depthwise_place.split_at_mut(depthwise_len);
        let (pointwise_gradient, bias_gradient) = pointwise_place.split_at_mut(pointwise_len);
        let [depthwise_weight, pointwise_weight] =
            pair.map(|v| context.weights[v].as_ref().expect("arranged for such pairs"));

        let view = View { relu, ..context.view(id) };
        let map = map_of(&context.tape.norms, view);
        let input_frame = depthwise.input_frame();
        let want_input = want_depthwise || want_pointwise;
        let mut input = Buffer::new(if want_input { input_frame.len() } else { 0 });
        if want_input {
            input_frame.clear_border(&mut input);
        }
        let mut slope = Buffer::new(frame.len());
        frame.clear_border(&mut slope);
        let at_once = depthwise.rows_at_once();
        let mut between = Buffer::new(if want_pointwise { at_once * frame.width * channels[0] } else { 0 });
        let mut gradient = Buffer::new(at_once * frame.width * channels[1]);
        let mut bias_sums = vec![0.0; channels[1]];
        let reader = self.reader();
        for n in images {
            let image = if want_input { context.values.image(view.base, n) } else { &[] };
            let mut packed = 0;
            for start in (0..frame.height).step_by(at_once) {
                let rows = start..(start + at_once).min(frame.height);
                let pixels = rows.len() * frame.width;
                let gradient = &mut gradient[..pixels * channels[1]];
                let from = start * frame.width * channels[1];
                let upstream = plan.upstream[pair[1]];
                reader.unpack(pair[1], upstream, n, from, &Frame::run(pixels, channels[1]), gradient);
                if want_bias {
                    norm_sums(plan.level, gradient, &[], &[], &mut bias_sums, &mut []);
                    bias_gradient.iter_mut().zip(&bias_sums).for_each(|(b, s)| *b += s);
                }
                if want_input {
                    let last = rows.end == frame.height;
                    let needed = if last { input_frame.height } else { depthwise.rows_read(rows.end) };
                    let from = &image[packed * input_frame.width * input_frame.channels..];
                    pack(plan.level, &mut input, from, &input_frame.rows(packed..needed), map);
                    packed = needed;
                }
                if want_pointwise {
                    let between = &mut between[..pixels * channels[0]];
                    depthwise.depthwise_rows(rows.clone(), between, &input, depthwise_weight);
                    pointwise.pointwise_weight(pointwise_gradient, between, gradient);
                }
                if want_depthwise || needed {
                    pointwise.pointwise_backward_rows(rows, &mut slope, &frame, gradient, pointwise_weight);
                }
            }
            if want_depthwise {
                depthwise.backward_weight_image(depthwise_gradient, &input, &slope);
            }
            if needed {
                depthwise.backward(grad.image_mut(n), &slope, depthwise_weight, add);
            }
        }
        self.return_weights(pair[0], depthwise_place);
        self.return_weights(pair[1], pointwise_place);
    }
}
