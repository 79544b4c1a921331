//! The part of the Arrow IPC file format ("Feather version 2") that the benchmark's compact table needs.
//!
//! Any Arrow library reads what this writes (`pyarrow.feather.read_table`, `polars.read_ipc`, DuckDB). It is written out
//! here, in three short files, instead of by way of the `arrow` crates, because a table file comes from strangers: those
//! crates stop the program where a buffer points outside the file, and they need a dozen further crates. Here every
//! access is checked against the length of the file, so a damaged file is an error and never a panic.
//!
//! What is covered: one schema of flat columns ([`Kind`]), one dictionary per dictionary column, any number of
//! uncompressed record batches, little endian. Anything else is refused by name.

mod flat;
mod read;
mod write;

pub(super) use read::ArrowFile;
pub(super) use write::{ArrowWriter, Column};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `UInt16`.
    U16,
    /// `UInt32`.
    U32,
    /// `Float32`.
    F32,
    /// `List<Float32>`.
    F32List,
    /// `Dictionary<UInt16, Utf8>`.
    Text,
}

/// A column of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What is wrong with the bytes of an Arrow file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArrowError {
    /// The file does not begin and end with the format's mark.
    #[error("it is no Arrow IPC file: the mark ARROW1 is missing at its {0}")]
    NotArrow(&'static str),
    /// Something points outside the file, or a count is impossible.
    #[error("{what} is damaged at byte {at}")]
    Damaged { what: &'static str, at: usize },
    /// Valid Arrow, but nothing this reader knows.
    #[error("{what} is not supported: {found}")]
    Unsupported { what: &'static str, found: String },
    /// The digest in the footer is not that of the data.
    #[error("its data do not match the checksum that its footer holds")]
    Checksum,
}

const MAGIC: &[u8; 6] = b"ARROW1";
/// Key of the footer's metadata under which the BLAKE3 digest of everything before the footer is kept.
const DIGEST_KEY: &str = "blake3";

// Numbers of the format's `Schema.fbs` and `Message.fbs`.
const VERSION_V5: i16 = 4;
const HEADER_SCHEMA: u8 = 1;
const HEADER_DICTIONARY: u8 = 2;
const HEADER_RECORDS: u8 = 3;
const TYPE_INT: u8 = 2;
const TYPE_FLOAT: u8 = 3;
const TYPE_UTF8: u8 = 5;
const TYPE_LIST: u8 = 12;
const PRECISION_SINGLE: i16 = 1;

#[cfg(test)]
mod tests;
