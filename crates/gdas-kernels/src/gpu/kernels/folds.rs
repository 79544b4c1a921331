//! Sums over parts, the second of the two launches of a sum over a batch.

use cubecl::prelude::*;

use super::cube::{COLUMNS, CUBE, LANES, column_sum, seat};

/// Whether a sum has few enough parts for a single thread.
#[cube]
pub(in crate::gpu) fn is_short(parts: usize) -> bool {
    parts <= LANES
}

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
    shared[UNIT_POS as usize] = sum;
    sync_cube();
    if i < length && seat.lane == 0 {
        out[group * length + i] = column_sum(&mut shared, 0, seat.column);
    }
}

/// [`fold`] of many at once, all parts of each: `out[to + i] = factor * sum over k < parts of partial[k * stride + start + i]`
/// for `length` elements. Each sum has the cubes `firsts..ends`: with few parts ([`is_short`]) one cube per
/// [`CUBE`] elements, else one per [`COLUMNS`] elements.
#[cube(launch)]
pub(in crate::gpu) fn fold_many(
    partials: &Sequence<OwnedTensor<f32>>,
    outs: &mut Sequence<OwnedTensor<f32>>,
    parts: Sequence<usize>,
    strides: Sequence<usize>,
    starts: Sequence<usize>,
    tos: Sequence<usize>,
    lengths: Sequence<usize>,
    firsts: Sequence<usize>,
    ends: Sequence<usize>,
    factor: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(CUBE);
    let seat = seat();
    let mut sum = f32::new(0.0);
    let count = comptime!(partials.len());
    #[unroll]
    for i in 0..count {
        if CUBE_POS >= firsts[i] && CUBE_POS < ends[i] {
            let cube = CUBE_POS - firsts[i];
            let short = is_short(parts[i]);
            let at = if short { cube * CUBE + UNIT_POS as usize } else { cube * COLUMNS + seat.column };
            let every = if short { 1usize } else { LANES.runtime() };
            let mut k = if short { 0usize } else { seat.lane };
            if at < lengths[i] {
                while k < parts[i] {
                    sum += partials[i][k * strides[i] + starts[i] + at];
                    k += every;
                }
                if short {
                    outs.index_mut(i).as_mut_slice()[tos[i] + at] = sum * factor;
                }
            }
        }
    }
    shared[UNIT_POS as usize] = sum;
    sync_cube();
    if seat.lane == 0 {
        sum = column_sum(&mut shared, 0, seat.column);
        #[unroll]
        for i in 0..count {
            if CUBE_POS >= firsts[i] && CUBE_POS < ends[i] && !is_short(parts[i]) {
                let at = (CUBE_POS - firsts[i]) * COLUMNS + seat.column;
                if at < lengths[i] {
                    outs.index_mut(i).as_mut_slice()[tos[i] + at] = sum * factor;
                }
            }
        }
    }
}
