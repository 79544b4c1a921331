//! Convolutions of any window and number of groups, the depthwise ones included. Weights are
//! `[kernel_h, kernel_w, in / groups, out]`. With `relu` the input is rectified as it is read.

use cubecl::prelude::*;

use super::Geometry;
use super::window::{over, pixel_of, under};

/// `y[n, oy, ox, o] = bias[o] + sum of w * x` over the window and the group's inputs.
#[cube(launch)]
pub(in crate::gpu) fn conv_forward<X: Float, Y: Float>(
    x: &Tensor<X>,
    w: &Tensor<f32>,
    bias: &Tensor<f32>,
    y: &mut Tensor<Y>,
    #[define(X, Y)] _types: [ElemType; 2],
    #[comptime] g: Geometry,
    #[comptime] relu: bool,
    #[comptime] has_bias: bool,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let per_group = comptime!(g.in_c / g.groups);
    let o = ABSOLUTE_POS % comptime!(g.out_c);
    let out = pixel_of(ABSOLUTE_POS / comptime!(g.out_c), comptime!(g.out_h), comptime!(g.out_w));
    let first = (o / comptime!(g.out_c / g.groups)) * per_group;
    let mut sum = f32::new(0.0);
    if comptime!(has_bias) {
        sum = bias[o];
    }
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let x_pixel = under(&out, ky, kx, g);
            if x_pixel.exists {
                let from = x_pixel.number * comptime!(g.in_c) + first;
                let weight = (ky * comptime!(g.kernel_w) + kx) * per_group * comptime!(g.out_c) + o;
                for i in 0..per_group {
                    let mut value = f32::cast_from(x[from + i]);
                    if comptime!(relu) && value < 0.0 {
                        value = f32::new(0.0);
                    }
                    sum += value * w[weight + i * comptime!(g.out_c)];
                }
            }
        }
    }
    y[ABSOLUTE_POS] = Y::cast_from(sum);
}

/// Gradient of the input; added to what is there with `add`. With `relu`, `x` decides where it passes.
#[cube(launch)]
pub(in crate::gpu) fn conv_backward_image<Y: Float, X: Float>(
    dy: &Tensor<Y>,
    w: &Tensor<f32>,
    x: &Tensor<X>,
    dx: &mut Tensor<X>,
    #[define(Y, X)] _types: [ElemType; 2],
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
    let input = pixel_of(ABSOLUTE_POS / comptime!(g.in_c), comptime!(g.in_h), comptime!(g.in_w));
    let first = (c / per_group) * outs;
    let within = c % per_group;
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let y_pixel = over(&input, ky, kx, g);
            if y_pixel.exists {
                let from = y_pixel.number * comptime!(g.out_c) + first;
                let tap = (ky * comptime!(g.kernel_w) + kx) * per_group + within;
                let weight = tap * comptime!(g.out_c) + first;
                for o in 0..outs {
                    sum += f32::cast_from(dy[from + o]) * w[weight + o];
                }
            }
        }
    }
    if comptime!(relu) && f32::cast_from(x[ABSOLUTE_POS]) <= 0.0 {
        sum = f32::new(0.0);
    }
    if comptime!(add) {
        sum += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = X::cast_from(sum);
}

/// Gradient of the weight in `parts` partial sums, `[parts, weights]`, with `bias` followed by the bias's in each part; each
/// thread takes every `parts`-th output pixel.
#[cube(launch)]
pub(in crate::gpu) fn conv_backward_weight<X: Float, Y: Float>(
    x: &Tensor<X>,
    dy: &Tensor<Y>,
    partial: &mut Tensor<f32>,
    #[define(X, Y)] _types: [ElemType; 2],
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
            sum += f32::cast_from(dy[pixel * comptime!(g.out_c) + index - weights]);
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
            let out = pixel_of(pixel, comptime!(g.out_h), comptime!(g.out_w));
            let x_pixel = under(&out, ky, kx, g);
            if x_pixel.exists {
                let mut value = f32::cast_from(x[x_pixel.number * comptime!(g.in_c) + c]);
                if comptime!(relu) && value < 0.0 {
                    value = f32::new(0.0);
                }
                sum += value * f32::cast_from(dy[pixel * comptime!(g.out_c) + o]);
            }
            pixel += parts;
        }
    }
    partial[ABSOLUTE_POS] = sum;
}
