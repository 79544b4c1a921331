//! Running statistics of many normalisations.

use cubecl::prelude::*;

/// `running = keep * running + share * batch`, with a further factor `unbiased` for the second half, the variances. Thread `t`
/// updates element `t` of every array that has one.
#[cube(launch)]
pub(in crate::gpu) fn update_running(
    running: &mut Sequence<OwnedTensor<f32>>,
    batch: &Sequence<OwnedTensor<f32>>,
    lengths: Sequence<usize>,
    unbiased: Sequence<f32>,
    keep: f32,
    share: f32,
) {
    let count = comptime!(running.len());
    #[unroll]
    for i in 0..count {
        if ABSOLUTE_POS < lengths[i] {
            let mut factor = share;
            if ABSOLUTE_POS >= lengths[i] / 2 {
                factor = share * unbiased[i];
            }
            let moved = running[i][ABSOLUTE_POS] * keep + batch[i][ABSOLUTE_POS] * factor;
            running.index_mut(i).as_mut_slice()[ABSOLUTE_POS] = moved;
        }
    }
}
