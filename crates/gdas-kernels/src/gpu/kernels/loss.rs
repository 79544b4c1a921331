//! Cross-entropy of class scores.

use cubecl::prelude::*;

/// Whether a number is neither infinite nor NaN, by its bits: shader compilers may assume that there are no such numbers.
#[cube]
pub(super) fn is_finite(x: f32) -> bool {
    (u32::reinterpret(x) & 0x7f80_0000u32) != 0x7f80_0000u32
}

/// One image per thread: its row of the mean loss's gradient, and its terms `[loss, top 1, top 5]` of the sums.
#[cube(launch)]
pub(in crate::gpu) fn cross_entropy(
    scores: &Tensor<f32>,
    labels: &Tensor<u32>,
    gradient: &mut Tensor<f32>,
    each: &mut Tensor<f32>,
    images: usize,
    smoothing: f32,
    #[comptime] classes: usize,
) {
    if ABSOLUTE_POS >= images {
        terminate!();
    }
    let first = ABSOLUTE_POS * classes;
    let label = labels[ABSOLUTE_POS] as usize;
    let own = scores[first + label];
    let mut max = own;
    let mut sum = f32::new(0.0);
    let mut better = 0u32;
    for k in 0..classes {
        let value = scores[first + k];
        if value > max {
            max = value;
        }
        sum += value;
        if value > own || (value == own && k < label) {
            better += 1u32;
        }
    }
    let mut total = f32::new(0.0);
    for k in 0..classes {
        total += (scores[first + k] - max).exp();
    }
    let of_all = smoothing / comptime!(classes as f32);
    let of_own = 1.0f32 - smoothing;
    let count = images as f32;
    for k in 0..classes {
        let mut target = of_all;
        if k == label {
            target += of_own;
        }
        gradient[first + k] = ((scores[first + k] - max).exp() / total - target) / count;
    }
    let mut at_first = f32::new(0.0);
    let mut among_five = f32::new(0.0);
    if is_finite(own) {
        if better == 0u32 {
            at_first = f32::new(1.0);
        }
        if better < 5u32 {
            among_five = f32::new(1.0);
        }
    }
    each[ABSOLUTE_POS * 3] = max + total.ln() - of_own * own - of_all * sum;
    each[ABSOLUTE_POS * 3 + 1] = at_first;
    each[ABSOLUTE_POS * 3 + 2] = among_five;
}

/// The sums over all images, and the mean loss.
#[cube(launch)]
pub(in crate::gpu) fn cross_entropy_sums(
    each: &Tensor<f32>,
    sums: &mut Tensor<f32>,
    mean: &mut Tensor<f32>,
    images: usize,
) {
    if ABSOLUTE_POS >= 3 {
        terminate!();
    }
    let mut sum = f32::new(0.0);
    for n in 0..images {
        sum += each[n * 3 + ABSOLUTE_POS];
    }
    sums[ABSOLUTE_POS] = sum;
    if ABSOLUTE_POS == 0 {
        mean[0] = sum / images as f32;
    }
}

/// `y = x * by[0]`.
#[cube(launch)]
pub(in crate::gpu) fn scale(x: &Tensor<f32>, by: &Tensor<f32>, y: &mut Tensor<f32>) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = x[ABSOLUTE_POS] * by[0];
}
