//! Weights from a record of Burn (burnpack) of a module written by [`crate::export::to_burn_module`].

use burn::tensor::{Bytes, DType};

use super::torch::half;
use super::{Array, StateDict};

/// Names of the arrays of a normalisation in Burn, with those in PyTorch.
const NORM: [(&str, &str); 2] = [(".gamma", ".weight"), (".beta", ".bias")];

/// Whether these are the first bytes of a record of Burn.
pub(super) fn recognises(bytes: &[u8]) -> bool {
    bytes.len() > burn_pack::HEADER_SIZE && burn_pack::Header::from_bytes(bytes).is_ok()
}

/// Reads the arrays. Their names contain underscores for dots, as fields of a struct; see [`super::names::dotted`].
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let reader = burn_pack::Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).map_err(|e| e.to_string())?;
    let metadata = reader.metadata().clone().into_iter().collect();
    let mut dict = StateDict { metadata, ..StateDict::default() };
    for tensor in reader.into_tensors().map_err(|error| error.to_string())? {
        let (name, dtype, shape, _, data) = tensor.into_parts().map_err(|error| error.to_string())?;
        let values: Vec<f32> = match dtype {
            DType::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            DType::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            DType::F16 => data.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect(),
            other => return Err(format!("array `{name}` is of type {other:?}; F16, F32 and F64 can be read")),
        };
        let shape: Vec<usize> = shape.iter().copied().collect();
        if shape.iter().product::<usize>() != values.len() {
            return Err(format!("array `{name}` has {} values, which do not match its shape", values.len()));
        }
        let array = Array { shape, values };
        // Burn stores the matrix of a linear layer transposed.
        let array = if array.shape.len() == 2 { transposed(&array) } else { array };
        let renamed = NORM.iter().find_map(|(theirs, ours)| Some(format!("{}{ours}", name.strip_suffix(theirs)?)));
        dict.arrays.insert(super::names::dotted(&renamed.unwrap_or(name)), array);
    }
    Ok(dict)
}

fn transposed(array: &Array) -> Array {
    let [rows, columns] = [array.shape[0], array.shape[1]];
    let values = (0..columns).flat_map(|c| (0..rows).map(move |r| array.values[r * columns + c])).collect();
    Array { shape: vec![columns, rows], values }
}
