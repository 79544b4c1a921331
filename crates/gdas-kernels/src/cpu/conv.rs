//! One convolution of a graph: its algorithm, and the geometry of its passes. The layout of its weights is in `weights`, the
//! passes are in `direct`, `pointwise`, `small` and `winograd`.

mod direct;
mod pointwise;
pub(super) mod small;
#[cfg(test)]
pub(super) mod tests;
mod weights;
mod winograd;

use super::direct::{Lines, Tap};
use super::elementwise::Frame;
use super::simd::Level;
use super::winograd::fits;
use crate::graph::{Shape, Window};

/// Algorithm of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Depthwise: channel by channel.
    Depthwise,
    /// Winograd's F(4x4, 3x3), for 3x3 filters of stride 1.
    Winograd,
    /// Direct, for all others; by blocks of channels if there are groups.
    Direct,
}

/// Geometry and algorithm. "Depth" is the input side, "width" the output side; both padded to whole vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub(crate) algorithm: Algorithm,
    level: Level,
    window: Window,
    groups: usize,
    input: Shape,
    output: Shape,
    depth: usize,
    width: usize,
}

impl Conv {
    pub(crate) fn new(level: Level, window: Window, groups: usize, input: Shape, output: Shape) -> Self {
        let unit = window == Window::same(3, 1, 1) && groups == 1;
        let algorithm = if groups == input.channels && input.channels == output.channels && groups > 1 {
            Algorithm::Depthwise
        } else if unit && fits(input.height, input.width) && input.channels >= 8 && output.channels >= 8 {
            Algorithm::Winograd
        } else {
            Algorithm::Direct
        };
        let (depth, width) =
            (input.channels.next_multiple_of(level.lanes()), output.channels.next_multiple_of(level.lanes()));
        Self { algorithm, level, window, groups, input, output, depth, width }
    }

    fn positions(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// The frame in which the forward pass reads an input image.
    pub(crate) fn input_frame(&self) -> Frame {
        let [top, left] = self.window.padding;
        let Shape { height, width, .. } = self.input;
        Frame { rows: height + 2 * top, columns: width + 2 * left, top, left, height, width, channels: self.depth }
    }

    /// First and last output row (column) that a position beyond the border would need, per axis.
    fn reach(&self, axis: usize) -> (i64, i64) {
        let w = &self.window;
        let (input, output) =
            if axis == 0 { (self.input.height, self.output.height) } else { (self.input.width, self.output.width) };
        let padding = w.padding[axis] as i64;
        let stride = w.stride[axis] as i64;
        let lowest = padding - ((w.kernel[axis] - 1) * w.dilation[axis]) as i64;
        let low = lowest.div_euclid(stride).min(0);
        let high = (input as i64 - 1 + padding).div_euclid(stride).max(output as i64 - 1);
        (low, high)
    }

    /// The frame in which the backward pass reads an output image's gradient.
    pub(crate) fn output_frame(&self) -> Frame {
        let Shape { height, width, .. } = self.output;
        let channels = self.width;
        if self.algorithm == Algorithm::Winograd {
            return Frame { rows: height, columns: width, top: 0, left: 0, height, width, channels };
        }
        let ((y0, y1), (x0, x1)) = (self.reach(0), self.reach(1));
        let (rows, columns) = ((y1 - y0 + 1) as usize, (x1 - x0 + 1) as usize);
        Frame { rows, columns, top: -y0 as usize, left: -x0 as usize, height, width, channels }
    }

    /// Pixels of the forward pass: their positions in the input frame and in the output (framed or not).
    fn lines(&self, output: &Frame) -> Lines {
        let [sy, sx] = self.window.stride;
        let input = self.input_frame();
        let (i, o) = (input.channels, output.channels);
        let source = [0, sy * input.columns * i, sx * i];
        let result = [(output.top * output.columns + output.left) * o, output.columns * o, o];
        let (lines, pixels) = (self.output.height, self.output.width);
        if source[1] == pixels * source[2] && result[1] == pixels * o {
            return Lines { lines: 1, pixels: lines * pixels, source, result };
        }
        Lines { lines, pixels, source, result }
    }

    /// Offset of each kernel position in the input frame, and of its weights of `per_position` floats.
    fn taps(&self, per_position: usize) -> Vec<Tap> {
        let columns = self.input_frame().columns;
        let [_, kx] = self.window.kernel;
        let [dy, dx] = self.window.dilation;
        (0..self.positions())
            .map(|p| Tap { source: (p / kx * dy * columns + p % kx * dx) * self.depth, weight: p * per_position })
            .collect()
    }
}
