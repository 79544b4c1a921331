//! The passes of Winograd convolutions over blocks of images.

use super::Conv;
use crate::cpu::elementwise::{Frame, unpack};
use crate::cpu::pool::Buffer;
use crate::cpu::winograd::{self, Tiles};

impl Conv {
    fn tiles(&self, images: usize, image: usize, channels: usize) -> Tiles {
        let (down, across) = (self.input.height / 4, self.input.width / 4);
        let stride = winograd::stride(images * down * across, channels);
        Tiles { down, across, first: image * down * across, channels, stride }
    }

    /// Winograd forward pass of a block of images; `framed` writes image `i`'s frame.
    pub(crate) fn winograd(
        &self,
        out: &mut [&mut [f32]],
        weight: &[f32],
        mut framed: impl FnMut(usize, &Frame, &mut [f32]),
    ) {
        let frame = self.input_frame();
        let mut scratch = Buffer::new(frame.len());
        frame.clear_border(&mut scratch);
        // As many images at a time as let frequencies and filter share the second-level cache.
        let per_image = self.input.height * self.input.width / 16;
        let at_once = (1024 / self.depth.max(self.width)).div_ceil(per_image).max(1);
        let mut first = 0;
        while first < out.len() {
            let images = at_once.min(out.len() - first);
            let (i, o) = (self.tiles(images, 0, self.depth), self.tiles(images, 0, self.width));
            let mut points = Buffer::new(i.len());
            let mut results = Buffer::new(o.len());
            for image in 0..images {
                framed(first + image, &frame, &mut scratch);
                winograd::transform_input(self.level, &mut points, &scratch, &self.tiles(images, image, self.depth));
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

    /// Winograd backward pass of a block of images: adds to the weight gradient `dw` unless it is empty and hands each
    /// image's input gradient to `done(image, framed, frame)` if there is a `weight`.
    pub(crate) fn winograd_backward(
        &self,
        images: usize,
        weight: Option<&[f32]>,
        dw: &mut [f32],
        mut gradient: impl FnMut(usize, &Frame, &mut [f32]),
        mut input: impl FnMut(usize, &Frame, &mut [f32]),
        mut done: impl FnMut(usize, &[f32], &Frame),
    ) {
        let (frame, flat) = (self.input_frame(), self.output_frame());
        let (i, o) = (self.tiles(images, 0, self.depth), self.tiles(images, 0, self.width));
        let mut points = Buffer::new(i.len());
        let mut slopes = Buffer::new(o.len());
        let mut scratch = Buffer::new(frame.len());
        let mut image_slope = Buffer::new(flat.len());
        frame.clear_border(&mut scratch);
        for image in 0..images {
            gradient(image, &flat, &mut image_slope);
            let t = self.tiles(images, image, self.width);
            winograd::transform_output_back(self.level, &mut slopes, &image_slope, &t);
            if !dw.is_empty() {
                input(image, &frame, &mut scratch);
                let t = self.tiles(images, image, self.depth);
                winograd::transform_input(self.level, &mut points, &scratch, &t);
            }
        }
        let tiles = images * self.input.height * self.input.width / 16;
        let back = weight.unwrap_or(&[]);
        let (depth, width) = (self.depth, self.width);
        winograd::multiply_back(self.level, &mut points, i.stride, &slopes, o.stride, dw, back, tiles, depth, width);
        if weight.is_some() {
            for image in 0..images {
                scratch.fill(0.0);
                let t = self.tiles(images, image, self.depth);
                winograd::transform_input_back(self.level, &mut scratch, &points, &t);
                done(image, &scratch, &frame);
            }
        }
    }

    /// Adds the image of a frame (from [`Conv::winograd_backward`]) to a gradient.
    pub(crate) fn add_frame(&self, dx: &mut [f32], framed: &[f32], frame: &Frame, add: bool) {
        unpack(self.level, dx, framed, frame, add);
    }
}
