//! Convolutions of any window and number of groups, the depthwise ones included. Weights are
//! `[kernel_h, kernel_w, in / groups, out]`. With `relu` the input is rectified as it is read.

use cubecl::prelude::*;

use super::Geometry;

/// `y[n, oy, ox, o] = bias[o] + sum of w * x` over the window and the group's inputs.
#[cube(launch)]
pub(in crate::gpu) fn conv_forward(
    x: &Tensor<f32>,
    w: &Tensor<f32>,
    bias: &Tensor<f32>,
    y: &mut Tensor<f32>,
    #[comptime] g: Geometry,
    #[comptime] relu: bool,
    #[comptime] has_bias: bool,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let per_group = comptime!(g.in_c / g.groups);
    let o = ABSOLUTE_POS % comptime!(g.out_c);
    let pixel = ABSOLUTE_POS / comptime!(g.out_c);
    let ox = pixel % comptime!(g.out_w);
    let oy = (pixel / comptime!(g.out_w)) % comptime!(g.out_h);
    let n = pixel / comptime!(g.out_w * g.out_h);
    let first = (o / comptime!(g.out_c / g.groups)) * per_group;
    let mut sum = f32::new(0.0);
    if comptime!(has_bias) {
        sum = bias[o];
    }
    for ky in 0..comptime!(g.kernel_h) {
        let iy = oy * comptime!(g.stride_h) + ky * comptime!(g.dilation_h);
        if iy >= comptime!(g.pad_h) && iy < comptime!(g.in_h + g.pad_h) {
            for kx in 0..comptime!(g.kernel_w) {
                let ix = ox * comptime!(g.stride_w) + kx * comptime!(g.dilation_w);
                if ix >= comptime!(g.pad_w) && ix < comptime!(g.in_w + g.pad_w) {
                    let row = n * comptime!(g.in_h) + iy - comptime!(g.pad_h);
                    let from = (row * comptime!(g.in_w) + ix - comptime!(g.pad_w)) * comptime!(g.in_c) + first;
                    let weight = (ky * comptime!(g.kernel_w) + kx) * per_group * comptime!(g.out_c) + o;
                    for i in 0..per_group {
                        let mut value = x[from + i];
                        if comptime!(relu) && value < 0.0 {
                            value = f32::new(0.0);
                        }
                        sum += value * w[weight + i * comptime!(g.out_c)];
                    }
                }
            }
        }
    }
    y[ABSOLUTE_POS] = sum;
}

/// Gradient of the input; added to what is there with `add`. With `relu`, `x` decides where it passes.
#[cube(launch)]
pub(in crate::gpu) fn conv_backward_image(
    dy: &Tensor<f32>,
    w: &Tensor<f32>,
    x: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    #[comptime] g: Geometry,
    #[comptime] relu: bool,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let per_group = comptime!(g.in_c / g.groups);
    let outs = comptime!(g.out_c / g.groups);
    let c = ABSOLUTE_POS % comptime!(g.in_c);
    let pixel = ABSOLUTE_POS / comptime!(g.in_c);
    let ix = pixel % comptime!(g.in_w);
    let iy = (pixel / comptime!(g.in_w)) % comptime!(g.in_h);
    let n = pixel / comptime!(g.in_w * g.in_h);
    let first = (c / per_group) * outs;
    let within = c % per_group;
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        let ty = iy + comptime!(g.pad_h);
        let offset_y = ky * comptime!(g.dilation_h);
        if ty >= offset_y && (ty - offset_y) % comptime!(g.stride_h) == 0 {
            let oy = (ty - offset_y) / comptime!(g.stride_h);
            if oy < comptime!(g.out_h) {
                for kx in 0..comptime!(g.kernel_w) {
                    let tx = ix + comptime!(g.pad_w);
                    let offset_x = kx * comptime!(g.dilation_w);
                    if tx >= offset_x && (tx - offset_x) % comptime!(g.stride_w) == 0 {
                        let ox = (tx - offset_x) / comptime!(g.stride_w);
                        if ox < comptime!(g.out_w) {
                            let row = n * comptime!(g.out_h) + oy;
                            let from = (row * comptime!(g.out_w) + ox) * comptime!(g.out_c) + first;
                            let tap = (ky * comptime!(g.kernel_w) + kx) * per_group + within;
                            let weight = tap * comptime!(g.out_c) + first;
                            for o in 0..outs {
                                sum += dy[from + o] * w[weight + o];
                            }
                        }
                    }
                }
            }
        }
    }
    if comptime!(relu) && x[ABSOLUTE_POS] <= 0.0 {
        sum = f32::new(0.0);
    }
    if comptime!(add) {
        sum += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = sum;
}

/// Gradient of the weight in `parts` partial sums, `[parts, weights]`, with `bias` followed by the bias's in each part; each
/// thread takes every `parts`-th output pixel.
#[cube(launch)]
pub(in crate::gpu) fn conv_backward_weight(
    x: &Tensor<f32>,
    dy: &Tensor<f32>,
    partial: &mut Tensor<f32>,
    pixels: usize,
    parts: usize,
    #[comptime] g: Geometry,
    #[comptime] relu: bool,
    #[comptime] bias: bool,
) {
    if ABSOLUTE_POS >= partial.len() {
        terminate!();
    }
    let per_group = comptime!(g.in_c / g.groups);
    let weights = comptime!(g.kernel_h * g.kernel_w * (g.in_c / g.groups) * g.out_c);
    let row = comptime!(weights + if bias { g.out_c } else { 0 });
    let index = ABSOLUTE_POS % row;
    let part = ABSOLUTE_POS / row;
    let mut sum = f32::new(0.0);
    let mut pixel = part;
    if comptime!(bias) && index >= weights {
        while pixel < pixels {
            sum += dy[pixel * comptime!(g.out_c) + index - weights];
            pixel += parts;
        }
    } else {
        let o = index % comptime!(g.out_c);
        let i = (index / comptime!(g.out_c)) % per_group;
        let tap = index / comptime!((g.in_c / g.groups) * g.out_c);
        let kx = tap % comptime!(g.kernel_w);
        let ky = tap / comptime!(g.kernel_w);
        let c = (o / comptime!(g.out_c / g.groups)) * per_group + i;
        while pixel < pixels {
            let ox = pixel % comptime!(g.out_w);
            let oy = (pixel / comptime!(g.out_w)) % comptime!(g.out_h);
            let n = pixel / comptime!(g.out_w * g.out_h);
            let iy = oy * comptime!(g.stride_h) + ky * comptime!(g.dilation_h);
            let ix = ox * comptime!(g.stride_w) + kx * comptime!(g.dilation_w);
            let rows = iy >= comptime!(g.pad_h) && iy < comptime!(g.in_h + g.pad_h);
            let columns = ix >= comptime!(g.pad_w) && ix < comptime!(g.in_w + g.pad_w);
            if rows && columns {
                let row = n * comptime!(g.in_h) + iy - comptime!(g.pad_h);
                let mut value = x[(row * comptime!(g.in_w) + ix - comptime!(g.pad_w)) * comptime!(g.in_c) + c];
                if comptime!(relu) && value < 0.0 {
                    value = f32::new(0.0);
                }
                sum += value * dy[pixel * comptime!(g.out_c) + o];
            }
            pixel += parts;
        }
    }
    partial[ABSOLUTE_POS] = sum;
}
