//! The embedded handwritten digits.

use std::io::Read;
use std::sync::Arc;

use super::dataset::{Dataset, Format, Images, Statistics};
use super::error::DataError;

/// 1,797 records: a label, then 8x8 pixels of 0..16. Source and licence: `assets/digits.NOTICE.md`.
const PACKED: &[u8] = include_bytes!("../../assets/digits.bin.gz");
const SIZE: usize = 8;

/// The UCI handwritten digits (E. Alpaydin, C. Kaynak; CC BY 4.0): 1,797 grey images of 8x8 pixels,
/// values 0..16 scaled to 0..255. No test partition is given; [`super::open()`] holds a fifth of every
/// class out. The same writers are in both parts, so accuracies are those for known writers.
pub(super) fn digits() -> Result<Dataset, DataError> {
    let mut records = Vec::new();
    flate2::read::GzDecoder::new(PACKED)
        .read_to_end(&mut records)
        .map_err(|source| DataError::Read { file: "the embedded digits".into(), source })?;
    let mut images = Images::empty(SIZE, SIZE, 1);
    for record in records.chunks_exact(1 + SIZE * SIZE) {
        images.labels.push(u32::from(record[0]));
        images.pixels.extend(record[1..].iter().map(|&value| ((u32::from(value) * 255 + 8) / 16) as u8));
    }
    let statistics = Statistics::of(&images);
    let dataset = Dataset {
        name: "digits".into(),
        format: Format::Digits,
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        train: Arc::new(images),
        test: None,
        held_out: false,
        statistics,
        flip: false,
        notes: Vec::new(),
    };
    dataset.check("the embedded digits")
}
