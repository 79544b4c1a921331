//! Batch normalisation, and the sums over a batch that it and others need. Such sums are made in two launches: a fixed
//! number of parts, then the sum over the parts, so that they come out alike every time.

use cubecl::prelude::*;

use crate::graph::NORM_EPSILON;

/// Sums of `x - k` and `(x - k)^2` per channel in parts, `[parts, 2, channels]`. `k` is the channel's first element,
/// which keeps the variance exact where the mean is far from zero.
#[cube(launch)]
pub(in crate::gpu) fn moments<S: Float>(
    x: &Tensor<S>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    pixels: usize,
    parts: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= parts * channels {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let part = ABSOLUTE_POS / channels;
    let k = f32::cast_from(x[c]);
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    let mut pixel = part;
    while pixel < pixels {
        let d = f32::cast_from(x[pixel * channels + c]) - k;
        first += d;
        second += d * d;
        pixel += parts;
    }
    partial[part * comptime!(2 * channels) + c] = first;
    partial[part * comptime!(2 * channels) + channels + c] = second;
}

/// Mean and biased variance from [`moments`], into `stats[offset..]` as `[2, channels]`.
#[cube(launch)]
pub(in crate::gpu) fn moments_finish<S: Float>(
    x: &Tensor<S>,
    partial: &Tensor<f32>,
    stats: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    offset: usize,
    count: f32,
    parts: usize,
    #[comptime] channels: usize,
) {
    let c = ABSOLUTE_POS;
    if c >= channels {
        terminate!();
    }
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    for part in 0..parts {
        first += partial[part * comptime!(2 * channels) + c];
        second += partial[part * comptime!(2 * channels) + channels + c];
    }
    let shift = first / count;
    let mut variance = second / count - shift * shift;
    if variance < 0.0 {
        variance = f32::new(0.0);
    }
    stats[offset + c] = f32::cast_from(x[c]) + shift;
    stats[offset + channels + c] = variance;
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
#[cube(launch)]
pub(in crate::gpu) fn norm_forward<S: Float>(
    x: &Tensor<S>,
    stats: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    offset: usize,
    #[comptime] channels: usize,
    #[comptime] has_gamma: bool,
    #[comptime] has_beta: bool,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let deviation = (stats[offset + channels + c] + comptime!(NORM_EPSILON)).sqrt();
    let mut value = (f32::cast_from(x[ABSOLUTE_POS]) - stats[offset + c]) / deviation;
    if comptime!(has_gamma) {
        value *= gamma[c];
    }
    if comptime!(has_beta) {
        value += beta[c];
    }
    y[ABSOLUTE_POS] = S::cast_from(value);
}

/// Sums of `dy` and of `dy * normalised x` per channel, in parts as [`moments`].
#[cube(launch)]
pub(in crate::gpu) fn norm_backward_sums<S: Float>(
    x: &Tensor<S>,
    dy: &Tensor<S>,
    stats: &Tensor<f32>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    offset: usize,
    pixels: usize,
    parts: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= parts * channels {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let part = ABSOLUTE_POS / channels;
    let mean = stats[offset + c];
    let deviation = (stats[offset + channels + c] + comptime!(NORM_EPSILON)).sqrt();
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    let mut pixel = part;
    while pixel < pixels {
        let upstream = f32::cast_from(dy[pixel * channels + c]);
        first += upstream;
        second += upstream * (f32::cast_from(x[pixel * channels + c]) - mean) / deviation;
        pixel += parts;
    }
    partial[part * comptime!(2 * channels) + c] = first;
    partial[part * comptime!(2 * channels) + channels + c] = second;
}

/// Gradient of the input from the two sums (`[2, channels]`); without `batch` the statistics were constants.
#[cube(launch)]
pub(in crate::gpu) fn norm_backward<S: Float>(
    x: &Tensor<S>,
    dy: &Tensor<S>,
    stats: &Tensor<f32>,
    gamma: &Tensor<f32>,
    sums: &Tensor<f32>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    offset: usize,
    count: f32,
    #[comptime] channels: usize,
    #[comptime] has_gamma: bool,
    #[comptime] batch: bool,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let deviation = (stats[offset + channels + c] + comptime!(NORM_EPSILON)).sqrt();
    let mut value = f32::cast_from(dy[ABSOLUTE_POS]);
    if comptime!(batch) {
        let normal = (f32::cast_from(x[ABSOLUTE_POS]) - stats[offset + c]) / deviation;
        value -= (sums[c] + normal * sums[channels + c]) / count;
    }
    value /= deviation;
    if comptime!(has_gamma) {
        value *= gamma[c];
    }
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(value);
}

/// Sums groups of `per` parts: `out[g, i] = sum over k < per of partial[g * per + k, i]`, `length` elements each.
#[cube(launch)]
pub(in crate::gpu) fn fold(partial: &Tensor<f32>, out: &mut Tensor<f32>, per: usize, length: usize) {
    if ABSOLUTE_POS >= out.len() {
        terminate!();
    }
    let i = ABSOLUTE_POS % length;
    let first = (ABSOLUTE_POS / length) * per;
    let mut sum = f32::new(0.0);
    for k in 0..per {
        sum += partial[(first + k) * length + i];
    }
    out[ABSOLUTE_POS] = sum;
}

/// Sums per channel in parts, `[parts, channels]`.
#[cube(launch)]
pub(in crate::gpu) fn channel_sums<S: Float>(
    x: &Tensor<S>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    pixels: usize,
    parts: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= partial.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let mut sum = f32::new(0.0);
    let mut pixel = ABSOLUTE_POS / channels;
    while pixel < pixels {
        sum += f32::cast_from(x[pixel * channels + c]);
        pixel += parts;
    }
    partial[ABSOLUTE_POS] = sum;
}

/// [`fold`] of many at once, all parts of each: `out[i] = factor * sum over k < parts of partial[k * stride + start + i]`. The
/// first `filled` places hold something.
#[cube(launch)]
pub(in crate::gpu) fn fold_many(
    partials: &Sequence<OwnedTensor<f32>>,
    outs: &mut Sequence<OwnedTensor<f32>>,
    parts: Sequence<usize>,
    strides: Sequence<usize>,
    starts: Sequence<usize>,
    factor: f32,
    filled: usize,
    threads: usize,
) {
    if ABSOLUTE_POS >= threads {
        terminate!();
    }
    let count = comptime!(partials.len());
    #[unroll]
    for i in 0..count {
        if i < filled {
            let own = parts[i];
            let mut at = ABSOLUTE_POS;
            while at < outs[i].len() {
                let mut sum = f32::new(0.0);
                for k in 0..own {
                    sum += partials[i][k * strides[i] + starts[i] + at];
                }
                outs.index_mut(i).as_mut_slice()[at] = sum * factor;
                at += threads;
            }
        }
    }
}
