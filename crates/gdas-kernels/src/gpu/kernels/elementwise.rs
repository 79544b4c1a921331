//! Operations on single elements, and those that move or average them.

use cubecl::prelude::*;

/// `max(x, 0)`.
#[cube(launch)]
pub(in crate::gpu) fn relu_forward<S: Float>(x: &Tensor<S>, y: &mut Tensor<S>, #[define(S)] _storage: ElemType) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let mut value = f32::cast_from(x[ABSOLUTE_POS]);
    if value < 0.0 {
        value = f32::new(0.0);
    }
    y[ABSOLUTE_POS] = S::cast_from(value);
}

/// Gradient of [`relu_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn relu_backward<S: Float>(
    x: &Tensor<S>,
    dy: &Tensor<S>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let mut value = f32::cast_from(dy[ABSOLUTE_POS]);
    if f32::cast_from(x[ABSOLUTE_POS]) <= 0.0 {
        value = f32::new(0.0);
    }
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(value);
}

/// `y[n, ...] = masks[mask, n] * x[n, ...]`; `per_image` elements each.
#[cube(launch)]
pub(in crate::gpu) fn scale_forward<S: Float>(
    x: &Tensor<S>,
    masks: &Tensor<f32>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    first: usize,
    #[comptime] per_image: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let factor = masks[first + ABSOLUTE_POS / per_image];
    y[ABSOLUTE_POS] = S::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * factor);
}

/// Gradient of [`scale_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn scale_backward<S: Float>(
    dy: &Tensor<S>,
    masks: &Tensor<f32>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    first: usize,
    #[comptime] per_image: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let mut value = f32::cast_from(dy[ABSOLUTE_POS]) * masks[first + ABSOLUTE_POS / per_image];
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(value);
}

/// `y[i, j] = x[i + 1, j + 1]`, zero beyond the border.
#[cube(launch)]
pub(in crate::gpu) fn shift_forward<S: Float>(
    x: &Tensor<S>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
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
        value = f32::cast_from(x[ABSOLUTE_POS + comptime!((width + 1) * channels)]);
    }
    y[ABSOLUTE_POS] = S::cast_from(value);
}

/// Gradient of [`shift_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn shift_backward<S: Float>(
    dy: &Tensor<S>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
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
        value = f32::cast_from(dy[ABSOLUTE_POS - comptime!((width + 1) * channels)]);
    }
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(value);
}

/// Copies the `channels` of `x` to `y`'s channels from `first` on; `total` channels there.
#[cube(launch)]
pub(in crate::gpu) fn concat_forward<X: Float, Y: Float>(
    x: &Tensor<X>,
    y: &mut Tensor<Y>,
    #[define(X, Y)] _types: [ElemType; 2],
    first: usize,
    #[comptime] channels: usize,
    #[comptime] total: usize,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    y[(ABSOLUTE_POS / channels) * total + first + c] = Y::cast_from(f32::cast_from(x[ABSOLUTE_POS]));
}

/// Gradient of [`concat_forward`]'s input, times `factor`.
#[cube(launch)]
pub(in crate::gpu) fn concat_backward<Y: Float, X: Float>(
    dy: &Tensor<Y>,
    dx: &mut Tensor<X>,
    #[define(Y, X)] _types: [ElemType; 2],
    factor: f32,
    first: usize,
    #[comptime] channels: usize,
    #[comptime] total: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let mut value = f32::cast_from(dy[(ABSOLUTE_POS / channels) * total + first + c]) * factor;
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = X::cast_from(value);
}

/// Mean over an image's `pixels`.
#[cube(launch)]
pub(in crate::gpu) fn mean_forward<S: Float>(
    x: &Tensor<S>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
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
        sum += f32::cast_from(x[(n * pixels + pixel) * channels + c]);
    }
    y[ABSOLUTE_POS] = S::cast_from(sum / comptime!(pixels as f32));
}

/// Gradient of [`mean_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn mean_backward<S: Float>(
    dy: &Tensor<S>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    #[comptime] pixels: usize,
    #[comptime] channels: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % channels;
    let n = ABSOLUTE_POS / comptime!(pixels * channels);
    let mut value = f32::cast_from(dy[n * channels + c]) / comptime!(pixels as f32);
    if comptime!(add) {
        value += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(value);
}

/// `y = x * factor`, from one type to another.
#[cube(launch)]
pub(in crate::gpu) fn convert<X: Float, Y: Float>(
    x: &Tensor<X>,
    y: &mut Tensor<Y>,
    #[define(X, Y)] _types: [ElemType; 2],
    factor: f32,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = Y::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * factor);
}

/// Zeros.
#[cube(launch)]
pub(in crate::gpu) fn fill_zero(y: &mut Tensor<f32>) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    y[ABSOLUTE_POS] = f32::new(0.0);
}
