//! From images to an exported network, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use gdas::Error;
use gdas::config::Auto;
use gdas::data::Dataset;
use gdas::run::{AutoPart, Event, Interrupt, Observer, RunDir, Silent};
use gdas_auto::{AutoConfig, AutoResult, Outcome, auto};
use serde_json::{Value, json};

const RESIDUAL: &str = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|";
const POOLS: &str = "|avg_pool_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|";

fn digits() -> Dataset {
    gdas::data::digits().hold_out(0.2)
}

fn config(budget_seconds: f64, search: bool) -> AutoConfig {
    AutoConfig {
        task: "auto".to_owned(),
        data: "digits".to_owned(),
        image_size: Auto::Auto,
        skip_damaged: false,
        space: gdas::space::spaces::nas_bench_201(),
        budget_seconds,
        search: Auto::Is(search),
        max_params: 0.0,
        max_flops: 0.0,
        max_latency: 0.0,
        max_file_size: 0.0,
        seed: 1,
        threads: Auto::Auto,
        tensorboard: false,
        device: gdas::device::DeviceName::Cpu,
        precision: gdas::device::Precision::Float32,
    }
}

fn create(path: &Path, config: &AutoConfig) -> RunDir {
    RunDir::create(path, &toml::to_string(config).unwrap()).unwrap()
}

fn go_on(
    config: &AutoConfig,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Outcome, Error> {
    auto(config, &digits(), run, Instant::now(), observer, interrupt, &Device::flex())
}

fn finish(config: &AutoConfig, run: &mut RunDir) -> AutoResult {
    match go_on(config, run, &mut Silent, &Interrupt::default()).unwrap() {
        Outcome::Finished(result) => *result,
        Outcome::Interrupted => panic!("nobody interrupted"),
    }
}

/// Plans trials as the clock would: three networks of 5 steps each, then two of 10.
fn plan_trials(path: &Path) {
    let network = |name: &str, genotype: &str, channels: usize| {
        json!({ "name": name, "genotype": genotype, "channels": channels, "cells": 1, "params": 1, "multiply_adds": 1,
                "seconds_per_step": 1.0 })
    };
    let candidates = [network("pools", POOLS, 2), network("narrow", RESIDUAL, 4), network("wide", RESIDUAL, 8)];
    let rungs = [json!({ "candidates": 3, "seconds": 5.5 }), json!({ "candidates": 2, "seconds": 10.5 })];
    fs::write(path.join("candidates.json"), json!({ "candidates": candidates, "rungs": rungs }).to_string()).unwrap();
}

/// Asks for a stop when the `nth` run of this part starts.
fn stop_at(part: AutoPart, nth: usize, interrupt: &Interrupt) -> impl FnMut(&Event) + use<> {
    let (interrupt, mut at_work, mut starts) = (interrupt.clone(), AutoPart::Planning, 0);
    move |event: &Event| match event {
        Event::AutoProgress { part, .. } => at_work = *part,
        Event::Started { .. } if at_work == part => {
            starts += 1;
            if starts == nth {
                interrupt.request();
            }
        }
        _ => {}
    }
}

/// With a stop in each stage and a resume after it.
#[test]
fn an_automatic_run_survives_stops_and_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = config(6.0, true);
    let mut run = create(&path, &config);
    plan_trials(&path);
    let stops = [
        (AutoPart::Search, 1, "search"),
        (AutoPart::Trial, 2, "tried/1-2"),
        (AutoPart::Trial, 2, "tried/1-3"),
        (AutoPart::Training, 1, "train"),
    ];
    for (part, nth, stage) in stops {
        let interrupt = Interrupt::default();
        let outcome = go_on(&config, &mut run, &mut stop_at(part, nth, &interrupt), &interrupt).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted), "{stage}");
        assert!(path.join(stage).join("checkpoint.0").is_file(), "{stage}");
        drop(run);
        run = RunDir::open(&path).unwrap();
    }
    let result = finish(&config, &mut run);
    assert!(result.search.is_some());
    let rounds: Vec<_> = result.tried.iter().map(|trial| (trial.round, trial.steps)).collect();
    assert_eq!(rounds, [(1, 5), (1, 5), (1, 5), (2, 10), (2, 10)]);
    let last = &result.tried[3..];
    let winner = last.iter().max_by(|a, b| a.validation_accuracy.total_cmp(&b.validation_accuracy)).unwrap();
    assert_eq!(winner.network.genotype, result.train.genotype);
    for trial in &result.tried {
        let text = fs::read_to_string(path.join(&trial.run).join("result.json")).unwrap();
        let trained: Value = serde_json::from_str(&text).unwrap();
        assert!(trained["test_accuracy"].is_null(), "no trial sees a test image");
        assert_eq!(trained["validation_accuracy"].as_f64(), Some(trial.validation_accuracy));
    }
    assert!(result.train.test_accuracy.is_some());
    for file in &result.exported {
        assert!(fs::metadata(path.join(file)).unwrap().len() > 1000);
    }
    assert!(run.is_finished());
}

