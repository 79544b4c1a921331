//! Times every kernel of the engine, forward and backward with all gradients, and prints one JSON line per kernel.
//!
//! `cargo run --release --workspace --example kernels -- --threads 2 --repeats 20`; `bench/compare.py --kernels` runs it
//! alternately with PyTorch. The times include the copies of the images into the engine's layout.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "step/networks.rs"]
#[allow(dead_code)]
mod networks;
#[path = "kernels/operations.rs"]
mod operations;
#[path = "step/peak.rs"]
mod peak;

use std::sync::Arc;
use std::time::Instant;

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, GradTargets, Inputs};

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |key: &str, otherwise: usize| {
        let at = args.iter().position(|a| a.trim_start_matches("--") == key);
        at.map_or(otherwise, |at| args[at + 1].parse().expect("a number"))
    };
    let (threads, batch, repeats) = (number("threads", 2), number("batch", 64), number("repeats", 20));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    println!(
        "{{\"name\": \"machine\", \"gflop_per_s\": {:.1}, \"gbyte_per_s\": {:.1}}}",
        peak::gflop_per_s(threads),
        peak::gbyte_per_s(threads)
    );
    for kernel in operations::all() {
        let (images, params) = operations::values(&kernel.graph, batch);
        let graph = Arc::new(kernel.graph);
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let gates = vec![1.0; graph.gates];
        let inputs = Inputs { batch, image: &images, params: &params, gates: &gates, masks: &[], running: &[] };
        let targets = GradTargets { params: &vec![true; params.len()], gates: true, image: true };
        let (mut forward, mut backward, mut traffic) = (vec![], vec![], [0; 2]);
        for repeat in 0..repeats + 2 {
            let start = Instant::now();
            let result = cpu::forward(&graph, Mode::Train, &inputs, true);
            let between = start.elapsed().as_secs_f64();
            let upstream = vec![1.0 / batch as f32; result.outputs.len()];
            let tape = result.tape.as_ref().unwrap();
            let start = Instant::now();
            let gradients = cpu::backward(tape, &params, &upstream, &targets);
            let after = start.elapsed().as_secs_f64();
            assert!(gradients.image.is_some());
            traffic = tape.traffic();
            if repeat >= 2 {
                forward.push(between);
                backward.push(after);
            }
        }
        println!(
            "{{\"name\": \"{}\", \"forward\": {:.6}, \"backward\": {:.6}, \"gflop\": {:.4}, \"mb_forward\": {:.1}, \
             \"mb_backward\": {:.1}}}",
            kernel.name,
            median(forward),
            median(backward),
            2.0 * networks::macs(&graph) * batch as f64 / 1e9,
            traffic[0] as f64 / 1e6,
            traffic[1] as f64 / 1e6,
        );
    }
}
