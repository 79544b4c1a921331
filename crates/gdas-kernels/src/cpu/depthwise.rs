//! Depthwise convolution of one image: per channel, a few products per pixel.

use super::direct::{Lines, Tap};
use super::simd::{Simd, kernel};

/// `P` pixels of one vector of channels, `T` taps whose weights stay in registers.
///
/// # Safety
/// The processor has the instructions of `S`, and every float that is addressed lies in an array: sources and weights may be read,
/// results written.
#[inline(always)]
unsafe fn run<S: Simd, const T: usize, const P: usize>(
    lines: &Lines,
    source: *const f32,
    taps: &[Tap],
    weight: *const f32,
    result: *mut f32,
    add: bool,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let w: [S::V; T] = std::array::from_fn(|t| S::load(weight.add(taps[t].weight)));
        let at: [usize; T] = std::array::from_fn(|t| taps[t].source);
        let (step, result_step) = (lines.source[2], lines.result[2]);
        for l in 0..lines.lines {
            let mut x = source.add(lines.source[0] + l * lines.source[1]);
            let mut r = result.add(lines.result[0] + l * lines.result[1]);
            let mut left = lines.pixels;
            while left >= P {
                let mut sums: [S::V; P] =
                    std::array::from_fn(|p| if add { S::load(r.add(p * result_step)) } else { S::splat(0.0) });
                for t in 0..T {
                    for p in 0..P {
                        sums[p] = S::fma(S::load(x.add(at[t] + p * step)), w[t], sums[p]);
                    }
                }
                for p in 0..P {
                    S::store(r.add(p * result_step), sums[p]);
                }
                x = x.wrapping_add(P * step);
                r = r.wrapping_add(P * result_step);
                left -= P;
            }
            while left > 0 {
                let mut sum = if add { S::load(r) } else { S::splat(0.0) };
                for t in 0..T {
                    sum = S::fma(S::load(x.add(at[t])), w[t], sum);
                }
                S::store(r, sum);
                x = x.wrapping_add(step);
                r = r.wrapping_add(result_step);
                left -= 1;
            }
        }
    }
}

kernel! {
    /// `result (+)= sum over taps of source * weight`, channel by channel; `channels` is a multiple of the vector length.
    pub(crate) fn depthwise<S>(
        lines: &Lines, source: &[f32], taps: &[Tap], channels: usize, weight: &[f32], result: &mut [f32], add: bool,
    ) {
        if lines.lines * lines.pixels == 0 {
            return;
        }
        assert!(channels % S::LANES == 0 && lines.end(lines.result, channels) <= result.len());
        for tap in taps {
            assert!(lines.end(lines.source, tap.source + channels) <= source.len());
            assert!(tap.weight + channels <= weight.len());
        }
        let mut c = 0;
        while c < channels {
            let (x, w, r) = (source.as_ptr().add(c), weight.as_ptr().add(c), result.as_mut_ptr().add(c));
            let (mut rest, mut add) = (taps, add);
            if rest.is_empty() && !add {
                run::<S, 0, 1>(lines, x, rest, w, r, false);
            }
            macro_rules! some {
                ($t:expr, $p:expr) => {
                    while rest.len() >= $t {
                        run::<S, { $t }, { $p }>(lines, x, &rest[..$t], w, r, add);
                        rest = &rest[$t..];
                        add = true;
                    }
                };
            }
            if S::WIDE {
                some!(25, 4);
            }
            some!(9, 4);
            some!(3, 4);
            some!(1, 4);
            c += S::LANES;
        }
    }
}

/// Weight gradient of `T` taps of one vector of channels.
///
/// # Safety
/// The processor has the instructions of `S`, and every float that is addressed lies in an array: sources and weights may be read,
/// results written.
#[inline(always)]
unsafe fn run_weight<S: Simd, const T: usize>(
    lines: &Lines,
    source: *const f32,
    taps: &[Tap],
    gradient: *const f32,
    weight: *mut f32,
) {
    // SAFETY: the contract of this function.
    unsafe {
        let mut sums: [S::V; T] = std::array::from_fn(|t| S::load(weight.add(taps[t].weight)));
        let at: [usize; T] = std::array::from_fn(|t| taps[t].source);
        for l in 0..lines.lines {
            let mut x = source.add(lines.source[0] + l * lines.source[1]);
            let mut d = gradient.add(lines.result[0] + l * lines.result[1]);
            for _ in 0..lines.pixels {
                let dv = S::load(d);
                for t in 0..T {
                    sums[t] = S::fma(S::load(x.add(at[t])), dv, sums[t]);
                }
                x = x.wrapping_add(lines.source[2]);
                d = d.wrapping_add(lines.result[2]);
            }
        }
        for t in 0..T {
            S::store(weight.add(taps[t].weight), sums[t]);
        }
    }
}

kernel! {
    /// `weight[tap] += sum over pixels of source[pixel + tap] * gradient[pixel]`, channel by channel.
    pub(crate) fn depthwise_weight<S>(
        lines: &Lines, source: &[f32], taps: &[Tap], channels: usize, gradient: &[f32], weight: &mut [f32],
    ) {
        if lines.lines * lines.pixels == 0 {
            return;
        }
        assert!(channels % S::LANES == 0 && lines.end(lines.result, channels) <= gradient.len());
        for tap in taps {
            assert!(lines.end(lines.source, tap.source + channels) <= source.len());
            assert!(tap.weight + channels <= weight.len());
        }
        let mut c = 0;
        while c < channels {
            let (x, d, w) = (source.as_ptr().add(c), gradient.as_ptr().add(c), weight.as_mut_ptr().add(c));
            let mut rest = taps;
            macro_rules! some {
                ($t:expr) => {
                    while rest.len() >= $t {
                        run_weight::<S, { $t }>(lines, x, &rest[..$t], d, w);
                        rest = &rest[$t..];
                    }
                };
            }
            if S::WIDE {
                some!(25);
            }
            some!(9);
            some!(3);
            some!(1);
            c += S::LANES;
        }
    }
}
