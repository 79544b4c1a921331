#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::{ArrowError, ArrowFile, ArrowWriter, Column, Field, Kind};

fn sample() -> Vec<u8> {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let fields = vec![
        field("cell", Kind::Text),
        field("epochs", Kind::U16),
        field("seed", Kind::U32),
        field("accuracy", Kind::F32),
        field("curve", Kind::F32List),
    ];
    let texts = vec![vec!["first".to_owned(), String::new(), "dritte Zelle \u{fc}".to_owned()]];
    let metadata = vec![("format".to_owned(), "sample".to_owned())];
    let mut writer = ArrowWriter::new(Vec::new(), fields, metadata).unwrap();
    for shift in [0u16, 7] {
        writer
            .batch(&[
                Column::Text(vec![2, 0, 1]),
                Column::U16(vec![12 + shift, 200, 12]),
                Column::U32(vec![Some(777), None, Some(999)]),
                Column::F32(vec![None, Some(93.5), Some(-0.25)]),
                Column::F32List(vec![Some(vec![1.0, 2.0]), None, Some(vec![3.0])]),
            ])
            .unwrap();
    }
    writer.finish(&texts).unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    let file = ArrowFile::open(sample()).unwrap();
    assert_eq!(file.metadata, [("format".to_owned(), "sample".to_owned())]);
    assert_eq!(file.dictionaries[0][2], "dritte Zelle \u{fc}");
    assert_eq!(file.batches().collect::<Vec<_>>(), [3, 3]);
    let keys: Vec<_> = (0..4).map(|row| file.u16(0, 0, row)).collect();
    assert_eq!(keys, [Some(2), Some(0), Some(1), None]);
    assert_eq!(file.u16(1, 1, 0), Some(19));
    assert_eq!((file.u32(1, 2, 0), file.u32(1, 2, 1)), (Some(777), None));
    assert_eq!((file.f32(0, 3, 0), file.f32(0, 3, 2)), (None, Some(-0.25)));
    assert_eq!(file.list(1, 4, 0), Some(vec![1.0, 2.0]));
    assert_eq!(file.list(1, 4, 1), None);
    assert_eq!(file.list(1, 4, 2), Some(vec![3.0]));
}

#[test]
fn every_cut_is_an_error() {
    let bytes = sample();
    for length in 0..bytes.len() {
        assert!(ArrowFile::open(&bytes[..length]).is_err(), "a file cut to {length} bytes was accepted");
    }
}

#[test]
fn every_flipped_bit_of_the_data_is_noticed() {
    let bytes = sample();
    let size = i32::from_le_bytes(bytes[bytes.len() - 10..bytes.len() - 6].try_into().unwrap()) as usize;
    let footer = bytes.len() - 10 - size;
    let mut damaged = bytes.clone();
    for bit in 48..8 * footer {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(ArrowFile::open(&damaged[..]), Err(ArrowError::Checksum)), "bit {bit}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
}

proptest! {
    /// The digest is damaged together with the data, so that the checks behind it are reached.
    #[test]
    fn damage_anywhere_never_panics(places in prop::collection::vec((0usize..10_000, any::<u8>()), 1..6)) {
        let mut bytes = sample();
        let key = bytes.windows(6).rposition(|w| w == b"blake3").unwrap();
        bytes[key] = b'x';
        let length = bytes.len();
        for (place, value) in places {
            bytes[place % length] = value;
        }
        if let Ok(file) = ArrowFile::open(bytes) {
            for batch in 0..3 {
                for column in 0..6 {
                    for row in 0..5 {
                        let _ = (file.u16(batch, column, row), file.u32(batch, column, row));
                        let _ = (file.f32(batch, column, row), file.list(batch, column, row));
                    }
                }
            }
        }
    }
}
