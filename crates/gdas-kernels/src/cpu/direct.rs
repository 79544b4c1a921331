//! Direct convolution as register-tiled matrix products, one per kernel position.
//!
//! The source lies in a buffer that already has its zero border, so a kernel position is just an offset. A tile of
//! `R` pixels by `N` vectors of output channels stays in registers while all positions and input channels pass.

use super::simd::{Simd, kernel};

/// A kernel position: where it reads relative to a pixel, and where its weights start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) source: usize,
    pub(crate) weight: usize,
}

/// A rectangle of pixels, visited line by line; all in floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Number of lines.
    pub(crate) lines: usize,
    /// Pixels per line.
    pub(crate) pixels: usize,
    /// Start, step between lines, step between pixels where the wide side reads.
    pub(crate) source: [usize; 3],
    /// The same for the result (or, for weight gradients, the result's gradient).
    pub(crate) result: [usize; 3],
}

impl Lines {
    /// The same pixels, from these channels on.
    pub(crate) fn at_channels(mut self, source: usize, result: usize) -> Self {
        self.source[0] += source;
        self.result[0] += result;
        self
    }

    /// One past the last float that `channels` channels per pixel reach.
    pub(crate) fn end(&self, side: [usize; 3], channels: usize) -> usize {
        if self.lines * self.pixels == 0 {
            return 0;
        }
        side[0] + (self.lines - 1) * side[1] + (self.pixels - 1) * side[2] + channels
    }
}

/// `R` pixels by `N` vectors of the product. `STEP` is the distance of pixels when known, else 0.
///
/// # Safety
/// The processor has the instructions of `S`, and every float that is addressed lies in an array: sources and weights may be read,
/// results written.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const N: usize, const STEP: usize>(
    source: *const f32,
    step: usize,
    taps: &[Tap],
    depth: usize,
    weight: *const f32,
    width: usize,
    result: *mut f32,
    result_step: usize,
    add: bool,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let step = if STEP > 0 { STEP } else { step };
        let mut sums = [[S::splat(0.0); N]; R];
        for tap in taps {
            let (x, w) = (source.add(tap.source), weight.add(tap.weight));
            for k in 0..depth {
                let w: [S::V; N] = std::array::from_fn(|n| S::load(w.add(k * width + n * S::LANES)));
                for r in 0..R {
                    let x = S::splat(*x.add(r * step + k));
                    for n in 0..N {
                        sums[r][n] = S::fma(x, w[n], sums[r][n]);
                    }
                }
            }
        }
        for r in 0..R {
            for n in 0..N {
                let to = result.add(r * result_step + n * S::LANES);
                let sum = if add { S::add(sums[r][n], S::load(to)) } else { sums[r][n] };
                S::store(to, sum);
            }
        }
    }
}

/// All pixels of a line for `N` vectors.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn line<S: Simd, const R: usize, const N: usize, const STEP: usize>(
    pixels: usize,
    source: *const f32,
    step: usize,
    taps: &[Tap],
    depth: usize,
    weight: *const f32,
    width: usize,
    result: *mut f32,
    result_step: usize,
    add: bool,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let mut p = 0;
        macro_rules! blocks {
            ($rows:expr) => {
                while p + $rows <= pixels {
                    let (s, r) = (source.add(p * step), result.add(p * result_step));
                    tile::<S, { $rows }, N, STEP>(s, step, taps, depth, weight, width, r, result_step, add);
                    p += $rows;
                }
            };
        }
        blocks!(R);
        if R > 4 {
            blocks!(4);
        }
        blocks!(1);
    }
}

/// The product of all lines: [`line`] for every vector of output channels.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(crate) unsafe fn product<S: Simd>(
    lines: &Lines,
    source: *const f32,
    taps: &[Tap],
    depth: usize,
    weight: *const f32,
    width: usize,
    result: *mut f32,
    add: bool,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let step = lines.source[2];
        for l in 0..lines.lines {
            let source = source.add(lines.source[0] + l * lines.source[1]);
            let result = result.add(lines.result[0] + l * lines.result[1]);
            let mut c = 0;
            macro_rules! vectors {
                ($n:expr, $wide:expr, $narrow:expr) => {
                    while c + $n * S::LANES <= width {
                        let (w, r) = (weight.add(c), result.add(c));
                        let (p, rs) = (lines.pixels, lines.result[2]);
                        macro_rules! run {
                            ($rows:expr, $step:expr) => {
                                line::<S, { $rows }, { $n }, { $step }>(
                                    p, source, step, taps, depth, w, width, r, rs, add,
                                )
                            };
                        }
                        if S::WIDE {
                            match step {
                                16 => run!($wide, 16),
                                32 => run!($wide, 32),
                                64 => run!($wide, 64),
                                _ => run!($wide, 0),
                            }
                        } else {
                            run!($narrow, 0);
                        }
                        c += $n * S::LANES;
                    }
                };
            }
            if S::WIDE {
                vectors!(4, 4, 1);
            }
            vectors!(2, 8, 4);
            vectors!(1, 16, 8);
        }
    }
}

