//! Batches of images that lie on the device as bytes.

use cubecl::prelude::*;

use super::window::pixel_of;
use crate::graph::Shape;

/// Numbers per image of a batch: its index, whether it is mirrored, first row and column of the crop, row and column of the
/// cutout's centre.
pub(in crate::gpu) const TRANSFORM_FIELDS: usize = 6;

/// One element of a batch per thread: the byte that its image's transform moves there (black beyond the image's border),
/// normalised by the table `values`, or zero within the cutout. `transforms` is `[batch, TRANSFORM_FIELDS]`.
#[cube(launch)]
pub(in crate::gpu) fn make_batch(
    pixels: &Tensor<u32>,
    values: &Tensor<f32>,
    transforms: &Tensor<u32>,
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
    let fields = to.image * comptime!(TRANSFORM_FIELDS);
    // Counted from the frame's corner.
    let from_row = to.row + transforms[fields + 2] as usize;
    let from_column = to.column + transforms[fields + 3] as usize;
    let rows = from_row >= padding && from_row < comptime!(shape.height + padding);
    let columns = from_column >= padding && from_column < comptime!(shape.width + padding);
    let mut byte = 0u32;
    if rows && columns {
        let mut x = from_column - padding;
        if transforms[fields + 1] == 1u32 {
            x = comptime!(shape.width - 1) - x;
        }
        let line = transforms[fields] as usize * comptime!(shape.height) + from_row - padding;
        let at = (line * comptime!(shape.width) + x) * comptime!(shape.channels) + c;
        byte = (pixels[at / 4] >> ((at % 4) as u32 * 8u32)) & 255u32;
    }
    let mut value = values[c * 256 + byte as usize];
    if comptime!(cutout > 0) {
        let half = comptime!(cutout / 2);
        let middle_row = transforms[fields + 4] as usize;
        let middle_column = transforms[fields + 5] as usize;
        let in_rows = to.row + half >= middle_row && to.row + half < middle_row + cutout;
        let in_columns = to.column + half >= middle_column && to.column + half < middle_column + cutout;
        if in_rows && in_columns {
            value = f32::new(0.0);
        }
    }
    y[ABSOLUTE_POS] = value;
}
