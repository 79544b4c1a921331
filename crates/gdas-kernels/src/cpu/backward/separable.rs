//! The backward pass through a depthwise and the pointwise convolution behind it, whose value between is not stored.

use std::ops::Range;

use super::super::elementwise::{Frame, norm_sums, pack};
use super::super::forward::map_of;
use super::super::plan::{Holder, View};
use super::super::pool::Buffer;
use super::Task;
use crate::graph::ValueId;

impl Task<'_> {
    /// Adds the contribution of the pair `[depthwise, pointwise]` to the gradient of what it reads, and makes both weight
    /// gradients. The value between the two is computed again, and only for the pointwise weight's gradient; its own
    /// gradient goes straight into the frame that the depthwise convolution's passes read.
    pub(super) fn pull_separable(
        &mut self,
        h: Holder,
        pair: [ValueId; 2],
        relu: bool,
        images: Range<usize>,
        add: bool,
    ) {
        let (pass, plan) = (self.pass, self.pass.plan);
        let [depthwise, pointwise] = pair.map(|v| plan.convs[v].as_ref().expect("a convolution"));
        let [want_depthwise, _] = pass.needs.weight[pair[0]];
        let [want_pointwise, want_bias] = pass.needs.weight[pair[1]];
        let up = pass.needs.up[h];
        let frame = depthwise.output_frame();
        if frame.inner() == 0 {
            if up && !add {
                images.for_each(|n| pass.grad_mut(h, n).fill(0.0));
            }
            return;
        }
        let channels = pair.map(|v| plan.channels[v]);
        let chunk = self.chunk;
        // The part of this chunk of the images: the weight's gradient, then the bias's.
        let part = |which: usize| -> (&mut [f32], &mut [f32]) {
            let Some(i) = pass.convs.iter().position(|&c| c == pair[which]) else { return Default::default() };
            let len = [depthwise, pointwise][which].gradient_len();
            let all = len + channels[which];
            // SAFETY: chunk `chunk` of the parts belongs to this task alone, and each pair's part is taken once.
            unsafe { pass.weight_parts[i].slice(chunk * all, all) }.split_at_mut(len)
        };
        let ((depthwise_part, _), (pointwise_part, bias_part)) = (part(0), part(1));
        let [depthwise_weight, pointwise_weight] =
            pair.map(|v| pass.weights[v].as_ref().expect("arranged for such pairs"));

        let view = View { relu, ..self.view(h) };
        let map = map_of(&pass.tape.norms, view);
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
        for n in images {
            let image = if want_input { pass.values.image(view.base, n) } else { &[] };
            let mut packed = 0;
            for start in (0..frame.height).step_by(at_once) {
                let rows = start..(start + at_once).min(frame.height);
                let pixels = rows.len() * frame.width;
                let gradient = &mut gradient[..pixels * channels[1]];
                let from = start * frame.width * channels[1];
                let source = plan.source[pair[1]];
                pass.slope_from(pair[1], source, n, from, &Frame::run(pixels, channels[1]), gradient);
                if want_bias {
                    norm_sums(plan.level, gradient, &[], &[], &mut bias_sums, &mut []);
                    bias_part.iter_mut().zip(&bias_sums).for_each(|(b, s)| *b += s);
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
                    pointwise.pointwise_weight(pointwise_part, between, gradient);
                }
                if want_depthwise || up {
                    pointwise.pointwise_backward_rows(rows, &mut slope, &frame, gradient, pointwise_weight);
                }
            }
            if want_depthwise {
                depthwise.backward_weight_image(depthwise_part, &input, &slope);
            }
            if up {
                depthwise.backward(pass.grad_mut(h, n), &slope, depthwise_weight, add);
            }
        }
    }
}
