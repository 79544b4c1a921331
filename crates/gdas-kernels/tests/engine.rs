//! The fused engine against an independent `f64` meaning of every operation, and its promises: the same bits for any
//! number of threads, faithful NaN and infinity, empty batches.

#![allow(clippy::unwrap_used)]

mod oracle;

use std::sync::Arc;

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Forward, Gradients, Inputs, Wants};
use gdas_kernels::graph::{Graph, Shape, Sum, Window};
use oracle::random::{self, Random};
use oracle::{Data, forward};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// Runs the engine forward and backward with every gradient.
fn engine(g: &Graph, mode: Mode, data: &Data, upstream: &[f32]) -> (Forward, Gradients) {
    let params: Vec<_> = data.params.iter().map(|p| single(p)).collect();
    let running: Vec<_> = data.running.iter().map(|p| single(p)).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let running: Vec<&[f32]> = running.iter().map(Vec::as_slice).collect();
    let inputs = Inputs {
        batch: data.batch,
        image: &single(&data.image),
        params: &params,
        gates: &single(&data.gates),
        masks: &single(&data.masks),
        running: &running,
    };
    let forward = cpu::forward(&Arc::new(g.clone()), mode, &inputs, true);
    let wants = Wants { params: &vec![true; params.len()], gates: true, image: true };
    let gradients = cpu::backward(forward.tape.as_ref().unwrap(), &params, upstream, &wants);
    (forward, gradients)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Compares outputs, statistics and the derivative along one random direction per input.
fn check(g: &Graph, mode: Mode, data: &Data, r: &mut Random, tolerance: f64) {
    let (outputs, stats) = forward(g, mode, data);
    let upstream: Vec<f64> = outputs.iter().map(|_| r.normal()).collect();
    let (ours, gradients) = engine(g, mode, data, &single(&upstream));
    let close = |what: &str, ours: &[f32], expected: &[f64]| {
        assert_eq!(ours.len(), expected.len(), "{what}: length");
        let largest = expected.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        for (i, (a, b)) in ours.iter().zip(expected).enumerate() {
            let error = (f64::from(*a) - b).abs();
            assert!(error <= tolerance * largest + 1e-6, "{what}[{i}]: {a} instead of {b} (largest {largest})");
        }
    };
    close("outputs", &ours.outputs, &outputs);
    close("stats", &ours.stats, &stats);

    let loss = |data: &Data| -> f64 { forward(g, mode, data).0.iter().zip(&upstream).map(|(o, u)| o * u).sum() };
    let mut along = |what: &str, gradient: &[f32], field: &dyn Fn(&mut Data) -> &mut Vec<f64>| {
        let mut moved = data.clone();
        let direction: Vec<f64> = (0..field(&mut moved).len()).map(|_| r.normal()).collect();
        assert_eq!(gradient.len(), direction.len(), "{what}: length of the gradient");
        let mut at = |step: f64| {
            moved.clone_from(data);
            field(&mut moved).iter_mut().zip(&direction).for_each(|(v, d)| *v += step * d);
            loss(&moved)
        };
        let step = 1e-7;
        let expected = (at(step) - at(-step)) / (2.0 * step);
        let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
        let got: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let scale = norm(&gradient).max(norm(&upstream) * 0.01);
        let error = (got - expected).abs();
        assert!(error <= 2.0 * tolerance * scale + 1e-5, "{what}: slope {got} instead of {expected} (norm {scale})");
    };
    along("image", gradients.image.as_ref().unwrap(), &|d| &mut d.image);
    along("gates", gradients.gates.as_ref().unwrap(), &|d| &mut d.gates);
    for (i, p) in g.params.iter().enumerate() {
        along(&p.name, gradients.params[i].as_ref().unwrap(), &move |d| &mut d.params[i]);
    }
}

/// A network around one operation: stem, the operation, classifier.
fn around(r: &mut Random, build: impl FnOnce(&mut Graph, usize, &mut Random) -> usize) -> (Graph, Data) {
    let image = Shape::new(r.range(1, 17), r.range(1, 17), r.range(1, 4));
    let mut g = Graph::new(image);
    let channels = r.pick(&[1, 3, 8, 16, 17, 32, 36, 48, 64]);
    let stem = g.conv(0, "stem", channels, Window::valid(1, 1), 1, true);
    let y = build(&mut g, stem, r);
    // A second consumer of the stem, so that its gradient has two sources.
    random::finish(&mut g, y, 3);
    random::finish(&mut g, stem, 2);
    let batch = r.range(1, 5);
    let data = random::data(&g, batch, r);
    (g, data)
}

const STRICT: f64 = 2e-4;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_convolution_with_any_window(seed: u64) {
        let r = &mut Random::new(seed);
        let (g, data) = around(r, |g, x, r| {
            let x = if r.range(0, 1) > 0 { g.relu(x) } else { x };
            let w = random::window(r, g.shape(x));
            let channels = r.pick(&[1, 4, 16, 31, 64]);
            g.conv(x, "conv", channels, w, 1, r.range(0, 1) > 0)
        });
        check(&g, Mode::Train, &data, r, STRICT);
    }

    #[test]
    fn relu_convolution_norm(seed: u64) {
        let r = &mut Random::new(seed);
        let (g, data) = around(r, |g, x, r| {
            let x = g.relu(x);
            let w = random::usual_window(r);
            let channels = r.pick(&[g.shape(x).channels, 16, 32, 5]);
            let c = g.conv(x, "conv", channels, w, 1, r.range(0, 1) > 0);
            let c = g.norm(c, "norm", r.range(0, 1) > 0, r.range(0, 1) > 0);
            let gate = Sum { gates: vec![Some(0), None], constant: vec![1] };
            let shape = g.shape(c);
            let c = g.sum(vec![c, c], gate, shape);
            if r.range(0, 1) > 0 { g.relu(c) } else { c }
        });
        let mode = r.pick(&[Mode::Train, Mode::Eval]);
        check(&g, mode, &data, r, 1e-3);
    }

    #[test]
    fn depthwise_and_pointwise_convolution(seed: u64) {
        let r = &mut Random::new(seed);
        let (g, data) = around(r, |g, x, r| {
            let x = if r.range(0, 3) > 0 { g.relu(x) } else { x };
            let c = g.shape(x).channels;
            let w = if r.range(0, 1) > 0 { random::usual_window(r) } else { random::window(r, g.shape(x)) };
            let x = g.conv(x, "depth", c, w, c, r.range(0, 3) == 0);
            if r.range(0, 3) == 0 {
                return x;
            }
            let channels = r.pick(&[c, c, 7]);
            let x = g.conv(x, "point", channels, Window::valid(1, 1), 1, r.range(0, 1) > 0);
            g.norm(x, "norm", r.range(0, 1) > 0, false)
        });
        check(&g, Mode::Train, &data, r, 1e-3);
    }

    #[test]
    fn grouped_convolution(seed: u64) {
        let r = &mut Random::new(seed);
        let (g, data) = around(r, |g, x, r| {
            let c = g.shape(x).channels;
            let groups = (1..=8).rev().find(|k| c.is_multiple_of(*k)).unwrap();
            let w = random::window(r, g.shape(x));
            // Few and many channels per group: dense, in blocks of groups, or a block per group.
            let multiple = r.pick(&[1, 2, c / groups, c / groups, 8, 16]);
            g.conv(x, "conv", groups * multiple, w, groups, r.range(0, 1) > 0)
        });
        check(&g, Mode::Train, &data, r, STRICT);
    }

    #[test]
    fn whole_networks(seed: u64) {
        let r = &mut Random::new(seed);
        let image = Shape::new(r.range(1, 12), r.range(1, 12), r.range(1, 4));
        let steps = r.range(1, 14);
        let g = random::network(r, image, steps);
        let batch = r.range(1, 4);
        let data = random::data(&g, batch, r);
        let mode = r.pick(&[Mode::Train, Mode::Train, Mode::Eval]);
        check(&g, mode, &data, r, 1e-2);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit(seed: u64) {
        let r = &mut Random::new(seed);
        let image = Shape::new(r.range(4, 12), r.range(4, 12), 3);
        let g = random::network(r, image, 12);
        let batch = r.range(1, 20);
        let data = random::data(&g, batch, r);
        let upstream = vec![0.3f32; forward(&g, Mode::Train, &data).0.len()];
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (f, d) = pool.install(|| engine(&g, Mode::Train, &data, &upstream));
            let params = d.params.into_iter().flatten().flatten();
            let all = f.outputs.into_iter().chain(f.stats).chain(params).chain(d.gates.unwrap()).chain(d.image.unwrap());
            all.map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = bits(1);
        prop_assert!(one == bits(2) && one == bits(5));
    }

    #[test]
    fn only_the_gradients_asked_for_and_the_same_ones(seed: u64) {
        let r = &mut Random::new(seed);
        let g = random::network(r, Shape::new(6, 7, 3), 10);
        let data = random::data(&g, 2, r);
        let (outputs, _) = forward(&g, Mode::Train, &data);
        let upstream: Vec<f32> = outputs.iter().map(|_| r.normal() as f32).collect();
        let (f, all) = engine(&g, Mode::Train, &data, &upstream);
        let params: Vec<_> = data.params.iter().map(|p| single(p)).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let wanted: Vec<bool> = params.iter().map(|_| r.range(0, 1) > 0).collect();
        let wants = Wants { params: &wanted, gates: r.range(0, 1) > 0, image: r.range(0, 1) > 0 };
        let some = cpu::backward(f.tape.as_ref().unwrap(), &params, &upstream, &wants);
        for i in 0..params.len() {
            prop_assert_eq!(&some.params[i], &if wanted[i] { all.params[i].clone() } else { None });
        }
        prop_assert_eq!(some.gates, if wants.gates { all.gates } else { None });
        prop_assert_eq!(some.image, if wants.image { all.image } else { None });
    }
}

/// One network with every usual block, used by the tests of special values.
fn every_block() -> Graph {
    let mut g = Graph::new(Shape::new(9, 9, 3));
    let stem = g.conv(0, "stem", 16, Window::same(3, 1, 1), 1, false);
    let x = g.norm(stem, "stem.norm", true, true);
    let mut terms = vec![x, g.avg_pool(x, Window::same(3, 1, 1)), g.max_pool(x, Window::same(3, 1, 1))];
    for kernel in [1, 3] {
        let y = g.relu(x);
        let y = g.conv(y, &format!("conv{kernel}"), 16, Window::same(kernel, 1, 1), 1, true);
        terms.push(g.norm(y, &format!("norm{kernel}"), false, true));
    }
    let y = g.relu(x);
    let y = g.conv(y, "depth", 16, Window::same(5, 1, 2), 16, false);
    let y = g.conv(y, "point", 16, Window::valid(1, 1), 1, false);
    terms.push(g.norm(y, "norm.point", false, true));
    let gates = (0..terms.len()).map(Some).collect();
    let shape = g.shape(x);
    let y = g.sum(terms, Sum { gates, constant: vec![6] }, shape);
    random::finish(&mut g, y, 4);
    g
}

/// As the architecture step of a search asks: nothing but the gates, with nothing wanted before the first of them.
#[test]
fn the_gates_alone_have_the_gradients_that_they_have_among_all() {
    let g = every_block();
    let r = &mut Random::new(3);
    let data = random::data(&g, 3, r);
    let upstream: Vec<f32> = (0..3 * 4).map(|_| r.normal() as f32).collect();
    for mode in [Mode::Train, Mode::Eval] {
        let (f, all) = engine(&g, mode, &data, &upstream);
        let params: Vec<_> = data.params.iter().map(|p| single(p)).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let wants = Wants { params: &vec![false; params.len()], gates: true, image: false };
        let some = cpu::backward(f.tape.as_ref().unwrap(), &params, &upstream, &wants);
        assert_eq!(some.gates, all.gates, "{mode:?}");
    }
}

#[test]
fn an_empty_batch_gives_empty_outputs_and_zero_gradients() {
    let g = every_block();
    let data = random::data(&g, 0, &mut Random::new(1));
    let (f, d) = engine(&g, Mode::Train, &data, &[]);
    assert!(f.outputs.is_empty());
    assert!(d.params.iter().flatten().flatten().all(|&v| v == 0.0));
    assert!(d.gates.unwrap().iter().all(|&v| v == 0.0));
}

#[test]
fn nan_and_infinity_in_any_input_reach_the_outputs() {
    let g = every_block();
    let clean = random::data(&g, 2, &mut Random::new(2));
    for bad in [f64::NAN, f64::INFINITY] {
        let fields: [&dyn Fn(&mut Data) -> &mut f64; 4] = [
            &|d| &mut d.image[100],
            &|d| &mut d.params[0][5],
            &|d| &mut d.gates[2],
            // A constant gate: added to every element.
            &|d| &mut d.gates[6],
        ];
        for (i, field) in fields.iter().enumerate() {
            let mut data = clean.clone();
            *field(&mut data) = bad;
            let (f, d) = engine(&g, Mode::Train, &data, &[1.0; 8]);
            assert!(f.outputs.iter().any(|v| !v.is_finite()), "{bad} in input {i} is lost going forward");
            let mut gradients = d.params.into_iter().flatten().flatten().chain(d.gates.unwrap());
            assert!(gradients.any(|v| !v.is_finite()), "{bad} in input {i} is lost going backward");
        }
    }
    let (_, d) = engine(&g, Mode::Train, &clean, &[f32::NAN; 8]);
    assert!(d.params.iter().all(|p| p.as_ref().unwrap().iter().any(|v| v.is_nan()) || p.as_ref().unwrap().len() == 16));
}

#[test]
fn every_instruction_set_passes_the_same_tests() {
    if std::env::var_os("GDAS_SIMD").is_some() {
        return;
    }
    // A level that the processor lacks falls back to the best one, which then passes once more.
    for level in ["portable", "avx2", "avx512", "neon"] {
        let passed = std::process::Command::new(std::env::current_exe().unwrap())
            .env("GDAS_SIMD", level)
            .args(["convolution", "whole_networks", "nan_and_infinity"])
            .output()
            .unwrap();
        assert!(passed.status.success(), "{level}:\n{}", String::from_utf8_lossy(&passed.stdout));
    }
}
