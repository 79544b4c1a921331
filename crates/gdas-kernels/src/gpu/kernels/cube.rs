//! Sums by all threads of a cube, in a fixed order. A cube has [`LANES`] rows of [`COLUMNS`] threads: neighbours in a row read
//! neighbouring elements, and the threads of a column add up one sum.

use cubecl::prelude::*;

/// Threads of a cube; every device supports that many.
pub(in crate::gpu) const CUBE: usize = COLUMNS * LANES;
/// Numbers that [`cube_sum`] shares.
pub(super) const CUBE_SUM: usize = CUBE + COLUMNS;
/// Threads side by side.
pub(in crate::gpu) const COLUMNS: usize = 16;
/// Threads that share a column.
pub(in crate::gpu) const LANES: usize = 16;

/// Position of a thread in its cube.
#[derive(CubeType)]
pub(super) struct Seat {
    pub(super) column: usize,
    pub(super) lane: usize,
}

/// The position of this thread.
#[cube]
pub(super) fn seat() -> Seat {
    let unit = UNIT_POS as usize;
    Seat { column: unit % COLUMNS, lane: unit / COLUMNS }
}

/// The sum of the numbers that the threads of a column have written to `shared` from `from` on.
#[cube]
pub(super) fn column_sum(shared: &mut Shared<[f32]>, from: usize, column: usize) -> f32 {
    let mut sum = f32::new(0.0);
    for lane in 0..LANES {
        sum += shared[from + lane * COLUMNS + column];
    }
    sum
}

/// The sum over all threads of the cube, for its first thread alone. All threads must call it together; `shared` holds
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
    // The next call overwrites what was read before.
    sync_cube();
    let mut sum = f32::new(0.0);
    if UNIT_POS == 0 {
        for column in 0..COLUMNS {
            sum += shared[CUBE + column];
        }
    }
    sum
}
