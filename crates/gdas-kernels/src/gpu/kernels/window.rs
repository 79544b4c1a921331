//! From an element to its pixel, and from a pixel to those that share a window with it.

use cubecl::prelude::*;

use super::Geometry;

/// A pixel of a batch.
#[derive(CubeType)]
pub(super) struct Pixel {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// The pixel with this index in a batch of images `[height, width]`.
#[cube]
pub(super) fn pixel_of(number: usize, #[comptime] height: usize, #[comptime] width: usize) -> Pixel {
    Pixel { image: number / comptime!(width * height), row: (number / width) % height, column: number % width }
}

/// A pixel on the other side of a window. Without `exists` the other fields mean nothing.
#[derive(CubeType)]
pub(super) struct Other {
    pub(super) exists: bool,
    pub(super) row: usize,
    pub(super) column: usize,
    /// Its index in the batch.
    pub(super) number: usize,
}

/// The input's pixel under position `[ky, kx]` of the window of an output's pixel; none in the padding.
#[cube]
pub(super) fn under(out: &Pixel, ky: usize, kx: usize, #[comptime] g: Geometry) -> Other {
    let padded_row = out.row * comptime!(g.stride_h) + ky * comptime!(g.dilation_h);
    let padded_column = out.column * comptime!(g.stride_w) + kx * comptime!(g.dilation_w);
    let rows = padded_row >= comptime!(g.pad_h) && padded_row < comptime!(g.in_h + g.pad_h);
    let columns = padded_column >= comptime!(g.pad_w) && padded_column < comptime!(g.in_w + g.pad_w);
    let row = padded_row - comptime!(g.pad_h);
    let column = padded_column - comptime!(g.pad_w);
    let number = (out.image * comptime!(g.in_h) + row) * comptime!(g.in_w) + column;
    Other { exists: rows && columns, row, column, number }
}

/// The output's pixel whose window has its position `[ky, kx]` over an input's pixel; none between the strides and beyond the
/// border.
#[cube]
pub(super) fn over(input: &Pixel, ky: usize, kx: usize, #[comptime] g: Geometry) -> Other {
    let padded_row = input.row + comptime!(g.pad_h);
    let padded_column = input.column + comptime!(g.pad_w);
    let down = ky * comptime!(g.dilation_h);
    let right = kx * comptime!(g.dilation_w);
    let top = padded_row - down;
    let left = padded_column - right;
    let row = top / comptime!(g.stride_h);
    let column = left / comptime!(g.stride_w);
    let rows = padded_row >= down && top % comptime!(g.stride_h) == 0 && row < comptime!(g.out_h);
    let columns = padded_column >= right && left % comptime!(g.stride_w) == 0 && column < comptime!(g.out_w);
    let number = (input.image * comptime!(g.out_h) + row) * comptime!(g.out_w) + column;
    Other { exists: rows && columns, row, column, number }
}
