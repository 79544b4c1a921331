//! Batches of images that lie on the device as bytes.

use cubecl::prelude::*;

use super::window::pixel_of;
use crate::graph::Shape;

/// Numbers per image of a batch: its own, whether it is mirrored, first row and column of the cut, row and column of the
/// zeroed square's middle.
pub(in crate::gpu) const CHANGE_FIELDS: usize = 6;

/// One element of a batch per thread: the byte that the change of its image puts there (black beyond the image's border),
/// normalised by the table `values`, or zero within the square. `changes` is `[batch, CHANGE_FIELDS]`.
#[cube(launch)]
pub(in crate::gpu) fn make_batch(
    pixels: &Tensor<u32>,
    values: &Tensor<f32>,
    changes: &Tensor<u32>,
    y: &mut Tensor<f32>,
    #[comptime] shape: Shape,
    #[comptime] padding: usize,
    #[comptime] cutout: usize,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(shape.channels);
    let to = pixel_of(ABSOLUTE_POS / comptime!(shape.channels), comptime!(shape.height), comptime!(shape.width));
    let fields = to.image * comptime!(CHANGE_FIELDS);
    // Counted from the frame's corner.
    let from_row = to.row + changes[fields + 2] as usize;
    let from_column = to.column + changes[fields + 3] as usize;
    let rows = from_row >= padding && from_row < comptime!(shape.height + padding);
    let columns = from_column >= padding && from_column < comptime!(shape.width + padding);
    let mut byte = 0u32;
    if rows && columns {
        let mut x = from_column - padding;
        if changes[fields + 1] == 1u32 {
            x = comptime!(shape.width - 1) - x;
        }
        let line = changes[fields] as usize * comptime!(shape.height) + from_row - padding;
        let at = (line * comptime!(shape.width) + x) * comptime!(shape.channels) + c;
        byte = (pixels[at / 4] >> ((at % 4) as u32 * 8u32)) & 255u32;
    }
    let mut value = values[c * 256 + byte as usize];
    if comptime!(cutout > 0) {
        let half = comptime!(cutout / 2);
        let middle_row = changes[fields + 4] as usize;
        let middle_column = changes[fields + 5] as usize;
        let in_rows = to.row + half >= middle_row && to.row + half < middle_row + cutout;
        let in_columns = to.column + half >= middle_column && to.column + half < middle_column + cutout;
        if in_rows && in_columns {
            value = f32::new(0.0);
        }
    }
    y[ABSOLUTE_POS] = value;
}
