//! The passes of pointwise (1x1) convolutions over a run of pixels, and those of a depthwise one in front of a pointwise one, a
//! few rows at a time.

use std::ops::Range;

use super::{Algorithm, Conv};
use crate::cpu::depthwise::depthwise;
use crate::cpu::direct::{Lines, Tap, convolve, convolve_weight};
use crate::cpu::elementwise::Frame;
use crate::graph::Window;

impl Conv {
    /// Whether each output pixel is a product with one input pixel, at the same place.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.algorithm == Algorithm::Direct && self.window == Window::valid(1, 1) && self.groups == 1
    }

    /// Pixels of a pointwise convolution to do at once, so that both sides stay in the first-level cache.
    pub(crate) fn pixels_at_once(&self) -> usize {
        (4096 / (self.depth + self.width)).max(16) / 16 * 16
    }

    fn run_of_pixels(pixels: usize, source: usize, result: usize) -> Lines {
        Lines { lines: 1, pixels, source: [0, 0, source], result: [0, 0, result] }
    }

    /// Pointwise forward pass of some pixels.
    pub(crate) fn pointwise(&self, out: &mut [f32], input: &[f32], weight: &[f32]) {
        let lines = Self::run_of_pixels(out.len() / self.width, self.depth, self.width);
        let taps = [Tap { source: 0, weight: 0 }];
        convolve(self.level, &lines, input, &taps, self.input.channels, weight, self.width, out, false);
    }

    /// Pointwise: `dx (+)=` the gradient of some pixels.
    pub(crate) fn pointwise_backward(&self, dx: &mut [f32], gradient: &[f32], weight: &[f32], add: bool) {
        let lines = Self::run_of_pixels(dx.len() / self.depth, self.width, self.depth);
        let taps = [Tap { source: 0, weight: 0 }];
        convolve(self.level, &lines, gradient, &taps, self.output.channels, weight, self.depth, dx, add);
    }

    /// Pointwise: adds some pixels' weight gradient.
    pub(crate) fn pointwise_weight(&self, dw: &mut [f32], input: &[f32], gradient: &[f32]) {
        let lines = Self::run_of_pixels(gradient.len() / self.width, self.depth, self.width);
        let taps = [Tap { source: 0, weight: 0 }];
        let depth = self.input.channels.next_multiple_of(4).min(self.depth);
        convolve_weight(self.level, &lines, input, &taps, depth, gradient, self.width, dw);
    }

    /// Output rows of a depthwise convolution to do at once in front of a pointwise one.
    pub(crate) fn rows_at_once(&self) -> usize {
        (2048 / (self.output.width * self.width).max(1)).max(1)
    }

    /// Input rows that come before the last one which the output rows before `end` read.
    pub(crate) fn rows_read(&self, end: usize) -> usize {
        let w = &self.window;
        let reach = (w.kernel[0] - 1) * w.dilation[0] + 1;
        ((end.max(1) - 1) * w.stride[0] + reach).saturating_sub(w.padding[0]).min(self.input.height)
    }

    /// Depthwise: some output rows of a framed image.
    pub(crate) fn depthwise_rows(&self, rows: Range<usize>, out: &mut [f32], framed: &[f32], weight: &[f32]) {
        let [sy, sx] = self.window.stride;
        let (line, pixels) = (sy * self.input_frame().columns * self.depth, self.output.width);
        let lines = Lines {
            lines: rows.len(),
            pixels,
            source: [rows.start * line, line, sx * self.depth],
            result: [0, pixels * self.width, self.width],
        };
        depthwise(self.level, &lines, framed, &self.taps(self.width), self.width, weight, out, false);
    }

    /// Pointwise: the gradient of some rows, written into the frame of a larger image.
    pub(crate) fn pointwise_backward_rows(
        &self,
        rows: Range<usize>,
        framed: &mut [f32],
        frame: &Frame,
        gradient: &[f32],
        weight: &[f32],
    ) {
        let (pixels, line) = (frame.width, frame.columns * self.depth);
        let lines = Lines {
            lines: rows.len(),
            pixels,
            source: [0, pixels * self.width, self.width],
            result: [(frame.top + rows.start) * line + frame.left * self.depth, line, self.depth],
        };
        let taps = [Tap { source: 0, weight: 0 }];
        convolve(self.level, &lines, gradient, &taps, self.output.channels, weight, self.depth, framed, false);
    }
}
