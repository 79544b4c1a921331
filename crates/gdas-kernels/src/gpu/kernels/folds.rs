//! Sums over parts, the second of the two launches of a sum over a batch.

use cubecl::prelude::*;

use super::cube::{COLUMNS, CUBE, LANES, column_sum, seat};

/// Sums groups of `per` parts: `out[g, i] = sum over k < per of partial[g * per + k, i]`, `length` elements each. Cubes are
/// `[groups, blocks of elements]`.
#[cube(launch)]
pub(in crate::gpu) fn fold(partial: &Tensor<f32>, out: &mut Tensor<f32>, groups: usize, per: usize, length: usize) {
    let blocks = length.div_ceil(COLUMNS);
    if CUBE_POS >= groups * blocks {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(CUBE);
    let seat = seat();
    let group = CUBE_POS / blocks;
    let i = (CUBE_POS % blocks) * COLUMNS + seat.column;
    let mut sum = f32::new(0.0);
    if i < length {
        let mut k = seat.lane;
        while k < per {
            sum += partial[(group * per + k) * length + i];
            k += LANES;
        }
    }
    sum = column_sum(sum, &mut shared);
    if i < length && seat.lane == 0 {
        out[group * length + i] = sum;
    }
}

/// [`fold`] of many at once, all parts of each: `out[to + i] = factor * sum over k < parts of partial[k * stride + start + i]`
/// for `length` elements. The first `filled` places hold something; cube `c` of `cubes` takes every `cubes`-th block of each.
#[cube(launch)]
pub(in crate::gpu) fn fold_many(
    partials: &Sequence<OwnedTensor<f32>>,
    outs: &mut Sequence<OwnedTensor<f32>>,
    parts: Sequence<usize>,
    strides: Sequence<usize>,
    starts: Sequence<usize>,
    tos: Sequence<usize>,
    lengths: Sequence<usize>,
    factor: f32,
    filled: usize,
    cubes: usize,
) {
    if CUBE_POS >= cubes {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(CUBE);
    let seat = seat();
    let count = comptime!(partials.len());
    #[unroll]
    for i in 0..count {
        if i < filled {
            let mut block = CUBE_POS;
            while block * COLUMNS < lengths[i] {
                let at = block * COLUMNS + seat.column;
                let mut sum = f32::new(0.0);
                if at < lengths[i] {
                    let mut k = seat.lane;
                    while k < parts[i] {
                        sum += partials[i][k * strides[i] + starts[i] + at];
                        k += LANES;
                    }
                }
                sum = column_sum(sum, &mut shared);
                if at < lengths[i] && seat.lane == 0 {
                    outs.index_mut(i).as_mut_slice()[tos[i] + at] = sum * factor;
                }
                block += cubes;
            }
        }
    }
}
