//! Winograd's F(4x4, 3x3): a 3x3 convolution of stride 1 with a quarter of the products.
//!
//! A tile of 6x6 inputs becomes 36 "frequencies" (B), each frequency is a matrix product over channels with the
//! transformed filter (G), and 36 results become 4x4 outputs (A). Both gradients are the exact adjoints of these
//! steps. Matrices from Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015. The error against
//! `f64` is about ten times that of the direct sum; the tests bound it.

use super::direct::{Lines, Tap, outer, product};
use super::simd::{Simd, kernel};

/// Frequencies per tile.
const POINTS: usize = 36;

/// Tiles of one image and where they lie among the frequencies of a block of images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    /// Tiles per column.
    pub(crate) down: usize,
    /// Tiles per row.
    pub(crate) across: usize,
    /// Index of the image's first tile in the block.
    pub(crate) first: usize,
    /// Padded channels.
    pub(crate) channels: usize,
    /// Floats between frequencies.
    pub(crate) stride: usize,
}

impl Tiles {
    /// One row of the tiles.
    pub(crate) fn row(&self, down: usize) -> Self {
        Self { down: 1, first: self.first + down * self.across, ..*self }
    }

    /// Floats of all frequencies of a block.
    pub(crate) fn len(&self) -> usize {
        POINTS * self.stride
    }
}

/// Floats between the frequencies of `tiles` tiles: one cache line more than needed, so that the 36 places of a tile do
/// not all fall into the same cache set.
pub(crate) fn stride(tiles: usize, channels: usize) -> usize {
    tiles * channels + 16
}

/// Whether the algorithm supports images of this size.
pub(crate) fn fits(height: usize, width: usize) -> bool {
    height.is_multiple_of(4) && width.is_multiple_of(4)
}

/// The input transform of Lavin and Gray, B^T.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn b<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
        let p = S::sub(d[4], S::mul(four, d[2]));
        let q = S::sub(d[3], S::mul(four, d[1]));
        let r = S::sub(d[4], d[2]);
        let s = S::mul(two, S::sub(d[3], d[1]));
        [
            S::fma(four, d[0], S::sub(d[4], S::mul(five, d[2]))),
            S::add(p, q),
            S::sub(p, q),
            S::add(r, s),
            S::sub(r, s),
            S::fma(four, d[1], S::sub(d[5], S::mul(five, d[3]))),
        ]
    }
}

/// The adjoint of [`b`].
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn b_adjoint<S: Simd>(t: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
        let (u, v) = (S::add(t[1], t[2]), S::sub(t[1], t[2]));
        let (p, q) = (S::add(t[3], t[4]), S::mul(two, S::sub(t[3], t[4])));
        [
            S::mul(four, t[0]),
            S::sub(S::mul(four, S::sub(t[5], v)), q),
            S::sub(S::sub(S::mul(S::splat(-5.0), t[0]), S::mul(four, u)), p),
            S::sub(S::add(v, q), S::mul(five, t[5])),
            S::add(t[0], S::add(u, p)),
            t[5],
        ]
    }
}

/// The output transform, A^T.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn a<S: Simd>(m: [S::V; 6]) -> [S::V; 4] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let (p, q) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (r, s) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(m[0], S::add(p, r)),
            S::fma(S::splat(2.0), s, q),
            S::fma(S::splat(4.0), r, p),
            S::fma(S::splat(8.0), s, S::add(q, m[5])),
        ]
    }
}

/// The adjoint of [`a`].
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn a_adjoint<S: Simd>(y: [S::V; 4]) -> [S::V; 6] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let (p, q) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
        let r = S::fma(S::splat(4.0), y[2], y[0]);
        let s = S::fma(S::splat(8.0), y[3], S::mul(S::splat(2.0), y[1]));
        [y[0], S::add(p, q), S::sub(p, q), S::add(r, s), S::sub(r, s), y[3]]
    }
}

/// The filter transform, G.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn g<S: Simd>(g: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let s = S::mul(S::splat(-1.0 / 6.0), S::add(g[0], g[2]));
        let t = S::mul(S::splat(1.0 / 6.0), g[1]);
        let r = S::fma(S::splat(1.0 / 24.0), g[0], S::mul(S::splat(1.0 / 6.0), g[2]));
        let u = S::mul(S::splat(1.0 / 12.0), g[1]);
        [S::mul(S::splat(0.25), g[0]), S::sub(s, t), S::add(s, t), S::add(r, u), S::sub(r, u), g[2]]
    }
}

