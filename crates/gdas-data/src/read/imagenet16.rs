//! Downsampled ImageNet's pickled batches (Chrabaszcz et al., 2017), as NAS-Bench-201 uses them:
//! only the first 120 classes.

use std::sync::Arc;

use super::{push_rows, read_pickle};
use crate::error::DataError;
use crate::pickle::Value;
use crate::tree::{Entry, Tree};
use gdas::data::{Dataset, Files, Format, Images, Statistics};

const CLASSES: usize = 120;

/// Reads the tree if it contains `train_data_batch_*` and `val_data`.
pub(crate) fn read(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    let mut batches: Vec<(u32, &Entry)> =
        tree.entries.iter().filter_map(|entry| Some((number(entry)?, entry))).collect();
    if batches.is_empty() {
        return None;
    }
    batches.sort_by_key(|(number, _)| *number);
    Some(read_batches(tree, &batches))
}

fn number(entry: &Entry) -> Option<u32> {
    entry.file_name().strip_prefix("train_data_batch_")?.parse().ok()
}

fn read_batches(tree: &Tree, batches: &[(u32, &Entry)]) -> Result<Dataset, DataError> {
    for (expected, (number, _)) in (1..).zip(batches) {
        if expected != *number {
            tree.need(&format!("train_data_batch_{expected}"))?;
        }
    }
    let mut train = None;
    for (_, entry) in batches {
        push(&mut train, tree, entry)?;
    }
    let mut test = train.as_ref().map(|train: &Images| Images::empty(train.height, train.width, 3));
    push(&mut test, tree, tree.need("val_data")?)?;
    let (Some(train), Some(test)) = (train, test) else {
        return Err(DataError::damaged(&tree.origin, "its batches", "there are no images"));
    };
    let statistics = if train.height == 16 {
        Statistics::published([122.68, 116.66, 104.01], [63.22, 61.26, 65.09])
    } else {
        Statistics::of(&train)
    };
    let mut notes = vec![format!("only the first {CLASSES} of ImageNet's classes are used")];
    if train.height == 16 && (train.len(), test.len()) != (151_700, 6_000) {
        notes.push(format!(
            "ImageNet16-120 has 151700 training and 6000 test images, this copy {} and {}",
            train.len(),
            test.len()
        ));
    }
    Ok(Dataset {
        name: format!("imagenet{}-120", train.height),
        format: Format::ImageNet16,
        classes: (1..=CLASSES).map(|class| class.to_string()).collect(),
        train: Arc::new(train),
        test: Some(Arc::new(test)),
        held_out: false,
        files: Files::default(),
        statistics,
        flip: true,
        notes,
    })
}

/// Appends a batch; the first one determines the size of the images.
fn push(images: &mut Option<Images>, tree: &Tree, entry: &Entry) -> Result<(), DataError> {
    let batch = read_pickle(entry, &tree.limits)?;
    let row = batch.get("data").and_then(Value::as_array).and_then(|array| array.shape.get(1).copied()).unwrap_or(0);
    if images.is_none() {
        let size = (row / 3).isqrt();
        if size == 0 || size * size * 3 != row {
            let what = format!("rows of {row} bytes are not square images of three channels");
            return Err(DataError::damaged(&entry.label, "key `data`", what));
        }
        *images = Some(Images::empty(size, size, 3));
    }
    let Some(images) = images else { return Ok(()) };
    // Labels start at 1.
    push_rows(images, &batch, "labels", 1, CLASSES, true, &entry.label)
}
