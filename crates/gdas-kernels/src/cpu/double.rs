//! Convolutions in double precision, for values beyond the range of single precision. Forward only, on the calling thread.

use super::simd::kernel;
use crate::graph::{Shape, Window};

/// Outputs of one tile: this many rows of this many channels, which fit into the registers.
const ROWS: usize = 8;
const LANES: usize = 16;

/// Geometry of one convolution of several images ("planes") at once.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    /// One input image.
    pub input: Shape,
    /// One output image.
    pub output: Shape,
    /// Sliding window.
    pub window: Window,
    /// Channel groups, a divisor of both numbers of channels.
    pub groups: usize,
    /// Number of images.
    pub planes: usize,
}

impl Convolution {
    /// Applies the weight `[kernel_h, kernel_w, in_channels / groups, out_channels]` to an input `[height, width, planes,
    /// channels]`; the result has the same layout. Every instruction set gives the same bits.
    ///
    /// # Panics
    /// If a slice has the wrong length, or the window does not give the output's size.
    #[must_use]
    pub fn run(&self, input: &[f64], weight: &[f64]) -> Vec<f64> {
        let Self { input: from, output: to, window, groups, planes } = *self;
        let depth = from.channels / groups;
        let [kh, kw] = window.kernel;
        assert_eq!(input.len(), planes * from.elements(), "the input's length");
        assert_eq!(weight.len(), kh * kw * depth * to.channels, "the weight's length");
        assert_eq!(window.output([from.height, from.width]), [to.height, to.width], "the output's size");

        let (framed, columns) = self.framed(input);
        let pixel = planes * from.channels;
        let [sy, sx] = window.stride;
        let [dy, dx] = window.dilation;
        let starts: Vec<usize> = (0..to.height * to.width * planes)
            .map(|row| {
                let (at, plane) = (row / planes, row % planes);
                (at / to.width * sy * columns + at % to.width * sx) * pixel + plane * from.channels
            })
            .collect();
        let taps: Vec<usize> = (0..kh * kw).map(|tap| (tap / kw * dy * columns + tap % kw * dx) * pixel).collect();

        let mut out = vec![0.0; planes * to.elements()];
        if out.is_empty() {
            return out;
        }
        let level = super::Level::get();
        if depth == 1 && to.channels == groups {
            depthwise(level, &mut out, &framed, weight, &starts, &taps, groups);
        } else {
            let weight = self.tiled(weight);
            products(level, &mut out, &framed, &weight, &starts, &taps, [depth, to.channels / groups, groups]);
        }
        out
    }

    /// The images inside a border of zeros, and the frame's width in pixels.
    fn framed(&self, input: &[f64]) -> (Vec<f64>, usize) {
        let [top, left] = self.window.padding;
        let pixel = self.planes * self.input.channels;
        let columns = self.input.width + 2 * left;
        let mut framed = vec![0.0; (self.input.height + 2 * top) * columns * pixel];
        let line = self.input.width * pixel;
        for (row, from) in input.chunks_exact(line.max(1)).enumerate() {
            framed[((top + row) * columns + left) * pixel..][..line].copy_from_slice(from);
        }
        (framed, columns)
    }

    /// The weight as `[group, tile of channels, position, channel of input, LANES]`, filled up with zeros.
    fn tiled(&self, weight: &[f64]) -> Vec<f64> {
        let (depth, width) = (self.input.channels / self.groups, self.output.channels / self.groups);
        let inner = self.window.kernel[0] * self.window.kernel[1] * depth;
        let tiles = width.div_ceil(LANES);
        let mut tiled = vec![0.0; self.groups * tiles * inner * LANES];
        for (index, to) in tiled.chunks_exact_mut(LANES).enumerate() {
            let (block, row) = (index / inner, index % inner);
            let (group, first) = (block / tiles, block % tiles * LANES);
            let count = LANES.min(width - first);
            to[..count].copy_from_slice(&weight[row * self.output.channels + group * width + first..][..count]);
        }
        tiled
    }
}

