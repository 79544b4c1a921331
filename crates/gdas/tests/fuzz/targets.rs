//! What is attacked: every reader of something that comes from outside.

use std::fs;
use std::path::Path;

use gdas::auto::AutoConfig;
use gdas::benchmark::Table;
use gdas::config::{Layer, SearchConfig, TrainConfig, resolve};
use gdas::data;
use gdas::export::from_safetensors;
use gdas::import::StateDict;
use gdas::pickle;
use gdas::reproduce::Plan;
use gdas::run::{RunDir, RunInfo};
use gdas::search::SearchResult;
use gdas::space::Genotype;

use super::seeds;

/// One reader, and where its inputs begin.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Pieces of the format's language.
    pub(crate) words: &'static [&'static str],
    /// Reads an input, in a folder of its own; says "ok" or the error.
    pub(crate) run: fn(&[u8], &Path) -> String,
    /// Inputs that the short test tries.
    pub(crate) few: usize,
}

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    let operations = &["none", "skip_connect", "nor_conv_3x3", "~0", "|", "+", "GDAS_V1", "sep_conv_5x5", "normal"];
    vec![
        Target { name: "genotype", seeds: seeds::genotypes(), words: operations, run: genotype, few: 2000 },
        Target { name: "config", seeds: seeds::configs(), words: CONFIG_WORDS, run: config, few: 1000 },
        Target { name: "pickle", seeds: seeds::pickles(), words: &["cos\nsystem\n"], run: unpickle, few: 1000 },
        Target { name: "archive", seeds: seeds::archives(), words: PATHS, run: dataset, few: 300 },
        Target { name: "cifar", seeds: seeds::cifar_binary(), words: &[], run: cifar_binary, few: 60 },
        Target { name: "idx", seeds: seeds::idx(), words: &[], run: idx, few: 100 },
        Target { name: "npy", seeds: seeds::npy(), words: &["'shape': (", "|u1", "<i8", "True"], run: npy, few: 100 },
        Target { name: "image", seeds: seeds::images(), words: &["IHDR", "IDAT", "VP8L"], run: image, few: 300 },
        Target { name: "safetensors", seeds: seeds::safetensors(), words: &["F32", "F64"], run: safetensors, few: 500 },
        Target { name: "import", seeds: seeds::imports(), words: TORCH_WORDS, run: import, few: 200 },
        Target { name: "checkpoint", seeds: seeds::checkpoints(), words: &["F32", "[0]"], run: checkpoint, few: 100 },
        Target { name: "log", seeds: seeds::logs(), words: &["\"event\":", "null", "1e999"], run: log, few: 300 },
        Target { name: "csv", seeds: seeds::csvs(), words: &["cifar10_test_200", "nan", "1e39"], run: table, few: 500 },
        Target { name: "compact", seeds: seeds::compacts(), words: &[], run: table, few: 500 },
        Target { name: "official", seeds: seeds::official(), words: TORCH_WORDS, run: table, few: 20 },
    ]
}

const CONFIG_WORDS: &[&str] =
    &["epochs", "space", "preset", "\"paper\"", "nan", "inf", "1e400", "[", "task = \"train\"", "auto", "'''"];
const TORCH_WORDS: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch\nFloatStorage\n",
    "cos\nsystem\n",
    "PK\x03\x04",
    "data.pkl",
    "data/0",
];
const PATHS: &[&str] = &["../", "/etc/passwd", "C:\\", "train/", "test/", ".png", "ustar"];

fn say<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

fn genotype(input: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(input);
    let parsed = text.parse::<Genotype>();
    if let Ok(genotype) = &parsed {
        assert_eq!(genotype.to_string().parse::<Genotype>().as_ref(), Ok(genotype), "what is written is read back");
    }
    let structured = serde_json::from_slice::<Genotype>(input);
    format!("{} {}", say(parsed), say(structured))
}

