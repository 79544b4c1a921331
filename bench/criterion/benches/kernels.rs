//! Criterion benches of every kernel, forward and backward, for comparing versions of this project with each other:
//! `cargo bench --manifest-path bench/criterion/Cargo.toml`, or with a part of a name behind `--`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../crates/gdas-kernels/examples/kernels/operations.rs"]
mod operations;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Inputs, GradTargets};

const BATCH: usize = 64;

fn kernels(c: &mut Criterion) {
    for kernel in operations::all() {
        let (images, params) = operations::values(&kernel.graph, BATCH);
        let graph = Arc::new(kernel.graph);
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let gates = vec![1.0; graph.gates];
        let inputs =
            Inputs { batch: BATCH, image: &images, params: &params, gates: &gates, masks: &[], running: &[] };
        let mut group = c.benchmark_group(kernel.name);
        group.sample_size(20);
        group.bench_function("forward", |b| b.iter(|| cpu::forward(&graph, Mode::Train, &inputs, true)));
        let forward = cpu::forward(&graph, Mode::Train, &inputs, true);
        let tape = forward.tape.as_ref().unwrap();
        let upstream = vec![1.0 / BATCH as f32; forward.outputs.len()];
        let everything = vec![true; params.len()];
        for (name, params_too) in [("backward", true), ("backward of gates and images", false)] {
            let none = vec![false; params.len()];
            let wanted = if params_too { &everything } else { &none };
            let targets = GradTargets { params: wanted, gates: true, image: true };
            group.bench_function(name, |b| b.iter(|| cpu::backward(tape, &params, &upstream, &targets)));
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
