//! Vectors of `f32` behind one small trait, and the choice between their implementations at run time.
//!
//! A kernel is written once over [`Simd`] inside [`kernel!`](crate::cpu::simd::kernel), which compiles it for every
//! level with that level's instructions enabled and picks one per call. A trait of our own (a dozen operations)
//! rather than a crate: the kernels need exactly these, with fixed lane counts known to the layout of activations.

use std::sync::OnceLock;

/// Instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Plain Rust, eight floats at a time.
    Portable,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 foundation.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// ARM NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Level {
    /// The best level of this processor, or the one that the environment variable `GDAS_SIMD` names
    /// (`portable`, `avx2`, `avx512`, `neon`) if the processor has it. Read once.
    pub(crate) fn get() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| {
            let available = Self::available();
            let wanted = std::env::var("GDAS_SIMD").unwrap_or_default();
            available.iter().copied().find(|l| l.name() == wanted).unwrap_or(available[0])
        })
    }

    /// What this processor has, best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut levels = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                levels.push(Level::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
        levels.push(Level::Portable);
        levels
    }

    /// The name that `GDAS_SIMD` uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
        }
    }

    /// Floats per vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Level::Portable => Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => Neon::LANES,
        }
    }
}

/// A vector of floats.
///
/// # Safety of every function
/// The processor must have the implementation's instructions, and pointers must be valid for [`Simd::LANES`] floats
/// (of any alignment).
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;
    /// Whether 16 accumulators (rather than 8) fit into the registers.
    const WIDE: bool;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `max(x, 0)`; NaN stays.
    unsafe fn relu(x: Self::V) -> Self::V;
    /// `d` where `x` is positive or NaN, else zero.
    unsafe fn where_positive(x: Self::V, d: Self::V) -> Self::V;
    /// `yes` where `x` beats `best` (larger, or NaN while `best` is not), else `no`.
    unsafe fn where_wins(x: Self::V, best: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// `d` where `a == b`, else zero.
    unsafe fn where_equal(a: Self::V, b: Self::V, d: Self::V) -> Self::V;
}

/// Arrays of eight.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 8] {
        // SAFETY: valid for eight floats by the trait's contract.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 8]) {
        // SAFETY: valid for eight floats by the trait's contract.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        Self::zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn relu(x: [f32; 8]) -> [f32; 8] {
        x.map(|x| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn where_positive(x: [f32; 8], d: [f32; 8]) -> [f32; 8] {
        Self::zip(x, d, |x, d| if x <= 0.0 { 0.0 } else { d })
    }
    #[inline(always)]
    unsafe fn where_wins(x: [f32; 8], best: [f32; 8], yes: [f32; 8], no: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if x[i] > best[i] || (x[i].is_nan() && !best[i].is_nan()) { yes[i] } else { no[i] })
    }
    #[inline(always)]
    unsafe fn where_equal(a: [f32; 8], b: [f32; 8], d: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if a[i] == b[i] { d[i] } else { 0.0 })
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// 256-bit vectors.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    // SAFETY (every block): the trait's contract gives the instructions and valid pointers.
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const WIDE: bool = false;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(x: __m256) -> __m256 {
            // The second operand is returned for NaN.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), x) }
        }
        #[inline(always)]
        unsafe fn where_positive(x: __m256, d: __m256) -> __m256 {
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, _mm256_setzero_ps()), d) }
        }
        #[inline(always)]
        unsafe fn where_wins(x: __m256, best: __m256, yes: __m256, no: __m256) -> __m256 {
            unsafe {
                let larger = _mm256_cmp_ps::<_CMP_NLE_UQ>(x, best);
                let number = _mm256_cmp_ps::<_CMP_ORD_Q>(best, best);
                _mm256_blendv_ps(no, yes, _mm256_and_ps(larger, number))
            }
        }
        #[inline(always)]
        unsafe fn where_equal(a: __m256, b: __m256, d: __m256) -> __m256 {
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), d) }
        }
    }

    /// 512-bit vectors.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    // SAFETY (every block): the trait's contract gives the instructions and valid pointers.
    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const WIDE: bool = true;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(x: __m512) -> __m512 {
            // The second operand is returned for NaN.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), x) }
        }
        #[inline(always)]
        unsafe fn where_positive(x: __m512, d: __m512) -> __m512 {
            unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps()), d) }
        }
        #[inline(always)]
        unsafe fn where_wins(x: __m512, best: __m512, yes: __m512, no: __m512) -> __m512 {
            unsafe {
                let larger = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, best);
                let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(best, best);
                _mm512_mask_mov_ps(no, larger & number, yes)
            }
        }
        #[inline(always)]
        unsafe fn where_equal(a: __m512, b: __m512, d: __m512) -> __m512 {
            unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), d) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Simd;

    /// 128-bit vectors.
    #[derive(Clone, Copy)]
    pub(crate) struct Neon;

    // SAFETY (every block): NEON is part of the target; pointers are valid by the trait's contract.
    impl Simd for Neon {
        type V = float32x4_t;
        const LANES: usize = 4;
        const WIDE: bool = true;

        #[inline(always)]
        unsafe fn splat(x: f32) -> float32x4_t {
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: float32x4_t) {
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        unsafe fn relu(x: float32x4_t) -> float32x4_t {
            // FMAX returns NaN if either operand is NaN.
            unsafe { vmaxq_f32(x, vdupq_n_f32(0.0)) }
        }
        #[inline(always)]
        unsafe fn where_positive(x: float32x4_t, d: float32x4_t) -> float32x4_t {
            unsafe { vbslq_f32(vcleq_f32(x, vdupq_n_f32(0.0)), vdupq_n_f32(0.0), d) }
        }
        #[inline(always)]
        unsafe fn where_wins(x: float32x4_t, best: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
            unsafe {
                let larger = vmvnq_u32(vcleq_f32(x, best));
                vbslq_f32(vandq_u32(larger, vceqq_f32(best, best)), yes, no)
            }
        }
        #[inline(always)]
        unsafe fn where_equal(a: float32x4_t, b: float32x4_t, d: float32x4_t) -> float32x4_t {
            unsafe { vbslq_f32(vceqq_f32(a, b), d, vdupq_n_f32(0.0)) }
        }
    }
}

/// Defines a kernel: one body, generic over `S: Simd`, compiled for every level and dispatched on its first argument.
///
/// The body runs inside an `unsafe` block whose duty it is to check the lengths of its slices first.
macro_rules! kernel {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$S:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(clippy::allow_attributes, clippy::inline_always)]
        $vis fn $name(level: $crate::cpu::simd::Level, $($arg: $ty),*) {
            #[inline(always)]
            #[allow(unused_unsafe)]
            unsafe fn body<$S: $crate::cpu::simd::Simd>($($arg: $ty),*) {
                // SAFETY: the level is available; the body checks the lengths that it relies on.
                unsafe { $body }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { body::<$crate::cpu::simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { body::<$crate::cpu::simd::Avx2>($($arg),*) }
            }
            // SAFETY: a level is only made after detecting it.
            unsafe {
                match level {
                    $crate::cpu::simd::Level::Portable => body::<$crate::cpu::simd::Portable>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::cpu::simd::Level::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::cpu::simd::Level::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    $crate::cpu::simd::Level::Neon => body::<$crate::cpu::simd::Neon>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use kernel;
