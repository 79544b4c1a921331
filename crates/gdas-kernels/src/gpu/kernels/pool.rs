//! Pools. Backward passes gather: each input looks at the windows that hold it, so no two threads write one place.

use cubecl::prelude::*;

use super::Geometry;

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
pub(in crate::gpu) fn avg_forward(x: &Tensor<f32>, y: &mut Tensor<f32>, #[comptime] g: Geometry) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.out_c);
    let pixel = ABSOLUTE_POS / comptime!(g.out_c);
    let ox = pixel % comptime!(g.out_w);
    let oy = (pixel / comptime!(g.out_w)) % comptime!(g.out_h);
    let n = pixel / comptime!(g.out_w * g.out_h);
    let mut sum = f32::new(0.0);
    let mut count = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let iy = oy * comptime!(g.stride_h) + ky * comptime!(g.dilation_h);
            let ix = ox * comptime!(g.stride_w) + kx * comptime!(g.dilation_w);
            let rows = iy >= comptime!(g.pad_h) && iy < comptime!(g.in_h + g.pad_h);
            let columns = ix >= comptime!(g.pad_w) && ix < comptime!(g.in_w + g.pad_w);
            if rows && columns {
                let row = n * comptime!(g.in_h) + iy - comptime!(g.pad_h);
                sum += x[(row * comptime!(g.in_w) + ix - comptime!(g.pad_w)) * comptime!(g.in_c) + c];
                count += 1.0f32;
            }
        }
    }
    y[ABSOLUTE_POS] = sum / count;
}

/// Gradient of [`avg_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn avg_backward(
    dy: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    #[comptime] g: Geometry,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.in_c);
    let pixel = ABSOLUTE_POS / comptime!(g.in_c);
    let ix = pixel % comptime!(g.in_w);
    let iy = (pixel / comptime!(g.in_w)) % comptime!(g.in_h);
    let n = pixel / comptime!(g.in_w * g.in_h);
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let ty = iy + comptime!(g.pad_h);
            let tx = ix + comptime!(g.pad_w);
            let offset_y = ky * comptime!(g.dilation_h);
            let offset_x = kx * comptime!(g.dilation_w);
            if ty >= offset_y && tx >= offset_x {
                let sy = ty - offset_y;
                let sx = tx - offset_x;
                if sy % comptime!(g.stride_h) == 0 && sx % comptime!(g.stride_w) == 0 {
                    let oy = sy / comptime!(g.stride_h);
                    let ox = sx / comptime!(g.stride_w);
                    if oy < comptime!(g.out_h) && ox < comptime!(g.out_w) {
                        let rows = inside(
                            oy,
                            comptime!(g.kernel_h),
                            comptime!(g.stride_h),
                            comptime!(g.dilation_h),
                            comptime!(g.pad_h),
                            comptime!(g.in_h),
                        );
                        let columns = inside(
                            ox,
                            comptime!(g.kernel_w),
                            comptime!(g.stride_w),
                            comptime!(g.dilation_w),
                            comptime!(g.pad_w),
                            comptime!(g.in_w),
                        );
                        let row = n * comptime!(g.out_h) + oy;
                        sum += dy[(row * comptime!(g.out_w) + ox) * comptime!(g.out_c) + c] / (rows * columns);
                    }
                }
            }
        }
    }
    if comptime!(add) {
        sum += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = sum;
}

/// Largest element of the window, and where in its image it was found; the first of equal ones.
#[cube(launch)]
pub(in crate::gpu) fn max_forward(
    x: &Tensor<f32>,
    y: &mut Tensor<f32>,
    place: &mut Tensor<u32>,
    #[comptime] g: Geometry,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.out_c);
    let pixel = ABSOLUTE_POS / comptime!(g.out_c);
    let ox = pixel % comptime!(g.out_w);
    let oy = (pixel / comptime!(g.out_w)) % comptime!(g.out_h);
    let n = pixel / comptime!(g.out_w * g.out_h);
    let mut best = f32::new(0.0);
    let mut at = 0usize;
    let mut found = false;
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let iy = oy * comptime!(g.stride_h) + ky * comptime!(g.dilation_h);
            let ix = ox * comptime!(g.stride_w) + kx * comptime!(g.dilation_w);
            let rows = iy >= comptime!(g.pad_h) && iy < comptime!(g.in_h + g.pad_h);
            let columns = ix >= comptime!(g.pad_w) && ix < comptime!(g.in_w + g.pad_w);
            if rows && columns {
                let here = (iy - comptime!(g.pad_h)) * comptime!(g.in_w) + ix - comptime!(g.pad_w);
                let value = x[(n * comptime!(g.in_h * g.in_w) + here) * comptime!(g.in_c) + c];
                if !found || value > best {
                    best = value;
                    at = here;
                    found = true;
                }
            }
        }
    }
    y[ABSOLUTE_POS] = best;
    place[ABSOLUTE_POS] = at as u32;
}

/// Gradient of [`max_forward`]'s input.
#[cube(launch)]
pub(in crate::gpu) fn max_backward(
    dy: &Tensor<f32>,
    place: &Tensor<u32>,
    dx: &mut Tensor<f32>,
    #[comptime] g: Geometry,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let c = ABSOLUTE_POS % comptime!(g.in_c);
    let pixel = ABSOLUTE_POS / comptime!(g.in_c);
    let here = pixel % comptime!(g.in_w * g.in_h);
    let ix = pixel % comptime!(g.in_w);
    let iy = (pixel / comptime!(g.in_w)) % comptime!(g.in_h);
    let n = pixel / comptime!(g.in_w * g.in_h);
    let mut sum = f32::new(0.0);
    for ky in 0..comptime!(g.kernel_h) {
        for kx in 0..comptime!(g.kernel_w) {
            let ty = iy + comptime!(g.pad_h);
            let tx = ix + comptime!(g.pad_w);
            let offset_y = ky * comptime!(g.dilation_h);
            let offset_x = kx * comptime!(g.dilation_w);
            if ty >= offset_y && tx >= offset_x {
                let sy = ty - offset_y;
                let sx = tx - offset_x;
                if sy % comptime!(g.stride_h) == 0 && sx % comptime!(g.stride_w) == 0 {
                    let oy = sy / comptime!(g.stride_h);
                    let ox = sx / comptime!(g.stride_w);
                    if oy < comptime!(g.out_h) && ox < comptime!(g.out_w) {
                        let row = n * comptime!(g.out_h) + oy;
                        let out = (row * comptime!(g.out_w) + ox) * comptime!(g.out_c) + c;
                        if place[out] as usize == here {
                            sum += dy[out];
                        }
                    }
                }
            }
        }
    }
    if comptime!(add) {
        sum += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = sum;
}
