//! Gated sums, forward and backward: all terms in one launch. A kernel is compiled per number of terms; the indices of the gates
//! are arguments.

use cubecl::prelude::*;

use super::cube::{CUBE_SUM, cube_sum};
use super::norm::normalised;

/// `y = sum of gate * x` over the terms, plus the gates of `constants`; `y +=` with `add`. Without `gated`
/// (bit `i` for term `i`) a term has no gate; with `normed` it is normalised while reading, by the coefficients from `norm_of` of
/// `norms` on.
#[cube(launch)]
pub(in crate::gpu) fn sum_forward<S: Float>(
    terms: &Sequence<OwnedTensor<S>>,
    norms: &Tensor<f32>,
    gates: &Tensor<f32>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    norm_of: Sequence<usize>,
    gate_of: Sequence<usize>,
    constants: Sequence<usize>,
    #[comptime] channels: usize,
    #[comptime] normed: u32,
    #[comptime] gated: u32,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let mut sum = f32::new(0.0);
    if comptime!(add) {
        sum = f32::cast_from(y[ABSOLUTE_POS]);
    }
    let count = comptime!(terms.len());
    #[unroll]
    for i in 0..count {
        let mut value = f32::cast_from(terms[i][ABSOLUTE_POS]);
        if comptime!((normed >> i) & 1 == 1) {
            value = normalised(value, norms, norm_of[i] + ABSOLUTE_POS % channels, channels);
        }
        if comptime!((gated >> i) & 1 == 1) {
            value *= gates[gate_of[i]];
        }
        sum += value;
    }
    let others = comptime!(constants.len());
    #[unroll]
    for i in 0..others {
        sum += gates[constants[i]];
    }
    y[ABSOLUTE_POS] = S::cast_from(sum);
}

/// Gradients of the terms of a sum: `dx += gate * dy` for each of `wants_x`, written instead of added without its
/// bit in `adds`; and where gates are wanted, columns of `partial` (`[cubes, rows]`) from `first_row` on become their
/// gradients in parts, one per cube: `<dy, x>` per gated term, then the sum of `dy` if there are constants.
#[cube(launch)]
pub(in crate::gpu) fn sum_backward<S: Float>(
    terms: &Sequence<OwnedTensor<S>>,
    dy: &Tensor<S>,
    gates: &Tensor<f32>,
    dx: &mut Sequence<OwnedTensor<S>>,
    partial: &mut Tensor<f32>,
    #[define(S)] _storage: ElemType,
    gate_of: Sequence<usize>,
    adds: u32,
    first_row: usize,
    rows: usize,
    threads: usize,
    #[comptime] gated: u32,
    #[comptime] wants_x: u32,
    #[comptime] wants_gates: bool,
    #[comptime] has_constants: bool,
) {
    if ABSOLUTE_POS >= threads {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(if wants_gates { CUBE_SUM } else { 1 }));
    let count = comptime!(terms.len());
    #[unroll]
    for i in 0..count {
        let has_gate = comptime!((gated >> i) & 1 == 1);
        let wanted = comptime!((wants_x >> i) & 1 == 1);
        let wants_gate = comptime!(wants_gates && has_gate);
        if comptime!(wanted || wants_gate) {
            let mut factor = f32::new(1.0);
            if comptime!(has_gate) {
                factor = gates[gate_of[i]];
            }
            let add = (adds >> comptime!(i as u32)) & 1u32 == 1u32;
            let mut sum = f32::new(0.0);
            let mut at = ABSOLUTE_POS;
            while at < dy.len() {
                let upstream = f32::cast_from(dy[at]);
                if comptime!(wanted) {
                    let mut value = upstream * factor;
                    if add {
                        value += f32::cast_from(dx[i][at]);
                    }
                    dx.index_mut(i).as_mut_slice()[at] = S::cast_from(value);
                }
                if comptime!(wants_gate) {
                    sum += upstream * f32::cast_from(terms[i][at]);
                }
                at += threads;
            }
            if comptime!(wants_gate) {
                let row = comptime!((gated & ((1u32 << i) - 1)).count_ones() as usize);
                sum = cube_sum(sum, &mut shared);
                if UNIT_POS == 0 {
                    partial[CUBE_POS * rows + first_row + row] = sum;
                }
            }
        }
    }
    if comptime!(wants_gates && has_constants) {
        let mut sum = f32::new(0.0);
        let mut at = ABSOLUTE_POS;
        while at < dy.len() {
            sum += f32::cast_from(dy[at]);
            at += threads;
        }
        let row = comptime!(gated.count_ones() as usize);
        sum = cube_sum(sum, &mut shared);
        if UNIT_POS == 0 {
            partial[CUBE_POS * rows + first_row + row] = sum;
        }
    }
}

/// Gradients of the gates: `row_of[p]` of `sums` belongs to gate `gate_of[p]`, for `pairs` of them.
#[cube(launch)]
pub(in crate::gpu) fn spread_gates(
    sums: &Tensor<f32>,
    row_of: &Tensor<u32>,
    gate_of: &Tensor<u32>,
    out: &mut Tensor<f32>,
    pairs: usize,
) {
    if ABSOLUTE_POS >= out.len() {
        terminate!();
    }
    let gate = ABSOLUTE_POS as u32;
    let mut sum = f32::new(0.0);
    for pair in 0..pairs {
        if gate_of[pair] == gate {
            sum += sums[row_of[pair] as usize];
        }
    }
    out[ABSOLUTE_POS] = sum;
}
