//! The compact file: a safetensors file with one array per column, read into memory and verified when it is opened.
//!
//! The arrays are written in a fixed order, so that equal tables give equal files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Metadata key of the BLAKE3 digest of all arrays.
const DIGEST_KEY: &str = "blake3";
/// Key of the metadata in the header.
const METADATA: &str = "__metadata__";

/// An array to be written, as little-endian bytes.
pub(super) struct Column {
    name: String,
    kind: Kind,
    bytes: Vec<u8>,
}

/// Element type of an array, as named by safetensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    U8,
    U16,
    U32,
    U64,
    F32,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::F32 => 4,
            Self::U64 => 8,
        }
    }
}

/// An element type of columns.
pub(super) trait Number: Copy {
    /// The type's name in files.
    const KIND: u8;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! number {
    ($type:ty, $kind:ident) => {
        impl Number for $type {
            const KIND: u8 = Kind::$kind as u8;

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                own.copy_from_slice(bytes);
                Self::from_le_bytes(own)
            }
        }
    };
}

number!(u8, U8);
number!(u16, U16);
number!(u32, U32);
number!(u64, U64);
number!(f32, F32);

const KINDS: [Kind; 5] = [Kind::U8, Kind::U16, Kind::U32, Kind::U64, Kind::F32];

impl Column {
    pub(super) fn new<T: Number>(name: impl Into<String>, values: &[T]) -> Self {
        let kind = KINDS[usize::from(T::KIND)];
        let mut bytes = Vec::with_capacity(values.len() * kind.size());
        for value in values {
            value.put(&mut bytes);
        }
        Self { name: name.into(), kind, bytes }
    }
}

/// Header entry of an array.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    dtype: Kind,
    shape: [usize; 1],
    data_offsets: [usize; 2],
}

/// Writes a file of these columns.
pub(super) fn write(out: &mut impl Write, metadata: &[(&str, &str)], columns: &[Column]) -> io::Result<()> {
    let mut digest = blake3::Hasher::new();
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for column in columns {
        digest.update(&column.bytes);
        let start = end;
        end += column.bytes.len();
        let shape = [column.bytes.len() / column.kind.size()];
        let entry = Entry { dtype: column.kind, shape, data_offsets: [start, end] };
        header.insert(column.name.clone(), serde_json::to_value(entry)?);
    }
    let digest = digest.finalize().to_hex();
    let metadata: BTreeMap<&str, &str> = metadata.iter().copied().chain([(DIGEST_KEY, digest.as_str())]).collect();
    header.insert(METADATA.to_owned(), serde_json::to_value(metadata)?);
    let mut header = serde_json::to_vec(&header)?;
    // Arrays are aligned to eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    columns.iter().try_for_each(|column| out.write_all(&column.bytes))
}

/// Whether a file with these first bytes may be a compact file.
pub(super) fn is_compact(start: &[u8]) -> bool {
    start.len() > 8 && start[8] == b'{' && start[4..8] == [0; 4]
}

/// An opened file.
pub(super) struct CompactFile {
    bytes: Vec<u8>,
    metadata: BTreeMap<String, String>,
    arrays: BTreeMap<String, (Kind, Range<usize>)>,
}

