#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gdas_kernels::cpu::{self, Inputs};
use gdas_kernels::graph::{Shape, Sum, Window};
use gdas_kernels::{Mode, graph::ValueId};

use super::onnx::{int8_to_onnx, pixels_to_onnx};
use super::*;
use gdas::data::{EvaluationBatches, Images, Statistics, Subset};
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::rng::{Rng, Stream};
use gdas::run::Interrupt;
use gdas::space::Genotype;

/// A network with every operation, an auxiliary head, a drop-path and a layer of zeros.
pub(super) fn every_operation(track: bool) -> Graph {
    let mut g = Graph::new(Shape::new(9, 7, 3));
    let stem = g.conv(0, "stem.conv", 6, Window::same(3, 1, 1), 1, true);
    let stem = g.norm(stem, "stem.norm", true, true);
    let relu = g.relu(stem);
    let depthwise = g.conv(relu, "cells.0.a.0", 6, Window::same(5, 1, 2), 6, false);
    let a = g.norm(depthwise, "cells.0.a.1", false, track);
    let window = Window { kernel: [1, 3], stride: [1, 1], padding: [0, 1], dilation: [1, 1] };
    let b = g.conv(relu, "cells.0.b", 6, window, 2, false);
    let b = g.scale_images(b);
    let c = g.max_pool(stem, Window::same(3, 1, 1));
    let zeros = g.sum(vec![], Sum::default(), g.shape(stem));
    let joined = g.add(vec![a, b, c, zeros]);
    let single = g.add(vec![joined]);
    // Factorized reduction.
    let r = g.relu(single);
    let even = g.conv(r, "cells.1.even", 4, Window::valid(1, 2), 1, false);
    let shifted = g.shift(r);
    let odd = g.conv(shifted, "cells.1.odd", 4, Window::valid(1, 2), 1, false);
    let pooled = g.avg_pool(single, Window::same(3, 2, 1));
    let joined = g.concat(vec![even, odd, pooled]);
    let joined = g.norm(joined, "cells.1.norm", true, track);
    let auxiliary: ValueId = g.global_avg_pool(joined);
    let auxiliary = g.linear(auxiliary, "auxiliary.classifier", 5);
    let head = g.norm(joined, "head.norm", true, true);
    let head = g.relu(head);
    let head = g.global_avg_pool(head);
    let main = g.linear(head, "head.classifier", 5);
    g.outputs = vec![main, auxiliary];
    g
}

/// Weights of a plausible size, statistics included.
pub(super) fn random_weights(graph: &Graph) -> Weights {
    let normals = |step: u64, count: usize| -> Vec<f32> {
        let mut rng = Rng::new(7, Stream::Weights, step);
        (0..count).map(|_| rng.normal() as f32).collect()
    };
    let params = graph.params.iter().enumerate().map(|(i, spec)| {
        let fan_in: usize = spec.shape[..spec.shape.len() - 1].iter().product();
        let scale = (2.0 / fan_in.max(1) as f32).sqrt();
        normals(i as u64, spec.len()).into_iter().map(|v| v * scale + 0.1).collect()
    });
    let running = graph.norms.iter().enumerate().map(|(i, spec)| {
        let mut values = normals(1000 + i as u64, if spec.track { 2 * spec.channels } else { 0 });
        values.iter_mut().skip(spec.channels).for_each(|v| *v = v.abs() + 0.5);
        values
    });
    Weights { params: params.collect(), running: running.collect() }
}

/// Main output of the engine in evaluation mode, `[batch, classes]`.
pub(super) fn engine_logits(graph: &Graph, weights: &Weights, images: &[f32], batch: usize) -> Vec<f32> {
    let params: Vec<&[f32]> = weights.params.iter().map(Vec::as_slice).collect();
    let running: Vec<&[f32]> = weights.running.iter().map(Vec::as_slice).collect();
    let masks = vec![1.0; graph.masks * batch];
    let inputs = Inputs { batch, image: images, params: &params, gates: &[], masks: &masks, running: &running };
    let outputs = cpu::forward(&Arc::new(graph.clone()), Mode::Eval, &inputs, false).outputs;
    let all: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
    let classes = graph.shape(graph.outputs[0]).elements();
    outputs.chunks_exact(all).flat_map(|row| row[..classes].to_vec()).collect()
}

