//! Conversion of arrays of various layouts and types to bytes and class numbers, where it is unambiguous.

use std::collections::BTreeSet;

use crate::error::DataError;
use crate::pickle::Array;
use gdas::data::{Images, SIZES};

/// Value range of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// 0 to 255.
    Bytes,
    /// 0 to 1.
    Unit,
}

/// The class of each image as stored.
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Names(Vec<String>),
}

fn refuse<T>(label: &str, what: impl Into<String>, advice: &'static str) -> Result<T, DataError> {
    Err(DataError::Malformed { file: label.into(), place: "the array".into(), what: what.into(), advice })
}

/// The images as bytes `[n, height, width, channels]`, without labels. `scale` is the range of the previous partition, or
/// is set to that of this one.
pub(super) fn images(
    array: &Array,
    label: &str,
    scale: &mut Option<Scale>,
    notes: &mut Vec<String>,
) -> Result<Images, DataError> {
    let size = |n: usize| SIZES.contains(&n);
    // Height, width and channels, and whether the channels are the first axis of an image.
    let (height, width, channels, planes) = match *array.shape.as_slice() {
        [_, height, width] => (height, width, 1, false),
        [_, height, width, channels @ (1 | 3)] => (height, width, channels, false),
        [_, height, width, 4] => (height, width, 4, false),
        [_, channels @ (1 | 3 | 4), height, width] if size(height) && size(width) => (height, width, channels, true),
        _ => {
            let what = format!("shape {:?} is not that of grey or colour images", array.shape);
            return refuse(label, what, "store them as [n, height, width] or [n, height, width, channels]");
        }
    };
    let bytes = bytes(array, label, scale)?;
    let kept = if channels == 4 { 3 } else { channels };
    if channels == 4 {
        let note = "the fourth channel (alpha) is dropped";
        if !notes.iter().any(|other| other == note) {
            notes.push(note.into());
        }
    }
    let area = height * width;
    let pixels = if !planes && kept == channels {
        bytes
    } else {
        let mut pixels = Vec::with_capacity(bytes.len() / channels * kept);
        for image in bytes.chunks_exact((area * channels).max(1)) {
            for at in 0..area {
                pixels.extend((0..kept).map(|c| if planes { image[c * area + at] } else { image[at * channels + c] }));
            }
        }
        pixels
    };
    Ok(Images { height, width, channels: kept, pixels, labels: Vec::new() })
}

/// All elements as bytes 0 to 255.
fn bytes(array: &Array, label: &str, scale: &mut Option<Scale>) -> Result<Vec<u8>, DataError> {
    if let (Some(bytes), 'u') = (array.as_u8(), array.dtype.kind) {
        return same_scale(scale, Scale::Bytes, label).map(|()| bytes.to_vec());
    }
    let Some(values) = array.floats() else {
        let what = format!("elements of kind `{}` in {} bytes are not pixels", array.dtype.kind, array.dtype.size);
        return refuse(label, what, "store them as unsigned bytes");
    };
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        if !value.is_finite() {
            return refuse(label, "there are values that are not finite", "store numbers from 0 to 1 or from 0 to 255");
        }
        lowest = lowest.min(value);
        highest = highest.max(value);
    }
    let whole = array.dtype.kind != 'f';
    let found = match array.dtype.kind {
        'b' => Scale::Unit,
        'f' if lowest >= 0.0 && highest <= 1.0 => Scale::Unit,
        // A maximum slightly above 1 fits neither range.
        'f' if lowest >= 0.0 && (16.0..=255.0).contains(&highest) => Scale::Bytes,
        _ if whole && lowest >= 0.0 && highest <= 255.0 => Scale::Bytes,
        _ if array.data.is_empty() => Scale::Bytes,
        _ => {
            let what = format!("values from {lowest} to {highest}: neither 0 to 1 nor 0 to 255");
            return refuse(label, what, "scale them to one of the two");
        }
    };
    same_scale(scale, found, label)?;
    let factor = if found == Scale::Unit { 255.0 } else { 1.0 };
    Ok(array.floats().into_iter().flatten().map(|value| (value * factor).round() as u8).collect())
}

