//! Batch normalisation, and sums over a batch. Such a sum takes two launches, a fixed number of parts (one cube each) and the sum
//! over the parts, so that its bits are the same every time.

use cubecl::prelude::*;

use super::cube::{COLUMNS, CUBE, LANES, column_sum, seat};
use crate::graph::NORM_EPSILON;

/// The part of a sum over pixels that a thread belongs to: cubes are `[values, parts, blocks of channels]`.
#[derive(CubeType)]
struct Part {
    /// Index of the value in its launch.
    value: usize,
    /// The first pixel of the thread.
    first: usize,
    channel: usize,
    /// Whether there is such a channel: the last block need not be full.
    exists: bool,
    /// Index of its two sums in `[values, parts, 2, channels]`.
    row: usize,
    /// Whether this thread writes them.
    writes: bool,
}

/// The part of a thread of a launch that comes after `before` values.
#[cube]
fn part_of(before: usize, parts: usize, #[comptime] channels: usize) -> Part {
    let seat = seat();
    let blocks = comptime!(channels.div_ceil(COLUMNS));
    let channel = (CUBE_POS % blocks) * COLUMNS + seat.column;
    let part = (CUBE_POS / blocks) % parts;
    let value = CUBE_POS / (parts * blocks);
    let row = ((before + value) * parts + part) * comptime!(2 * channels) + channel;
    let exists = channel < channels;
    Part { value, first: part * LANES + seat.lane, channel, exists, row, writes: exists && seat.lane == 0 }
}

/// Adds up the two sums of the threads of a channel's part, and writes them. All threads of the cube must call it together.
#[cube]
fn write_part(own: &Part, first: f32, second: f32, partial: &mut Tensor<f32>, #[comptime] channels: usize) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(2 * CUBE));
    shared[UNIT_POS as usize] = first;
    shared[CUBE + UNIT_POS as usize] = second;
    sync_cube();
    if own.writes {
        let column = UNIT_POS as usize;
        partial[own.row] = column_sum(&mut shared, 0, column);
        partial[own.row + channels] = column_sum(&mut shared, CUBE, column);
    }
}

/// Sums of `x - k` and `(x - k)^2` per channel of several values of one shape, in parts: from the `before`-th row of `partial` on,
/// `[values, parts, 2, channels]`. `k` is the channel's first element, which keeps the variance exact where the mean is far from
/// zero; it goes to `firsts`, `[values, channels]`.
#[cube(launch)]
pub(in crate::gpu) fn moments<S: Float>(
    xs: &Sequence<OwnedTensor<S>>,
    firsts: &mut Tensor<f32>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    before: usize,
    pixels: usize,
    parts: usize,
    #[comptime] channels: usize,
) {
    let count = comptime!(xs.len());
    if CUBE_POS >= parts * comptime!(count * channels.div_ceil(COLUMNS)) {
        terminate!();
    }
    let own = part_of(before, parts, channels);
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    #[unroll]
    for i in 0..count {
        if own.value == i && own.exists {
            let k = f32::cast_from(xs[i][own.channel]);
            let mut pixel = own.first;
            while pixel < pixels {
                let d = f32::cast_from(xs[i][pixel * channels + own.channel]) - k;
                first += d;
                second += d * d;
                pixel += parts * LANES;
            }
            if own.first == 0 {
                firsts[(before + i) * channels + own.channel] = k;
            }
        }
    }
    write_part(&own, first, second, partial, channels);
}

/// Writes the coefficients of a normalisation (mean, reciprocal of the standard deviation, gamma, beta) to `[4, channels]` from
/// `2 * offset` on, and its mean and variance to `stats[offset..]` as `[2, channels]`.
#[cube]
fn prepare(
    mean: f32,
    variance: f32,
    factor: f32,
    summand: f32,
    stats: &mut Tensor<f32>,
    norms: &mut Tensor<f32>,
    offset: usize,
    c: usize,
    #[comptime] channels: usize,
) {
    stats[offset + c] = mean;
    stats[offset + channels + c] = variance;
    let at = 2 * offset + c;
    norms[at] = mean;
    norms[at + channels] = 1.0f32 / (variance + comptime!(NORM_EPSILON)).sqrt();
    norms[at + comptime!(2 * channels)] = factor;
    norms[at + comptime!(3 * channels)] = summand;
}

