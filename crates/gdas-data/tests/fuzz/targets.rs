//! What is attacked: every reader of something that comes from outside.

use std::fs;
use std::path::Path;

use gdas_data::pickle;

use super::attack::{Target, say};
use super::seeds;

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    vec![
        Target { name: "pickle", seeds: seeds::pickles(), words: &["cos\nsystem\n"], run: unpickle, few: 1000 },
        Target { name: "archive", seeds: seeds::archives(), words: PATHS, run: dataset, few: 300 },
        Target { name: "cifar", seeds: seeds::cifar_binary(), words: &[], run: cifar_binary, few: 60 },
        Target { name: "idx", seeds: seeds::idx(), words: &[], run: idx, few: 100 },
        Target { name: "npy", seeds: seeds::npy(), words: &["'shape': (", "|u1", "<i8", "True"], run: npy, few: 100 },
        Target { name: "image", seeds: seeds::images(), words: &["IHDR", "IDAT", "VP8L"], run: image, few: 300 },
    ]
}

const PATHS: &[&str] = &["../", "/etc/passwd", "C:\\", "train/", "test/", ".png", "ustar"];

fn unpickle(input: &[u8], _: &Path) -> String {
    say(pickle::from_slice(input))
}

/// The file alone: an archive, or a single file of some format.
fn dataset(input: &[u8], folder: &Path) -> String {
    let path = folder.join("data");
    fs::write(&path, input).unwrap();
    say(gdas_data::open(&path.display().to_string()))
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
    say(gdas_data::open(&path.display().to_string()))
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
