//! Vectors of `f32` behind one small trait, and the choice between instruction sets at run time.
//!
//! A kernel is written once over [`Simd`] inside [`kernel!`](crate::cpu::simd::kernel), which compiles it for every
//! instruction set with its instructions enabled and selects one per call. The trait has only the eleven operations that the
//! kernels need, with fixed lane counts on which the layout of activations depends.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
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

/// An instruction set that this processor supports. Kernels rely on that, so values are only created by detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(InstructionSet);

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

    /// The instruction sets of this processor, best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                sets.push(InstructionSet::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                sets.push(InstructionSet::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(InstructionSet::Neon);
        }
        sets.push(InstructionSet::Portable);
        sets.into_iter().map(Self).collect()
    }

    /// The instruction set.
    pub(crate) fn set(self) -> InstructionSet {
        self.0
    }

    /// The name that `GDAS_SIMD` uses.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            InstructionSet::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => "neon",
        }
    }

    /// Floats per vector.
    pub(crate) fn lanes(self) -> usize {
        match self.0 {
            InstructionSet::Portable => Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Neon::LANES,
        }
    }
}

/// A vector of floats.
///
/// # Safety of every function
/// The processor must have the implementation's instructions, and pointers must be valid for [`Simd::LANES`] floats
/// (of any alignment).
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Floats per vector.
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
    /// `max(x, 0)`; NaN is propagated.
    unsafe fn relu(x: Self::V) -> Self::V;
    /// `d` where `x` is positive or NaN, else zero.
    unsafe fn where_positive(x: Self::V, d: Self::V) -> Self::V;
    /// `yes` where `x` beats `best` (larger, or NaN while `best` is not), else `no`.
    unsafe fn where_wins(x: Self::V, best: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// `d` where `a == b`, else zero.
    unsafe fn where_equal(a: Self::V, b: Self::V, d: Self::V) -> Self::V;
}

/// Defines functions of [`Simd`] by an expression of intrinsics each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! intrinsics {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)? = $body:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($arg: $ty),*) $(-> $result)? {
                // SAFETY: by the trait's contract the processor has the instructions, and pointers are valid.
                unsafe { $body }
            }
        )*
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use intrinsics;

/// Defines a kernel: one body, generic over `S: Simd`, compiled for every instruction set and dispatched on its first argument.
///
/// The body runs inside an `unsafe` block. It must check the lengths of its slices before it uses their pointers.
macro_rules! kernel {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$S:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(clippy::allow_attributes, clippy::inline_always)]
        $vis fn $name(level: $crate::cpu::simd::Level, $($arg: $ty),*) $(-> $result)? {
            /// # Safety
            /// The processor has the instructions of `$S`.
            #[inline(always)]
            #[allow(unused_unsafe)]
            unsafe fn body<$S: $crate::cpu::simd::Simd>($($arg: $ty),*) $(-> $result)? {
                // SAFETY: the caller gives the instructions; the body checks the lengths that its pointers rely on.
                unsafe { $body }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512($($arg: $ty),*) $(-> $result)? {
                // SAFETY: this function has the instructions.
                unsafe { body::<$crate::cpu::simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $result)? {
                // SAFETY: this function has the instructions.
                unsafe { body::<$crate::cpu::simd::Avx2>($($arg),*) }
            }
            use $crate::cpu::simd::InstructionSet;
            // SAFETY: a `Level` is made by detecting its instructions.
            unsafe {
                match level.set() {
                    InstructionSet::Portable => body::<$crate::cpu::simd::Portable>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => body::<$crate::cpu::simd::Neon>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use kernel;
