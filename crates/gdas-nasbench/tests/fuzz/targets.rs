//! What is attacked: every reader of something that comes from outside.

use std::fs;
use std::path::Path;

use gdas_nasbench::reproduce::Plan;
use gdas_nasbench::{Seeds, Table};

use super::attack::{Target, say};
use super::seeds;

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    vec![
        Target { name: "csv", seeds: seeds::csvs(), words: &["cifar10_test_200", "nan", "1e39"], run: table, few: 500 },
        Target { name: "compact", seeds: seeds::compacts(), words: COMPACT_WORDS, run: table, few: 500 },
        Target { name: "official", seeds: seeds::official(), words: TORCH_WORDS, run: table, few: 20 },
        Target { name: "plan", seeds: seeds::plans(), words: &["\"id\":", "null", "1e999"], run: plan, few: 300 },
    ]
}

const COMPACT_WORDS: &[&str] = &["\"data_offsets\":[0,", "18446744073709551615", "\"dtype\":\"U64\"", "blake3"];

const TORCH_WORDS: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch\nFloatStorage\n",
    "cos\nsystem\n",
    "PK\x03\x04",
    "data.pkl",
    "data/0",
];

/// Opens a table, and asks it for everything.
fn table(input: &[u8], folder: &Path) -> String {
    let path = folder.join("table");
    fs::write(&path, input).unwrap();
    let table = match Table::open(&path) {
        Ok(table) => table,
        Err(error) => return error.to_string(),
    };
    let mut answers = String::new();
    for index in 0..table.len().min(20) {
        for setting in table.settings().into_iter().take(20) {
            answers = say(table.query(index, setting, Seeds::Mean));
            for seed in table.seeds(index, setting).into_iter().flatten().take(5) {
                answers = say(table.query(index, setting, Seeds::One(seed)));
            }
        }
    }
    answers
}

/// A list of jobs.
fn plan(input: &[u8], folder: &Path) -> String {
    say(Plan::from_lines(&String::from_utf8_lossy(input), &folder.join("plan.jsonl")))
}
