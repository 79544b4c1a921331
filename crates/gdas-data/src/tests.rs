#![allow(clippy::unwrap_used)]

mod arrays;
mod cases;
mod damage;
mod fetching;
mod folders;
mod formats;
mod hostile;

use std::path::{Path, PathBuf};

use super::tree::Limits;
use super::{Options, open_with};
use gdas::data::{Dataset, Format, Images};

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