fn config(input: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(input);
    let layer = || Layer::file("some.toml", &text);
    let search = layer().and_then(|layer| resolve::<SearchConfig>(&[layer]));
    let train = layer().and_then(|layer| resolve::<TrainConfig>(&[layer]));
    let auto = toml::from_str::<AutoConfig>(&text);
    format!("{} {} {}", say(search), say(train), say(auto))
}

fn unpickle(input: &[u8], _: &Path) -> String {
    say(pickle::from_slice(input))
}

/// The file alone: an archive, or a single file of some format.
fn dataset(input: &[u8], folder: &Path) -> String {
    let path = folder.join("data");
    fs::write(&path, input).unwrap();
    say(data::open(&path.display().to_string()))
}

/// A folder where one file is the input and the others are whole.
fn within(folder: &Path, name: &str, input: &[u8], others: &[(&str, Vec<u8>)]) -> String {
    let path = folder.join("set");
    for (name, bytes) in others {
        let file = path.join(name);
        if !file.is_file() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }
    fs::write(path.join(name), input).unwrap();
    say(data::open(&path.display().to_string()))
}

fn cifar_binary(input: &[u8], folder: &Path) -> String {
    let whole = seeds::cifar_binary().swap_remove(0);
    let names = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
    let others: Vec<_> = names.into_iter().chain(["test_batch.bin"]).map(|name| (name, whole.clone())).collect();
    within(folder, "data_batch_1.bin", input, &others)
}

fn idx(input: &[u8], folder: &Path) -> String {
    let [images, labels] = seeds::idx_files();
    // The input is tried as images and as labels.
    let as_images = within(
        &folder.join("images"),
        "train-images-idx3-ubyte",
        input,
        &[("train-images-idx3-ubyte", images.clone()), ("train-labels-idx1-ubyte", labels.clone())],
    );
    let as_labels = within(
        &folder.join("labels"),
        "train-labels-idx1-ubyte",
        input,
        &[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)],
    );
    format!("{as_images} {as_labels}")
}

fn npy(input: &[u8], folder: &Path) -> String {
    let [images, labels] = seeds::npy_files();
    let others = [("train_images.npy", images), ("train_labels.npy", labels)];
    let as_images = within(&folder.join("images"), "train_images.npy", input, &others);
    let as_labels = within(&folder.join("labels"), "train_labels.npy", input, &others);
    format!("{as_images} {as_labels}")
}

fn image(input: &[u8], folder: &Path) -> String {
    let whole = seeds::images().swap_remove(0);
    let others: Vec<(&str, Vec<u8>)> =
        ["a/1.png", "a/2.png", "b/1.png", "b/2.png"].into_iter().map(|name| (name, whole.clone())).collect();
    within(folder, "a/1.png", input, &others)
}

fn safetensors(input: &[u8], _: &Path) -> String {
    say(from_safetensors(&seeds::graph(), input))
}

/// Weights from elsewhere.
fn import(input: &[u8], folder: &Path) -> String {
    let path = folder.join("weights");
    fs::write(&path, input).unwrap();
    say(StateDict::read(&path))
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

/// The texts of a run: its log, a result, a plan of jobs.
fn log(input: &[u8], folder: &Path) -> String {
    let path = folder.join("run");
    if !path.is_dir() {
        drop(RunDir::create(&path, "task = \"search\"\n").unwrap());
    }
    fs::write(path.join("events.jsonl"), input).unwrap();
    let info = RunInfo::read(&path);
    let result = serde_json::from_slice::<SearchResult>(input);
    let plan = Plan::from_lines(&String::from_utf8_lossy(input), &path);
    format!("{} {} {}", say(info), say(result), say(plan))
}

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
            answers = say(table.query(index, setting, gdas::benchmark::Seeds::Mean));
            for seed in table.seeds(index, setting).into_iter().flatten().take(5) {
                answers = say(table.query(index, setting, gdas::benchmark::Seeds::One(seed)));
            }
        }
    }
    answers
}