impl CompactFile {
    /// Verifies the layout, and the digest if the file has one.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let damaged = |what: &str| format!("{what} is damaged");
        let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
        let start = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
        let start = start.filter(|start| *start <= bytes.len()).ok_or_else(|| damaged("its header"))?;
        let mut header: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&bytes[8..start]).map_err(|error| format!("its header is damaged: {error}"))?;
        let metadata = header.remove(METADATA).unwrap_or_default();
        let metadata: BTreeMap<String, String> =
            serde_json::from_value(metadata).map_err(|_| damaged("the metadata in its header"))?;
        let mut arrays = BTreeMap::new();
        for (name, entry) in header {
            let wrong = || damaged(&format!("the place of array `{name}`"));
            let Entry { dtype, shape: [count], data_offsets: [from, to] } =
                serde_json::from_value(entry).map_err(|error| format!("array `{name}` cannot be read: {error}"))?;
            let range = start.checked_add(from).zip(start.checked_add(to)).map(|(from, to)| from..to);
            let range = range.filter(|range| range.start <= range.end && range.end <= bytes.len()).ok_or_else(wrong)?;
            if count.checked_mul(dtype.size()) != Some(range.len()) {
                return Err(wrong());
            }
            arrays.insert(name, (dtype, range));
        }
        if metadata.get(DIGEST_KEY).is_some_and(|digest| *digest != blake3::hash(&bytes[start..]).to_hex().as_str()) {
            return Err("its data do not match the checksum in its header".to_owned());
        }
        Ok(Self { bytes, metadata, arrays })
    }

    /// The value of a metadata key.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The values of an array; `None` if there is no array of this name.
    ///
    /// # Errors
    /// If the array has another element type.
    pub(super) fn find<T: Number>(&self, name: &str) -> Result<Option<Vec<T>>, String> {
        let Some((kind, range)) = self.arrays.get(name) else { return Ok(None) };
        let wanted = KINDS[usize::from(T::KIND)];
        if *kind != wanted {
            return Err(format!("array `{name}` has type {kind:?}, not {wanted:?}"));
        }
        Ok(Some(self.bytes[range.clone()].chunks_exact(kind.size()).map(T::get).collect()))
    }

    /// The values of a required array.
    pub(super) fn take<T: Number>(&self, name: &str) -> Result<Vec<T>, String> {
        self.find(name)?.ok_or_else(|| format!("array `{name}` is missing"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let columns = [
            Column::new("cells", "ab\nc \u{fc}".as_bytes()),
            Column::new("epochs", &[12u16, 200, 12]),
            Column::new("seed", &[777u32, u32::MAX, 999]),
            Column::new("accuracy", &[f32::NAN, 93.5, -0.25]),
            Column::new("starts", &[0u64, 2, 2, 3]),
        ];
        let mut out = Vec::new();
        write(&mut out, &[("format", "sample")], &columns).unwrap();
        out
    }

    #[test]
    fn what_was_written_is_read_back() {
        let file = CompactFile::open(sample()).unwrap();
        assert!(is_compact(&sample()) && file.metadata("format") == Some("sample"));
        assert_eq!(file.take::<u8>("cells").unwrap(), "ab\nc \u{fc}".as_bytes());
        assert_eq!(file.take::<u16>("epochs").unwrap(), [12, 200, 12]);
        assert_eq!(file.take::<u32>("seed").unwrap(), [777, u32::MAX, 999]);
        assert_eq!(file.take::<f32>("accuracy").unwrap()[1..], [93.5, -0.25]);
        assert_eq!(file.take::<u64>("starts").unwrap(), [0, 2, 2, 3]);
        assert_eq!(file.find::<u16>("absent"), Ok(None));
        assert!(file.take::<u16>("seed").unwrap_err().contains("U32, not U16"));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(CompactFile::open(bytes[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_of_the_data_is_noticed() {
        let bytes = sample();
        let start = 8 + usize::from(bytes[0]) + 256 * usize::from(bytes[1]);
        for bit in 8 * start..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(CompactFile::open(damaged).is_err_and(|error| error.contains("checksum")), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn damage_anywhere_never_panics(places in prop::collection::vec((0usize..2_000, any::<u8>()), 1..6)) {
            let mut bytes = sample();
            // Without the digest, so that the later checks are reached.
            let key = bytes.windows(6).position(|w| w == b"blake3").unwrap();
            bytes[key] = b'x';
            let length = bytes.len();
            for (place, value) in places {
                bytes[place % length] = value;
            }
            if let Ok(file) = CompactFile::open(bytes) {
                let _ = (file.take::<u8>("cells"), file.take::<u16>("epochs"), file.take::<u32>("seed"));
                let _ = (file.take::<f32>("accuracy"), file.take::<u64>("starts"));
            }
        }
    }
}
