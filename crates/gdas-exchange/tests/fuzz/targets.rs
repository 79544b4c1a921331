//! What is attacked: every reader of something that comes from outside.

use std::fs;
use std::path::Path;

use gdas_exchange::export::from_safetensors;
use gdas_exchange::import::StateDict;

use super::attack::{Target, say};
use super::seeds;

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    vec![
        Target { name: "safetensors", seeds: seeds::safetensors(), words: &["F32", "F64"], run: safetensors, few: 500 },
        Target { name: "import", seeds: seeds::imports(), words: TORCH_WORDS, run: import, few: 200 },
    ]
}

const TORCH_WORDS: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch\nFloatStorage\n",
    "cos\nsystem\n",
    "PK\x03\x04",
    "data.pkl",
    "data/0",
];

fn safetensors(input: &[u8], _: &Path) -> String {
    say(from_safetensors(&seeds::graph(), input))
}

/// Weights from elsewhere.
fn import(input: &[u8], folder: &Path) -> String {
    let path = folder.join("weights");
    fs::write(&path, input).unwrap();
    say(StateDict::read(&path))
}
