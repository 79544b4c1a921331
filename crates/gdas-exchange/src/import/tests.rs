#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;

use gdas_kernels::Mode;
use gdas_kernels::cpu::{self, Inputs};

use super::*;
use gdas::train::TrainedModel;

/// The cell of the fixtures (`tests/fixtures/make_import.py`).
const CELL: &str = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name)
}

fn floats(name: &str) -> Vec<f32> {
    std::fs::read(fixture(name)).unwrap().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn given() -> ImportOptions {
    ImportOptions {
        genotype: Some(CELL.parse().unwrap()),
        image_size: Some([8, 8]),
        statistics: Some(Statistics { mean: vec![120.0; 3], std: vec![60.0; 3], published: false }),
        ..ImportOptions::default()
    }
}

fn logits(network: &Imported, images: &[f32]) -> Vec<f32> {
    let params: Vec<&[f32]> = network.weights.params.iter().map(Vec::as_slice).collect();
    let running: Vec<&[f32]> = network.weights.running.iter().map(Vec::as_slice).collect();
    let inputs = Inputs { batch: 5, image: images, params: &params, gates: &[], masks: &[], running: &running };
    cpu::forward(&Arc::new(network.graph.clone()), Mode::Eval, &inputs, false).outputs
}

/// Largest difference from what PyTorch computed.
fn distance(network: &Imported) -> f32 {
    let (found, expected) = (logits(network, &floats("images.f32")), floats("logits.f32"));
    assert_eq!(found.len(), expected.len());
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn pytorch_files_compute_what_pytorch_computes() {
    // The classes must differ for that to mean something.
    let expected = floats("logits.f32");
    assert!(expected.chunks(3).all(|row| (row[0] - row[1]).abs() > 0.01), "{expected:?}");
    for (file, limit) in [("checkpoint.pth", 1e-5), ("legacy.pth", 1e-5), ("views.pth", 1e-5), ("half.pth", 1e-2)] {
        let network = import(StateDict::read(&fixture(file)).unwrap(), &given()).unwrap();
        assert_eq!((network.config.channels, network.config.cells, network.classes.len()), (2, 1, 3), "{file}");
        let distance = distance(&network);
        assert!(distance < limit, "{file}: {distance}");
    }
}

#[test]
fn an_imported_network_is_a_trained_one() {
    let network = import(StateDict::read(&fixture("checkpoint.pth")).unwrap(), &given()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net");
    let config = gdas::config::to_toml(&network.config).unwrap();
    let result = network.save(&mut RunDir::create(&path, &config).unwrap(), &Device::flex()).unwrap();
    assert_eq!(result.classes, ["0", "1", "2"]);
    let model = TrainedModel::open_path(&path, &Device::flex()).unwrap();
    assert_eq!((model.export_weights(), &model.statistics.mean), (network.weights.clone(), &vec![120.0; 3]));
    assert_eq!(gdas::run::RunInfo::read(&path).unwrap().status, "finished");

    // And back: what is exported says everything about itself, in every format with weights.
    let metadata = export::metadata(&model);
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    for (name, bytes) in exported(&network, &metadata) {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let again = import(StateDict::read(&file).unwrap(), &ImportOptions::default()).unwrap();
        assert_eq!(again.weights, network.weights, "{name}");
        assert_eq!((again.statistics.mean, again.classes), (vec![120.0; 3], network.classes.clone()), "{name}");
        assert_eq!(again.config.genotype, CELL, "{name}");
    }
    // So does a file that takes pixels, whatever it does to them; one of 8 bits has lost the weights.
    let input = export::PixelInput { flip: true, ..export::PixelInput::default() };
    let file = folder.path().join("pixels.onnx");
    std::fs::write(&file, export::model_to_onnx(&model, input, None).unwrap()).unwrap();
    let again = import(StateDict::read(&file).unwrap(), &ImportOptions::default()).unwrap();
    assert_eq!((again.weights, again.classes), (network.weights.clone(), network.classes.clone()));
    let images =
        gdas::data::Images { pixels: vec![7; 2 * 8 * 8 * 3], labels: vec![0, 1], ..gdas::data::Images::empty(8, 8, 3) };
    let images = gdas::data::Subset::all(&std::sync::Arc::new(images));
    let int8 = export::Int8Network::new(&model, &images, &gdas::run::Interrupt::default()).unwrap();
    std::fs::write(&file, export::model_to_onnx(&model, input, int8.as_ref()).unwrap()).unwrap();
    let error = StateDict::read(&file).unwrap_err().to_string();
    assert!(error.contains("rounded to 8 bits"), "{error}");
    // A source and a genotype are told apart from damage.
    for (name, text, told) in [
        ("net.py", export::to_pytorch(&network.graph, CELL).unwrap(), "the source of a module contains no weights"),
        ("net.rs", export::to_burn_module(&network.graph, CELL).unwrap(), "the source of a module contains no weights"),
        ("net.json", serde_json::to_string(&model.genotype).unwrap(), "a genotype contains no weights"),
        ("cell.txt", CELL.to_owned(), "a genotype contains no weights"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let error = StateDict::read(&file).unwrap_err().to_string();
        assert!(error.contains(told), "{name}: {error}");
    }
}

/// The network in every format that holds weights.
fn exported(network: &Imported, metadata: &[(&str, &str)]) -> [(&'static str, Vec<u8>); 3] {
    let Imported { graph, weights, .. } = network;
    [
        ("net.safetensors", export::to_safetensors(graph, weights, metadata).unwrap()),
        ("net.onnx", export::to_onnx(graph, weights, metadata).unwrap()),
        ("net.bpk", export::to_burn_record(graph, weights, metadata).unwrap()),
    ]
}

/// `torch.compile`, `DataParallel` and outer modules put their names before those of the arrays.
#[test]
fn weights_of_a_wrapped_module_are_those_of_the_module() {
    let plain = import(StateDict::read(&fixture("checkpoint.pth")).unwrap(), &given()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bytes = export::to_safetensors(&plain.graph, &plain.weights, &[]).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for prefix in ["_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod.", "model."] {
        let views = file.iter().map(|(name, view)| (format!("{prefix}{name}"), view));
        let path = folder.path().join("wrapped.safetensors");
        std::fs::write(&path, ::safetensors::serialize(views, None).unwrap()).unwrap();
        let network = import(StateDict::read(&path).unwrap(), &given()).unwrap();
        assert_eq!(network.weights, plain.weights, "{prefix}");
    }
}

/// A network of two-input cells, whose edges have several layers each.
#[test]
fn a_network_of_the_nasnet_space_comes_back_in_every_format() {
    let genotype = Genotype::named("DARTS_V2").unwrap();
    let network = network_of(&genotype);
    let text = genotype.to_string();
    let metadata = [("genotype", text.as_str()), ("mean", "[1,2,3]"), ("std", "[1,1,1]"), ("image", "[16,16,3]")];
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in exported(&network, &metadata) {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let again = import(StateDict::read(&file).unwrap(), &ImportOptions::default()).unwrap();
        assert_eq!((again.config.channels, again.config.cells), (4, 1), "{name}");
        assert!(again.weights == network.weights, "{name}");
    }
}

/// A small network with weights that are all different.
fn network_of(genotype: &Genotype) -> Imported {
    let space = &genotype.space;
    let keys = serde_json::json!({ "space": **space, "genotype": genotype.to_string(), "channels": 4, "cells": 1 });
    let config: TrainConfig = resolve(&[Layer::flags(&keys).unwrap()]).unwrap();
    let network = NetworkConfig {
        image: Shape::new(16, 16, 3),
        classes: 3,
        channels: 4,
        stem: Stem::Cifar,
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    let graph = derive(&space.derived_blocks(1), &network, genotype).unwrap();
    let mut next = 0.0;
    let mut numbers = |count: usize| -> Vec<f32> {
        std::iter::repeat_with(|| {
            next += 1.0;
            next
        })
        .take(count)
        .collect()
    };
    let params = graph.params.iter().map(|spec| numbers(spec.len())).collect();
    let running = graph.norms.iter().map(|norm| numbers(2 * norm.channels)).collect();
    Imported {
        config,
        graph,
        weights: export::Weights { params, running },
        classes: vec!["0".into(), "1".into(), "2".into()],
        statistics: Statistics { mean: vec![0.0; 3], std: vec![1.0; 3], published: false },
    }
}

#[test]
fn what_does_not_fit_is_listed() {
    let dict = StateDict::read(&fixture("legacy.pth")).unwrap();
    let with = |change: &dyn Fn(&mut StateDict)| {
        let mut dict = dict.clone();
        change(&mut dict);
        import(dict, &given()).unwrap_err().to_string()
    };
    let text = with(&|dict| {
        dict.arrays.remove("cells.0.layers.0.op.1.weight");
        dict.arrays.get_mut("lastact.0.bias").unwrap().values[0] = f32::NAN;
        dict.arrays.get_mut("cells.1.downsample.1.weight").unwrap().shape = vec![4, 1, 1, 2];
        dict.arrays.insert("extra.weight".into(), Array { shape: vec![1], values: vec![0.0] });
    });
    for part in [
        "missing (1): cells.0.edge.1.0.nor_conv_3x3.1.weight",
        "of another shape (2): cells.1.shortcut.weight ([4, 1, 1, 2] instead of [4, 2, 1, 1]), head.norm.bias (with \
         values that are not finite)",
        "not in the network (1): extra.weight",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // A network of DARTS's own code is told apart from one that is the same.
    assert!(with(&|dict| drop(dict.arrays.remove("lastact.0.weight"))).contains("end without normalisation"));
    let other: Genotype = CELL.replace("nor_conv_1x1", "skip_connect").parse().unwrap();
    let text = import(dict.clone(), &ImportOptions { genotype: Some(other), ..given() }).unwrap_err().to_string();
    assert!(text.contains("not in the network (15): cells.0.edge.2.1.skip_connect.1.weight"), "{text}");
    // A node that nothing reads may have weights all the same: here node 2, whose only reader is now `none`.
    let other: Genotype =
        CELL.replace("nor_conv_3x3~2", "none~2").replace("avg_pool_3x3~1", "skip_connect~1").parse().unwrap();
    let mut unread = dict.clone();
    unread.arrays.retain(|name, _| !name.contains(".layers.5."));
    let network = import(unread, &ImportOptions { genotype: Some(other), ..given() }).unwrap();
    assert!(network.graph.params.iter().any(|spec| spec.name == "cells.0.edge.2.1.nor_conv_1x1.1.weight"));
    let silent = |change: &dyn Fn(&mut ImportOptions)| {
        let mut given = given();
        change(&mut given);
        import(dict.clone(), &given).unwrap_err().to_string()
    };
    assert!(silent(&|given| given.genotype = None).contains("which cells"));
    assert!(silent(&|given| given.image_size = None).contains("how large"));
    assert!(silent(&|given| given.statistics = None).contains("pixels were normalised"));
    assert!(silent(&|given| given.classes = Some(vec!["a".into()])).contains("3 classes, but 1"));
}

#[test]
fn other_files_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        StateDict::read(&file).unwrap_err().to_string()
    };
    assert!(refused(b"").contains("no weights in a supported format"));
    assert!(refused(b"PK\x03\x04").contains("file: "));
    // pickle.dumps(os.system), as PyTorch's older files begin.
    let code = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}.",
        b"cos\nsystem\n.",
    ];
    assert!(refused(&code.concat()).contains("os.system"));
    assert!(StateDict::read(&fixture("no-state.pth")).unwrap_err().to_string().contains("no state dictionary"));
    let network = import(StateDict::read(&fixture("checkpoint.pth")).unwrap(), &given()).unwrap();
    let fixtures = ["legacy.pth", "checkpoint.pth", "half.pth"].map(|name| std::fs::read(fixture(name)).unwrap());
    let files = fixtures.into_iter().chain(exported(&network, &[("genotype", CELL)]).map(|(_, bytes)| bytes));
    for whole in files {
        for length in (0..whole.len()).step_by(997) {
            refused(&whole[..length]);
        }
        // Any byte may be wrong: an error or other numbers, never a panic.
        for at in (0..whole.len()).step_by(211) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&file, &bytes).unwrap();
            if let Ok(dict) = StateDict::read(&file) {
                let _ = import(dict, &given());
            }
        }
    }
}