#[test]
fn layouts_are_inverse_to_each_other() {
    let shape = [2, 3, 4, 5];
    let values: Vec<f32> = (0..120).map(|v| v as f32).collect();
    let portable = to_portable(&shape, &values);
    // Element (o, i, y, x) = (1, 2, 1, 0) of the portable form is element (1, 0, 2, 1) of ours.
    assert_eq!(portable[((4 + 2) * 2 + 1) * 3], values[((3 * 4) + 2) * 5 + 1]);
    assert_eq!(from_portable(&shape, &portable), values);
}

#[test]
fn safetensors_come_back() {
    let graph = every_operation(true);
    let weights = random_weights(&graph);
    let bytes = to_safetensors(&graph, &weights, &[("genotype", "none")]).unwrap();
    let back = from_safetensors(&graph, &bytes).unwrap();
    let images: Vec<f32> = (0..2 * 9 * 7 * 3).map(|i| (i % 13) as f32 * 0.1).collect();
    assert_eq!(engine_logits(&graph, &weights, &images, 2), engine_logits(&graph, &back, &images, 2));
    // The auxiliary head is not part of the network in use.
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.names().iter().all(|name| !name.starts_with("auxiliary")));
    assert_eq!(file.tensor("head.classifier.weight").unwrap().shape(), [5, 14]);
}

/// The order of the metadata once was that of a hash map, another one in every file.
#[test]
fn two_exports_of_one_network_are_equal_to_the_byte() {
    let graph = every_operation(true);
    let weights = random_weights(&graph);
    let metadata: Vec<(String, String)> = (0..12).map(|i| (format!("key {i}"), format!("\"{i}\""))).collect();
    let mut metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let first = to_safetensors(&graph, &weights, &metadata).unwrap();
    metadata.reverse();
    assert!(first == to_safetensors(&graph, &weights, &metadata).unwrap());
    let (_, header) = ::safetensors::SafeTensors::read_metadata(&first).unwrap();
    let read = header.metadata().as_ref().unwrap();
    assert!(read.len() == 12 && metadata.iter().all(|(key, value)| read[*key] == *value));
    let plain = to_safetensors(&graph, &weights, &[]).unwrap();
    assert_eq!(from_safetensors(&graph, &first).unwrap().params, from_safetensors(&graph, &plain).unwrap().params);
}

#[test]
fn weights_of_another_network_are_refused() {
    let graph = every_operation(true);
    let mut weights = random_weights(&graph);
    let bytes = to_safetensors(&graph, &weights, &[]).unwrap();
    let mut wider = every_operation(true);
    wider.params[0].shape[3] += 1;
    assert!(matches!(from_safetensors(&wider, &bytes), Err(ExportError::Mismatch { .. })));
    wider.params[0].name = "other".into();
    assert_eq!(from_safetensors(&wider, &bytes), Err(ExportError::Missing { name: "other".into() }));
    assert!(matches!(from_safetensors(&graph, &bytes[..50]), Err(ExportError::Format(_))));
    weights.params[0].pop();
    assert!(matches!(to_onnx(&graph, &weights, &[]), Err(ExportError::Weights(WeightsMismatch::Length { .. }))));
    weights.params.pop();
    assert!(matches!(to_onnx(&graph, &weights, &[]), Err(ExportError::Weights(WeightsMismatch::Count { .. }))));
}

#[test]
fn a_sampled_supernet_is_refused() {
    let mut graph = every_operation(true);
    graph.gates = 6;
    assert_eq!(to_pytorch(&graph, ""), Err(ExportError::Gates));
}