/// `(x - mean) / sqrt(variance + epsilon)`. `at` is the normalisation's place in `norms`, and the channel.
#[cube]
pub(super) fn standardised(x: f32, norms: &Tensor<f32>, at: usize, #[comptime] channels: usize) -> f32 {
    (x - norms[at]) * norms[at + channels]
}

/// [`standardised`], times gamma, plus beta.
#[cube]
pub(super) fn normalised(x: f32, norms: &Tensor<f32>, at: usize, #[comptime] channels: usize) -> f32 {
    standardised(x, norms, at, channels) * norms[at + comptime!(2 * channels)] + norms[at + comptime!(3 * channels)]
}

/// Means, biased variances and coefficients from [`moments`]: see [`prepare`]. Without its bit in `has_gamma` or
/// `has_beta` a normalisation has no such parameter. Cubes are `[values, blocks of channels]`.
#[cube(launch)]
pub(in crate::gpu) fn moments_finish(
    firsts: &Tensor<f32>,
    partial: &Tensor<f32>,
    gammas: &Sequence<OwnedTensor<f32>>,
    betas: &Sequence<OwnedTensor<f32>>,
    stats: &mut Tensor<f32>,
    norms: &mut Tensor<f32>,
    offsets: Sequence<usize>,
    before: usize,
    count: f32,
    parts: usize,
    #[comptime] channels: usize,
    #[comptime] has_gamma: u32,
    #[comptime] has_beta: u32,
) {
    let values = comptime!(gammas.len());
    let blocks = comptime!(channels.div_ceil(COLUMNS));
    if CUBE_POS >= comptime!(gammas.len() * channels.div_ceil(COLUMNS)) {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(2 * CUBE));
    let seat = seat();
    let c = (CUBE_POS % blocks) * COLUMNS + seat.column;
    let which = CUBE_POS / blocks;
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    if c < channels {
        let mut part = seat.lane;
        while part < parts {
            let row = ((before + which) * parts + part) * comptime!(2 * channels) + c;
            first += partial[row];
            second += partial[row + channels];
            part += LANES;
        }
    }
    shared[UNIT_POS as usize] = first;
    shared[CUBE + UNIT_POS as usize] = second;
    sync_cube();
    if c < channels && seat.lane == 0 {
        first = column_sum(&mut shared, 0, seat.column);
        second = column_sum(&mut shared, CUBE, seat.column);
        let shift = first / count;
        let mut variance = second / count - shift * shift;
        if variance < 0.0 {
            variance = f32::new(0.0);
        }
        let mean = firsts[(before + which) * channels + c] + shift;
        #[unroll]
        for i in 0..values {
            if which == i {
                let mut factor = f32::new(1.0);
                if comptime!((has_gamma >> i) & 1 == 1) {
                    factor = gammas[i][c];
                }
                let mut summand = f32::new(0.0);
                if comptime!((has_beta >> i) & 1 == 1) {
                    summand = betas[i][c];
                }
                prepare(mean, variance, factor, summand, stats, norms, offsets[i], c, channels);
            }
        }
    }
}

/// As [`moments_finish`], of one normalisation with running statistics, `[2, channels]`.
#[cube(launch)]
pub(in crate::gpu) fn norm_of_running(
    running: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    stats: &mut Tensor<f32>,
    norms: &mut Tensor<f32>,
    offset: usize,
    #[comptime] channels: usize,
    #[comptime] has_gamma: bool,
    #[comptime] has_beta: bool,
) {
    let c = ABSOLUTE_POS;
    if c >= channels {
        terminate!();
    }
    let mut factor = f32::new(1.0);
    if comptime!(has_gamma) {
        factor = gamma[c];
    }
    let mut summand = f32::new(0.0);
    if comptime!(has_beta) {
        summand = beta[c];
    }
    prepare(running[c], running[channels + c], factor, summand, stats, norms, offset, c, channels);
}

