//! The passes of Winograd convolutions over blocks of images.
//!
//! Images pass through a strip of rows, so that what is packed for a row of tiles is still in the first-level cache when its
//! transform reads it.

use std::ops::Range;

use super::Conv;
use crate::cpu::elementwise::Frame;
use crate::cpu::pool::Buffer;
use crate::cpu::winograd::{self, Tiles};

/// Rows of an input that one row of tiles reads.
const ROWS: usize = 6;
/// Rows of an output that one row of tiles writes.
const STEP: usize = 4;

impl Conv {
    /// The tiles of one image of a block.
    fn tiles(&self, images: usize, image: usize, channels: usize) -> Tiles {
        let (down, across) = (self.input.height / STEP, self.input.width / STEP);
        let stride = winograd::stride(images * down * across, channels);
        Tiles { down, across, first: image * down * across, channels, stride }
    }

    /// Some rows of the input in a strip of [`ROWS`] rows, with the border of a column on either side.
    fn strip(&self, top: usize, height: usize) -> Frame {
        let width = self.input.width;
        Frame { rows: ROWS, columns: width + 2, top, left: 1, height, width, channels: self.depth }
    }

    /// Transforms one input image. `pack` writes rows of the image into the frame of a strip.
    fn transform_image(
        &self,
        points: &mut [f32],
        strip: &mut [f32],
        tiles: &Tiles,
        mut pack: impl FnMut(Range<usize>, &Frame, &mut [f32]),
    ) {
        let height = self.input.height;
        let line = (self.input.width + 2) * self.depth;
        self.strip(1, STEP).clear_border(strip);
        for down in 0..tiles.down {
            // Strip row 0 is image row `4 * down - 1`; two rows are those of the strip before.
            let packed = if down == 0 { 0 } else { STEP * down + 1 };
            if down > 0 {
                strip.copy_within(STEP * line..ROWS * line, 0);
            }
            let end = (STEP * down + ROWS - 1).min(height);
            pack(packed..end, &self.strip(packed + 1 - STEP * down, end - packed), strip);
            if end == height {
                strip[(ROWS - 1) * line..].fill(0.0);
            }
            winograd::transform_input(self.level, points, strip, &tiles.row(down));
        }
    }

    /// Winograd forward pass of a block of images; `pack` writes rows of image `i` into a frame.
    pub(crate) fn winograd(
        &self,
        out: &mut [&mut [f32]],
        weight: &[f32],
        mut pack: impl FnMut(usize, Range<usize>, &Frame, &mut [f32]),
    ) {
        let mut strip = Buffer::new(self.strip(0, 0).len());
        // As many images at a time as let frequencies and filter share the second-level cache.
        let per_image = self.input.height * self.input.width / (STEP * STEP);
        let at_once = (1024 / self.depth.max(self.width)).div_ceil(per_image).max(1);
        let mut first = 0;
        while first < out.len() {
            let images = at_once.min(out.len() - first);
            let (i, o) = (self.tiles(images, 0, self.depth), self.tiles(images, 0, self.width));
            let mut points = Buffer::new(i.len());
            let mut results = Buffer::new(o.len());
            for image in 0..images {
                let t = self.tiles(images, image, self.depth);
                self.transform_image(&mut points, &mut strip, &t, |rows, frame, strip| {
                    pack(first + image, rows, frame, strip);
                });
            }
            let (tiles, depth, width) = (images * per_image, self.depth, self.width);
            winograd::multiply(self.level, &mut results, o.stride, &points, i.stride, weight, tiles, depth, width);
            for image in 0..images {
                let t = self.tiles(images, image, self.width);
                winograd::transform_output(self.level, out[first + image], &results, &t);
            }
            first += images;
        }
    }

    /// Winograd backward pass of a block of images: adds to the weight gradient `dw` unless it is empty, and hands rows of each
    /// image's input gradient to `done` if there is a `weight`.
    ///
    /// `gradient` writes rows of the output's gradient of an image, `pack` rows of its input into a frame.
    pub(crate) fn winograd_backward(
        &self,
        images: usize,
        weight: Option<&[f32]>,
        dw: &mut [f32],
        mut gradient: impl FnMut(usize, Range<usize>, &mut [f32]),
        mut pack: impl FnMut(usize, Range<usize>, &Frame, &mut [f32]),
        mut done: impl FnMut(usize, Range<usize>, &[f32], &Frame),
    ) {
        let (i, o) = (self.tiles(images, 0, self.depth), self.tiles(images, 0, self.width));
        let mut points = Buffer::new(i.len());
        let mut slopes = Buffer::new(o.len());
        let mut strip = Buffer::new(self.strip(0, 0).len());
        let mut slope = Buffer::new(STEP * self.input.width * self.width);
        for image in 0..images {
            let t = self.tiles(images, image, self.width);
            for down in 0..t.down {
                gradient(image, STEP * down..STEP * (down + 1), &mut slope);
                winograd::transform_output_back(self.level, &mut slopes, &slope, &t.row(down));
            }
            if !dw.is_empty() {
                let t = self.tiles(images, image, self.depth);
                self.transform_image(&mut points, &mut strip, &t, |rows, frame, strip| pack(image, rows, frame, strip));
            }
        }
        let tiles = images * self.input.height * self.input.width / (STEP * STEP);
        let back = weight.unwrap_or(&[]);
        let (depth, width) = (self.depth, self.width);
        winograd::multiply_back(self.level, &mut points, i.stride, &slopes, o.stride, dw, back, tiles, depth, width);
        if weight.is_some() {
            for image in 0..images {
                let t = self.tiles(images, image, self.depth);
                self.input_gradient(&points, &mut strip, &t, |rows, strip, frame| done(image, rows, strip, frame));
            }
        }
    }

    /// The gradient of one input image from that of its frequencies, handed to `done` a few rows at a time.
    fn input_gradient(
        &self,
        points: &[f32],
        strip: &mut [f32],
        tiles: &Tiles,
        mut done: impl FnMut(Range<usize>, &[f32], &Frame),
    ) {
        let height = self.input.height;
        let line = (self.input.width + 2) * self.depth;
        strip.fill(0.0);
        for down in 0..tiles.down {
            winograd::transform_input_back(self.level, strip, points, &tiles.row(down));
            // Strip row 0 is image row `4 * down - 1`; the last two rows are complete after the next row of tiles.
            let first = (STEP * down).saturating_sub(1);
            let end = if down + 1 == tiles.down { height } else { STEP * down + STEP - 1 };
            done(first..end, strip, &self.strip(first + 1 - STEP * down, end - first));
            strip.copy_within(STEP * line..ROWS * line, 0);
            strip[(ROWS - STEP) * line..].fill(0.0);
        }
    }
}
