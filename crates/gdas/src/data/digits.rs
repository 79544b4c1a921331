//! The embedded handwritten digits.

use std::sync::Arc;

use super::dataset::{Dataset, Files, Format, Images, Statistics};

/// 1,797 records: a label, then 8x8 pixels of 0..16. Source and licence: `assets/digits.NOTICE.md`.
const RECORDS: &[u8] = include_bytes!("../../assets/digits.bin");
const SIZE: usize = 8;

/// The UCI handwritten digits (E. Alpaydin, C. Kaynak; CC BY 4.0): 1,797 grey images of 8x8 pixels, values 0..16 scaled
/// to 0..255. There is no test partition; [`Dataset::hold_out`] makes one with the same writers in both partitions, so
/// accuracies are for known writers.
pub fn digits() -> Dataset {
    let mut images = Images::empty(SIZE, SIZE, 1);
    for record in RECORDS.chunks_exact(1 + SIZE * SIZE) {
        images.labels.push(u32::from(record[0]));
        images.pixels.extend(record[1..].iter().map(|&value| ((u32::from(value) * 255 + 8) / 16) as u8));
    }
    let statistics = Statistics::of(&images);
    Dataset {
        name: "digits".into(),
        format: Format::Digits,
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        train: Arc::new(images),
        test: None,
        held_out: false,
        files: Files::default(),
        statistics,
        flip: false,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_digits_pass_every_check() {
        assert_eq!(RECORDS.len(), 1797 * (1 + SIZE * SIZE));
        let digits = digits().check("the embedded digits").unwrap();
        assert_eq!((digits.train.len(), digits.classes.len()), (1797, 10));
    }
}
