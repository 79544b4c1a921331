//! Weights from an ONNX file: its initializers, and the properties of the model.

use std::collections::BTreeMap;

use super::torch::half;
use super::{Array, StateDict};
use crate::export::protobuf::{Field, fields, varint};
use crate::export::{INPUT_PREFIX, QUANTIZATION};

/// Element types of tensors (`TensorProto.DataType`).
const FLOAT: u64 = 1;
const FLOAT16: u64 = 10;
const DOUBLE: u64 = 11;
/// `TensorProto.DataLocation.EXTERNAL`: the values are in another file.
const EXTERNAL: u64 = 1;

/// Whether these are the first bytes of an ONNX file, which starts with its IR version.
pub(super) fn recognises(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=0x7f, ..])
}

/// Reads the arrays of floats. Integers are shapes and axes, not weights; constants that normalise pixels are skipped, as
/// the metadata contain them.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let mut dict = StateDict::default();
    let mut graphs = 0;
    for part in fields(bytes) {
        match part? {
            (7, Field::Bytes(graph)) => {
                graphs += 1;
                for part in fields(graph) {
                    if let (5, Field::Bytes(tensor)) = part?
                        && let Some((name, array)) = tensor_of(tensor)?
                        && !name.starts_with(INPUT_PREFIX)
                    {
                        dict.arrays.insert(name, array);
                    }
                }
            }
            (14, Field::Bytes(entry)) => {
                let (key, value) = property(entry)?;
                dict.metadata.insert(key, value);
            }
            _ => {}
        }
    }
    if dict.metadata.contains_key(QUANTIZATION) {
        return Err("its weights are rounded to 8 bits; import the float32 file of this network instead".into());
    }
    if graphs == 1 { Ok(dict) } else { Err("it contains no ONNX graph".into()) }
}

fn property(bytes: &[u8]) -> Result<(String, String), String> {
    let mut parts = BTreeMap::new();
    for part in fields(bytes) {
        if let (number, Field::Bytes(text)) = part? {
            parts.insert(number, String::from_utf8_lossy(text).into_owned());
        }
    }
    Ok((parts.remove(&1).unwrap_or_default(), parts.remove(&2).unwrap_or_default()))
}

/// Name and values of an initializer; `None` if it is not of floats.
fn tensor_of(bytes: &[u8]) -> Result<Option<(String, Array)>, String> {
    let (mut shape, mut kind, mut name, mut raw, mut floats) = (Vec::new(), 0, String::new(), None, Vec::new());
    for part in fields(bytes) {
        match part? {
            (1, Field::Integer(size)) => shape.push(size),
            // Several sizes in one packed field.
            (1, Field::Bytes(mut sizes)) => {
                while !sizes.is_empty() {
                    let (size, rest) = varint(sizes)?;
                    shape.push(size);
                    sizes = rest;
                }
            }
            (2, Field::Integer(value)) => kind = value,
            (4, Field::Bytes(packed)) => floats.extend(packed.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            (4, Field::Four(one)) => floats.push(f32::from_le_bytes(one)),
            (8, Field::Bytes(text)) => name = String::from_utf8_lossy(text).into_owned(),
            (9, Field::Bytes(bytes)) => raw = Some(bytes),
            (14, Field::Integer(EXTERNAL)) => return Err(format!("array `{name}` lies in another file")),
            _ => {}
        }
    }
    let values: Vec<f32> = match (kind, raw) {
        (FLOAT, None) => floats,
        (FLOAT, Some(raw)) => raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        (DOUBLE, Some(raw)) => raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        (FLOAT16, Some(raw)) => raw.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect(),
        _ => return Ok(None),
    };
    let shape: Option<Vec<usize>> = shape.into_iter().map(|size| size.try_into().ok()).collect();
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match shape.filter(|shape| count(shape) == Some(values.len())) {
        Some(shape) => Ok(Some((name, Array { shape, values }))),
        None => Err(format!("array `{name}` has {} values, which do not match its shape", values.len())),
    }
}
