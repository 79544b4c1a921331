//! The idx files of MNIST, gzipped or not, and of data sets with the same file names, such as Fashion-MNIST.

use std::sync::Arc;

use crate::error::DataError;
use crate::tree::{Entry, Tree};
use gdas::data::{Dataset, Files, Format, Images, Statistics};

const FASHION: [&str; 10] =
    ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Reads the tree if it contains `train-images-idx3-ubyte`; the other three files are then required.
pub(crate) fn read(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    find(tree, "train-images")?;
    Some(read_all(tree))
}

/// The entry whose name starts with `part`, or has it after the data set's name, as in EMNIST.
fn find<'t>(tree: &'t Tree, part: &str) -> Option<&'t Entry> {
    tree.entries.iter().find(|entry| {
        let name = entry.file_name().replace('.', "-");
        name.contains(part) && (name.ends_with("-ubyte") || name.ends_with("-idx3") || name.ends_with("-idx1"))
    })
}

fn read_all(tree: &Tree) -> Result<Dataset, DataError> {
    let train = read_partition(tree, "train")?;
    let test_name = if find(tree, "t10k-images").is_some() { "t10k" } else { "test" };
    let test = match find(tree, &format!("{test_name}-images")) {
        Some(_) => Some(read_partition(tree, test_name)?),
        None => None,
    };
    let highest = train.labels.iter().chain(test.iter().flat_map(|test| &test.labels)).max().copied().unwrap_or(0);
    let fashion = tree.origin.to_lowercase().contains("fashion") && highest < 10;
    let classes =
        if fashion { FASHION.map(String::from).into() } else { (0..=highest).map(|class| class.to_string()).collect() };
    Ok(Dataset {
        name: if fashion { "fashion-mnist".into() } else { "mnist".into() },
        format: Format::Idx,
        classes,
        statistics: Statistics::of(&train),
        train: Arc::new(train),
        test: test.map(Arc::new),
        held_out: false,
        files: Files::default(),
        flip: fashion,
        notes: Vec::new(),
    })
}

fn read_partition(tree: &Tree, name: &str) -> Result<Images, DataError> {
    let need = |kind: &str, digit: u8| {
        find(tree, &format!("{name}-{kind}"))
            .ok_or_else(|| DataError::missing(&tree.origin, &format!("{name}-{kind}-idx{digit}-ubyte")))
    };
    let images = need("images", 3)?;
    let bytes = images.read(&tree.limits)?;
    let (shape, pixels) = parse(&bytes, 3, &images.label)?;
    let labels = need("labels", 1)?;
    let label_bytes = labels.read(&tree.limits)?;
    let (count, values) = parse(&label_bytes, 1, &labels.label)?;
    if count[0] != shape[0] {
        let what = format!("{} labels for {} images", count[0], shape[0]);
        return Err(DataError::damaged(&labels.label, "byte 4", what));
    }
    Ok(Images {
        height: shape[1],
        width: shape[2],
        channels: 1,
        pixels: pixels.into(),
        labels: values.iter().map(|&label| u32::from(label)).collect(),
    })
}

/// Shape and data of an idx file of unsigned bytes with this number of axes.
fn parse<'b>(bytes: &'b [u8], axes: usize, label: &str) -> Result<(Vec<usize>, &'b [u8]), DataError> {
    let header = 4 + 4 * axes;
    if bytes.len() < header || bytes[..2] != [0, 0] {
        return Err(DataError::damaged(label, "byte 0", "it does not begin like an idx file"));
    }
    if bytes[2] != 8 || usize::from(bytes[3]) != axes {
        let what = format!(
            "type 0x{:02x} with {} axes, where unsigned bytes (0x08) with {axes} are expected",
            bytes[2], bytes[3]
        );
        return Err(DataError::damaged(label, "byte 2", what));
    }
    let lengths: Vec<usize> =
        bytes[4..header].chunks_exact(4).map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]) as usize).collect();
    let expected = lengths.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    let data = &bytes[header..];
    if expected != Some(data.len()) {
        let what = format!("{} bytes of data for the shape {lengths:?}", data.len());
        return Err(DataError::damaged(label, format!("byte {header}"), what));
    }
    Ok((lengths, data))
}