/// Every element [`normalised`], by the coefficients from `at` of `norms` on.
#[cube(launch)]
pub(in crate::gpu) fn norm_forward<S: Float>(
    x: &Tensor<S>,
    norms: &Tensor<f32>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    at: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let value = f32::cast_from(x[ABSOLUTE_POS]);
    y[ABSOLUTE_POS] = S::cast_from(normalised(value, norms, at + ABSOLUTE_POS % channels, channels));
}

/// Sums of `dy` and of `dy * standardised x` per channel, for several values with one gradient, in parts as [`moments`].
/// `norm_of` has the index of each value's coefficients in `norms`.
#[cube(launch)]
pub(in crate::gpu) fn norm_backward_sums<S: Float>(
    xs: &Sequence<OwnedTensor<S>>,
    dy: &Tensor<S>,
    norms: &Tensor<f32>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    norm_of: Sequence<usize>,
    before: usize,
    pixels: usize,
    parts: usize,
    #[comptime] channels: usize,
) {
    let count = comptime!(xs.len());
    if CUBE_POS >= parts * comptime!(count * channels.div_ceil(COLUMNS)) {
        terminate!();
    }
    let own = part_of(before, parts, channels);
    let mut first = f32::new(0.0);
    let mut second = f32::new(0.0);
    #[unroll]
    for i in 0..count {
        if own.value == i && own.exists {
            let mut pixel = own.first;
            while pixel < pixels {
                let at = pixel * channels + own.channel;
                let upstream = f32::cast_from(dy[at]);
                first += upstream;
                second += upstream * standardised(f32::cast_from(xs[i][at]), norms, norm_of[i] + own.channel, channels);
                pixel += parts * LANES;
            }
        }
    }
    write_part(&own, first, second, partial, channels);
}

/// Gradients of several values from one gradient and the two sums of each (`[2, channels]` of `sums` from `sums_of` on), added
/// to what is there with the bit in `adds`. Without the bit in `batch` the statistics were constants. With that in `gated`, `dy`
/// and the sums are those of a sum that reads the normalisation times `gates[gate_of]`.
#[cube(launch)]
pub(in crate::gpu) fn norm_backward<S: Float>(
    xs: &Sequence<OwnedTensor<S>>,
    dy: &Tensor<S>,
    norms: &Tensor<f32>,
    sums: &Tensor<f32>,
    gates: &Tensor<f32>,
    dxs: &mut Sequence<OwnedTensor<S>>,
    #[define(S)] _storage: ElemType,
    norm_of: Sequence<usize>,
    sums_of: Sequence<usize>,
    gate_of: Sequence<usize>,
    adds: u32,
    count: f32,
    #[comptime] channels: usize,
    #[comptime] batch: u32,
    #[comptime] gated: u32,
) {
    if ABSOLUTE_POS >= dy.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let upstream = f32::cast_from(dy[ABSOLUTE_POS]);
    let values = comptime!(xs.len());
    #[unroll]
    for i in 0..values {
        let at = norm_of[i] + c;
        let mut value = upstream;
        if comptime!((batch >> i) & 1 == 1) {
            let own = standardised(f32::cast_from(xs[i][ABSOLUTE_POS]), norms, at, channels);
            value -= (sums[sums_of[i] + c] + own * sums[sums_of[i] + channels + c]) / count;
        }
        value *= norms[at + channels] * norms[at + comptime!(2 * channels)];
        if comptime!((gated >> i) & 1 == 1) {
            value *= gates[gate_of[i]];
        }
        if (adds >> comptime!(i as u32)) & 1u32 == 1u32 {
            value += f32::cast_from(dxs[i][ABSOLUTE_POS]);
        }
        dxs.index_mut(i).as_mut_slice()[ABSOLUTE_POS] = S::cast_from(value);
    }
}
