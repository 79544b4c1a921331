//! Whole inputs of every kind, small ones, to begin from.

use std::fs;
use std::path::Path;

use gdas_nasbench::{Curves, convert};
use serde_json::json;

const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|";

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// The benchmark's own files.
pub(crate) fn official() -> Vec<Vec<u8>> {
    let names = ["v1_0-legacy.pth", "v1_1.pth", "nats.pickle.pbz2", "nats-simple/meta.pickle.pbz2"];
    names.iter().map(|name| fixture(&format!("benchmark/{name}"))).collect()
}

pub(crate) fn csvs() -> Vec<Vec<u8>> {
    let text = format!(
        "index,architecture,cifar10_test_200,cifar10_valid_12\n0,{CELL},91.5,80.25\n\
         1,|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,10.0,\n"
    );
    vec![text.into_bytes()]
}

/// Compact files: with curves and without.
pub(crate) fn compacts() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (csv, compact) = (folder.path().join("table.csv"), folder.path().join("table.safetensors"));
    fs::write(&csv, csvs().swap_remove(0)).unwrap();
    convert(&csv, &compact, Curves::All).unwrap();
    let short = fs::read(&compact).unwrap();
    convert(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/benchmark/nats-simple"),
        &compact,
        Curves::Short,
    )
    .unwrap();
    vec![short, fs::read(compact).unwrap()]
}

/// The list of jobs of a comparison.
pub(crate) fn plans() -> Vec<Vec<u8>> {
    let job = json!({ "id": "gdas-0", "algorithm": "gdas", "dataset": "cifar10", "seed": 0, "preset": "quick" });
    vec![format!("{job}\n").into_bytes()]
}
