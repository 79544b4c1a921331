//! CIFAR-10 and CIFAR-100, binary and Python version (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::sync::Arc;

use super::{push_rows, read_pickle};
use crate::error::DataError;
use crate::pickle::Value;
use crate::tree::{Entry, Tree};
use gdas::data::{Dataset, Files, Format, Images, Statistics};

const SIZE: usize = 32;
const PIXELS: usize = 3 * SIZE * SIZE;
const CIFAR10: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// File names and keys of CIFAR-10 or CIFAR-100.
struct Kind {
    name: &'static str,
    classes: usize,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    /// Number of label bytes before the pixels (binary version); the last one is the class.
    label_bytes: usize,
    label_key: &'static str,
    names_key: &'static str,
}

const BINARY: [Kind; 2] = [
    Kind {
        name: "CIFAR-10",
        classes: 10,
        train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
        test: "test_batch.bin",
        names: "batches.meta.txt",
        label_bytes: 1,
        label_key: "",
        names_key: "",
    },
    Kind {
        name: "CIFAR-100",
        classes: 100,
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
        label_bytes: 2,
        label_key: "",
        names_key: "",
    },
];

const PICKLE: [Kind; 2] = [
    Kind {
        name: "CIFAR-10",
        classes: 10,
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        names: "batches.meta",
        label_bytes: 0,
        label_key: "labels",
        names_key: "label_names",
    },
    Kind {
        name: "CIFAR-100",
        classes: 100,
        train: &["train"],
        test: "test",
        names: "meta",
        label_bytes: 0,
        label_key: "fine_labels",
        names_key: "fine_label_names",
    },
];

/// Reads the tree if it contains the files of CIFAR-10 or CIFAR-100.
pub(crate) fn read(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    let has = |kind: &&Kind| tree.find(kind.train[0]).is_some();
    if let Some(kind) = BINARY.iter().find(has) {
        return Some(read_kind(tree, kind, Format::CifarBinary, read_binary, binary_names));
    }
    let kind = PICKLE.iter().find(has)?;
    Some(read_kind(tree, kind, Format::CifarPickle, read_batch, pickle_names))
}

type ReadBatch = fn(&mut Images, &Tree, &Entry, &Kind) -> Result<(), DataError>;
type ReadNames = fn(&Tree, &Entry, &Kind) -> Result<Vec<String>, DataError>;

fn read_kind(
    tree: &Tree,
    kind: &Kind,
    format: Format,
    read: ReadBatch,
    read_names: ReadNames,
) -> Result<Dataset, DataError> {
    let mut partitions = Vec::new();
    for files in [kind.train, &[kind.test]] {
        let mut images = Images::empty(SIZE, SIZE, 3);
        for file in files {
            read(&mut images, tree, tree.need(file)?, kind)?;
        }
        partitions.push(images);
    }
    let (Some(test), Some(train)) = (partitions.pop(), partitions.pop()) else { unreachable!("two were read") };
    let classes = match tree.find(kind.names) {
        Some(entry) => read_names(tree, entry, kind)?,
        None if kind.classes == 10 => CIFAR10.map(String::from).into(),
        None => (0..kind.classes).map(|class| class.to_string()).collect(),
    };
    let mut notes = Vec::new();
    if (train.len(), test.len()) != (50_000, 10_000) {
        notes.push(format!(
            "{} has 50000 training and 10000 test images, this copy {} and {}",
            kind.name,
            train.len(),
            test.len()
        ));
    }
    let statistics = if kind.classes == 10 {
        Statistics::published([125.3, 123.0, 113.9], [63.0, 62.1, 66.7])
    } else {
        Statistics::published([129.3, 124.1, 112.4], [68.2, 65.4, 70.4])
    };
    let (train, test) = (Arc::new(train), Some(Arc::new(test)));
    let name = kind.name.to_lowercase().replace('-', "");
    Ok(Dataset {
        name,
        format,
        classes,
        train,
        test,
        held_out: false,
        statistics,
        flip: true,
        notes,
        files: Files::default(),
    })
}

/// Appends the records of a binary file: label bytes and `[3, 32, 32]` pixels each.
fn read_binary(images: &mut Images, tree: &Tree, entry: &Entry, kind: &Kind) -> Result<(), DataError> {
    let bytes = entry.read(&tree.limits)?;
    let record = kind.label_bytes + PIXELS;
    if bytes.is_empty() || bytes.len() % record != 0 {
        let what = format!("{} bytes are not a whole number of records of {record} bytes", bytes.len());
        return Err(DataError::damaged(&entry.label, "the end", what));
    }
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let label = record[kind.label_bytes - 1];
        if usize::from(label) >= kind.classes {
            let what = format!("label {label} is not within 0..={}", kind.classes - 1);
            return Err(DataError::damaged(&entry.label, format!("record {index}"), what));
        }
        images.labels.push(u32::from(label));
        images.push_planes(&record[kind.label_bytes..]);
    }
    Ok(())
}

fn read_batch(images: &mut Images, tree: &Tree, entry: &Entry, kind: &Kind) -> Result<(), DataError> {
    let batch = read_pickle(entry, &tree.limits)?;
    push_rows(images, &batch, kind.label_key, 0, kind.classes, false, &entry.label)
}

fn binary_names(tree: &Tree, entry: &Entry, kind: &Kind) -> Result<Vec<String>, DataError> {
    let bytes = entry.read(&tree.limits)?;
    let text = String::from_utf8_lossy(&bytes);
    check_names(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect(), entry, kind)
}

fn pickle_names(tree: &Tree, entry: &Entry, kind: &Kind) -> Result<Vec<String>, DataError> {
    let meta = read_pickle(entry, &tree.limits)?;
    let names = meta.get(kind.names_key).and_then(Value::items).unwrap_or_default();
    check_names(names.iter().filter_map(Value::as_str).map(String::from).collect(), entry, kind)
}

fn check_names(names: Vec<String>, entry: &Entry, kind: &Kind) -> Result<Vec<String>, DataError> {
    if names.len() == kind.classes {
        return Ok(names);
    }
    let what = format!("{} class names, where {} has {}", names.len(), kind.name, kind.classes);
    Err(DataError::damaged(&entry.label, "the class names", what))
}
