//! The vectors of ARM NEON.

use std::arch::aarch64::*;

use super::{Simd, intrinsics};

/// 128-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const WIDE: bool = true;

    intrinsics! {
        fn splat(x: f32) -> float32x4_t = vdupq_n_f32(x);
        fn load(p: *const f32) -> float32x4_t = vld1q_f32(p);
        fn store(p: *mut f32, v: float32x4_t) = vst1q_f32(p, v);
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32(a, b);
        fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t = vfmaq_f32(c, a, b);
        // FMAX returns NaN if either operand is NaN.
        fn relu(x: float32x4_t) -> float32x4_t = vmaxq_f32(x, vdupq_n_f32(0.0));
        fn where_positive(x: float32x4_t, d: float32x4_t) -> float32x4_t =
            vbslq_f32(vcleq_f32(x, vdupq_n_f32(0.0)), vdupq_n_f32(0.0), d);
        fn where_wins(x: float32x4_t, best: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t = {
            let larger = vmvnq_u32(vcleq_f32(x, best));
            vbslq_f32(vandq_u32(larger, vceqq_f32(best, best)), yes, no)
        };
        fn where_equal(a: float32x4_t, b: float32x4_t, d: float32x4_t) -> float32x4_t =
            vbslq_f32(vceqq_f32(a, b), d, vdupq_n_f32(0.0));
    }
}