/// The adjoint of [`g`].
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn g_adjoint<S: Simd>(u: [S::V; 6]) -> [S::V; 3] {
    // SAFETY: the caller gives the instructions of `S`.
    unsafe {
        let sixth = S::splat(1.0 / 6.0);
        let (p, q) = (S::add(u[1], u[2]), S::sub(u[2], u[1]));
        let (r, s) = (S::add(u[3], u[4]), S::sub(u[3], u[4]));
        [
            S::fma(S::splat(0.25), u[0], S::sub(S::mul(S::splat(1.0 / 24.0), r), S::mul(sixth, p))),
            S::fma(S::splat(1.0 / 12.0), s, S::mul(sixth, q)),
            S::fma(sixth, S::sub(r, p), u[5]),
        ]
    }
}

/// `f` along the columns, then along the rows, of an `N x N` block of vectors; the result is `M x M`.
macro_rules! both_ways {
    ($S:ident, $f:ident, $n:literal -> $m:literal, $load:expr, $store:expr) => {{
        let mut half = [[$S::splat(0.0); $n]; $m];
        for x in 0..$n {
            let column = $f::<$S>(std::array::from_fn(|y| $load(y, x)));
            for y in 0..$m {
                half[y][x] = column[y];
            }
        }
        for y in 0..$m {
            let row = $f::<$S>(half[y]);
            for x in 0..$m {
                $store(y, x, row[x]);
            }
        }
    }};
}

kernel! {
    /// Filters `[9, rows, columns]` to `[36, rows * columns]` (`count = rows * columns` floats each).
    pub(crate) fn transform_filter<S>(out: &mut [f32], filter: &[f32], count: usize) {
        assert!(out.len() >= POINTS * count && filter.len() >= 9 * count && count % S::LANES == 0);
        let (o, w) = (out.as_mut_ptr(), filter.as_ptr());
        let mut i = 0;
        while i < count {
            both_ways!(S, g, 3 -> 6,
                |y: usize, x: usize| S::load(w.add((y * 3 + x) * count + i)),
                |y: usize, x: usize, v| S::store(o.add((y * 6 + x) * count + i), v));
            i += S::LANES;
        }
    }
}

kernel! {
    /// The adjoint of [`transform_filter`].
    pub(crate) fn transform_filter_back<S>(out: &mut [f32], points: &[f32], count: usize) {
        assert!(out.len() >= 9 * count && points.len() >= POINTS * count && count % S::LANES == 0);
        let (o, u) = (out.as_mut_ptr(), points.as_ptr());
        let mut i = 0;
        while i < count {
            both_ways!(S, g_adjoint, 6 -> 3,
                |y: usize, x: usize| S::load(u.add((y * 6 + x) * count + i)),
                |y: usize, x: usize, v| S::store(o.add((y * 3 + x) * count + i), v));
            i += S::LANES;
        }
    }
}

kernel! {
    /// Input tiles of one framed image to frequencies.
    pub(crate) fn transform_input<S>(points: &mut [f32], framed: &[f32], t: &Tiles) {
        let (c, columns) = (t.channels, 4 * t.across + 2);
        assert!(framed.len() >= (4 * t.down + 2) * columns * c && c % S::LANES == 0);
        assert!(points.len() >= t.len() && (t.first + t.down * t.across) * c <= t.stride);
        for ty in 0..t.down {
            for tx in 0..t.across {
                let from = framed.as_ptr().add((4 * ty * columns + 4 * tx) * c);
                let to = points.as_mut_ptr().add((t.first + ty * t.across + tx) * c);
                let mut j = 0;
                while j < c {
                    both_ways!(S, b, 6 -> 6,
                        |y: usize, x: usize| S::load(from.add((y * columns + x) * c + j)),
                        |y: usize, x: usize, v| S::store(to.add((y * 6 + x) * t.stride + j), v));
                    j += S::LANES;
                }
            }
        }
    }
}

kernel! {
    /// The adjoint of [`transform_input`]: adds to a framed image.
    pub(crate) fn transform_input_back<S>(framed: &mut [f32], points: &[f32], t: &Tiles) {
        let (c, columns) = (t.channels, 4 * t.across + 2);
        assert!(framed.len() >= (4 * t.down + 2) * columns * c && c % S::LANES == 0);
        assert!(points.len() >= t.len() && (t.first + t.down * t.across) * c <= t.stride);
        for ty in 0..t.down {
            for tx in 0..t.across {
                let to = framed.as_mut_ptr().add((4 * ty * columns + 4 * tx) * c);
                let from = points.as_ptr().add((t.first + ty * t.across + tx) * c);
                let mut j = 0;
                while j < c {
                    both_ways!(S, b_adjoint, 6 -> 6,
                        |y: usize, x: usize| S::load(from.add((y * 6 + x) * t.stride + j)),
                        |y: usize, x: usize, v| {
                            let p = to.add((y * columns + x) * c + j);
                            S::store(p, S::add(S::load(p), v));
                        });
                    j += S::LANES;
                }
            }
        }
    }
}

