//! MedMNIST's `.npz` files: NumPy arrays `train_images`, `train_labels` and so on in a zip.

use std::sync::Arc;

use crate::error::DataError;
use crate::pickle::{Array, Dtype};
use crate::tree::Tree;
use gdas::data::{Dataset, Format, Images, Statistics};

/// Reads the tree if it holds `train_images.npy`.
pub(crate) fn read(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    tree.find("train_images.npy")?;
    Some(read_all(tree))
}

fn read_all(tree: &Tree) -> Result<Dataset, DataError> {
    let train = read_partition(tree, "train")?;
    let test = match tree.find("test_images.npy") {
        Some(_) => Some(read_partition(tree, "test")?),
        None => None,
    };
    let mut notes = Vec::new();
    if tree.find("val_images.npy").is_some() {
        notes.push("the partition `val` is not used".into());
    }
    let highest = train.labels.iter().chain(test.iter().flat_map(|test| &test.labels)).max().copied().unwrap_or(0);
    Ok(Dataset {
        name: "medmnist".into(),
        format: Format::MedMnist,
        classes: (0..=highest).map(|class| class.to_string()).collect(),
        statistics: Statistics::of(&train),
        train: Arc::new(train),
        test: test.map(Arc::new),
        held_out: false,
        flip: true,
        notes,
    })
}

fn read_partition(tree: &Tree, name: &str) -> Result<Images, DataError> {
    let array = |kind: &str| {
        let entry = tree.need(&format!("{name}_{kind}.npy"))?;
        let bytes = entry.read(&tree.limits)?;
        Ok::<_, DataError>((read_npy(&bytes, &entry.label)?, entry.label.as_str()))
    };
    let (images, label) = array("images")?;
    let Some(pixels) = images.as_u8() else {
        return Err(DataError::damaged(label, "the header", "the images are not unsigned bytes"));
    };
    let (height, width, channels) = match *images.shape.as_slice() {
        [_, height, width] => (height, width, 1),
        [_, height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => {
            let what = format!("shape {:?} is not that of grey or colour images", images.shape);
            return Err(DataError::damaged(label, "the header", what));
        }
    };
    let (labels, label) = array("labels")?;
    if labels.shape.iter().skip(1).any(|&n| n != 1) {
        return Err(DataError::Unsuitable(format!(
            "{label}: labels of shape {:?} give several classes per image; only sets with one can be used",
            labels.shape
        )));
    }
    let values = labels.to_i64s().and_then(|values| values.into_iter().map(|v| u32::try_from(v).ok()).collect());
    let Some(labels) = values.filter(|values: &Vec<u32>| values.iter().all(|&label| label < 65_536)) else {
        return Err(DataError::damaged(label, "the data", "labels that are not integers from 0 to 65535"));
    };
    if labels.len() != images.shape[0] {
        let what = format!("{} labels for {} images", labels.len(), images.shape[0]);
        return Err(DataError::damaged(label, "the header", what));
    }
    Ok(Images { height, width, channels, pixels: pixels.into(), labels })
}

/// Reads a `.npy` file (versions 1 to 3) of plain numbers.
pub(crate) fn read_npy(bytes: &[u8], label: &str) -> Result<Array, DataError> {
    let damaged = |place: &str, what: String| DataError::damaged(label, place, what);
    if bytes.len() < 12 || !bytes.starts_with(b"\x93NUMPY") {
        return Err(damaged("byte 0", "it does not begin like a .npy file".into()));
    }
    let (start, length) = match bytes[6] {
        1 => (10usize, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 | 3 => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
        version => return Err(damaged("byte 6", format!("version {version}; 1 to 3 can be read"))),
    };
    let header = bytes.get(start..start.saturating_add(length)).and_then(|header| std::str::from_utf8(header).ok());
    let header = header.ok_or_else(|| damaged("byte 8", format!("a header of {length} bytes is not there")))?;
    let descr = field(header, "descr").map(|text| text.trim_matches(['\'', '"']));
    let dtype = descr.and_then(Dtype::parse).ok_or_else(|| {
        damaged("the header", format!("element type `{}` is no plain number", descr.unwrap_or("?").escape_default()))
    })?;
    let fortran = match field(header, "fortran_order") {
        Some("True") => true,
        Some("False") => false,
        _ => return Err(damaged("the header", "`fortran_order` is neither True nor False".into())),
    };
    let shape = field(header, "shape").and_then(|text| {
        let inner = text.strip_prefix('(')?.strip_suffix(')')?;
        let lengths = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
        lengths.map(|part| part.trim_end_matches('L').parse().ok()).collect::<Option<Vec<usize>>>()
    });
    let shape = shape.filter(|shape| shape.len() <= 32);
    let shape = shape.ok_or_else(|| damaged("the header", "`shape` is no tuple of lengths".into()))?;
    Array::new(shape, dtype, fortran, bytes[start + length..].into()).map_err(|what| damaged("the data", what))
}

/// The text of a value in the header's dictionary, `{'descr': '|u1', 'shape': (3, 2), }`.
fn field<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let at = header.find(&format!("'{key}'"))? + key.len() + 2;
    let rest = header[at..].trim_start().strip_prefix(':')?.trim_start();
    let end = if rest.starts_with('(') { rest.find(')')? + 1 } else { rest.find([',', '}'])? };
    Some(rest[..end].trim())
}