#[test]
fn untracked_statistics_are_told() {
    assert!(depends_on_batch(&every_operation(false)));
    assert!(!depends_on_batch(&every_operation(true)));
}

/// The configuration of a network for images of 32x32 pixels.
fn config(affine: bool, track: bool, auxiliary: bool) -> NetworkConfig {
    let (image, drop_path) = (Shape::new(32, 32, 3), auxiliary);
    NetworkConfig { image, classes: 10, channels: 8, stem: Stem::Cifar, affine, track, auxiliary, drop_path }
}

/// A network of two cells per stage.
fn network(genotype: &Genotype, config: &NetworkConfig) -> Graph {
    derive(&genotype.space.derived_blocks(2), config, genotype).unwrap()
}

/// Runs a check of `scripts/check_export.py`, with the Python that `GDAS_PYTHON` names, and returns what it printed.
fn check_export(arguments: &[&std::ffi::OsStr]) -> String {
    let python = std::env::var("GDAS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check_export.py");
    let output = Command::new(&python).arg(&script).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success(), "{text}");
    text
}

/// `values` as the bytes of a file.
fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// ONNX Runtime gives the engine's outputs for raw pixels, in both types and layouts, with and without mirror images, and
/// the simulated ones in 8 bits. Needs a Python with `onnx`, `onnxruntime` and `numpy`, named by the environment variable
/// `GDAS_PYTHON`.
#[test]
#[ignore = "needs a Python with onnx and onnxruntime"]
fn onnx_runtime_agrees_on_pixels() {
    let cell = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|";
    let cases = [
        ("every operation", every_operation(true)),
        ("benchmark cell", network(&cell.parse().unwrap(), &config(true, true, false))),
        ("DARTS_V2", network(&Genotype::named("DARTS_V2").unwrap(), &config(true, true, true))),
    ];
    for (name, graph) in cases {
        let weights = random_weights(&graph);
        let (images, statistics) = random_images(graph.shape(0), 100);
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, bytes: &[u8]| std::fs::write(dir.path().join(file), bytes).unwrap();
        write("images.u8", &images.pixels);
        let images = Subset::all(&Arc::new(images));
        let int8 = Int8Network::of(&graph, &weights, &statistics, &images, &Interrupt::default()).unwrap().unwrap();
        for flip in [false, true] {
            let batch = EvaluationBatches::new(&statistics, &images, 100).batch(0);
            let mut logits = engine_logits(&graph, &weights, &batch.images, 100);
            let mirrored: Vec<f32> = mirrored(&batch.images, graph.shape(0));
            if flip {
                let others = engine_logits(&graph, &weights, &mirrored, 100);
                logits.iter_mut().zip(others).for_each(|(a, b)| *a = f32::midpoint(*a, b));
            }
            write(&format!("float-{flip}.f32"), &raw(&logits));
            write(&format!("int8-{flip}.f32"), &raw(&int8.logits(&batch, flip)));
            for (kind, layout) in
                [(PixelType::Uint8, PixelLayout::ChannelsFirst), (PixelType::Float32, PixelLayout::ChannelsLast)]
            {
                let input = PixelInput { kind, layout, flip };
                let float = pixels_to_onnx(&graph, &weights, &statistics, input, &[]).unwrap();
                write(&format!("float-{flip}-{kind:?}-{layout:?}.onnx"), &float);
                let small = int8_to_onnx(&int8, &statistics, input, &[]).unwrap();
                write(&format!("int8-{flip}-{kind:?}-{layout:?}.onnx"), &small);
            }
        }
        let image = graph.shape(0);
        let shape = format!("100,{},{},{}", image.height, image.width, image.channels);
        println!("{name}:");
        let text = check_export(&["--pixels".as_ref(), dir.path().as_ref(), shape.as_ref()]);
        assert_eq!(text.matches("largest difference").count(), 4, "{text}");
        assert_eq!(text.matches("relative error").count(), 8, "{text}");
    }
}