kernel! {
    /// `result = sum over taps of source * weight` (or `+=`): `depth` channels per source pixel against
    /// `[depth, width]` weights per tap; `width` is a multiple of the vector length.
    pub(crate) fn convolve<S>(
        lines: &Lines, source: &[f32], taps: &[Tap], depth: usize, weight: &[f32], width: usize, result: &mut [f32],
        add: bool,
    ) {
        if lines.lines * lines.pixels == 0 {
            return;
        }
        assert!(width % S::LANES == 0);
        assert!(lines.end(lines.result, width) <= result.len());
        for tap in taps {
            assert!(lines.end(lines.source, tap.source + depth) <= source.len());
            assert!(tap.weight + depth * width <= weight.len());
        }
        product::<S>(lines, source.as_ptr(), taps, depth, weight.as_ptr(), width, result.as_mut_ptr(), add);
    }
}

/// `K` input channels by `N` vectors of a weight gradient.
///
/// # Safety
/// The processor has the instructions of `S`, and every float that is addressed lies in an array: sources and weights may be read,
/// results written.
#[inline(always)]
unsafe fn outer_tile<S: Simd, const K: usize, const N: usize>(
    lines: &Lines,
    source: *const f32,
    gradient: *const f32,
    weight: *mut f32,
    width: usize,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let mut sums: [[S::V; N]; K] =
            std::array::from_fn(|k| std::array::from_fn(|n| S::load(weight.add(k * width + n * S::LANES))));
        for l in 0..lines.lines {
            let mut x = source.add(lines.source[0] + l * lines.source[1]);
            let mut d = gradient.add(lines.result[0] + l * lines.result[1]);
            for _ in 0..lines.pixels {
                let dv: [S::V; N] = std::array::from_fn(|n| S::load(d.add(n * S::LANES)));
                for k in 0..K {
                    let xv = S::splat(*x.add(k));
                    for n in 0..N {
                        sums[k][n] = S::fma(xv, dv[n], sums[k][n]);
                    }
                }
                x = x.wrapping_add(lines.source[2]);
                d = d.wrapping_add(lines.result[2]);
            }
        }
        for k in 0..K {
            for n in 0..N {
                S::store(weight.add(k * width + n * S::LANES), sums[k][n]);
            }
        }
    }
}

/// The weight gradient of one tap: [`outer_tile`] for every block of input and output channels.
///
/// # Safety
/// As [`outer_tile`].
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd>(
    lines: &Lines,
    source: *const f32,
    depth: usize,
    gradient: *const f32,
    width: usize,
    weight: *mut f32,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let mut c = 0;
        macro_rules! vectors {
            ($n:expr, $rows:expr) => {
                while c + $n * S::LANES <= width {
                    let mut k = 0;
                    macro_rules! rows {
                        ($k:expr) => {
                            while k + $k <= depth {
                                let w = weight.add(k * width + c);
                                outer_tile::<S, { $k }, { $n }>(lines, source.add(k), gradient.add(c), w, width);
                                k += $k;
                            }
                        };
                    }
                    if S::WIDE {
                        rows!($rows);
                    }
                    if $rows > 4 {
                        rows!(4);
                    }
                    rows!(1);
                    c += $n * S::LANES;
                }
            };
        }
        if S::WIDE {
            vectors!(4, 4);
        }
        vectors!(2, 8);
        vectors!(1, 16);
    }
}

kernel! {
    /// `weight[tap] += sum over pixels of source[pixel + tap]^T * gradient[pixel]`, `[depth, width]` per tap.
    pub(crate) fn convolve_weight<S>(
        lines: &Lines, source: &[f32], taps: &[Tap], depth: usize, gradient: &[f32], width: usize, weight: &mut [f32],
    ) {
        if lines.lines * lines.pixels == 0 {
            return;
        }
        assert!(width % S::LANES == 0);
        assert!(lines.end(lines.result, width) <= gradient.len());
        for tap in taps {
            assert!(lines.end(lines.source, tap.source + depth) <= source.len());
            assert!(tap.weight + depth * width <= weight.len());
            let (x, w) = (source.as_ptr().add(tap.source), weight.as_mut_ptr().add(tap.weight));
            outer::<S>(lines, x, depth, gradient.as_ptr(), width, w);
        }
    }
}
