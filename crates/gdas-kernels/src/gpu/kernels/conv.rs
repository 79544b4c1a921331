//! Convolutions of any window and number of groups; those of one channel per group are in [`super::depthwise`]. Weights are
//! `[kernel_h, kernel_w, in / groups, out]`. With `relu` a ReLU is applied to the input.
//!
//! A thread computes a block of the result, so that it uses what it reads several times: `own` pixels by a vector of
//! channels, or a vector of inputs by one of outputs of the weight's gradient. Its pixels lie as far apart as there are threads
//! for each, so that neighbouring threads read neighbouring pixels.
//!
//! Kernels are launched unchecked: every index follows from the sizes of the tensors, with which [`Geometry`] was made.

use cubecl::prelude::*;

use super::window::{Other, Pixel, over, pixel_of, under};
use super::{Geometry, Parameters};

/// Division of a convolution into blocks. The order of summation does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct Tiles {
    /// Channels in a vector of the input's and of the output's; they divide a group's channels.
    pub(in crate::gpu) inputs: usize,
    pub(in crate::gpu) outputs: usize,
    /// Pixels per thread.
    pub(in crate::gpu) own: usize,
}

/// A vector of the input.
#[cube]
pub(super) fn read<X: Float, I: Size>(
    x: &Tensor<Vector<X, I>>,
    at: usize,
    #[comptime] width: usize,
    #[comptime] relu: bool,
) -> Vector<f32, I> {
    let mut value = Vector::<f32, I>::cast_from(x[at]);
    if comptime!(relu) {
        #[unroll]
        for k in 0..width {
            // NaN stays NaN.
            if value.extract(k) < 0.0 {
                value.insert(k, f32::new(0.0));
            }
        }
    }
    value
}

/// `y[n, oy, ox, o] = bias[o] + sum of w * x` over the window and the group's inputs.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn conv_forward<X: Float, Y: Float, I: Size, O: Size>(
    x: &Tensor<Vector<X, I>>,
    w: &Tensor<Vector<f32, O>>,
    bias: &Tensor<Vector<f32, O>>,
    y: &mut Tensor<Vector<Y, O>>,
    #[define(X, Y)] _types: [ElemType; 2],
    pixels: usize,
    #[comptime] g: Geometry,
    #[comptime] tiles: Tiles,
    #[comptime] relu: bool,
    #[comptime] has_bias: bool,
) {
    let own = comptime!(tiles.own);
    let blocks = comptime!(g.out_c / tiles.outputs);
    let apart = (pixels + comptime!(own - 1)) / own;
    let first = ABSOLUTE_POS / blocks;
    if first >= apart {
        terminate!();
    }
    let o = ABSOLUTE_POS % blocks;
    let vectors = comptime!(g.in_c / g.groups / tiles.inputs);
    let group = (o / comptime!(g.out_c / g.groups / tiles.outputs)) * vectors;
    let mut outs = Sequence::<Pixel>::new();
    let mut sums = Array::<Vector<f32, O>>::new(own);
    #[unroll]
    for j in 0..own {
        outs.push(pixel_of(first + j * apart, comptime!(g.out_h), comptime!(g.out_w)));
        sums[j] = Vector::new(f32::new(0.0));
        if comptime!(has_bias) {
            sums[j] = bias[o];
        }
    }
    let mut values = Array::<Vector<f32, I>>::new(own);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let tap = (ky * comptime!(g.kernel_w) + kx) * comptime!(g.in_c / g.groups);
            let mut sources = Sequence::<Other>::new();
            #[unroll]
            for j in 0..own {
                sources.push(under(outs.index(j), ky, kx, g));
            }
            for i in 0..vectors {
                #[unroll]
                for j in 0..own {
                    let source = sources.index(j);
                    values[j] = Vector::new(f32::new(0.0));
                    if source.exists && first + j * apart < pixels {
                        let at = source.number * comptime!(g.in_c / tiles.inputs) + group + i;
                        values[j] = read(x, at, comptime!(tiles.inputs), relu);
                    }
                }
                #[unroll]
                for k in 0..comptime!(tiles.inputs) {
                    let weight = w[(tap + i * comptime!(tiles.inputs) + k) * blocks + o];
                    #[unroll]
                    for j in 0..own {
                        sums[j] += weight * Vector::new(values[j].extract(k));
                    }
                }
            }
        }
    }
    #[unroll]
    for j in 0..own {
        let pixel = first + j * apart;
        if pixel < pixels {
            y[pixel * blocks + o] = Vector::cast_from(sums[j]);
        }
    }
}

