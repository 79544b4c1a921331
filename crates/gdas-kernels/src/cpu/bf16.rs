//! Direct convolution with products of bfloat16 numbers (8 bits of precision) and sums in `f32`, for processors with
//! AVX512-BF16.
//!
//! One instruction multiplies and adds two input channels at a time. Input and weights are rounded to the nearest
//! bfloat16, two neighbouring input channels side by side; where the number of channels is odd, the last one's
//! neighbour is zero. Accumulation, results and everything else stay `f32`.

use std::arch::x86_64::*;

use super::direct::{Lines, Tap};
use super::pool::Buffer;

/// Floats per vector.
const LANES: usize = 16;

/// Rounds `[rows, width]` weights and puts two rows side by side: element `[row / 2, column]` of the result holds both
/// in its 32 bits. `rows` is even or the last pair's second half is zero.
pub(crate) fn pair_rows(weight: &[f32], rows: usize, width: usize, pairs: &mut [f32]) {
    for (row, to) in pairs.chunks_exact_mut(width).enumerate().take(rows.div_ceil(2)) {
        let low = &weight[2 * row * width..][..width];
        let high = weight.get((2 * row + 1) * width..(2 * row + 2) * width).filter(|_| 2 * row + 1 < rows);
        for (column, to) in to.iter_mut().enumerate() {
            let high = high.map_or(0, |high| round(high[column]));
            *to = f32::from_bits(u32::from(high) << 16 | u32::from(round(low[column])));
        }
    }
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// As [`convolve`](super::direct::convolve), with weights from [`pair_rows`]; a tap's place counts their pairs.
///
/// All distances between source pixels are even.
///
/// # Panics
/// If a slice is too short, or the processor lacks the instructions.
pub(crate) fn convolve(
    lines: &Lines,
    source: &[f32],
    taps: &[Tap],
    depth: usize,
    pairs: &[f32],
    width: usize,
    result: &mut [f32],
    add: bool,
) {
    if lines.lines * lines.pixels == 0 {
        return;
    }
    assert!(is_available() && width.is_multiple_of(LANES));
    assert!(lines.end(lines.result, width) <= result.len());
    assert!(lines.source.iter().all(|s| s.is_multiple_of(2)));
    let mut end = 0;
    for tap in taps {
        assert!(tap.source.is_multiple_of(2));
        assert!(tap.weight + depth.div_ceil(2) * width <= pairs.len());
        end = end.max(lines.end(lines.source, tap.source + depth));
    }
    assert!(end <= source.len());
    let mut rounded = Buffer::new(end.div_ceil(2 * LANES) * LANES);
    // SAFETY: the instructions are there. `rounded` holds a pair for every two floats before `end`, beyond which no tap
    // reads; the other lengths were checked above.
    unsafe {
        round_all(&source[..end], &mut rounded);
        product(lines, rounded.as_ptr(), taps, depth, pairs.as_ptr(), width, result.as_mut_ptr(), add);
    }
}

/// Whether this processor has the instructions.
pub(crate) fn is_available() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// # Safety
/// The processor has the instructions; `to` has room for `from.len()` bfloat16 numbers, rounded up to whole vectors.
#[target_feature(enable = "avx512f,avx512bf16,avx512vl,avx512bw")]
unsafe fn round_all(from: &[f32], to: &mut [f32]) {
    // SAFETY: the caller's promise; the mask keeps the last load inside `from`.
    unsafe {
        let to = to.as_mut_ptr().cast::<u16>();
        let mut i = 0;
        while i < from.len() {
            let mask = if from.len() - i >= LANES { !0 } else { (1u16 << (from.len() - i)) - 1 };
            let x = _mm512_maskz_loadu_ps(mask, from.as_ptr().add(i));
            let half: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(x));
            _mm256_storeu_si256(to.add(i).cast(), half);
            i += LANES;
        }
    }
}

/// `R` pixels by `N` vectors of the product; `source` and `weight` are pairs.
///
/// # Safety
/// All addressed pairs and floats are valid, and the processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile<const R: usize, const N: usize>(
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
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); N]; R];
        for tap in taps {
            let (x, w) = (source.add(tap.source / 2), weight.add(tap.weight));
            for k in 0..depth.div_ceil(2) {
                // The neighbour of an odd last channel is padding, whatever it holds.
                let keep = if 2 * k + 1 < depth { -1 } else { 0xffff };
                let w: [__m512bh; N] =
                    std::array::from_fn(|n| std::mem::transmute(_mm512_loadu_ps(w.add(k * width + n * LANES))));
                for r in 0..R {
                    let pair = x.add(r * step + k).cast::<i32>().read_unaligned() & keep;
                    let x: __m512bh = std::mem::transmute(_mm512_set1_epi32(pair));
                    for n in 0..N {
                        sums[r][n] = _mm512_dpbf16_ps(sums[r][n], x, w[n]);
                    }
                }
            }
        }
        for r in 0..R {
            for n in 0..N {
                let to = result.add(r * result_step + n * LANES);
                let sum = if add { _mm512_add_ps(sums[r][n], _mm512_loadu_ps(to)) } else { sums[r][n] };
                _mm512_storeu_ps(to, sum);
            }
        }
    }
}

