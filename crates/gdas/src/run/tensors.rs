//! Encoding of named arrays as a safetensors file.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::RunError;
use crate::arrays::{Array, Data};

/// Key of the text in the header.
const TEXT: &str = "gdas";

impl Array {
    fn dtype(&self) -> Dtype {
        match self.data {
            Data::F32(_) => Dtype::F32,
            Data::F64(_) => Dtype::F64,
            Data::U8(_) => Dtype::U8,
            Data::U64(_) => Dtype::U64,
        }
    }

    /// The values as bytes, little endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match &self.data {
            Data::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::U8(v) => v.clone(),
            Data::U64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    fn from_view(view: &TensorView) -> Result<Self, String> {
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F32 => Data::F32(words(bytes).map(f32::from_le_bytes).collect()),
            Dtype::F64 => Data::F64(words(bytes).map(f64::from_le_bytes).collect()),
            Dtype::U8 => Data::U8(bytes.to_vec()),
            Dtype::U64 => Data::U64(words(bytes).map(u64::from_le_bytes).collect()),
            other => return Err(format!("values of type {other:?} are not supported")),
        };
        Ok(Self { shape: view.shape().to_vec(), data })
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Encodes arrays, with `text` in the header. Equal input gives equal bytes.
pub(super) fn encode<'a>(
    arrays: impl Iterator<Item = (&'a String, &'a Array)>,
    text: Option<String>,
) -> Result<Vec<u8>, RunError> {
    let bytes: Vec<_> = arrays.map(|(name, array)| (name, array, array.to_bytes())).collect();
    let views = bytes
        .iter()
        .map(|(name, array, bytes)| {
            let view = TensorView::new(array.dtype(), array.shape.clone(), bytes)
                .map_err(|e| RunError::Content(format!("array {name} and its shape do not agree: {e}")))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    // Only one key: the order of several keys would vary between processes.
    let header = text.map(|text| HashMap::from([(TEXT.to_owned(), text)]));
    safetensors::serialize(views, header).map_err(|e| RunError::Content(format!("cannot write the arrays: {e}")))
}

/// Decodes a file into its arrays and the text of the header.
pub(super) fn decode(bytes: &[u8]) -> Result<(BTreeMap<String, Array>, Option<String>), String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let arrays = tensors
        .iter()
        .map(|(name, view)| Ok((name.to_owned(), Array::from_view(&view)?)))
        .collect::<Result<_, String>>()?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    Ok((arrays, header.metadata().as_ref().and_then(|header| header.get(TEXT).cloned())))
}
