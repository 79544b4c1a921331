//! Sums that the threads of a cube make together, in an order of their own that never changes. A cube stands as [`LANES`] rows of
//! [`COLUMNS`] threads: neighbours in a row look at neighbouring elements, and a column adds up what is one sum.

use cubecl::prelude::*;

/// Threads of a cube; every device has so many.
pub(in crate::gpu) const CUBE: usize = COLUMNS * LANES;
/// Numbers that [`cube_sum`] shares.
pub(super) const CUBE_SUM: usize = CUBE + COLUMNS;
/// Threads side by side.
pub(in crate::gpu) const COLUMNS: usize = 16;
/// Threads that share a column.
pub(in crate::gpu) const LANES: usize = 16;

/// Where a thread stands in its cube.
#[derive(CubeType)]
pub(super) struct Seat {
    pub(super) column: usize,
    pub(super) lane: usize,
}

/// Where this thread stands.
#[cube]
pub(super) fn seat() -> Seat {
    let unit = UNIT_POS as usize;
    Seat { column: unit % COLUMNS, lane: unit / COLUMNS }
}

/// What the threads of a column have put in `shared` from `from` on, a number each, added up.
#[cube]
pub(super) fn column_sum(shared: &mut Shared<[f32]>, from: usize, column: usize) -> f32 {
    let mut sum = f32::new(0.0);
    for lane in 0..LANES {
        sum += shared[from + lane * COLUMNS + column];
    }
    sum
}

/// What all threads of the cube have, added up, for its first thread alone. All of them must come here together; `shared` holds
/// [`CUBE_SUM`] numbers.
#[cube]
pub(super) fn cube_sum(own: f32, shared: &mut Shared<[f32]>) -> f32 {
    let seat = seat();
    shared[UNIT_POS as usize] = own;
    sync_cube();
    if seat.lane == 0 {
        let sum = column_sum(shared, 0, seat.column);
        shared[CUBE + seat.column] = sum;
    }
    // The next to come here write what was read before this.
    sync_cube();
    let mut sum = f32::new(0.0);
    if UNIT_POS == 0 {
        for column in 0..COLUMNS {
            sum += shared[CUBE + column];
        }
    }
    sum
}
