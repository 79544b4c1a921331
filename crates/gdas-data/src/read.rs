//! Readers, one module per format.

pub(super) mod cifar;
pub(super) mod decode;
mod fit;
pub(super) mod idx;
pub(super) mod image_files;
pub(super) mod imagenet16;
pub(super) mod npz;

use super::error::DataError;
use super::tree::{Entry, Limits, Tree};
use crate::pickle::{self, Value};
use gdas::data::Images;

impl Tree {
    /// The entry of this file name, or an error that names it.
    fn need(&self, file_name: &str) -> Result<&Entry, DataError> {
        self.find(file_name).ok_or_else(|| DataError::missing(&self.origin, file_name))
    }
}

/// Reads an entry as a pickled dictionary. The memory limit is a multiple of the file's size, as lists of labels and names
/// are larger in memory than in the file.
fn read_pickle(entry: &Entry, limits: &Limits) -> Result<Value, DataError> {
    let bytes = entry.read(limits)?;
    let memory = (64 << 20) + 16 * bytes.len() as u64;
    let limits = pickle::Limits { memory: memory.min(limits.unpacked), ..pickle::Limits::default() };
    let value = pickle::from_reader(&*bytes, limits, &mut ())
        .map_err(|source| DataError::Pickle { file: entry.label.clone(), source })?;
    if value.entries().is_none() {
        let what = format!("it holds {}, not a dictionary", value.kind());
        return Err(DataError::damaged(&entry.label, "the pickle", what));
    }
    Ok(value)
}

/// Appends the dictionary's `data` (`[n, row]` unsigned bytes, channel planes of one image per row) and its labels, from
/// which `first` is subtracted. An image with a label of `classes` or more is left out if `skip`, else it is an error.
fn push_rows(
    images: &mut Images,
    batch: &Value,
    label_key: &str,
    first: i64,
    classes: usize,
    skip: bool,
    label: &str,
) -> Result<(), DataError> {
    let damaged = |place: &str, what: String| Err(DataError::damaged(label, place, what));
    let row = images.image_len();
    let Some(array) = batch.get("data").and_then(Value::as_array) else {
        return damaged("key `data`", "there is no array".into());
    };
    let (Some(pixels), [_, columns]) = (array.as_u8(), array.shape.as_slice()) else {
        return damaged("key `data`", format!("an array of shape {:?} is not rows of bytes", array.shape));
    };
    if *columns != row {
        return damaged("key `data`", format!("rows of {columns} bytes, where an image has {row}"));
    }
    let Some(labels) = batch.get(label_key).and_then(Value::to_i64s) else {
        return damaged(&format!("key `{label_key}`"), "there is no list of integers".into());
    };
    if labels.len() != array.shape[0] {
        return damaged(
            &format!("key `{label_key}`"),
            format!("{} labels for {} images", labels.len(), array.shape[0]),
        );
    }
    for (index, (image, &given)) in pixels.chunks_exact(row).zip(&labels).enumerate() {
        match usize::try_from(given - first) {
            Ok(class) if class < classes => {
                images.push_planes(image);
                images.labels.push(class as u32);
            }
            Ok(_) if skip => {}
            _ => {
                let last = first + classes as i64 - 1;
                let what = format!("label {given} of image {index} is not within {first}..={last}");
                return damaged(&format!("key `{label_key}`"), what);
            }
        }
    }
    Ok(())
}