/// Fails unless all partitions have the same range.
fn same_scale(before: &mut Option<Scale>, found: Scale, label: &str) -> Result<(), DataError> {
    match *before {
        Some(scale) if scale != found => {
            let text = |scale| if scale == Scale::Unit { "0 to 1" } else { "0 to 255" };
            let what = format!("values from {}, those of the training images from {}", text(found), text(scale));
            refuse(label, what, "scale both alike")
        }
        _ => {
            *before = Some(found);
            Ok(())
        }
    }
}

/// The class of each of `count` images.
pub(super) fn labels(array: &Array, label: &str, count: usize) -> Result<Labels, DataError> {
    let columns: Vec<usize> = array.shape.iter().copied().filter(|&n| n != 1).collect();
    let rows = array.shape.first().copied().unwrap_or(1);
    let single = columns.len() <= 1 && array.shape.iter().product::<usize>() == count;
    if !single && (array.shape.len() != 2 || rows != count) {
        let what = format!("labels of shape {:?} for {count} images", array.shape);
        return refuse(label, what, "store one label for each image");
    }
    if let Some(names) = array.strings() {
        return if single {
            Ok(Labels::Names(names))
        } else {
            refuse(label, "several texts for each image", "store one label for each image")
        };
    }
    let mut whole = true;
    let values: Option<Vec<i64>> = array.to_i64s().or_else(|| {
        let values = array.floats()?;
        Some(
            values
                .map(|value| {
                    whole &= value.fract() == 0.0 && value.abs() < 1e15;
                    value as i64
                })
                .collect(),
        )
    });
    let Some(values) = values else {
        let what = format!("elements of kind `{}` in {} bytes are not labels", array.dtype.kind, array.dtype.size);
        return refuse(label, what, "store integers or text");
    };
    if !whole {
        let what = if single { "labels that are not integers" } else { "shares of several classes for each image" };
        return refuse(label, what, "store the number of one class for each image");
    }
    if single {
        return Ok(Labels::Numbers(values));
    }
    // One-hot: a single 1 in every row.
    let row = array.shape[1];
    let one_hot = |row: &[i64]| row.iter().all(|&v| v == 0 || v == 1) && row.iter().sum::<i64>() == 1;
    if !values.chunks_exact(row).all(one_hot) {
        return Err(DataError::Unsuitable(format!(
            "{label}: labels of shape {:?} give several classes per image; only sets with one can be used",
            array.shape
        )));
    }
    let at = |row: &[i64]| row.iter().position(|&v| v == 1).unwrap_or(0) as i64;
    Ok(Labels::Numbers(values.chunks_exact(row).map(at).collect()))
}

/// The class names. Labels that start at 0 give all classes up to the largest, even if one does not occur; for other
/// numbers and for text, the classes are the values that occur in training.
pub(super) fn classes(train: &Labels, test: Option<&Labels>) -> Vec<String> {
    let numbers = match train {
        Labels::Names(names) => return names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        Labels::Numbers(numbers) => numbers,
    };
    let tested: &[i64] = match test {
        Some(Labels::Numbers(numbers)) => numbers,
        _ => &[],
    };
    let occurring: BTreeSet<i64> = numbers.iter().copied().collect();
    let highest = occurring.iter().chain(tested).max().copied().unwrap_or(0);
    if occurring.first() == Some(&0) && highest < 65_536 {
        (0..=highest).map(|class| class.to_string()).collect()
    } else {
        occurring.into_iter().map(|class| class.to_string()).collect()
    }
}

/// Index of each label among the classes.
pub(super) fn indices(labels: &Labels, classes: &[String], origin: &str) -> Result<Vec<u32>, DataError> {
    let place: std::collections::HashMap<&str, u32> =
        classes.iter().enumerate().map(|(index, name)| (name.as_str(), index as u32)).collect();
    let find = |name: &str| {
        place.get(name).copied().ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            DataError::Unsuitable(format!("{origin}: the class `{name}` has test images and no training images"))
        })
    };
    match labels {
        Labels::Names(names) => names.iter().map(|name| find(name)).collect(),
        Labels::Numbers(numbers) => numbers.iter().map(|number| find(&number.to_string())).collect(),
    }
}
