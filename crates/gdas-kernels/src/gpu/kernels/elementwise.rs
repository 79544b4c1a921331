//! Operations on single elements, and those that move or average them.

use cubecl::prelude::*;

/// `max(x, 0)`.
#[cube(launch)]
pub(in crate::gpu) fn relu_forward(x: &Tensor<f32>, y: &mut Tensor<f32>) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let mut value = x[ABSOLUTE_POS];
    if value < 0.0 {
        value = f32::new(0.0);
    }
    y[ABSOLUTE_POS] = value;
}

/// Gradient of [`relu_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn relu_backward(x: &Tensor<f32>, dy: &Tensor<f32>, dx: &mut Tensor<f32>, #[comptime] add: bool) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let mut value = dy[ABSOLUTE_POS];
    if x[ABSOLUTE_POS] <= 0.0 {
        value = f32::new(0.0);
    }
    if comptime!(add) {
        value += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = value;
}

/// `y[n, ...] = masks[mask, n] * x[n, ...]`; `per_image` elements each.
#[cube(launch)]
pub(in crate::gpu) fn scale_forward(
    x: &Tensor<f32>,
    masks: &Tensor<f32>,
    y: &mut Tensor<f32>,
    first: usize,
    #[comptime] per_image: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = x[ABSOLUTE_POS] * masks[first + ABSOLUTE_POS / per_image];
}

/// Gradient of [`scale_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn scale_backward(
    dy: &Tensor<f32>,
    masks: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    first: usize,
    #[comptime] per_image: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let mut value = dy[ABSOLUTE_POS] * masks[first + ABSOLUTE_POS / per_image];
    if comptime!(add) {
        value += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = value;
}

/// `y[i, j] = x[i + 1, j + 1]`, zero beyond the border.
#[cube(launch)]
pub(in crate::gpu) fn shift_forward(
    x: &Tensor<f32>,
    y: &mut Tensor<f32>,
    #[comptime] height: usize,
    #[comptime] width: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let j = (ABSOLUTE_POS / channels) % width;
    let i = (ABSOLUTE_POS / comptime!(channels * width)) % height;
    let mut value = f32::new(0.0);
    if i + 1 < height && j + 1 < width {
        value = x[ABSOLUTE_POS + comptime!((width + 1) * channels)];
    }
    y[ABSOLUTE_POS] = value;
}

/// Gradient of [`shift_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn shift_backward(
    dy: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    #[comptime] height: usize,
    #[comptime] width: usize,
    #[comptime] channels: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let j = (ABSOLUTE_POS / channels) % width;
    let i = (ABSOLUTE_POS / comptime!(channels * width)) % height;
    let mut value = f32::new(0.0);
    if i >= 1 && j >= 1 {
        value = dy[ABSOLUTE_POS - comptime!((width + 1) * channels)];
    }
    if comptime!(add) {
        value += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = value;
}

/// Copies the `channels` of `x` to `y`'s channels from `first` on; `total` channels there.
#[cube(launch)]
pub(in crate::gpu) fn concat_forward(
    x: &Tensor<f32>,
    y: &mut Tensor<f32>,
    first: usize,
    #[comptime] channels: usize,
    #[comptime] total: usize,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    y[(ABSOLUTE_POS / channels) * total + first + c] = x[ABSOLUTE_POS];
}

/// Gradient of [`concat_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn concat_backward(
    dy: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    first: usize,
    #[comptime] channels: usize,
    #[comptime] total: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let mut value = dy[(ABSOLUTE_POS / channels) * total + first + c];
    if comptime!(add) {
        value += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = value;
}

/// Mean over an image's `pixels`.
#[cube(launch)]
pub(in crate::gpu) fn mean_forward(
    x: &Tensor<f32>,
    y: &mut Tensor<f32>,
    #[comptime] pixels: usize,
    #[comptime] channels: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let n = ABSOLUTE_POS / channels;
    let mut sum = f32::new(0.0);
    for pixel in 0..pixels {
        sum += x[(n * pixels + pixel) * channels + c];
    }
    y[ABSOLUTE_POS] = sum / comptime!(pixels as f32);
}

/// Gradient of [`mean_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn mean_backward(
    dy: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    #[comptime] pixels: usize,
    #[comptime] channels: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let n = ABSOLUTE_POS / comptime!(pixels * channels);
    let mut value = dy[n * channels + c] / comptime!(pixels as f32);
    if comptime!(add) {
        value += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = value;
}

/// Copies `x` to `y[offset..]`.
#[cube(launch)]
pub(in crate::gpu) fn copy_into(x: &Tensor<f32>, y: &mut Tensor<f32>, offset: usize) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    y[offset + ABSOLUTE_POS] = x[ABSOLUTE_POS];
}

/// Zeros.
#[cube(launch)]
pub(in crate::gpu) fn fill_zero(y: &mut Tensor<f32>) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = f32::new(0.0);
}
