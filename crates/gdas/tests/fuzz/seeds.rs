//! Whole inputs of every kind, small ones, to begin from.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use gdas::benchmark::{Curves, convert};
use gdas::config::{Layer, SearchConfig, TrainConfig, resolve, to_toml};
use gdas::export::{Weights, to_safetensors};
use gdas::graph::{Graph, Shape};
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::run::{Array, Checkpoint, Event, RunDir};
use gdas::space::Genotype;
use image::{DynamicImage, ImageFormat};
use serde_json::json;

const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|";

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

pub(crate) fn genotypes() -> Vec<Vec<u8>> {
    let mut seeds = vec![CELL.as_bytes().to_vec(), b"GDAS_V1".to_vec()];
    for name in Genotype::names() {
        let genotype = Genotype::named(name).unwrap();
        seeds.push(genotype.to_string().into_bytes());
        seeds.push(serde_json::to_vec(&genotype).unwrap());
    }
    seeds
}

pub(crate) fn configs() -> Vec<Vec<u8>> {
    let search: SearchConfig = resolve(&[]).unwrap();
    let train: TrainConfig = resolve(&[Layer::file("f", &format!("genotype = \"{CELL}\"")).unwrap()]).unwrap();
    vec![
        to_toml(&search).unwrap().into_bytes(),
        to_toml(&train).unwrap().into_bytes(),
        b"preset = \"paper\"\nepochs = 3\n".to_vec(),
        b"task = \"auto\"\ndata = \"digits\"\nimage_size = \"auto\"\nspace = \"nas-bench-201\"\nbudget_seconds = 10.0\n\
          seed = 0\nthreads = 2\n"
            .to_vec(),
    ]
}

pub(crate) fn pickles() -> Vec<Vec<u8>> {
    (0..=5).map(|protocol| fixture(&format!("pickle/everything.{protocol}.pkl"))).collect()
}

fn unpacked(name: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(fixture(name).as_slice()).read_to_end(&mut tar).unwrap();
    tar
}

/// Packed ones for the unpackers, unpacked ones so that a change gets through to what is inside.
pub(crate) fn archives() -> Vec<Vec<u8>> {
    let names = ["data/cifar-10-python.tar.gz", "data/cifar-100-python.tar.gz", "data/imagenet16.tar.gz"];
    let mut seeds: Vec<_> = names.iter().map(|name| fixture(name)).collect();
    seeds.extend(names.iter().map(|name| unpacked(name)));
    seeds.extend([fixture("data/colour.npz"), fixture("data/several-labels.npz")]);
    let image = images().swap_remove(0);
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(image.len() as u64);
        builder.append_data(&mut header, name, image.as_slice()).unwrap();
    }
    seeds.push(builder.into_inner().unwrap());
    seeds
}

/// Two images a class of CIFAR-10's binary version.
pub(crate) fn cifar_binary() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    for label in (0..10).chain(0..10) {
        bytes.push(label);
        bytes.extend((0..3072_u32).map(|i| (i * 7) as u8));
    }
    vec![bytes]
}

/// Images and labels.
pub(crate) fn idx_files() -> [Vec<u8>; 2] {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 8, 0, 0, 0, 8];
    images.extend((0..20 * 64_u32).map(|i| (i * 5) as u8));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 20];
    labels.extend((0..20).map(|i| i % 4));
    [images, labels]
}

pub(crate) fn idx() -> Vec<Vec<u8>> {
    idx_files().to_vec()
}

/// Images and labels.
pub(crate) fn npy_files() -> [Vec<u8>; 2] {
    let file = |shape: &str, length: usize| {
        let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend((0..length).map(|i| (i % 3) as u8));
        bytes
    };
    [file("20, 8, 8", 20 * 64), file("20, 1", 20)]
}

pub(crate) fn npy() -> Vec<Vec<u8>> {
    npy_files().to_vec()
}

