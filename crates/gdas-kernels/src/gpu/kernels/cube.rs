//! Sums that the threads of a cube make together, in an order of their own that never changes. A cube stands as [`LANES`] rows of
//! [`COLUMNS`] threads: neighbours in a row look at neighbouring elements, and a column adds up what is one sum.

use cubecl::prelude::*;

/// Threads of a cube; every device has so many.
pub(in crate::gpu) const CUBE: usize = COLUMNS * LANES;
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

/// What the threads of this thread's column have, added up. All threads of the cube must come here together.
#[cube]
pub(super) fn column_sum(own: f32, shared: &mut Shared<[f32]>) -> f32 {
    let seat = seat();
    shared[UNIT_POS as usize] = own;
    sync_cube();
    let mut sum = f32::new(0.0);
    for lane in 0..LANES {
        sum += shared[lane * COLUMNS + seat.column];
    }
    // Nobody may write the next numbers before all have read these.
    sync_cube();
    sum
}

/// What all threads of the cube have, added up. All of them must come here together.
#[cube]
pub(super) fn cube_sum(own: f32, shared: &mut Shared<[f32]>) -> f32 {
    let of_column = column_sum(own, shared);
    let seat = seat();
    if seat.lane == 0 {
        shared[seat.column] = of_column;
    }
    sync_cube();
    let mut sum = f32::new(0.0);
    for column in 0..COLUMNS {
        sum += shared[column];
    }
    sync_cube();
    sum
}
