//! One convolution of a graph: which algorithm runs it, its weights in that algorithm's layout, and its passes.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::bf16;
use super::depthwise::{depthwise, depthwise_weight};
use super::direct::{Lines, Tap, convolve, convolve_weight};
use super::elementwise::{Frame, unpack};
use super::pool::Buffer;
use super::simd::Level;
use super::winograd::{self, Tiles};
use crate::graph::{Shape, Window};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Per channel.
    Depthwise,
    /// 3x3, stride 1.
    Winograd,
    /// Anything else, block by block of channels if there are groups.
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

/// Channels of a direct convolution that depend on each other only: as many groups as make whole vectors on both sides.
/// Inside a block the filter is dense, with zeros between its groups. Without groups there is one block.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// First input channel.
    from: usize,
    /// First output channel.
    to: usize,
    /// Padded input channels.
    depth: usize,
    /// Padded output channels.
    width: usize,
    /// Input and output channels that are not padding.
    real: [usize; 2],
    /// Where its weights start: `[positions, depth, width]` or, for the input's gradient, `[positions, width, depth]`.
    start: usize,
}

impl Block {
    /// Input channels that a product runs over (a multiple of four, for the weight gradient's tiles).
    fn used_depth(&self) -> usize {
        self.real[0].next_multiple_of(4).min(self.depth)
    }
}

