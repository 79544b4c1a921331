//! Whole inputs of every kind, small ones, to begin from.

use std::fs;
use std::path::Path;

use gdas::graph::{Graph, Shape};
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::space::Genotype;
use gdas_exchange::export::{Weights, to_safetensors};

const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|";

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
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
