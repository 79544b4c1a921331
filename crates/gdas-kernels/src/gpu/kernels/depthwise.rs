//! Depthwise convolutions of any window: a channel of the output depends on the same channel of the input. As [`super::conv`], but
//! vectors of channels meet element by element; weights are `[kernel_h, kernel_w, channels]`.

use cubecl::prelude::*;

use super::conv::read;
use super::window::{Pixel, over, pixel_of, under};
use super::{Geometry, Parameters};

/// `y = bias + sum of w * x` over the window. A vector has `width` channels.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn depthwise_forward<X: Float, Y: Float, C: Size>(
    x: &Tensor<Vector<X, C>>,
    w: &Tensor<Vector<f32, C>>,
    bias: &Tensor<Vector<f32, C>>,
    y: &mut Tensor<Vector<Y, C>>,
    #[define(X, Y)] _types: [ElemType; 2],
    pixels: usize,
    #[comptime] g: Geometry,
    #[comptime] width: usize,
    #[comptime] relu: bool,
    #[comptime] has_bias: bool,
) {
    let blocks = comptime!(g.out_c / width);
    let pixel = ABSOLUTE_POS / blocks;
    if pixel >= pixels {
        terminate!();
    }
    let c = ABSOLUTE_POS % blocks;
    let out = pixel_of(pixel, comptime!(g.out_h), comptime!(g.out_w));
    let mut sum = Vector::<f32, C>::new(f32::new(0.0));
    if comptime!(has_bias) {
        sum = bias[c];
    }
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let from = under(&out, ky, kx, g);
            if from.exists {
                sum +=
                    w[(ky * comptime!(g.kernel_w) + kx) * blocks + c] * read(x, from.number * blocks + c, width, relu);
            }
        }
    }
    y[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// Gradient of the input; `+=` with `add`. With `relu` it is zero where `x` is not positive.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn depthwise_backward_image<Y: Float, X: Float, C: Size>(
    dy: &Tensor<Vector<Y, C>>,
    w: &Tensor<Vector<f32, C>>,
    x: &Tensor<Vector<X, C>>,
    dx: &mut Tensor<Vector<X, C>>,
    #[define(Y, X)] _types: [ElemType; 2],
    pixels: usize,
    #[comptime] g: Geometry,
    #[comptime] width: usize,
    #[comptime] relu: bool,
    #[comptime] add: bool,
) {
    let blocks = comptime!(g.in_c / width);
    let pixel = ABSOLUTE_POS / blocks;
    if pixel >= pixels {
        terminate!();
    }
    let c = ABSOLUTE_POS % blocks;
    let input = pixel_of(pixel, comptime!(g.in_h), comptime!(g.in_w));
    let mut sum = Vector::<f32, C>::new(f32::new(0.0));
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let from = over(&input, ky, kx, g);
            if from.exists {
                let upstream = Vector::<f32, C>::cast_from(dy[from.number * blocks + c]);
                sum += w[(ky * comptime!(g.kernel_w) + kx) * blocks + c] * upstream;
            }
        }
    }
    #[unroll]
    for k in 0..width {
        if comptime!(relu) && f32::cast_from(x[ABSOLUTE_POS].extract(k)) <= 0.0 {
            sum.insert(k, f32::new(0.0));
        }
    }
    if comptime!(add) {
        sum += Vector::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// Gradients of the weight and the bias in parts, `[parts, weights and biases]`, if they are targets. A thread computes those
/// of a vector of channels at one place of the window, over every `parts`-th of the `rows` of pixels.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn depthwise_backward_weight<X: Float, Y: Float, C: Size>(
    x: &Tensor<Vector<X, C>>,
    dy: &Tensor<Vector<Y, C>>,
    partial: &mut Tensor<Vector<f32, C>>,
    #[define(X, Y)] _types: [ElemType; 2],
    rows: usize,
    parts: usize,
    #[comptime] g: Geometry,
    #[comptime] width: usize,
    #[comptime] relu: bool,
    #[comptime] wanted: Parameters,
) {
    let blocks = comptime!(g.out_c / width);
    let weights = comptime!(if wanted.weight { g.kernel_h * g.kernel_w * blocks } else { 0 });
    let threads = comptime!(weights + if wanted.bias { blocks } else { 0 });
    let mut row = ABSOLUTE_POS / threads;
    if row >= parts {
        terminate!();
    }
    let index = ABSOLUTE_POS % threads;
    let c = index % blocks;
    let tap = index / blocks;
    let kx = tap % comptime!(g.kernel_w);
    let ky = tap / comptime!(g.kernel_w);
    let mut sum = Vector::<f32, C>::new(f32::new(0.0));
    while row < rows {
        let mut out = Pixel { image: row / comptime!(g.out_h), row: row % comptime!(g.out_h), column: 0 };
        for column in 0..comptime!(g.out_w) {
            out.column = column;
            let upstream = Vector::<f32, C>::cast_from(dy[(row * comptime!(g.out_w) + column) * blocks + c]);
            if comptime!(wanted.bias) && index >= weights {
                sum += upstream;
            } else if comptime!(wanted.weight) {
                let from = under(&out, ky, kx, g);
                if from.exists {
                    sum += upstream * read(x, from.number * blocks + c, width, relu);
                }
            }
        }
        row += parts;
    }
    partial[ABSOLUTE_POS] = sum;
}
