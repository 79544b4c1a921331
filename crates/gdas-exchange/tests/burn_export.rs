//! The Rust modules that `gdas export` writes: they compile, load their records, and compute what the engine does.
//!
//! The modules below are checked in as they are generated. After a wanted change of the generator, write them anew with
//! `INSTA_UPDATE=always cargo test --release --workspace --test burn_export`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use gdas::graph::{Graph, Shape};
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::rng::{Rng, Stream};
use gdas::space::Genotype;
use gdas_exchange::export::{ExportError, Weights, to_burn_module, to_burn_record};
use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Inputs};

// Formatted by rustfmt's own defaults, which are not this project's.
#[rustfmt::skip]
#[allow(unreachable_pub, clippy::pedantic)]
#[path = "burn_export/benchmark.rs"]
mod benchmark;
#[rustfmt::skip]
#[allow(unreachable_pub, clippy::pedantic)]
#[path = "burn_export/nasnet.rs"]
mod nasnet;

/// Every operation of the benchmark, and a node without input.
const BENCHMARK: &str = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|";
/// Every operation of the NASNet space, in a normal and in a reduction cell.
const NASNET: &str = "normal=|skip_connect~0|sep_conv_3x3~1|+|sep_conv_5x5~0|dil_conv_3x3~2|+|dil_conv_5x5~1|\
     avg_pool_3x3~0|+|max_pool_3x3~3|skip_connect~2|;reduction=|skip_connect~0|sep_conv_3x3~1|+|sep_conv_5x5~0|\
     dil_conv_3x3~1|+|dil_conv_5x5~0|avg_pool_3x3~1|+|max_pool_3x3~0|skip_connect~2|";
const BATCH: usize = 3;

fn network(text: &str, track: bool) -> Graph {
    let genotype: Genotype = text.parse().unwrap();
    let config = NetworkConfig {
        image: Shape::new(16, 16, 3),
        classes: 5,
        channels: 8,
        stem: Stem::Cifar,
        affine: true,
        track,
        auxiliary: true,
        drop_path: true,
    };
    derive(&genotype.space.derived_blocks(1), &config, &genotype).unwrap()
}

fn normals(step: u64, count: usize) -> Vec<f32> {
    let mut rng = Rng::new(11, Stream::Weights, step);
    (0..count).map(|_| rng.normal() as f32).collect()
}

/// Weights of a plausible size, statistics included.
fn weights(graph: &Graph) -> Weights {
    let params = graph.params.iter().enumerate().map(|(i, spec)| {
        let fan_in: usize = spec.shape[..spec.shape.len() - 1].iter().product();
        let scale = (2.0 / fan_in.max(1) as f32).sqrt();
        normals(i as u64, spec.len()).into_iter().map(|v| v * scale + 0.1).collect()
    });
    let running = graph.norms.iter().enumerate().map(|(i, spec)| {
        let mut values = normals(1000 + i as u64, 2 * spec.channels);
        values.iter_mut().skip(spec.channels).for_each(|v| *v = v.abs() + 0.5);
        values
    });
    Weights { params: params.collect(), running: running.collect() }
}

/// Logits `[batch, classes]` of the engine, for images `[batch, height, width, channels]`.
fn engine(graph: &Graph, weights: &Weights, images: &[f32]) -> Vec<f32> {
    let params: Vec<&[f32]> = weights.params.iter().map(Vec::as_slice).collect();
    let running: Vec<&[f32]> = weights.running.iter().map(Vec::as_slice).collect();
    let masks = vec![1.0; graph.masks * BATCH];
    let inputs = Inputs { batch: BATCH, image: images, params: &params, gates: &[], masks: &masks, running: &running };
    let outputs = cpu::forward(&Arc::new(graph.clone()), Mode::Eval, &inputs, false).outputs;
    let all: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
    outputs.chunks_exact(all).flat_map(|row| row[..graph.shape(graph.outputs[0]).elements()].to_vec()).collect()
}

/// Compares the text that is generated now with what was compiled above.
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/burn_export").join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(known == text, "{} is not what is generated now; see the head of this file", path.display());
}

/// Whether rustfmt would leave the text as it is; passes where there is no rustfmt.
fn is_formatted(folder: &Path, text: &str) -> bool {
    let file = folder.join("network.rs");
    std::fs::write(&file, text).unwrap();
    let Ok(output) = Command::new("rustfmt").args(["--edition", "2024", "--check"]).arg(&file).output() else {
        return true;
    };
    let differences = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{differences}{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn check(name: &str, cells: &str, run: impl Fn(PathBuf, Tensor<4>) -> Tensor<2>) {
    let graph = network(cells, true);
    let text = to_burn_module(&graph, cells).unwrap();
    compare(name, &text);
    let folder = tempfile::tempdir().unwrap();
    assert!(is_formatted(folder.path(), &text));

    let weights = weights(&graph);
    let record = folder.path().join("network.bpk");
    std::fs::write(&record, to_burn_record(&graph, &weights, &[("genotype", cells)]).unwrap()).unwrap();
    let images = normals(5000, BATCH * graph.shape(0).elements());
    let data = TensorData::new(images.clone(), [BATCH, 16, 16, 3]);
    let tensor = Tensor::<4>::from_data(data, &Device::flex()).permute([0, 3, 1, 2]);
    let found: Vec<f32> = run(record, tensor).into_data().iter::<f32>().collect();
    let expected = engine(&graph, &weights, &images);
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale;
    assert!(worst < 1e-4, "largest difference {worst}");
    // The images must matter for that to mean something.
    assert!(expected.chunks(5).skip(1).any(|row| (row[0] - expected[0]).abs() > 0.01));
}

#[test]
fn a_network_of_the_benchmark_runs_on_burn() {
    check("benchmark.rs", BENCHMARK, |record, images| {
        benchmark::Network::load(record, &Device::flex()).unwrap().forward(images)
    });
}

#[test]
fn a_network_of_nasnet_cells_runs_on_burn() {
    check("nasnet.rs", NASNET, |record, images| {
        nasnet::Network::load(record, &Device::flex()).unwrap().forward(images)
    });
}

#[test]
fn other_published_networks_are_formatted_too() {
    let folder = tempfile::tempdir().unwrap();
    let frc = format!("normal={}", Genotype::named("GDAS_V1").unwrap().cells[0]);
    for text in [frc, Genotype::named("DARTS_V2").unwrap().to_string()] {
        assert!(is_formatted(folder.path(), &to_burn_module(&network(&text, true), &text).unwrap()));
    }
}

#[test]
fn a_normalisation_by_the_batch_is_refused() {
    // The published stem and head keep statistics; the first candidate does not.
    let name = "cells.0.edge.1.0.nor_conv_3x3.2".to_owned();
    assert_eq!(to_burn_module(&network(BENCHMARK, false), ""), Err(ExportError::BatchStatistics(name)));
}
