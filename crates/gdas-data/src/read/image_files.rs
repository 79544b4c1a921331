//! A tree of image files: `train/<class>/*` and `test/<class>/*`, or plain `<class>/*`.

mod assign;
mod loose;
mod pixels;

use std::sync::Arc;

use rayon::prelude::*;

use crate::error::DataError;
use crate::kind::Kind;
use crate::options::Options;
use crate::tree::{Entry, Tree};
use assign::{check_classes, sort_out};
use gdas::data::{Dataset, Files, Format, Images, Statistics};
use pixels::decode_all;

pub use loose::LooseImages;
pub(crate) use loose::{read_bytes, read_loose};

/// Whether an image is for training or for testing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Partition {
    Train,
    Test,
}

/// An image file with its partition and class.
#[derive(Clone, Copy)]
struct Item<'t> {
    entry: &'t Entry,
    partition: Partition,
    class: &'t str,
}

/// Type of each file of the tree, in the order of the entries.
pub(crate) fn kinds(tree: &Tree) -> Vec<Kind> {
    tree.entries.par_iter().map(|entry| Kind::of(&entry.name, &entry.head())).collect()
}

/// Reads the tree if it contains image files. They are resized to [`Options::image_size`], or else to the most common size
/// (of equally common ones the larger; at most 224).
pub(crate) fn read(tree: &Tree, options: &Options) -> Option<Result<Dataset, DataError>> {
    let kinds = kinds(tree);
    kinds.iter().any(|kind| kind.is_picture()).then(|| read_all(tree, &kinds, options))
}

fn read_all(tree: &Tree, kinds: &[Kind], options: &Options) -> Result<Dataset, DataError> {
    let mut notes = tree.notes.clone();
    let mut items = sort_out(tree, kinds, &mut notes)?;
    items.sort_by(|a, b| (a.partition, a.class, &a.entry.name).cmp(&(b.partition, b.class, &b.entry.name)));
    let decoded = decode_all(tree, items, options, &mut notes)?;
    let classes = check_classes(tree, &decoded.items)?;
    // Training images come first.
    let trained = decoded.items.iter().filter(|item| item.partition == Partition::Train).count();
    let target = decoded.target;
    let mut pixels = decoded.pixels;
    let test_pixels = pixels.split_off(trained * target.len());
    let images = |pixels: Vec<u8>, items: &[Item]| Images {
        pixels,
        labels: items.iter().map(|i| classes.binary_search(&i.class).map_or(0, |label| label as u32)).collect(),
        ..Images::empty(target.height, target.width, target.channels)
    };
    let (train_items, test_items) = decoded.items.split_at(trained);
    if train_items.is_empty() {
        return Err(DataError::Unrecognised { file: tree.origin.clone(), found: "no training images".into() });
    }
    let train = images(pixels, train_items);
    let test = (!test_items.is_empty()).then(|| Arc::new(images(test_pixels, test_items)));
    let names = |items: &[Item]| items.iter().map(|item| item.entry.name.clone()).collect();
    Ok(Dataset {
        name: String::new(),
        format: Format::Images,
        statistics: Statistics::of(&train),
        test,
        classes: classes.into_iter().map(String::from).collect(),
        train: Arc::new(train),
        held_out: false,
        files: Files { train: names(train_items), test: names(test_items) },
        flip: true,
        notes,
    })
}
