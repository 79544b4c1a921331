//! NumPy arrays in an `.npz` or in `.npy` files, named `train_images`, `train_labels`, ... as in MedMNIST, `x_train`,
//! `y_train`, ... as in Keras, or `images` and `labels`.

mod convert;

use std::collections::BTreeMap;
use std::sync::Arc;

use convert::Scale;

use crate::error::DataError;
use crate::parts::{Part, named_part};
use crate::pickle::{Array, Dtype};
use crate::tree::{Entry, Tree};
use gdas::data::{Dataset, Files, Format, Images, Statistics};

/// Content of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Images,
    Labels,
}

/// The arrays of the tree by partition and role; one without a partition is for training.
fn arrays(tree: &Tree) -> BTreeMap<(Part, Role), Vec<&Entry>> {
    let mut found: BTreeMap<(Part, Role), Vec<&Entry>> = BTreeMap::new();
    for entry in &tree.entries {
        if let Some(key) = entry.file_name().strip_suffix(".npy").and_then(|name| meaning(&entry.name, name)) {
            found.entry(key).or_default().push(entry);
        }
    }
    found
}

/// Partition and role by the name of the array and of the archive or folder that contains it.
fn meaning(path: &str, name: &str) -> Option<(Part, Role)> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(['_', '-', ' ', '.']).collect();
    let role = words.iter().find_map(|word| match *word {
        "images" | "image" | "imgs" | "x" | "data" | "pixels" | "features" => Some(Role::Images),
        "labels" | "label" | "y" | "targets" | "target" | "classes" => Some(Role::Labels),
        _ => None,
    })?;
    let part = words.iter().find_map(|word| named_part(word)).or_else(|| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        named_part(folder.rsplit('/').next().unwrap_or(folder))
    });
    Some((part.map_or(Part::Train, |says| says.part), role))
}

/// Reads the tree if it contains an array of images.
pub(crate) fn read(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    let arrays = arrays(tree);
    arrays.keys().any(|(_, role)| *role == Role::Images).then(|| read_all(tree, &arrays))
}

fn read_all(tree: &Tree, arrays: &BTreeMap<(Part, Role), Vec<&Entry>>) -> Result<Dataset, DataError> {
    let mut notes = Vec::new();
    let has = |part: Part| arrays.contains_key(&(part, Role::Images));
    if !has(Part::Train) {
        return Err(DataError::Unsuitable(format!(
            "{}: there are arrays of images for `{}` and none for training; call that one `train_images`",
            tree.origin,
            if has(Part::Test) { Part::Test } else { Part::Validation }
        )));
    }
    let test_part = if has(Part::Test) { Part::Test } else { Part::Validation };
    if has(Part::Test) && has(Part::Validation) {
        notes.push("the partition `val` is not used".into());
    } else if has(Part::Validation) {
        notes.push("there is no partition `test`; `val` is used in its place".into());
    }
    let array = |part: Part, role: Role| {
        let entry = match arrays.get(&(part, role)).map(Vec::as_slice) {
            Some([entry]) => *entry,
            Some([first, second, ..]) => {
                return Err(DataError::Unsuitable(format!(
                    "{}: `{}` and `{}` could each be the {} of `{part}`; leave one of them there",
                    tree.origin,
                    first.name,
                    second.name,
                    if role == Role::Images { "images" } else { "labels" }
                )));
            }
            _ => return Err(DataError::missing(&tree.origin, &format!("{part}_labels.npy"))),
        };
        let bytes = entry.read(&tree.limits)?;
        Ok((read_npy(&bytes, &entry.label)?, entry.label.as_str()))
    };
    let mut scale: Option<Scale> = None;
    let mut read_part = |part: Part| -> Result<(Images, convert::Labels), DataError> {
        let (array_of_images, label) = array(part, Role::Images)?;
        let images = convert::images(&array_of_images, label, &mut scale, &mut notes)?;
        drop(array_of_images);
        let (array_of_labels, label) = array(part, Role::Labels)?;
        let labels = convert::labels(&array_of_labels, label, images.pixels.len() / images.image_len().max(1))?;
        Ok((images, labels))
    };
    let (mut train, train_labels) = read_part(Part::Train)?;
    let test = if has(test_part) { Some(read_part(test_part)?) } else { None };
    let classes = convert::classes(&train_labels, test.as_ref().map(|(_, labels)| labels));
    train.labels = convert::indices(&train_labels, &classes, &tree.origin)?;
    let test = match test {
        Some((mut images, labels)) => {
            images.labels = convert::indices(&labels, &classes, &tree.origin)?;
            Some(Arc::new(images))
        }
        None => None,
    };
    Ok(Dataset {
        name: String::new(),
        format: Format::MedMnist,
        classes,
        statistics: Statistics::of(&train),
        train: Arc::new(train),
        test,
        held_out: false,
        files: Files::default(),
        flip: true,
        notes,
    })
}

/// Reads a `.npy` file (versions 1 to 3) of numbers or text.
pub(crate) fn read_npy(bytes: &[u8], label: &str) -> Result<Array, DataError> {
    let damaged = |place: &str, what: String| DataError::damaged(label, place, what);
    if bytes.len() < 12 || !bytes.starts_with(b"\x93NUMPY") {
        return Err(damaged("byte 0", "it does not begin like a .npy file".into()));
    }
    let (start, length) = match bytes[6] {
        1 => (10usize, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 | 3 => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
        version => return Err(damaged("byte 6", format!("version {version}; 1 to 3 are read"))),
    };
    let header = bytes.get(start..start.saturating_add(length)).and_then(|header| std::str::from_utf8(header).ok());
    let header = header.ok_or_else(|| damaged("byte 8", format!("a header of {length} bytes is not there")))?;
    let descr = field(header, "descr").map(|text| text.trim_matches(['\'', '"']));
    let dtype = descr.and_then(Dtype::parse).ok_or_else(|| match descr {
        Some(descr) => DataError::Malformed {
            file: label.into(),
            place: "the header".into(),
            what: format!("elements of type `{}` are neither numbers nor text", descr.escape_default()),
            advice: "store them as numbers, or labels as text",
        },
        None => damaged("the header", "there is no element type".into()),
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
    let shape = shape.ok_or_else(|| damaged("the header", "`shape` is not a tuple of integers".into()))?;
    Array::new(shape, dtype, fortran, bytes[start + length..].into()).map_err(|what| damaged("the data", what))
}

/// The text of a value in the header's dictionary, `{'descr': '|u1', 'shape': (3, 2), }`.
fn field<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let at = header.find(&format!("'{key}'"))? + key.len() + 2;
    let rest = header[at..].trim_start().strip_prefix(':')?.trim_start();
    let end = if rest.starts_with('(') { rest.find(')')? + 1 } else { rest.find([',', '}'])? };
    Some(rest[..end].trim())
}