/// PNG in grey and colour, JPEG, WebP.
pub(crate) fn images() -> Vec<Vec<u8>> {
    let pixels = |n: usize| (0..n).map(|i| (i * 31) as u8).collect::<Vec<u8>>();
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_raw(12, 10, pixels(120)).unwrap());
    let colour = DynamicImage::ImageRgb8(image::RgbImage::from_raw(12, 10, pixels(360)).unwrap());
    let write = |image: &DynamicImage, format| {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    };
    vec![
        write(&grey, ImageFormat::Png),
        write(&colour, ImageFormat::Png),
        write(&colour, ImageFormat::Jpeg),
        write(&colour, ImageFormat::WebP),
    ]
}

/// A small network.
pub(crate) fn graph() -> Graph {
    let config = NetworkConfig {
        image: Shape::new(8, 8, 1),
        classes: 3,
        channels: 2,
        stem: Stem::Cifar,
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    let genotype: Genotype = CELL.parse().unwrap();
    derive(&genotype.space.derived_blocks(1), &config, &genotype).unwrap()
}

pub(crate) fn safetensors() -> Vec<Vec<u8>> {
    let graph = graph();
    let weights = Weights {
        params: graph.params.iter().map(|spec| vec![0.5; spec.len()]).collect(),
        running: graph.norms.iter().map(|norm| vec![1.0; if norm.track { 2 * norm.channels } else { 0 }]).collect(),
    };
    vec![to_safetensors(&graph, &weights, &[("genotype", CELL)]).unwrap()]
}

/// PyTorch's own files, old and new, and a safetensors file.
pub(crate) fn imports() -> Vec<Vec<u8>> {
    let names = ["import/legacy.pth", "import/half.pth", "import/views.pth", "import/no-state.pth"];
    names.iter().map(|name| fixture(name)).chain(safetensors()).collect()
}

/// The benchmark's own files.
pub(crate) fn official() -> Vec<Vec<u8>> {
    let names = ["v1_0-legacy.pth", "v1_1.pth", "nats.pickle.pbz2", "nats-simple/meta.pickle.pbz2"];
    names.iter().map(|name| fixture(&format!("benchmark/{name}"))).collect()
}

pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = RunDir::create(&path, "task = \"search\"\n").unwrap();
    let mut checkpoint = Checkpoint::new(&json!({ "epoch": 1, "step": 7, "best": null })).unwrap();
    checkpoint.insert("alpha/0", Array::f64(&[2, 3], vec![0.5; 6]));
    checkpoint.insert("weights/stem", Array::f32(&[4], vec![1.0; 4]));
    checkpoint.insert("counts", Array::u64(&[2], vec![1, 2]));
    run.save(&checkpoint).unwrap();
    vec![fs::read(path.join("checkpoint.0")).unwrap()]
}

pub(crate) fn logs() -> Vec<Vec<u8>> {
    let events = [
        Event::Warning { message: "something".to_owned() },
        Event::Checkpoint { epoch: 0, step: 5, generation: 1, bytes: 100, seconds: 0.1 },
        Event::Finished { step: 9, genotype: CELL.to_owned(), accuracy: Some(0.5), seconds: 1.0 },
    ];
    let lines = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect::<String>();
    let job = json!({ "id": "gdas-0", "algorithm": "gdas", "dataset": "cifar10", "seed": 0, "preset": "quick" });
    vec![lines.into_bytes(), format!("{job}\n").into_bytes()]
}

pub(crate) fn csvs() -> Vec<Vec<u8>> {
    let text = format!(
        "index,architecture,cifar10_test_200,cifar10_valid_12\n0,{CELL},91.5,80.25\n\
         1,|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,10.0,\n"
    );
    vec![text.into_bytes()]
}

/// Compact files: our own, and one that another writer of the same format made.
pub(crate) fn compacts() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (csv, compact) = (folder.path().join("table.csv"), folder.path().join("table.arrow"));
    fs::write(&csv, csvs().swap_remove(0)).unwrap();
    convert(&csv, &compact, Curves::All).unwrap();
    vec![fs::read(compact).unwrap(), fixture("benchmark/pyarrow.arrow")]
}
