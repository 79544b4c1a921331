//! Tests the engine of the processor against an independent `f64` oracle of every operation, and that it keeps its bits for any
//! number of threads, NaN and infinity, and accepts empty batches.

#![allow(clippy::unwrap_used)]

mod oracle;

use std::io::Write;
use std::sync::Arc;

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Inputs};
use gdas_kernels::graph::{Graph, Shape};
use oracle::cases::{self, Found, GradTargets, single};
use oracle::random::{self, Random};
use oracle::{Data, forward};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn engine(g: &Graph, mode: Mode, data: &Data, upstream: &[f32], targets: &GradTargets) -> Found {
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
    let targets = cpu::GradTargets { params: &targets.params, gates: targets.gates, image: targets.image };
    let gradients = cpu::backward(forward.tape.as_ref().unwrap(), &params, upstream, &targets);
    Found {
        outputs: forward.outputs,
        stats: forward.stats,
        params: gradients.params,
        gates: gradients.gates,
        image: gradients.image,
    }
}

/// Random networks per test: 40, or what `PROPTEST_CASES` says.
fn random_cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(40, |cases| cases.parse().expect("PROPTEST_CASES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: random_cases(), rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_convolution_with_any_window(seed: u64) {
        cases::dense_convolution_with_any_window(&engine, seed);
    }

    #[test]
    fn relu_convolution_norm(seed: u64) {
        cases::relu_convolution_norm(&engine, seed);
    }

    #[test]
    fn depthwise_and_pointwise_convolution(seed: u64) {
        cases::depthwise_and_pointwise_convolution(&engine, seed);
    }

    #[test]
    fn grouped_convolution(seed: u64) {
        cases::grouped_convolution(&engine, seed);
    }

    #[test]
    fn whole_networks(seed: u64) {
        cases::whole_networks(&engine, seed);
    }

    #[test]
    fn only_the_gradients_asked_for_and_the_same_ones(seed: u64) {
        cases::only_the_gradients_asked_for_and_the_same_ones(&engine, seed);
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
            pool.install(|| engine(&g, Mode::Train, &data, &upstream, &GradTargets::all(&g))).bits()
        };
        let one = bits(1);
        prop_assert!(one == bits(2) && one == bits(5));
    }
}

#[test]
fn the_gates_alone_have_the_gradients_that_they_have_among_all() {
    cases::the_gates_alone_have_the_gradients_that_they_have_among_all(&engine);
}

#[test]
fn large_images() {
    cases::large_images(&engine);
}

#[test]
fn an_empty_batch_gives_empty_outputs_and_zero_gradients() {
    cases::an_empty_batch_gives_empty_outputs_and_zero_gradients(&engine);
}

#[test]
fn nan_and_infinity_in_any_input_reach_the_outputs() {
    cases::nan_and_infinity_in_any_input_reach_the_outputs(&engine);
}

/// The tests that [`every_instruction_set_passes_the_same_tests`] runs on each.
const TESTS_PER_LEVEL: [&str; 7] = [
    "dense_convolution_with_any_window",
    "depthwise_and_pointwise_convolution",
    "grouped_convolution",
    "nan_and_infinity_in_any_input_reach_the_outputs",
    "relu_convolution_norm",
    "the_engine_runs_on_the_instruction_set_that_is_asked_for",
    "whole_networks",
];

/// Prints to standard error past the test harness, which captures `eprintln!`.
#[expect(clippy::explicit_write, reason = "see above")]
fn announce(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// So that a run for one level cannot pass on another.
#[test]
fn the_engine_runs_on_the_instruction_set_that_is_asked_for() {
    match std::env::var("GDAS_SIMD") {
        Ok(level) => assert_eq!(cpu::simd_level(), level, "this processor has {:?}", cpu::simd_levels()),
        Err(_) => assert_eq!(cpu::simd_level(), cpu::simd_levels()[0]),
    }
}

#[test]
fn every_instruction_set_passes_the_same_tests() {
    if let Ok(level) = std::env::var("GDAS_SIMD") {
        return announce(&format!("skipped: GDAS_SIMD={level}, so the other instruction sets are not tested"));
    }
    let known: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["avx512", "avx2", "portable"],
        "aarch64" => &["neon", "portable"],
        _ => &["portable"],
    };
    for level in known {
        if !cpu::simd_levels().contains(level) {
            announce(&format!("skipped: this processor has no {level}, whose kernels are not tested"));
            continue;
        }
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .env("GDAS_SIMD", level)
            .arg("--exact")
            .args(TESTS_PER_LEVEL)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{level}:\n{printed}{}", String::from_utf8_lossy(&run.stderr));
        // A renamed test would otherwise be left out unseen.
        for test in TESTS_PER_LEVEL {
            assert!(printed.contains(&format!("test {test} ... ok")), "{level}: {test} did not run:\n{printed}");
        }
        assert!(printed.contains(&format!("{} passed; 0 failed; 0 ignored", TESTS_PER_LEVEL.len())), "{printed}");
        announce(&format!("{} tests passed on {level}", TESTS_PER_LEVEL.len()));
    }
    assert!(cpu::simd_levels().iter().all(|level| known.contains(level)), "a level without tests");
}