kernel! {
    /// Rows of `[row, channels]` as products of the rows that begin at `starts` with tiled weights. `sizes` are the input
    /// and output channels of a group, and the number of groups. Sums run over positions, then input channels.
    fn products<S>(
        out: &mut [f64], framed: &[f64], weight: &[f64], starts: &[usize], taps: &[usize], sizes: [usize; 3],
    ) {
        let [depth, width, groups] = sizes;
        let tiles = width.div_ceil(LANES);
        let last = starts.iter().max().unwrap_or(&0) + taps.iter().max().unwrap_or(&0) + depth * groups;
        assert!(last <= framed.len() && out.len() == starts.len() * width * groups);
        assert!(weight.len() == groups * tiles * taps.len() * depth * LANES);
        for block in 0..groups * tiles {
            let (group, first) = (block / tiles, block % tiles * LANES);
            let weight = weight.as_ptr().add(block * taps.len() * depth * LANES);
            for (at, some) in starts.chunks(ROWS).enumerate() {
                // The last tile repeats its last row, and stores it once.
                let rows: [*const f64; ROWS] =
                    std::array::from_fn(|r| framed.as_ptr().add(some[r.min(some.len() - 1)] + group * depth));
                let mut sums = [[0.0f64; LANES]; ROWS];
                let mut w = weight;
                for &tap in taps {
                    for channel in tap..tap + depth {
                        let weights = &*w.cast::<[f64; LANES]>();
                        for r in 0..ROWS {
                            let x = *rows[r].add(channel);
                            for l in 0..LANES {
                                sums[r][l] += x * weights[l];
                            }
                        }
                        w = w.add(LANES);
                    }
                }
                let count = LANES.min(width - first);
                for (r, sums) in sums.iter().enumerate().take(some.len()) {
                    let place = (at * ROWS + r) * width * groups + group * width + first;
                    out[place..place + count].copy_from_slice(&sums[..count]);
                }
            }
        }
    }
}

kernel! {
    /// As `products`, for groups of one channel.
    fn depthwise<S>(
        out: &mut [f64], framed: &[f64], weight: &[f64], starts: &[usize], taps: &[usize], channels: usize,
    ) {
        for (out, &start) in out.chunks_exact_mut(channels).zip(starts) {
            for (&tap, weight) in taps.iter().zip(weight.chunks_exact(channels)) {
                let x = &framed[start + tap..][..channels];
                for ((y, x), w) in out.iter_mut().zip(x).zip(weight) {
                    *y += x * w;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: one output at a time.
    fn slowly(conv: &Convolution, input: &[f64], weight: &[f64]) -> Vec<f64> {
        let Convolution { input: from, output: to, window, groups, planes } = *conv;
        let (depth, width) = (from.channels / groups, to.channels / groups);
        let mut out = vec![];
        for y in 0..to.height {
            for x in 0..to.width {
                for plane in 0..planes {
                    for o in 0..to.channels {
                        let mut sum = 0.0;
                        for (ky, kx) in (0..window.kernel[0]).flat_map(|y| (0..window.kernel[1]).map(move |x| (y, x))) {
                            let (sy, sx) = (
                                (y * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.padding[0]),
                                (x * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.padding[1]),
                            );
                            if sy >= from.height || sx >= from.width {
                                continue;
                            }
                            for i in 0..depth {
                                let at =
                                    ((sy * from.width + sx) * planes + plane) * from.channels + o / width * depth + i;
                                sum += input[at] * weight[((ky * window.kernel[1] + kx) * depth + i) * to.channels + o];
                            }
                        }
                        out.push(sum);
                    }
                }
            }
        }
        out
    }

    #[test]
    fn every_kind_of_convolution_is_the_sum_that_defines_it() {
        let window = |kernel, stride, padding, dilation| Window { kernel, stride, padding, dilation };
        let cases = [
            (Shape::new(5, 7, 3), 20, Window::same(3, 1, 1), 1, 2),
            (Shape::new(8, 8, 16), 16, Window::same(3, 2, 1), 1, 2),
            (Shape::new(6, 5, 4), 40, Window::valid(1, 2), 1, 1),
            (Shape::new(9, 9, 6), 6, Window::same(5, 1, 2), 6, 2),
            (Shape::new(7, 6, 8), 16, window([1, 3], [1, 2], [0, 1], [1, 1]), 4, 2),
            (Shape::new(1, 1, 5), 3, Window::valid(1, 1), 1, 3),
            (Shape::new(3, 3, 2), 4, Window::valid(5, 1), 1, 2),
        ];
        for (input, channels, window, groups, planes) in cases {
            let [height, width] = window.output([input.height, input.width]);
            let conv = Convolution { input, output: Shape::new(height, width, channels), window, groups, planes };
            let numbers = |n: usize, step: usize| (0..n).map(|i| ((i * step % 101) as f64) / 50.0 - 1.0).collect();
            let values: Vec<f64> = numbers(planes * input.elements(), 37);
            let weight: Vec<f64> =
                numbers(window.kernel[0] * window.kernel[1] * input.channels / groups * channels, 29);
            let (found, expected) = (conv.run(&values, &weight), slowly(&conv, &values, &weight));
            assert_eq!(found.len(), expected.len());
            for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
                assert!((f - e).abs() < 1e-12, "{conv:?}, element {i}: {f}, expected {e}");
            }
        }
    }
}
