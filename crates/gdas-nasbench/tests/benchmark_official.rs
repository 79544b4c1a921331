//! The official files against what the official Python packages say of them (`tests/fixtures/benchmark.py`).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gdas_nasbench::{BenchmarkError, Curves, Limits, Quantity, Seeds, Setting, Table, convert};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/benchmark").join(name)
}

fn answers() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("answers.json")).unwrap()).unwrap()
}

fn same(found: Option<f64>, expected: &Value, what: &str) {
    match expected.as_f64() {
        // The compact file keeps single precision.
        Some(expected) => {
            let found = found.unwrap_or_else(|| panic!("{what} is missing"));
            assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{what}: {found}, not {expected}");
        }
        None => assert_eq!(found, None, "{what} has been made up"),
    }
}

/// Compares a table with every answer about these cells; gives the number of numbers compared.
fn compare(table: &Table, indices: &[u64]) -> usize {
    let answers = answers();
    let texts: Vec<&str> = answers["architectures"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(table.len(), texts.len());
    let mut compared = 0;
    for answer in answers["answers"].as_array().unwrap() {
        if !indices.contains(&answer["index"].as_u64().unwrap()) {
            continue;
        }
        let index = answer["index"].as_u64().unwrap() as usize;
        assert_eq!(table.find(texts[index]).unwrap(), index);
        let dataset = answer["dataset"].as_str().unwrap().parse().unwrap();
        let setting = Setting::new(dataset, answer["epochs"].as_u64().unwrap() as u16);
        let seeds = answer["seed"].as_u64().map_or(Seeds::Mean, |seed| Seeds::One(seed as u32));
        let record = table.query(index, setting, seeds).unwrap();
        for (prefix, accuracy, loss, seconds) in [
            ("train", Quantity::TrainAccuracy, Quantity::TrainLoss, Quantity::TrainSeconds),
            ("valid", Quantity::ValidAccuracy, Quantity::ValidLoss, Quantity::ValidSeconds),
            ("test", Quantity::TestAccuracy, Quantity::TestLoss, Quantity::TestSeconds),
            ("valtest", Quantity::ValidTestAccuracy, Quantity::ValidTestLoss, Quantity::ValidTestSeconds),
        ] {
            let time = if prefix == "train" { "train-all-time".to_owned() } else { format!("{prefix}-per-time") };
            let keys = [format!("{prefix}-accuracy"), format!("{prefix}-loss"), time];
            for (quantity, key) in [accuracy, loss, seconds].into_iter().zip(keys) {
                // Where times of a run are missing, the package has no mean or that of the others, by their order.
                if answer["seed"].is_null() && quantity.unit() == "s" && index == 2 {
                    continue;
                }
                let what = format!("cell {index}, {setting}, {seeds:?}, {key}");
                same(record.get(quantity), &answer["info"][&key], &what);
                compared += 1;
            }
        }
        let cost = &answer["cost"];
        if !cost.is_null() {
            let costs = [(Quantity::Parameters, "params"), (Quantity::Flops, "flops"), (Quantity::Latency, "latency")];
            for (quantity, key) in costs {
                same(record.get(quantity), &cost[key], &format!("cell {index}, {setting}, {key}"));
                compared += 1;
            }
            let third = &answer["third"];
            let curves = [
                (Quantity::TrainAccuracy, "train-accuracy"),
                (Quantity::ValidAccuracy, "valid-accuracy"),
                (Quantity::TestLoss, "test-loss"),
            ];
            for (quantity, key) in curves {
                let curve = table.curve(index, Setting::new(dataset, 12), Seeds::One(111), quantity).unwrap();
                same(curve.map(|curve| curve[3]), &third[key], &format!("cell {index}, {dataset}, epoch 3, {key}"));
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn every_official_form_gives_what_its_package_says() {
    let files: [(&str, &[u64]); 4] = [
        ("nats.pickle.pbz2", &[0, 1, 2, 3]),
        ("nats-simple", &[0, 1]),
        ("v1_1.pth", &[0, 3]),
        ("v1_0-legacy.pth", &[0, 3]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, indices) in files {
        let table = Table::open(fixture(name)).unwrap();
        assert!(compare(&table, indices) > 500, "{name}");
        // Once more by way of a file.
        let compact = folder.path().join("table.safetensors");
        convert(fixture(name), &compact, Curves::All).unwrap();
        let table = Table::open(&compact).unwrap();
        assert!(compare(&table, indices) > 500, "{name}");
        let missing = table.query(3, Setting::new("cifar10".parse().unwrap(), 200), Seeds::Mean);
        assert_eq!(matches!(missing, Err(BenchmarkError::NoResults { .. })), name == "nats-simple");
    }
}

#[test]
fn the_best_cells_are_those_of_the_package() {
    let table = Table::open(fixture("nats.pickle.pbz2")).unwrap();
    for (name, expected) in answers()["best"].as_object().unwrap() {
        let (dataset, split) = name.split_once('/').unwrap();
        let dataset: gdas_nasbench::Dataset = dataset.parse().unwrap();
        let (dataset, quantity) = match split {
            "valid" => (dataset.for_search(), Quantity::ValidAccuracy),
            _ => (dataset, Quantity::TestAccuracy),
        };
        let (index, value) = table.best(Setting::new(dataset, 200), quantity, &Limits::default()).unwrap().unwrap();
        assert_eq!(index as u64, expected[0].as_u64().unwrap(), "{name}");
        same(Some(value), &expected[1], name);
    }
}

#[test]
fn curves_are_kept_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let long = Setting::new("cifar10".parse().unwrap(), 200);
    let mut sizes = Vec::new();
    for (curves, short_kept, long_kept) in
        [(Curves::None, false, false), (Curves::Short, true, false), (Curves::All, true, true)]
    {
        let path = folder.path().join("table.safetensors");
        convert(fixture("nats.pickle.pbz2"), &path, curves).unwrap();
        let table = Table::open(&path).unwrap();
        let short = Setting::new("cifar10".parse().unwrap(), 12);
        let curve = |setting| table.curve(0, setting, Seeds::Mean, Quantity::TestAccuracy).unwrap();
        assert_eq!((curve(short).is_some(), curve(long).is_some()), (short_kept, long_kept));
        sizes.push(std::fs::metadata(&path).unwrap().len());
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
}

/// What the documentation tells pandas users to do with the file, as much of it as Rust can check.
#[test]
fn a_compact_file_is_a_plain_safetensors_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.safetensors");
    convert(fixture("nats.pickle.pbz2"), &path, Curves::Short).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let rows = file.tensor("cell").unwrap().shape()[0];
    assert!(rows > 20 && file.tensor("test_accuracy").unwrap().shape() == [rows]);
    assert_eq!(file.tensor("test_accuracy_by_epoch.starts").unwrap().shape(), [rows + 1]);
    let again = folder.path().join("again.safetensors");
    convert(&path, &again, Curves::Short).unwrap();
    assert_eq!(std::fs::read(again).unwrap(), bytes, "equal tables are equal files");
}

#[test]
fn an_arrow_file_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.arrow");
    std::fs::write(&path, b"ARROW1\0\0 and so on").unwrap();
    let error = Table::open(&path).unwrap_err().to_string();
    assert!(error.contains("old.arrow") && error.contains("gdas bench convert"), "{error}");
}

#[test]
fn errors_name_file_and_place() {
    let error = |path: &Path| Table::open(path).unwrap_err().to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bin");
    assert!(error(&path).contains("x.bin"));
    std::fs::write(&path, b"what is this").unwrap();
    assert!(error(&path).contains("not a benchmark table"));
    assert!(error(folder.path()).contains("not a benchmark table"));
    std::fs::write(&path, b"BZh9 but nothing packed").unwrap();
    assert!(error(&path).contains("the pickle"), "{}", error(&path));
    std::fs::write(&path, b"PK\x03\x04 but no archive").unwrap();
    assert!(error(&path).contains("at the start"), "{}", error(&path));
    // pickle.dumps({"meta_archs": 1}, protocol=2): not what torch.save writes.
    std::fs::write(&path, b"\x80\x02}q\x00X\n\x00\x00\x00meta_archsq\x01K\x01s.").unwrap();
    assert!(error(&path).contains("PyTorch"), "{}", error(&path));
    let cut = std::fs::read(fixture("nats.pickle.pbz2")).unwrap();
    std::fs::write(&path, &cut[..cut.len() / 2]).unwrap();
    assert!(error(&path).contains("x.bin"));
    let other = std::fs::read(fixture("nats-simple/000001.pickle.pbz2")).unwrap();
    std::fs::copy(fixture("nats-simple/meta.pickle.pbz2"), folder.path().join("meta.pickle.pbz2")).unwrap();
    std::fs::write(folder.path().join("000000.pickle.pbz2"), other).unwrap();
    assert!(error(folder.path()).contains("not 0 as in its name"), "{}", error(folder.path()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Bytes of the pickle inside PyTorch's files are not protected by a checksum that is looked at here.
    #[test]
    fn a_damaged_official_file_is_read_or_refused(
        legacy in any::<bool>(),
        places in prop::collection::vec((0usize..300_000, any::<u8>()), 1..4),
        end in 0usize..600_000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = std::fs::read(fixture(if legacy { "v1_0-legacy.pth" } else { "v1_1.pth" })).unwrap();
        let length = bytes.len();
        for (place, value) in places {
            bytes[place % length] = value;
        }
        bytes.truncate(end.max(20));
        let path = folder.path().join("damaged.pth");
        std::fs::write(&path, bytes).unwrap();
        let _ = Table::open(&path);
    }
}

proptest! {
    /// Without its checksum, so that damage reaches what is behind it.
    #[test]
    fn a_damaged_compact_file_is_read_or_refused(places in prop::collection::vec((0usize..8_000, any::<u8>()), 1..5)) {
        static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.safetensors");
        let whole = || {
            convert(fixture("nats-simple"), &path, Curves::Short).unwrap();
            std::fs::read(&path).unwrap()
        };
        let mut bytes = WHOLE.get_or_init(whole).clone();
        let key = bytes.windows(6).position(|w| w == b"blake3").unwrap();
        bytes[key] = b'x';
        let length = bytes.len();
        for (place, value) in places {
            bytes[place % length] = value;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(table) = Table::open(&path) {
            for setting in table.settings() {
                for index in 0..table.len() {
                    let _ = table.query(index, setting, Seeds::Mean);
                    for quantity in Quantity::ALL {
                        let _ = table.curve(index, setting, Seeds::Mean, quantity);
                    }
                }
                for quantity in Quantity::ALL {
                    let _ = table.spread(setting, quantity);
                    let _ = table.best(setting, quantity, &Limits::default());
                }
            }
        }
    }
}
