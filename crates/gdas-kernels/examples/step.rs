//! Times the search step of the engine alone: forward, loss, backward, clip and SGD on weights, then forward and
//! backward for the gates, on the architectures of a file, and prints one JSON line.
//!
//! `cargo run --release -p gdas-kernels --example step -- --space nasbench201 --architectures FILE --threads 2`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "step/networks.rs"]
mod networks;
#[path = "step/peak.rs"]
mod peak;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, GradTargets, Inputs};
use gdas_kernels::graph::{Graph, Init};

/// A weight and its momentum.
struct Weight {
    value: Vec<f32>,
    momentum: Vec<f32>,
}

/// Uniform numbers in [-1, 1) from a counter.
fn noise(counter: &mut u64) -> f32 {
    *counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*counter ^ (*counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Gradient of the mean cross-entropy, and the loss.
fn cross_entropy(logits: &[f32], batch: usize) -> (f32, Vec<f32>) {
    let classes = logits.len() / batch;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    for (n, row) in logits.chunks_exact(classes).enumerate() {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row.iter().map(|v| (v - largest).exp()).sum();
        let label = n % 10;
        loss += (sum.ln() + largest - row[label]) / batch as f32;
        for (c, v) in row.iter().enumerate() {
            let target = if c == label { 1.0 } else { 0.0 };
            gradient.push(((v - largest).exp() / sum - target) / batch as f32);
        }
    }
    (loss, gradient)
}

/// Processor seconds of all threads so far; zero where the system does not say.
fn processor_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter_map(spent).sum::<f64>() / 1e9
}

/// FNV-1a of the bits of all weights and momenta, in the order of their names: two versions that compute the same print the same.
fn digest(weights: &HashMap<String, Weight>) -> u64 {
    let mut names: Vec<_> = weights.keys().collect();
    names.sort();
    let values = names.into_iter().map(|name| &weights[name]).flat_map(|w| w.value.iter().chain(&w.momentum));
    values.fold(0xcbf2_9ce4_8422_2325, |hash, v| (hash ^ u64::from(v.to_bits())).wrapping_mul(0x0000_0100_0000_01b3))
}

struct Bench {
    weights: HashMap<String, Weight>,
    images: Vec<f32>,
    batch: usize,
    counter: u64,
    /// Bytes saved by the last forward pass, and the traffic of all.
    saved: usize,
    moved: f64,
}

impl Bench {
    fn init(&mut self, g: &Graph) {
        for spec in &g.params {
            let counter = &mut self.counter;
            self.weights.entry(spec.name.clone()).or_insert_with(|| Weight {
                value: (0..spec.len())
                    .map(|_| match spec.init {
                        Init::Uniform { bound } => bound * noise(counter),
                        Init::Normal { std } => std * noise(counter),
                        Init::Constant(v) => v,
                    })
                    .collect(),
                momentum: vec![0.0; spec.len()],
            });
        }
    }

    /// One half of a step; the loss and the seconds forward and backward took.
    fn half(&mut self, g: &Arc<Graph>, picked: &[usize], update: bool) -> (f32, f64, f64) {
        let params: Vec<&[f32]> = g.params.iter().map(|p| self.weights[&p.name].value.as_slice()).collect();
        let mut gates = vec![0.0; g.gates];
        for &p in picked {
            gates[p] = 1.0;
        }
        let inputs =
            Inputs { batch: self.batch, image: &self.images, params: &params, gates: &gates, masks: &[], running: &[] };
        let start = Instant::now();
        let forward = cpu::forward(g, Mode::Train, &inputs, true);
        let forward_time = start.elapsed().as_secs_f64();
        let tape = forward.tape.as_ref().unwrap();
        self.saved = self.saved.max(tape.bytes());
        self.moved += tape.traffic().iter().map(|&b| b as f64).sum::<f64>();
        let (loss, upstream) = cross_entropy(&forward.outputs, self.batch);
        let targets = GradTargets { params: &vec![update; params.len()], gates: !update, image: false };
        let start = Instant::now();
        let mut gradients = cpu::backward(tape, &params, &upstream, &targets);
        let backward_time = start.elapsed().as_secs_f64();
        if update {
            let norm: f32 = gradients.params.iter().flatten().flatten().map(|g| g * g).sum::<f32>().sqrt();
            let clip = (5.0 / (norm + 1e-6)).min(1.0);
            for (spec, gradient) in g.params.iter().zip(&mut gradients.params) {
                let w = self.weights.get_mut(&spec.name).unwrap();
                for ((v, m), d) in w.value.iter_mut().zip(&mut w.momentum).zip(gradient.as_ref().unwrap()) {
                    let d = clip * d + 5e-4 * *v;
                    *m = 0.9 * *m + d;
                    *v -= 0.025 * (d + 0.9 * *m);
                }
            }
        }
        (loss, forward_time, backward_time)
    }
}

fn main() {
    let mut args: HashMap<String, String> = HashMap::new();
    let mut list = std::env::args().skip(1);
    while let Some(key) = list.next() {
        args.insert(key.trim_start_matches("--").to_owned(), list.next().expect("every option takes a value"));
    }
    let number = |key: &str, otherwise: usize| args.get(key).map_or(otherwise, |v| v.parse().expect("a number"));
    let space = args.get("space").map_or("nasbench201", String::as_str);
    let (threads, batch, steps) = (number("threads", 2), number("batch", 64), number("steps", 12));
    let size = number("size", 32);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let text = std::fs::read_to_string(args.get("architectures").expect("--architectures FILE")).unwrap();
    let lines: Vec<Vec<usize>> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.split_whitespace().map(|v| v.parse().unwrap()).collect())
        .collect();

    let mut counter = 1;
    let images = (0..batch * size * size * 3).map(|_| 1.7 * noise(&mut counter)).collect();
    let mut bench = Bench { weights: HashMap::new(), images, batch, counter, saved: 0, moved: 0.0 };
    let mut spent = vec![];
    let (mut total, mut parts, mut flops, mut losses) = (vec![], [0.0; 4], 0.0, vec![]);
    for step in 0..steps + 2 {
        let line = &lines[step % lines.len()];
        let (first, second) = line.split_at(line.len() / 2);
        let [a, b] = [first, second].map(|ops| {
            let network =
                if space == "nasnet" { networks::nasnet(size, ops) } else { networks::nasbench201(size, ops) };
            (Arc::new(network.0), network.1)
        });
        bench.init(&a.0);
        bench.init(&b.0);
        let before = processor_seconds();
        let start = Instant::now();
        let (loss, f1, b1) = bench.half(&a.0, &a.1, true);
        let (_, f2, b2) = bench.half(&b.0, &b.1, false);
        if step >= 2 {
            total.push(start.elapsed().as_secs_f64());
            spent.push(processor_seconds() - before);
            [f1, b1, f2, b2].iter().zip(&mut parts).for_each(|(t, p)| *p += t / steps as f64);
            // Published count: products forward, twice that backward; no weight gradients in the second half.
            flops += (3.0 * networks::macs(&a.0) + 2.0 * networks::macs(&b.0)) * 2.0 * batch as f64 / steps as f64;
            losses.push(loss);
        }
    }
    let mean = total.iter().sum::<f64>() / steps as f64;
    let mut sorted = total.clone();
    sorted.sort_by(f64::total_cmp);
    spent.sort_by(f64::total_cmp);
    println!(
        "{{\"engine\": \"gdas {}\", \"space\": \"{space}\", \"size\": {size}, \"threads\": {threads}, \"batch\": {batch}, \"steps\": {steps}, \
         \"mean\": {mean:.5}, \"median\": {:.5}, \"fastest\": {:.5}, \"processor\": {:.5}, \"forward_w\": {:.5}, \"backward_w\": {:.5}, \
         \"forward_a\": {:.5}, \"backward_a\": {:.5}, \"gflop\": {:.2}, \"gflop_per_s\": {:.1}, \
         \"peak_gflop_per_s\": {:.1}, \"saved_mb\": {:.1}, \"moved_gb\": {:.2}, \"loss\": {:.4}, \
         \"digest\": \"{:016x}\"}}",
        cpu::simd_level(),
        sorted[steps / 2],
        sorted[0],
        spent[steps / 2],
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        flops / 1e9,
        flops / 1e9 / mean,
        if args.contains_key("no-peak") { 0.0 } else { peak::gflop_per_s(threads) },
        bench.saved as f64 / 1e6,
        bench.moved / 1e9 / (steps + 2) as f64,
        losses[losses.len() - 1],
        digest(&bench.weights),
    );
}
