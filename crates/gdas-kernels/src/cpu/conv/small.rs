//! Direct convolutions of very small images, one pixel of a whole block of images at a time: the images are the rows of the
//! matrix product, as there are few pixels per image. Kernel positions in the border are skipped.

use super::{Algorithm, Conv};
use crate::cpu::direct::{Lines, Tap, convolve};
use crate::cpu::elementwise::Frame;
use crate::cpu::pool::Buffer;
use crate::graph::Shape;

impl Conv {
    /// Whether the images are so small that whole blocks of them are processed at once.
    pub(crate) fn is_small(&self) -> bool {
        self.algorithm == Algorithm::Direct && !self.is_pointwise() && self.output.width < 4
    }

    /// Forward pass of images side by side; `framed` has a frame for each.
    pub(crate) fn small_forward(&self, out: &mut [f32], framed: &[f32], weight: &[f32]) {
        let (frame, Shape { height, width, .. }) = (self.input_frame(), self.output);
        let image = height * width * self.width;
        let images = out.len() / image.max(1);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let taps = self.pixel_taps(&frame, &self.inside(0, y), &self.inside(1, x));
            let lines = side_by_side(images, frame.len(), (y * width + x) * self.width, image);
            self.small_products(&lines, framed, &taps, weight, out, false, false);
        }
    }

    /// `dx (+)=` the gradients of images side by side; `framed` has a frame of the output's gradient for each.
    pub(crate) fn small_backward(&self, dx: &mut [f32], framed: &[f32], weight: &[f32], add: bool) {
        let (frame, Shape { height, width, .. }) = (self.output_frame(), self.input);
        let image = height * width * self.depth;
        let images = dx.len() / image.max(1);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let taps = self.pixel_taps(&frame, &self.reading(0, y), &self.reading(1, x));
            if !(taps.is_empty() && add) {
                let lines = side_by_side(images, frame.len(), (y * width + x) * self.depth, image);
                self.small_products(&lines, framed, &taps, weight, dx, true, add);
            }
        }
    }

    /// Where a pixel reads in a frame, given pairs of a kernel position and a row (column) of the image.
    fn pixel_taps(&self, frame: &Frame, rows: &[(usize, usize)], columns: &[(usize, usize)]) -> Vec<Tap> {
        let tap = |(ky, y): (usize, usize), (kx, x): (usize, usize)| {
            let source = ((frame.top + y) * frame.columns + frame.left + x) * frame.channels;
            Tap { source, weight: ky * self.window.kernel[1] + kx }
        };
        rows.iter().flat_map(|&row| columns.iter().map(move |&column| tap(row, column))).collect()
    }

    /// The products of all blocks of channels; `taps` count weights in positions.
    fn small_products(
        &self,
        lines: &Lines,
        source: &[f32],
        taps: &[Tap],
        weight: &[f32],
        result: &mut [f32],
        back: bool,
        add: bool,
    ) {
        for b in self.blocks() {
            let per_position = b.depth * b.width;
            let taps: Vec<Tap> = taps.iter().map(|t| Tap { weight: t.weight * per_position, ..*t }).collect();
            let ([from, to], depth, width) =
                if back { ([b.to, b.from], b.real[1], b.depth) } else { ([b.from, b.to], b.real[0], b.width) };
            let (lines, weight) = (lines.at_channels(from, to), &weight[b.start..]);
            convolve(self.level, &lines, source, &taps, depth, weight, width, result, add);
        }
    }

    /// Kernel positions of an output row (column) that read inside the image, and the input row that each reads.
    fn inside(&self, axis: usize, at: usize) -> Vec<(usize, usize)> {
        let w = &self.window;
        let size = if axis == 0 { self.input.height } else { self.input.width };
        let read = |k: usize| (at * w.stride[axis] + k * w.dilation[axis]).checked_sub(w.padding[axis]);
        (0..w.kernel[axis]).filter_map(|k| Some((k, read(k).filter(|&read| read < size)?))).collect()
    }

    /// Kernel positions by which outputs read an input row (column), and the output row of each.
    fn reading(&self, axis: usize, at: usize) -> Vec<(usize, usize)> {
        let (w, outputs) = (&self.window, [self.output.height, self.output.width][axis]);
        let output = |k: usize| {
            let start = (at + w.padding[axis]).checked_sub(k * w.dilation[axis])?;
            Some(start / w.stride[axis]).filter(|&o| start.is_multiple_of(w.stride[axis]) && o < outputs)
        };
        (0..w.kernel[axis]).filter_map(|k| Some((k, output(k)?))).collect()
    }
}

/// One pixel of each image.
fn side_by_side(images: usize, frame: usize, result: usize, image: usize) -> Lines {
    Lines { lines: 1, pixels: images, source: [0, 0, frame], result: [result, 0, image] }
}

/// Frames for a block of images, borders zero.
pub(crate) fn frames(frame: &Frame, images: usize) -> Buffer {
    let mut frames = Buffer::new(images * frame.len());
    frames.chunks_exact_mut(frame.len().max(1)).for_each(|out| frame.clear_border(out));
    frames
}