impl Conv {
    pub(crate) fn new(level: Level, window: Window, groups: usize, input: Shape, output: Shape) -> Self {
        let unit = window == Window::same(3, 1, 1) && groups == 1;
        let algorithm = if groups == input.channels && input.channels == output.channels && groups > 1 {
            Algorithm::Depthwise
        } else if unit && winograd::fits(input.height, input.width) && input.channels >= 8 && output.channels >= 8 {
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

    /// Groups per block of a direct convolution.
    fn groups_per_block(&self) -> usize {
        let lanes = self.level.lanes();
        let whole = |k: &usize| (k * self.input.channels / self.groups).is_multiple_of(lanes);
        let both = |k: &usize| whole(k) && (k * self.output.channels / self.groups).is_multiple_of(lanes);
        (1..self.groups).find(both).unwrap_or(self.groups)
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        let together = self.groups_per_block();
        let [i, o] = [self.input.channels, self.output.channels].map(|c| c / self.groups * together);
        (0..self.groups.div_ceil(together)).map(move |b| {
            let last = (b + 1) * together >= self.groups;
            let (from, to) = (b * i, b * o);
            Block {
                from,
                to,
                depth: if last { self.depth - from } else { i },
                width: if last { self.width - to } else { o },
                real: [i.min(self.input.channels - from), o.min(self.output.channels - to)],
                start: b * self.positions() * i * o,
            }
        })
    }

    /// Floats of the weights, or of a weight's gradient, of all blocks.
    fn blocks_len(self) -> usize {
        self.blocks().map(|b| b.start + self.positions() * b.depth * b.width).max().unwrap_or(0)
    }

    /// Floats of a weight gradient in this algorithm's layout.
    pub(crate) fn gradient_len(&self) -> usize {
        match self.algorithm {
            Algorithm::Depthwise => self.positions() * self.width,
            Algorithm::Winograd => 36 * self.depth * self.width,
            Algorithm::Direct => self.blocks_len(),
        }
    }

    /// Calls `f(index in the parameter, position, input channel, output channel)` for every weight.
    fn each_weight(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let (i, o) = (self.input.channels / self.groups, self.output.channels);
        for position in 0..self.positions() {
            for from in 0..i {
                for to in 0..o {
                    let group = to / (o / self.groups);
                    f((position * i + from) * o + to, position, group * i + from, to);
                }
            }
        }
    }

    /// The block of an output channel.
    fn block_of(&self, to: usize) -> Block {
        let per_block = self.output.channels / self.groups * self.groups_per_block();
        self.blocks().nth(to / per_block).expect("every output channel has a block")
    }

    /// The weights for the forward pass.
    pub(crate) fn forward_weight(&self, w: &[f32]) -> Buffer {
        self.arrange(w, self.depth, self.width, false)
    }

    /// The weights for the input's gradient: input and output exchanged.
    pub(crate) fn backward_weight(&self, w: &[f32]) -> Buffer {
        self.arrange(w, self.width, self.depth, true)
    }

    fn arrange(&self, w: &[f32], rows: usize, columns: usize, exchange: bool) -> Buffer {
        if self.algorithm == Algorithm::Depthwise {
            let mut out = Buffer::zeroed(self.positions() * self.width);
            self.each_weight(|i, position, _, to| out[position * self.width + to] = w[i]);
            return out;
        }
        if self.algorithm == Algorithm::Direct && self.groups > 1 {
            let mut out = Buffer::zeroed(self.blocks_len());
            self.each_weight(|i, position, from, to| {
                let b = self.block_of(to);
                let (from, to) = (from - b.from, to - b.to);
                let at = if exchange { to * b.depth + from } else { from * b.width + to };
                out[b.start + position * b.depth * b.width + at] = w[i];
            });
            return self.packed(out, exchange);
        }
        let mut out = Buffer::zeroed(self.positions() * rows * columns);
        if !exchange && self.groups == 1 && self.input.channels == rows && self.output.channels == columns {
            out.copy_from_slice(w);
        } else {
            self.each_weight(|i, position, from, to| {
                let (row, column) = if exchange { (to, from) } else { (from, to) };
                out[(position * rows + row) * columns + column] = w[i];
            });
        }
        if self.algorithm == Algorithm::Winograd {
            let mut points = Buffer::new(36 * rows * columns);
            winograd::transform_filter(self.level, &mut points, &out, rows * columns);
            return points;
        }
        self.packed(out, exchange)
    }

    /// Numbers per float of a direct convolution's arranged weights: two where they are rounded to bfloat16.
    fn packing(&self) -> usize {
        if self.level.rounds_products() { 2 } else { 1 }
    }

    /// A direct convolution's weights as [`Conv::multiply`] reads them.
    fn packed(&self, weight: Buffer, exchange: bool) -> Buffer {
        #[cfg(target_arch = "x86_64")]
        if self.level.rounds_products() {
            let mut pairs = Buffer::new(weight.len() / 2);
            for b in self.blocks() {
                let (rows, columns) = if exchange { (b.width, b.depth) } else { (b.depth, b.width) };
                let (rows, len) = (self.positions() * rows, self.positions() * rows * columns);
                bf16::pair_rows(&weight[b.start..][..len], rows, columns, &mut pairs[b.start / 2..][..len / 2]);
            }
            return pairs;
        }
        let _ = exchange;
        weight
    }

    /// The product behind every direct convolution and its input gradient: see [`convolve`].
    fn multiply(
        &self,
        lines: &Lines,
        source: &[f32],
        taps: &[Tap],
        depth: usize,
        weight: &[f32],
        width: usize,
        result: &mut [f32],
        add: bool,
    ) {
        #[cfg(target_arch = "x86_64")]
        if self.level.rounds_products() {
            return bf16::convolve(lines, source, taps, depth, weight, width, result, add);
        }
        convolve(self.level, lines, source, taps, depth, weight, width, result, add);
    }

    /// Turns a weight gradient in this algorithm's layout into the parameter's.
    pub(crate) fn finish_gradient(&self, sum: &[f32], len: usize) -> Vec<f32> {
        let mut out = vec![0.0; len];
        match self.algorithm {
            Algorithm::Depthwise => {
                self.each_weight(|i, position, _, to| out[i] = sum[position * self.width + to]);
            }
            Algorithm::Winograd => {
                let mut filter = Buffer::new(9 * self.depth * self.width);
                winograd::transform_filter_back(self.level, &mut filter, sum, self.depth * self.width);
                self.each_weight(|i, p, from, to| out[i] = filter[(p * self.depth + from) * self.width + to]);
            }
            Algorithm::Direct => {
                let blocks: Vec<Block> = self.blocks().collect();
                let per_block = self.output.channels / self.groups * self.groups_per_block();
                self.each_weight(|i, p, from, to| {
                    let b = &blocks[to / per_block];
                    out[i] = sum[b.start + (p * b.used_depth() + from - b.from) * b.width + to - b.to];
                });
            }
        }
        out
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

    /// Pixels of the forward pass: where they read in the input frame and lie in the output (framed or not).
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

    /// Where each position reads in the input frame, and its weights of `per_position` floats.
    fn taps(&self, per_position: usize) -> Vec<Tap> {
        let columns = self.input_frame().columns;
        let [_, kx] = self.window.kernel;
        let [dy, dx] = self.window.dilation;
        (0..self.positions())
            .map(|p| Tap { source: (p / kx * dy * columns + p % kx * dx) * self.depth, weight: p * per_position })
            .collect()
    }

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
            let taps = self.taps(b.depth * b.width / self.packing());
            let (lines, weight) = (lines.at_channels(b.from, b.to), &weight[b.start / self.packing()..]);
            self.multiply(&lines, framed, &taps, b.real[0], weight, b.width, out, false);
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
                        let taps = scaled(b.depth * b.width / self.packing());
                        let (lines, weight) = (lines.at_channels(b.to, b.from), &weight[b.start / self.packing()..]);
                        self.multiply(&lines, framed, &taps, b.real[1], weight, b.depth, dx, add);
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
        self.multiply(&lines, input, &taps, self.input.channels, weight, self.width, out, false);
    }

    /// Pointwise: `dx (+)=` the gradient of some pixels.
    pub(crate) fn pointwise_backward(&self, dx: &mut [f32], gradient: &[f32], weight: &[f32], add: bool) {
        let lines = Self::run_of_pixels(dx.len() / self.depth, self.width, self.depth);
        let taps = [Tap { source: 0, weight: 0 }];
        self.multiply(&lines, gradient, &taps, self.output.channels, weight, self.depth, dx, add);
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
        self.multiply(&lines, gradient, &taps, self.output.channels, weight, self.depth, framed, false);
    }

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
        // So many images at a time that frequencies and filter share the second-level cache.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in [-1, 1) without any pattern that the algorithm could profit from.
    fn noise(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn grouped_convolutions_multiply_within_their_blocks_only() {
        let window = Window { kernel: [1, 3], stride: [1, 2], padding: [0, 1], dilation: [1, 1] };
        for level in Level::available() {
            let lanes = level.lanes();
            for (channels, groups, fewest) in [(64, 8, 4), (128, 8, 8), (48, 8, 1), (32, 2, 2), (51, 3, 1)] {
                let conv = Conv::new(level, window, groups, Shape::new(4, 4, channels), Shape::new(4, 2, channels));
                let blocks: Vec<Block> = conv.blocks().collect();
                assert_eq!(blocks.iter().map(|b| b.real[0]).sum::<usize>(), channels, "each channel in one block");
                assert_eq!(blocks.iter().map(|b| b.width).sum::<usize>(), channels.next_multiple_of(lanes));
                assert!(blocks.iter().all(|b| b.width % lanes == 0 && b.to % lanes == 0 && b.from % lanes == 0));
                assert!(blocks.len() >= fewest, "{channels} channels in {groups} groups: {} blocks", blocks.len());
            }
        }
    }

    #[test]
    fn winograd_is_within_ten_times_the_error_of_the_direct_sum() {
        let level = Level::get();
        for channels in [16, 64] {
            let shape = Shape::new(8, 8, channels);
            let window = Window::same(3, 1, 1);
            let winograd = Conv::new(level, window, 1, shape, shape);
            assert_eq!(winograd.algorithm, Algorithm::Winograd);
            let direct = Conv { algorithm: Algorithm::Direct, ..winograd };
            let (x, w) = (noise(shape.elements(), 1), noise(9 * channels * channels, 2));
            let pad = |frame: &Frame, out: &mut [f32]| {
                for row in 0..8 {
                    let at = ((row + 1) * frame.columns + 1) * channels;
                    out[at..at + 8 * channels].copy_from_slice(&x[row * 8 * channels..][..8 * channels]);
                }
            };
            let mut fast = vec![0.0; shape.elements()];
            let weight = winograd.forward_weight(&w);
            winograd.winograd(&mut [&mut fast], &weight, |_, frame, out| pad(frame, out));
            let mut plain = vec![0.0; shape.elements()];
            let mut framed = vec![0.0; direct.input_frame().len()];
            pad(&direct.input_frame(), &mut framed);
            direct.forward(&mut plain, &framed, &direct.forward_weight(&w));

            let (mut errors, mut size) = ([0.0f64; 2], 0.0f64);
            for y in 0..8 {
                for x0 in 0..8 {
                    for to in 0..channels {
                        let mut exact = 0.0f64;
                        for k in 0..9 {
                            for from in 0..channels {
                                let source = ((y + k / 3) * 10 + x0 + k % 3) * channels + from;
                                exact +=
                                    f64::from(framed[source]) * f64::from(w[(k * channels + from) * channels + to]);
                            }
                        }
                        let at = (y * 8 + x0) * channels + to;
                        for (error, got) in errors.iter_mut().zip([fast[at], plain[at]]) {
                            *error += (f64::from(got) - exact).powi(2);
                        }
                        size += exact * exact;
                    }
                }
            }
            let [fast, plain] = errors.map(|e| (e / size).sqrt());
            assert!(fast < 5e-6 && fast < 10.0 * plain, "relative error {fast:e}, direct {plain:e}");
        }
    }
}