/// What the clock decided is in the run directory: whoever goes on with it does the same.
#[test]
fn a_training_that_goes_on_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = config(3.0, false);
    let mut run = create(&path, &config);
    let interrupt = Interrupt::default();
    let mut at_work = false;
    let mut observer = |event: &Event| match event {
        Event::AutoProgress { part, .. } => at_work = *part == AutoPart::Training,
        Event::Checkpoint { .. } | Event::Started { .. } if at_work => interrupt.request(),
        _ => {}
    };
    assert!(matches!(go_on(&config, &mut run, &mut observer, &interrupt).unwrap(), Outcome::Interrupted));
    drop(run);
    let copy = folder.path().join("copy");
    for part in ["", "train"] {
        fs::create_dir_all(copy.join(part)).unwrap();
        for file in fs::read_dir(path.join(part)).unwrap().flatten().filter(|file| file.path().is_file()) {
            fs::copy(file.path(), copy.join(part).join(file.file_name())).unwrap();
        }
    }
    let results = [&path, &copy].map(|path| finish(&config, &mut RunDir::open(path).unwrap()));
    assert_eq!(results[0], results[1]);
    assert!(results[0].search.is_none());
}

#[test]
fn the_network_that_comes_out_keeps_to_the_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = [
        ("max_params", AutoConfig { max_params: 12_000.0, ..config(1.0, false) }),
        ("max_flops", AutoConfig { max_flops: 100_000.0, ..config(1.0, false) }),
        ("max_file_size", AutoConfig { max_file_size: 70_000.0, ..config(1.0, false) }),
    ];
    for (name, config) in bounds {
        let path = folder.path().join(name);
        let result = finish(&config, &mut create(&path, &config));
        let bytes = fs::metadata(path.join("network.onnx")).unwrap().len();
        let (params, flops) = (result.train.params as f64, result.train.multiply_adds as f64);
        assert!(config.max_params == 0.0 || params <= config.max_params, "{params}");
        assert!(config.max_flops == 0.0 || flops <= config.max_flops, "{flops}");
        assert!(config.max_file_size == 0.0 || bytes as f64 <= config.max_file_size, "{bytes}");
    }
}

#[test]
fn an_impossible_bound_is_an_error_that_names_the_smallest_network() {
    let folder = tempfile::tempdir().unwrap();
    let impossible = [
        ("--max-params", AutoConfig { max_params: 100.0, ..config(1.0, false) }),
        ("--max-flops", AutoConfig { max_flops: 100.0, ..config(1.0, false) }),
        ("--max-latency", AutoConfig { max_latency: 1e-6, ..config(1.0, false) }),
        ("--max-file-size", AutoConfig { max_file_size: 100.0, ..config(1.0, false) }),
    ];
    for (flag, config) in impossible {
        let mut run = create(&folder.path().join(flag), &config);
        let error = go_on(&config, &mut run, &mut Silent, &Interrupt::default()).expect_err(flag).to_string();
        // Which of the smallest networks is the fastest, the clock says.
        let smallest = if flag == "--max-latency" { "C = 4, N = 1" } else { "light, C = 4, N = 1" };
        assert!(error.contains(flag) && error.contains(smallest), "{error}");
    }
}

#[test]
fn a_damaged_plan_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = config(1.0, false);
    let mut run = create(&path, &config);
    fs::write(path.join("candidates.json"), "{").unwrap();
    let error = go_on(&config, &mut run, &mut Silent, &Interrupt::default()).expect_err("damaged").to_string();
    assert!(error.contains("candidates.json is damaged"), "{error}");
}