/// Gradient of the input; `+=` with `add`. With `relu` it is zero where `x` is not positive.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn conv_backward_image<Y: Float, X: Float, I: Size, O: Size>(
    dy: &Tensor<Vector<Y, O>>,
    w: &Tensor<Vector<f32, O>>,
    x: &Tensor<Vector<X, I>>,
    dx: &mut Tensor<Vector<X, I>>,
    #[define(Y, X)] _types: [ElemType; 2],
    pixels: usize,
    #[comptime] g: Geometry,
    #[comptime] tiles: Tiles,
    #[comptime] relu: bool,
    #[comptime] add: bool,
) {
    let own = comptime!(tiles.own);
    let blocks = comptime!(g.in_c / tiles.inputs);
    let apart = (pixels + comptime!(own - 1)) / own;
    let first = ABSOLUTE_POS / blocks;
    if first >= apart {
        terminate!();
    }
    let c = ABSOLUTE_POS % blocks;
    let per_group = comptime!(g.in_c / g.groups / tiles.inputs);
    let vectors = comptime!(g.out_c / g.groups / tiles.outputs);
    let group = (c / per_group) * vectors;
    let within = (c % per_group) * comptime!(tiles.inputs);
    let mut inputs = Sequence::<Pixel>::new();
    let mut sums = Array::<f32>::new(comptime!(own * tiles.inputs));
    #[unroll]
    for j in 0..own {
        inputs.push(pixel_of(first + j * apart, comptime!(g.in_h), comptime!(g.in_w)));
        #[unroll]
        for k in 0..comptime!(tiles.inputs) {
            sums[j * comptime!(tiles.inputs) + k] = f32::new(0.0);
        }
    }
    let mut values = Array::<Vector<f32, O>>::new(own);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let tap = (ky * comptime!(g.kernel_w) + kx) * comptime!(g.in_c / g.groups);
            let mut sources = Sequence::<Other>::new();
            #[unroll]
            for j in 0..own {
                sources.push(over(inputs.index(j), ky, kx, g));
            }
            for o in 0..vectors {
                #[unroll]
                for j in 0..own {
                    let source = sources.index(j);
                    values[j] = Vector::new(f32::new(0.0));
                    if source.exists && first + j * apart < pixels {
                        let at = source.number * comptime!(g.out_c / tiles.outputs) + group + o;
                        values[j] = Vector::cast_from(dy[at]);
                    }
                }
                #[unroll]
                for k in 0..comptime!(tiles.inputs) {
                    let weight = w[(tap + within + k) * comptime!(g.out_c / tiles.outputs) + group + o];
                    #[unroll]
                    for j in 0..own {
                        let products = weight * values[j];
                        #[unroll]
                        for l in 0..comptime!(tiles.outputs) {
                            sums[j * comptime!(tiles.inputs) + k] += products.extract(l);
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for j in 0..own {
        let pixel = first + j * apart;
        if pixel < pixels {
            let at = pixel * blocks + c;
            let mut gradient = Vector::<f32, I>::new(f32::new(0.0));
            #[unroll]
            for k in 0..comptime!(tiles.inputs) {
                let mut sum = sums[j * comptime!(tiles.inputs) + k];
                if comptime!(relu) && f32::cast_from(x[at].extract(k)) <= 0.0 {
                    sum = f32::new(0.0);
                }
                if comptime!(add) {
                    sum += f32::cast_from(dx[at].extract(k));
                }
                gradient.insert(k, sum);
            }
            dx[at] = Vector::cast_from(gradient);
        }
    }
}

/// Gradients of the weight and the bias in `parts` partial sums, `[parts, weights and biases]`, if they are targets. A thread
/// computes those of a vector of inputs by one of outputs at one place of the window, over every `parts`-th of the `rows` of pixels.
#[cube(launch_unchecked)]
pub(in crate::gpu) fn conv_backward_weight<X: Float, Y: Float, I: Size, O: Size>(
    x: &Tensor<Vector<X, I>>,
    dy: &Tensor<Vector<Y, O>>,
    partial: &mut Tensor<Vector<f32, O>>,
    #[define(X, Y)] _types: [ElemType; 2],
    rows: usize,
    parts: usize,
    #[comptime] g: Geometry,
    #[comptime] tiles: Tiles,
    #[comptime] relu: bool,
    #[comptime] wanted: Parameters,
) {
    let blocks = comptime!(g.out_c / tiles.outputs);
    let vectors = comptime!(g.in_c / g.groups / tiles.inputs);
    let weights = comptime!(if wanted.weight { g.kernel_h * g.kernel_w * vectors * blocks } else { 0 });
    let threads = comptime!(weights + if wanted.bias { blocks } else { 0 });
    let part = ABSOLUTE_POS / threads;
    if part >= parts {
        terminate!();
    }
    let index = ABSOLUTE_POS % threads;
    let o = index % blocks;
    let start = part * comptime!(tiles.inputs * weights + if wanted.bias { blocks } else { 0 });
    let mut row = part;
    if comptime!(wanted.bias) && index >= weights {
        let mut sum = Vector::<f32, O>::new(f32::new(0.0));
        while row < rows {
            for column in 0..comptime!(g.out_w) {
                sum += Vector::cast_from(dy[(row * comptime!(g.out_w) + column) * blocks + o]);
            }
            row += parts;
        }
        partial[start + comptime!(tiles.inputs * weights) + o] = sum;
    } else if comptime!(wanted.weight) {
        let i = (index / blocks) % vectors;
        let tap = index / comptime!(vectors * blocks);
        let kx = tap % comptime!(g.kernel_w);
        let ky = tap / comptime!(g.kernel_w);
        let group = (o / comptime!(g.out_c / g.groups / tiles.outputs)) * vectors;
        let mut sums = Array::<Vector<f32, O>>::new(comptime!(tiles.inputs));
        #[unroll]
        for k in 0..comptime!(tiles.inputs) {
            sums[k] = Vector::new(f32::new(0.0));
        }
        while row < rows {
            let mut out = Pixel { image: row / comptime!(g.out_h), row: row % comptime!(g.out_h), column: 0 };
            for column in 0..comptime!(g.out_w) {
                out.column = column;
                let from = under(&out, ky, kx, g);
                if from.exists {
                    let at = from.number * comptime!(g.in_c / tiles.inputs) + group + i;
                    let value = read(x, at, comptime!(tiles.inputs), relu);
                    let upstream = Vector::<f32, O>::cast_from(dy[(row * comptime!(g.out_w) + column) * blocks + o]);
                    #[unroll]
                    for k in 0..comptime!(tiles.inputs) {
                        sums[k] += upstream * Vector::new(value.extract(k));
                    }
                }
            }
            row += parts;
        }
        #[unroll]
        for k in 0..comptime!(tiles.inputs) {
            let weight = (tap * vectors + i) * comptime!(tiles.inputs) + k;
            partial[start + weight * blocks + o] = sums[k];
        }
    }
}
