//! Pools. Backward passes gather: each input looks at the windows that hold it, so no two threads write one place.

use cubecl::prelude::*;

use super::Geometry;
use super::window::{over, pixel_of, under};

/// How many positions of a window at `o` lie within `size`.
#[cube]
fn inside(
    o: usize,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] dilation: usize,
    #[comptime] pad: usize,
    #[comptime] size: usize,
) -> f32 {
    let mut count = f32::new(0.0);
    for k in 0..kernel {
        let i = o * stride + k * dilation;
        if i >= pad && i < comptime!(size + pad) {
            count += 1.0f32;
        }
    }
    count
}

/// Mean over the part of the window that lies in the image.
#[cube(launch)]
pub(in crate::gpu) fn avg_forward<S: Float>(
    x: &Tensor<S>,
    y: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    #[comptime] g: Geometry,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.out_c);
    let out = pixel_of(ABSOLUTE_POS / comptime!(g.out_c), comptime!(g.out_h), comptime!(g.out_w));
    let mut sum = f32::new(0.0);
    let mut count = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let x_pixel = under(&out, ky, kx, g);
            if x_pixel.exists {
                sum += f32::cast_from(x[x_pixel.number * comptime!(g.in_c) + c]);
                count += 1.0f32;
            }
        }
    }
    y[ABSOLUTE_POS] = S::cast_from(sum / count);
}

/// Gradient of [`avg_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn avg_backward<S: Float>(
    dy: &Tensor<S>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    #[comptime] g: Geometry,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.in_c);
    let input = pixel_of(ABSOLUTE_POS / comptime!(g.in_c), comptime!(g.in_h), comptime!(g.in_w));
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let y_pixel = over(&input, ky, kx, g);
            if y_pixel.exists {
                let rows = inside(
                    y_pixel.row,
                    comptime!(g.kernel_h),
                    comptime!(g.stride_h),
                    comptime!(g.dilation_h),
                    comptime!(g.pad_h),
                    comptime!(g.in_h),
                );
                let columns = inside(
                    y_pixel.column,
                    comptime!(g.kernel_w),
                    comptime!(g.stride_w),
                    comptime!(g.dilation_w),
                    comptime!(g.pad_w),
                    comptime!(g.in_w),
                );
                sum += f32::cast_from(dy[y_pixel.number * comptime!(g.out_c) + c]) / (rows * columns);
            }
        }
    }
    if comptime!(add) {
        sum += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(sum);
}

/// Largest element of the window, and the pixel where it was found; the first of equal ones.
#[cube(launch)]
pub(in crate::gpu) fn max_forward<S: Float>(
    x: &Tensor<S>,
    y: &mut Tensor<S>,
    place: &mut Tensor<u32>,
    #[define(S)] _storage: ElemType,
    #[comptime] g: Geometry,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.out_c);
    let out = pixel_of(ABSOLUTE_POS / comptime!(g.out_c), comptime!(g.out_h), comptime!(g.out_w));
    let mut best = f32::new(0.0);
    let mut at = 0usize;
    let mut found = false;
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let x_pixel = under(&out, ky, kx, g);
            if x_pixel.exists {
                let value = f32::cast_from(x[x_pixel.number * comptime!(g.in_c) + c]);
                if !found || value > best {
                    best = value;
                    at = x_pixel.number;
                    found = true;
                }
            }
        }
    }
    y[ABSOLUTE_POS] = S::cast_from(best);
    place[ABSOLUTE_POS] = at as u32;
}

/// Gradient of [`max_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn max_backward<S: Float>(
    dy: &Tensor<S>,
    place: &Tensor<u32>,
    dx: &mut Tensor<S>,
    #[define(S)] _storage: ElemType,
    #[comptime] g: Geometry,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.in_c);
    let here = ABSOLUTE_POS / comptime!(g.in_c);
    let input = pixel_of(here, comptime!(g.in_h), comptime!(g.in_w));
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let y_pixel = over(&input, ky, kx, g);
            if y_pixel.exists {
                let at = y_pixel.number * comptime!(g.out_c) + c;
                if place[at] as usize == here {
                    sum += f32::cast_from(dy[at]);
                }
            }
        }
    }
    if comptime!(add) {
        sum += f32::cast_from(dx[ABSOLUTE_POS]);
    }
    dx[ABSOLUTE_POS] = S::cast_from(sum);
}