/// # Safety
/// As [`tile`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn product(
    lines: &Lines,
    source: *const f32,
    taps: &[Tap],
    depth: usize,
    weight: *const f32,
    width: usize,
    result: *mut f32,
    add: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (step, result_step) = (lines.source[2] / 2, lines.result[2]);
        for l in 0..lines.lines {
            let source = source.add(lines.source[0] / 2 + l * (lines.source[1] / 2));
            let result = result.add(lines.result[0] + l * lines.result[1]);
            let mut c = 0;
            macro_rules! vectors {
                ($n:expr, $($rows:expr),*) => {
                    while c + $n * LANES <= width {
                        let mut p = 0;
                        $(while p + $rows <= lines.pixels {
                            let (s, w, r) = (source.add(p * step), weight.add(c), result.add(p * result_step + c));
                            tile::<{ $rows }, { $n }>(s, step, taps, depth, w, width, r, result_step, add);
                            p += $rows;
                        })*
                        c += $n * LANES;
                    }
                };
            }
            vectors!(4, 4, 1);
            vectors!(2, 8, 4, 1);
            vectors!(1, 16, 4, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_and_ties_to_even() {
        for (x, expected) in [
            (1.0, 1.0),
            (-0.0, -0.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.01 / 256.0, 1.0 + 2.0 / 256.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            let got = f32::from_bits(u32::from(round(x)) << 16);
            assert_eq!(got.to_bits(), f32::to_bits(expected), "{x} gives {got}");
        }
        let quiet = f32::from_bits(0x7f80_0001);
        assert!(f32::from_bits(u32::from(round(quiet)) << 16).is_nan());
    }

    /// The plain sums of the rounded numbers, with an odd number of channels whose neighbour is not a number.
    #[test]
    fn products_are_those_of_the_rounded_numbers() {
        if !is_available() {
            eprintln!("skipped: this processor has no AVX512-BF16");
            return;
        }
        let rounded = |x: f32| f32::from_bits(u32::from(round(x)) << 16);
        for (depth, width, pixels) in [(16, 16, 21), (7, 32, 9), (1, 64, 5), (33, 112, 3)] {
            let padded = usize::next_multiple_of(depth, LANES);
            let value = |i: usize| ((i * i % 1009) as f32 * 0.7).sin();
            let source: Vec<f32> =
                (0..pixels * padded).map(|i| if i % padded < depth { value(i) } else { f32::NAN }).collect();
            let weight: Vec<f32> = (0..depth * width).map(|i| value(i + 5000)).collect();
            let mut pairs = vec![0.0; depth.div_ceil(2) * width];
            pair_rows(&weight, depth, width, &mut pairs);
            let lines = Lines { lines: 1, pixels, source: [0, 0, padded], result: [0, 0, width] };
            let taps = [Tap { source: 0, weight: 0 }];
            let mut result = vec![1.0; pixels * width];
            convolve(&lines, &source, &taps, depth, &pairs, width, &mut result, true);
            let (mut error, mut size) = (0.0, 0.0);
            for p in 0..pixels {
                for c in 0..width {
                    let exact = |k| f64::from(source[p * padded + k]) * f64::from(weight[k * width + c]);
                    let exact: f64 = (0..depth).map(exact).sum();
                    error += (f64::from(result[p * width + c]) - 1.0 - exact).powi(2);
                    size += exact * exact;
                    let product = |k| rounded(source[p * padded + k]) * rounded(weight[k * width + c]);
                    let expected = 1.0 + (0..depth).map(product).sum::<f32>();
                    let got = result[p * width + c];
                    assert!(
                        (got - expected).abs() < 1e-5,
                        "{depth}x{width}, pixel {p}, channel {c}: {got}, {expected}"
                    );
                }
            }
            // Two factors, each rounded by at most 2^-8 of itself.
            let error = (error / size).sqrt();
            println!("{depth} to {width} channels: root mean square error {error:.5} of the result");
            assert!(error < 2.0 / 256.0, "{depth} to {width} channels: {error}");
        }
    }
}
