#![allow(clippy::unwrap_used)]

mod arrays;
mod batches;
mod cases;
mod damage;
mod fetching;
mod folders;
mod formats;
mod hostile;
mod splits;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dataset::{Dataset, Format, Images, Statistics};
use super::tree::Limits;
use super::{Options, open_with};

/// A file of `tests/fixtures/data`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data").join(name)
}

/// Opens a path without holding anything out.
fn read(path: &Path) -> Result<Dataset, super::DataError> {
    open_with(&path.display().to_string(), &Options { hold_out: 0.0, ..Options::default() })
}

/// The error's text, with the folder's name taken out.
fn refusal(folder: &Path, path: &Path) -> String {
    refusal_with(folder, path, Limits::default())
}

fn refusal_with(folder: &Path, path: &Path, limits: Limits) -> String {
    let options = Options { limits, ..Options::default() };
    let error = open_with(&path.display().to_string(), &options).unwrap_err();
    error.to_string().replace(&folder.display().to_string(), "[folder]")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// What `tests/fixtures/make_data.py` puts into its images.
fn pixel(image: usize, channel: usize, row: usize, column: usize) -> u8 {
    (7 * image + 50 * channel + 3 * row + column) as u8
}

/// Image `index` of the partition must be image `number` of that rule.
fn assert_pixels(images: &Images, index: usize, number: usize) {
    for (at, &value) in images.image(index).iter().enumerate() {
        let (place, channel) = (at / images.channels, at % images.channels);
        let (row, column) = (place / images.width, place % images.width);
        assert_eq!(value, pixel(number, channel, row, column), "image {index}: {row}, {column}, {channel}");
    }
}

/// A data set without any file: image `i` has the pixel value `i` everywhere, and class `i % classes`.
fn plain(train: usize, test: usize, size: usize, classes: usize) -> Dataset {
    let images = |n: usize| {
        Arc::new(Images {
            height: size,
            width: size,
            channels: 1,
            pixels: (0..n).flat_map(|i| vec![i as u8; size * size]).collect(),
            labels: (0..n).map(|i| (i % classes) as u32).collect(),
        })
    };
    Dataset {
        name: "plain".into(),
        format: Format::Images,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        train: images(train),
        test: (test > 0).then(|| images(test)),
        held_out: false,
        statistics: Statistics { mean: vec![0.0], std: vec![1.0], published: false },
        flip: true,
        notes: Vec::new(),
    }
}