/// Images of random pixels, each with a pattern of its own brightness, and their statistics.
pub(super) fn random_images(shape: Shape, count: usize) -> (Images, Statistics) {
    let mut rng = Rng::new(2, Stream::Split, 0);
    let mut images = Images::empty(shape.height, shape.width, shape.channels);
    for index in 0..count {
        let (mean, deviation) = (60.0 + 130.0 * rng.uniform(), 10.0 + 60.0 * rng.uniform());
        let pixel = |_| (mean + deviation * rng.normal()).clamp(0.0, 255.0) as u8;
        images.pixels.extend((0..shape.elements()).map(pixel));
        images.labels.push((index % 5) as u32);
    }
    let statistics = Statistics::of(&images);
    (images, statistics)
}

/// Images `[batch, height, width, channels]`, each turned left to right.
fn mirrored(images: &[f32], shape: Shape) -> Vec<f32> {
    let rows = images.chunks_exact(shape.width * shape.channels);
    rows.flat_map(|row| row.chunks_exact(shape.channels).rev().flatten().copied().collect::<Vec<_>>()).collect()
}

/// ONNX Runtime and PyTorch give the engine's outputs. Needs a Python with `onnx`, `onnxruntime`, `torch`,
/// `safetensors` and `numpy`, named by the environment variable `GDAS_PYTHON` (default `python3`).
#[test]
#[ignore = "needs a Python with onnx, onnxruntime, torch and safetensors"]
fn other_programs_agree() {
    let cell = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|";
    let frc: Genotype = format!("normal={}", Genotype::named("GDAS_V1").unwrap().cells[0]).parse().unwrap();
    let cases = [
        ("every operation", every_operation(true)),
        ("every operation, untracked", every_operation(false)),
        ("benchmark cell", network(&cell.parse().unwrap(), &config(true, true, false))),
        ("benchmark cell as searched", network(&cell.parse().unwrap(), &config(false, false, false))),
        ("DARTS_V2", network(&Genotype::named("DARTS_V2").unwrap(), &config(true, true, true))),
        ("GDAS_V1 with the fixed reduction", network(&frc, &config(true, true, true))),
    ];
    for (name, graph) in cases {
        let weights = random_weights(&graph);
        let batch = 100;
        let image = graph.shape(0);
        let mut rng = Rng::new(1, Stream::Split, 0);
        let images: Vec<f32> = (0..batch * image.elements()).map(|_| rng.normal() as f32).collect();
        let logits = engine_logits(&graph, &weights, &images, batch);
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, bytes: &[u8]| std::fs::write(dir.path().join(file), bytes).unwrap();
        write("model.onnx", &to_onnx(&graph, &weights, &[("genotype", name)]).unwrap());
        write("model.safetensors", &to_safetensors(&graph, &weights, &[("genotype", name)]).unwrap());
        write("model.py", to_pytorch(&graph, name).unwrap().as_bytes());
        write("images.f32", &raw(&images));
        write("logits.f32", &raw(&logits));
        let shape = format!("{},{},{},{}", batch, image.height, image.width, image.channels);
        println!("{name}:");
        let text = check_export(&[dir.path().as_ref(), shape.as_ref()]);
        assert!(text.contains("onnx") && text.contains("pytorch"), "{name}: {text}");

        let expected = std::fs::read(dir.path().join("back.f32")).unwrap();
        let expected: Vec<f32> = expected.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let scale = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
        for file in ["back.pth", "back.safetensors"] {
            let dict = crate::import::StateDict::read(&dir.path().join(file)).unwrap();
            let back = from_arrays(&graph, |name, shape| {
                dict.arrays.get(name).filter(|array| array.shape == shape).map(|array| array.values.clone())
            });
            assert_ne!(back, weights, "{name}: PyTorch changed the weights");
            let found = engine_logits(&graph, &back, &images, batch);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale;
            println!("{name}: {file}: largest difference {worst:.1e}");
            assert!(worst < 1e-4, "{name}: {file} disagrees");
        }
    }
}
