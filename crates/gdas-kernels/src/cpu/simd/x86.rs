//! The vectors of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::{Simd, intrinsics};

/// 256-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const WIDE: bool = false;

    intrinsics! {
        fn splat(x: f32) -> __m256 = _mm256_set1_ps(x);
        fn load(p: *const f32) -> __m256 = _mm256_loadu_ps(p);
        fn store(p: *mut f32, v: __m256) = _mm256_storeu_ps(p, v);
        fn add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        // The second operand is returned for NaN.
        fn relu(x: __m256) -> __m256 = _mm256_max_ps(_mm256_setzero_ps(), x);
        fn where_positive(x: __m256, d: __m256) -> __m256 =
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, _mm256_setzero_ps()), d);
        fn where_wins(x: __m256, best: __m256, yes: __m256, no: __m256) -> __m256 = {
            let larger = _mm256_cmp_ps::<_CMP_NLE_UQ>(x, best);
            let number = _mm256_cmp_ps::<_CMP_ORD_Q>(best, best);
            _mm256_blendv_ps(no, yes, _mm256_and_ps(larger, number))
        };
        fn where_equal(a: __m256, b: __m256, d: __m256) -> __m256 =
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), d);
    }
}

/// 512-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const WIDE: bool = true;

    intrinsics! {
        fn splat(x: f32) -> __m512 = _mm512_set1_ps(x);
        fn load(p: *const f32) -> __m512 = _mm512_loadu_ps(p);
        fn store(p: *mut f32, v: __m512) = _mm512_storeu_ps(p, v);
        fn add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        fn sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        fn mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        // The second operand is returned for NaN.
        fn relu(x: __m512) -> __m512 = _mm512_max_ps(_mm512_setzero_ps(), x);
        fn where_positive(x: __m512, d: __m512) -> __m512 =
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps()), d);
        fn where_wins(x: __m512, best: __m512, yes: __m512, no: __m512) -> __m512 = {
            let larger = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, best);
            let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(best, best);
            _mm512_mask_mov_ps(no, larger & number, yes)
        };
        fn where_equal(a: __m512, b: __m512, d: __m512) -> __m512 =
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), d);
    }
}
