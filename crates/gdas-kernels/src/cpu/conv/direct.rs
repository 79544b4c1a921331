//! The passes of direct and depthwise convolutions, one framed image at a time.

use super::{Algorithm, Conv};
use crate::cpu::depthwise::{depthwise, depthwise_weight};
use crate::cpu::direct::{Lines, Tap, convolve, convolve_weight};
use crate::cpu::elementwise::Frame;
use crate::graph::Shape;

impl Conv {
    /// Direct or depthwise forward pass of one framed image.
    pub(crate) fn forward(&self, out: &mut [f32], framed: &[f32], weight: &[f32]) {
        let Shape { height, width, .. } = self.output;
        let flat = Frame { rows: height, columns: width, top: 0, left: 0, height, width, channels: self.width };
        let lines = self.lines(&flat);
        if self.algorithm == Algorithm::Depthwise {
            depthwise(self.level, &lines, framed, &self.taps(self.width), self.width, weight, out, false);
            return;
        }
        for b in self.blocks() {
            let taps = self.taps(b.depth * b.width);
            let (lines, weight) = (lines.at_channels(b.from, b.to), &weight[b.start..]);
            convolve(self.level, &lines, framed, &taps, b.real[0], weight, b.width, out, false);
        }
    }

    /// Direct or depthwise: `dx (+)=` the gradient of one image, from its framed output gradient.
    pub(crate) fn backward(&self, dx: &mut [f32], framed: &[f32], weight: &[f32], add: bool) {
        let w = &self.window;
        let frame = self.output_frame();
        let ((y0, _), (x0, _)) = (self.reach(0), self.reach(1));
        // Positions that reach the input pixels of one phase of the stride, with the first output that they come from.
        let phase = |axis: usize, phase: usize| -> Vec<(usize, i64)> {
            (0..w.kernel[axis])
                .filter_map(|k| {
                    let at = (phase + w.padding[axis]) as i64 - (k * w.dilation[axis]) as i64;
                    let stride = w.stride[axis] as i64;
                    (at.rem_euclid(stride) == 0).then(|| (k, at.div_euclid(stride)))
                })
                .collect()
        };
        let depthwise_ = self.algorithm == Algorithm::Depthwise;
        for py in 0..w.stride[0].min(self.input.height) {
            for px in 0..w.stride[1].min(self.input.width) {
                let mut taps = vec![];
                for &(ky, oy) in &phase(0, py) {
                    for &(kx, ox) in &phase(1, px) {
                        let source = ((oy - y0) as usize * frame.columns + (ox - x0) as usize) * self.width;
                        taps.push(Tap { source, weight: ky * w.kernel[1] + kx });
                    }
                }
                let mut lines = Lines {
                    lines: (self.input.height - py).div_ceil(w.stride[0]),
                    pixels: (self.input.width - px).div_ceil(w.stride[1]),
                    source: [0, frame.columns * self.width, self.width],
                    result: [
                        (py * self.input.width + px) * self.depth,
                        w.stride[0] * self.input.width * self.depth,
                        w.stride[1] * self.depth,
                    ],
                };
                if w.stride == [1, 1] && frame.columns == lines.pixels {
                    lines.pixels *= lines.lines;
                    lines.lines = 1;
                }
                let scaled = |per_position: usize| -> Vec<Tap> {
                    taps.iter().map(|t| Tap { weight: t.weight * per_position, ..*t }).collect()
                };
                if depthwise_ {
                    depthwise(self.level, &lines, framed, &scaled(self.width), self.width, weight, dx, add);
                } else if !(taps.is_empty() && add) {
                    for b in self.blocks() {
                        let taps = scaled(b.depth * b.width);
                        let (lines, weight) = (lines.at_channels(b.to, b.from), &weight[b.start..]);
                        convolve(self.level, &lines, framed, &taps, b.real[1], weight, b.depth, dx, add);
                    }
                }
            }
        }
    }

    /// Direct or depthwise: adds one image's weight gradient, from framed input and framed output gradient.
    pub(crate) fn backward_weight_image(&self, dw: &mut [f32], input: &[f32], gradient: &[f32]) {
        let lines = self.lines(&self.output_frame());
        if self.algorithm == Algorithm::Depthwise {
            depthwise_weight(self.level, &lines, input, &self.taps(self.width), self.width, gradient, dw);
            return;
        }
        for b in self.blocks() {
            let depth = b.used_depth();
            let taps = self.taps(depth * b.width);
            let (lines, dw) = (lines.at_channels(b.from, b.to), &mut dw[b.start..]);
            convolve_weight(self.level, &lines, input, &taps, depth, gradient, b.width, dw);
        }
    }
}
