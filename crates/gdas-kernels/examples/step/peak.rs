//! Measured peaks of the machine: fused multiply-adds per second, and bytes to and from memory.

use std::time::Instant;

/// Independent chains of products: enough to hide the latency of one.
const CHAINS: usize = 12;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide(rounds: usize) -> f32 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let (a, b) = (_mm512_set1_ps(0.999), _mm512_set1_ps(0.001));
    let mut sums = [_mm512_set1_ps(0.5); CHAINS];
    for _ in 0..rounds {
        sums = sums.map(|s| _mm512_fmadd_ps(s, a, b));
    }
    sums.into_iter().map(|s| _mm512_reduce_add_ps(s)).sum()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow(rounds: usize) -> f32 {
    use std::arch::x86_64::{_mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
    let (a, b) = (_mm256_set1_ps(0.999), _mm256_set1_ps(0.001));
    let mut sums = [_mm256_set1_ps(0.5); CHAINS];
    for _ in 0..rounds {
        sums = sums.map(|s| _mm256_fmadd_ps(s, a, b));
    }
    sums.into_iter().map(|s| _mm256_cvtss_f32(s)).sum()
}

/// Does the work; returns the lanes of a vector.
fn work(rounds: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: detected.
            std::hint::black_box(unsafe { wide(rounds) });
            return 16;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: detected.
            std::hint::black_box(unsafe { narrow(rounds) });
            return 8;
        }
    }
    let mut sums = [[0.5f32; 4]; CHAINS];
    for _ in 0..rounds {
        sums = sums.map(|s| s.map(|x| x * 0.999 + 0.001));
    }
    std::hint::black_box(sums);
    4
}

/// Multiply-add peak of `threads` threads in GFLOP/s, best of several short runs.
pub(crate) fn gflop_per_s(threads: usize) -> f64 {
    const ROUNDS: usize = 3_000_000;
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        let lanes = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(ROUNDS))).collect();
            workers.into_iter().map(|w| w.join().unwrap()).max().unwrap()
        });
        let flops = threads * ROUNDS * CHAINS * lanes * 2;
        best = best.max(flops as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}

/// Memory bandwidth of `threads` threads in GB/s, read and written while copying 128 MiB; best of several runs.
#[allow(dead_code)]
pub(crate) fn gbyte_per_s(threads: usize) -> f64 {
    const FLOATS: usize = 32 << 20;
    let from = vec![1.0f32; FLOATS];
    let mut to = vec![0.0f32; FLOATS];
    let share = FLOATS / threads;
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (to, from) in to.chunks_mut(share).zip(from.chunks(share)) {
                scope.spawn(move || {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = *from * 0.5;
                    }
                });
            }
        });
        best = best.max(8.0 * FLOATS as f64 / start.elapsed().as_secs_f64() / 1e9);
        std::hint::black_box(&to);
    }
    best
}
