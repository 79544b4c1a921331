use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RunError, tensors};
use crate::arrays::{Array, Data};

/// Version of the checkpoint format written; all versions up to it can be read.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"GDASCKPT";
const HEADER: usize = 48;
const CHECKSUM: usize = 32;
/// Name of the array with the BLAKE3 hash of the run's `config.toml`; absent in checkpoints of early versions.
const CONFIG_HASH: &str = "run/config";

/// Complete state of a run, for an exact resume: counters and settings as JSON, numbers as arrays.
///
/// Floats in `state` must be finite, as JSON has no others; other floats belong in `arrays`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The small part: counters, names, best results.
    pub state: serde_json::Value,
    /// The large part: weights, momentum, alphas, running statistics.
    pub arrays: BTreeMap<String, Array>,
}

impl Checkpoint {
    /// A checkpoint of `state` without arrays.
    pub fn new(state: &impl Serialize) -> Result<Self, RunError> {
        let state =
            serde_json::to_value(state).map_err(|e| RunError::Content(format!("the state cannot be written: {e}")))?;
        Ok(Self { state, arrays: BTreeMap::new() })
    }

    /// The state, deserialized.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, RunError> {
        T::deserialize(&self.state).map_err(|e| RunError::Content(format!("its state cannot be parsed: {e}")))
    }

    /// Adds an array.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// Name of an array with a value that is not finite, if there is one.
    pub fn not_finite(&self) -> Option<&str> {
        let is_bad = |array: &Array| match &array.data {
            Data::F32(values) => values.iter().any(|x| !x.is_finite()),
            Data::F64(values) => values.iter().any(|x| !x.is_finite()),
            Data::U8(_) | Data::U64(_) => false,
        };
        self.arrays.iter().find(|(_, array)| is_bad(array)).map(|(name, _)| name.as_str())
    }

    /// Removes and returns an array of 32-bit floats of this shape.
    pub fn take_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, RunError> {
        match self.take(name, shape)? {
            Data::F32(values) => Ok(values),
            other => Err(wrong_type(name, "f32", &other)),
        }
    }

    /// As [`take_f32`](Self::take_f32); `None` if it is absent.
    pub(crate) fn take_f32_if_there(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, RunError> {
        self.arrays.contains_key(name).then(|| self.take_f32(name, shape)).transpose()
    }

    /// Removes and returns an array of 64-bit floats of this shape.
    pub fn take_f64(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, RunError> {
        match self.take(name, shape)? {
            Data::F64(values) => Ok(values),
            other => Err(wrong_type(name, "f64", &other)),
        }
    }

    /// Removes and returns an array of 64-bit unsigned integers of this shape.
    pub fn take_u64(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u64>, RunError> {
        match self.take(name, shape)? {
            Data::U64(values) => Ok(values),
            other => Err(wrong_type(name, "u64", &other)),
        }
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Data, RunError> {
        let array =
            self.arrays.remove(name).ok_or_else(|| RunError::Content(format!("it has no array named {name}")))?;
        if array.shape != shape {
            return Err(RunError::Content(format!(
                "array {name} has shape {:?}, this run needs {shape:?}",
                array.shape
            )));
        }
        Ok(array.data)
    }

    /// Encodes the file: header, state as JSON, arrays as a safetensors file, BLAKE3 hash of all of it.
    ///
    /// Header, little endian: magic (8 bytes), format version (u32), zero (u32), generation (u64), length of the event
    /// log (u64), length of the state (u64), length of the arrays (u64). Every version of the format starts with the
    /// magic and the version and ends with the checksum.
    pub(super) fn encode(&self, position: Position, config: blake3::Hash) -> Result<Vec<u8>, RunError> {
        let state =
            serde_json::to_vec(&self.state).map_err(|e| RunError::Content(format!("cannot write the state: {e}")))?;
        let config = (CONFIG_HASH.to_string(), Array::u8(&[CHECKSUM], config.as_bytes().to_vec()));
        let arrays = tensors::encode(self.arrays.iter().chain([(&config.0, &config.1)]), None)?;

        let mut file = Vec::with_capacity(HEADER + state.len() + arrays.len() + CHECKSUM);
        file.extend(MAGIC);
        file.extend(FORMAT_VERSION.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        for number in [position.generation, position.log_length, state.len() as u64, arrays.len() as u64] {
            file.extend(number.to_le_bytes());
        }
        file.extend(state);
        file.extend(arrays);
        let checksum = blake3::hash(&file);
        file.extend(checksum.as_bytes());
        Ok(file)
    }

    /// Decodes a file of [`encode`](Self::encode); any other bytes are an error, never a panic.
    pub(super) fn decode(path: &Path, file: &[u8]) -> Result<(Self, Position, Option<blake3::Hash>), RunError> {
        let damaged = |reason: String| RunError::Damaged { path: path.to_path_buf(), reason };
        if file.len() < HEADER + CHECKSUM {
            return Err(damaged(format!("only {} bytes long", file.len())));
        }
        if &file[..8] != MAGIC {
            return Err(damaged("it does not start as a checkpoint does".to_string()));
        }
        let (content, checksum) = file.split_at(file.len() - CHECKSUM);
        // The hash type compares with plain bytes.
        if blake3::hash(content) != *checksum {
            return Err(damaged("its checksum does not match its content".to_string()));
        }
        let found = u32::from_le_bytes([file[8], file[9], file[10], file[11]]);
        if found == 0 || found > FORMAT_VERSION {
            return Err(RunError::Version { path: path.to_path_buf(), found, known: FORMAT_VERSION });
        }
        let numbers: Vec<u64> = file[16..HEADER].as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes).collect();
        let position = Position { generation: numbers[0], log_length: numbers[1] };
        let body = &content[HEADER..];
        let state_length = usize::try_from(numbers[2]).unwrap_or(usize::MAX);
        if numbers[2].checked_add(numbers[3]) != Some(body.len() as u64) {
            return Err(damaged("its sections do not fill the file".to_string()));
        }
        let (state, arrays) = body.split_at(state_length);
        let state = serde_json::from_slice(state).map_err(|e| damaged(format!("its state is not JSON: {e}")))?;
        let (mut arrays, _) = tensors::decode(arrays).map_err(|reason| damaged(format!("its arrays: {reason}")))?;
        let config = match arrays.remove(CONFIG_HASH).map(|array| array.data) {
            Some(Data::U8(bytes)) => bytes.try_into().ok().map(blake3::Hash::from_bytes),
            _ => None,
        };
        Ok((Self { state, arrays }, position, config))
    }
}

/// Generation and log length of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Number of the checkpoint, incremented with every save.
    pub(super) generation: u64,
    /// Length of the event log at the checkpoint, in bytes.
    pub(super) log_length: u64,
}

fn wrong_type(name: &str, expected: &str, found: &Data) -> RunError {
    let found = match found {
        Data::F32(_) => "f32",
        Data::F64(_) => "f64",
        Data::U8(_) => "u8",
        Data::U64(_) => "u64",
    };
    RunError::Content(format!("array {name} holds {found}, this run needs {expected}"))
}