kernel! {
    /// Frequencies to the output image.
    pub(crate) fn transform_output<S>(image: &mut [f32], points: &[f32], t: &Tiles) {
        let (c, columns) = (t.channels, 4 * t.across);
        assert!(image.len() >= 16 * t.down * t.across * c && c % S::LANES == 0);
        assert!(points.len() >= t.len() && (t.first + t.down * t.across) * c <= t.stride);
        for ty in 0..t.down {
            for tx in 0..t.across {
                let to = image.as_mut_ptr().add((4 * ty * columns + 4 * tx) * c);
                let from = points.as_ptr().add((t.first + ty * t.across + tx) * c);
                let mut j = 0;
                while j < c {
                    both_ways!(S, a, 6 -> 4,
                        |y: usize, x: usize| S::load(from.add((y * 6 + x) * t.stride + j)),
                        |y: usize, x: usize, v| S::store(to.add((y * columns + x) * c + j), v));
                    j += S::LANES;
                }
            }
        }
    }
}

kernel! {
    /// The adjoint of [`transform_output`].
    pub(crate) fn transform_output_back<S>(points: &mut [f32], image: &[f32], t: &Tiles) {
        let (c, columns) = (t.channels, 4 * t.across);
        assert!(image.len() >= 16 * t.down * t.across * c && c % S::LANES == 0);
        assert!(points.len() >= t.len() && (t.first + t.down * t.across) * c <= t.stride);
        for ty in 0..t.down {
            for tx in 0..t.across {
                let from = image.as_ptr().add((4 * ty * columns + 4 * tx) * c);
                let to = points.as_mut_ptr().add((t.first + ty * t.across + tx) * c);
                let mut j = 0;
                while j < c {
                    both_ways!(S, a_adjoint, 4 -> 6,
                        |y: usize, x: usize| S::load(from.add((y * columns + x) * c + j)),
                        |y: usize, x: usize, v| S::store(to.add((y * 6 + x) * t.stride + j), v));
                    j += S::LANES;
                }
            }
        }
    }
}

/// One matrix of `tiles` rows; both sides' distances between rows.
fn rows(tiles: usize, source: usize, result: usize) -> Lines {
    Lines { lines: 1, pixels: tiles, source: [0, 0, source], result: [0, 0, result] }
}

const ONE: [Tap; 1] = [Tap { source: 0, weight: 0 }];

kernel! {
    /// Per frequency `out = input * filter`: `[tiles, depth]` times `[depth, width]`.
    pub(crate) fn multiply<S>(
        out: &mut [f32], out_stride: usize, input: &[f32], in_stride: usize, filter: &[f32], tiles: usize,
        depth: usize, width: usize,
    ) {
        assert!(out_stride >= tiles * width && in_stride >= tiles * depth && width % S::LANES == 0);
        assert!(out.len() >= POINTS * out_stride && input.len() >= POINTS * in_stride);
        assert!(filter.len() >= POINTS * depth * width);
        let lines = rows(tiles, depth, width);
        for f in 0..POINTS {
            let (i, w) = (input.as_ptr().add(f * in_stride), filter.as_ptr().add(f * depth * width));
            product::<S>(&lines, i, &ONE, depth, w, width, out.as_mut_ptr().add(f * out_stride), false);
        }
    }
}

kernel! {
    /// Per frequency `filter += input^T * out`, then, if `back` is not empty, `input = out * back`: both gradients while
    /// a frequency's matrices are in the cache. `back` is `[width, depth]` per frequency.
    pub(crate) fn multiply_back<S>(
        input: &mut [f32], in_stride: usize, out: &[f32], out_stride: usize, filter: &mut [f32], back: &[f32],
        tiles: usize, depth: usize, width: usize,
    ) {
        assert!(out_stride >= tiles * width && in_stride >= tiles * depth);
        assert!(width % S::LANES == 0 && depth % S::LANES == 0);
        assert!(out.len() >= POINTS * out_stride && input.len() >= POINTS * in_stride);
        assert!(filter.is_empty() || filter.len() >= POINTS * depth * width);
        assert!(back.is_empty() || back.len() >= POINTS * depth * width);
        let (forth, adjoint) = (rows(tiles, depth, width), rows(tiles, width, depth));
        for f in 0..POINTS {
            let (i, o) = (input.as_mut_ptr().add(f * in_stride), out.as_ptr().add(f * out_stride));
            if !filter.is_empty() {
                outer::<S>(&forth, i, depth, o, width, filter.as_mut_ptr().add(f * depth * width));
            }
            if !back.is_empty() {
                let w = back.as_ptr().add(f * depth * width);
                product::<S>(&adjoint, o, &ONE, width, w, depth, i, false);
            }
        }
    }
}
