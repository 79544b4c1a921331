//! Stochastic gradient descent on many arrays in one launch. A kernel is compiled per number of array arguments;
//! `filled` of them are arrays, of any length.

use cubecl::prelude::*;

use super::cube::{CUBE, CUBE_SUM, cube_sum};
use super::loss::is_finite;

/// Sums of squares of all elements of the arrays, one part by each of `cubes` cubes, from `partial[first]` on.
#[cube(launch)]
pub(in crate::gpu) fn squares(
    arrays: &Sequence<OwnedTensor<f32>>,
    partial: &mut Tensor<f32>,
    filled: usize,
    first: usize,
    cubes: usize,
) {
    if CUBE_POS >= cubes {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(CUBE_SUM);
    let mut sum = f32::new(0.0);
    let count = comptime!(arrays.len());
    #[unroll]
    for i in 0..count {
        if i < filled {
            let mut at = ABSOLUTE_POS;
            while at < arrays[i].len() {
                let value = arrays[i][at];
                sum += value * value;
                at += cubes * CUBE;
            }
        }
    }
    sum = cube_sum(sum, &mut shared);
    if UNIT_POS == 0 {
        partial[first + CUBE_POS] = sum;
    }
}

/// The square root of the sum of `partial`, by one cube.
#[cube(launch)]
pub(in crate::gpu) fn norm_finish(partial: &Tensor<f32>, norm: &mut Tensor<f32>) {
    let mut shared = Shared::<[f32]>::new_slice(CUBE_SUM);
    let mut sum = f32::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < partial.len() {
        sum += partial[at];
        at += CUBE;
    }
    sum = cube_sum(sum, &mut shared);
    if UNIT_POS == 0 {
        norm[0] = sum.sqrt();
    }
}

/// Updates every array: see [`crate::sgd::Rule`]. The gradients are taken times `scale`, and times
/// `max_norm / (norm + 1e-6)` if that is less than one (and `max_norm` is not zero); where the norm is not finite, nothing changes. Without `has_gradient` the
/// gradients are zeros. Thread `t` moves every `threads`-th element of each array from `t` on.
#[cube(launch)]
pub(in crate::gpu) fn descend(
    weights: &mut Sequence<OwnedTensor<f32>>,
    gradients: &Sequence<OwnedTensor<f32>>,
    momenta: &mut Sequence<OwnedTensor<f32>>,
    norm: &Tensor<f32>,
    filled: usize,
    max_norm: f32,
    scale: f32,
    rate: f32,
    momentum: f32,
    weight_decay: f32,
    threads: usize,
    #[comptime] has_gradient: bool,
    #[comptime] keeps_momentum: bool,
    #[comptime] nesterov: bool,
) {
    if ABSOLUTE_POS >= threads || !is_finite(norm[0]) {
        terminate!();
    }
    let mut factor = scale;
    if max_norm > 0.0 {
        let wanted = max_norm / (norm[0] + 1e-6f32);
        if wanted < 1.0 {
            factor *= wanted;
        }
    }
    let count = comptime!(weights.len());
    #[unroll]
    for i in 0..count {
        if i < filled {
            let mut at = ABSOLUTE_POS;
            while at < weights[i].len() {
                let value = weights[i][at];
                let mut direction = value * weight_decay;
                if comptime!(has_gradient) {
                    direction += gradients[i][at] * factor;
                }
                if comptime!(keeps_momentum) {
                    let moved = momenta[i][at] * momentum + direction;
                    momenta.index_mut(i).as_mut_slice()[at] = moved;
                    if comptime!(nesterov) {
                        direction += moved * momentum;
                    } else {
                        direction = moved;
                    }
                }
                weights.index_mut(i).as_mut_slice()[at] = value - direction * rate;
                at += threads;
            }
        }
    }
}
