//! What is attacked: every reader of something that comes from outside.

use std::fs;
use std::path::Path;

use gdas::config::{Layer, SearchConfig, TrainConfig, resolve};
use gdas::run::{RunDir, RunInfo};
use gdas::search::SearchResult;
use gdas::space::{Genotype, Space};

use super::attack::{Target, say};
use super::seeds;

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    let operations = &["none", "skip_connect", "nor_conv_3x3", "~0", "|", "+", "GDAS_V1", "sep_conv_5x5", "normal"];
    vec![
        Target { name: "genotype", seeds: seeds::genotypes(), words: operations, run: genotype, few: 2000 },
        Target { name: "config", seeds: seeds::configs(), words: CONFIG_WORDS, run: config, few: 1000 },
        Target { name: "space", seeds: seeds::spaces(), words: SPACE_WORDS, run: space, few: 1000 },
        Target { name: "checkpoint", seeds: seeds::checkpoints(), words: &["F32", "[0]"], run: checkpoint, few: 100 },
        Target { name: "log", seeds: seeds::logs(), words: &["\"event\":", "null", "1e999"], run: log, few: 300 },
    ]
}

const CONFIG_WORDS: &[&str] =
    &["epochs", "space", "preset", "\"paper\"", "nan", "inf", "1e400", "[", "task = \"train\"", "auto", "'''"];

const SPACE_WORDS: &[&str] = &[
    "[[cell]]",
    "[[operation]]",
    "[skeleton]",
    "nodes",
    "\"norm\"",
    "{ conv = 3 }",
    "\"two-inputs\"",
    "layers",
    "-1",
    "[]",
];

fn space(input: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(input);
    let read = Space::from_toml(&text);
    if let Ok(space) = &read {
        assert_eq!(space.validate(), Ok(()));
        assert_eq!(Space::from_toml(&space.to_toml()).as_ref(), Ok(space), "what is written is read back");
    }
    format!("{} {}", say(read), say(serde_json::from_slice::<Space>(input)))
}

fn genotype(input: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(input);
    let parsed = text.parse::<Genotype>();
    if let Ok(genotype) = &parsed {
        let again = Genotype::parse(&genotype.to_string(), &genotype.space);
        assert_eq!(again.as_ref(), Ok(genotype), "what is written is read back");
    }
    let structured = serde_json::from_slice::<Genotype>(input);
    format!("{} {}", say(parsed), say(structured))
}

fn config(input: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(input);
    let layer = || Layer::file("some.toml", &text);
    let search = layer().and_then(|layer| resolve::<SearchConfig>(&[layer]));
    let train = layer().and_then(|layer| resolve::<TrainConfig>(&[layer]));
    format!("{} {}", say(search), say(train))
}

/// As it is, and with a checksum that is right.
fn checkpoint(input: &[u8], folder: &Path) -> String {
    let path = folder.join("run");
    if !path.is_dir() {
        drop(RunDir::create(&path, "task = \"search\"\n").unwrap());
    }
    let read = |bytes: &[u8]| {
        fs::write(path.join("checkpoint.0"), bytes).unwrap();
        say(RunDir::open(&path).and_then(|mut run| run.load()))
    };
    let plain = read(input);
    let mut sealed = input[..input.len().saturating_sub(32)].to_vec();
    sealed.extend(blake3::hash(&sealed).as_bytes());
    format!("{plain} {}", read(&sealed))
}

/// The texts of a run: its log, a result.
fn log(input: &[u8], folder: &Path) -> String {
    let path = folder.join("run");
    if !path.is_dir() {
        drop(RunDir::create(&path, "task = \"search\"\n").unwrap());
    }
    fs::write(path.join("events.jsonl"), input).unwrap();
    let info = RunInfo::read(&path);
    let result = serde_json::from_slice::<SearchResult>(input);
    format!("{} {}", say(info), say(result))
}
