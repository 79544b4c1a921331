//! Opening tables of every supported format, and conversion between them.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::columns::{Curves, TableWriter};
use super::table::Table;
use super::{BenchmarkError, cells, compact, csv, official};
use gdas::files;

/// Converts a table of any supported format: to CSV if `to` ends in `.csv`, otherwise to a compact file. Official files
/// are converted to a compact one run by run, to bound memory.
pub fn convert(from: impl AsRef<Path>, to: impl AsRef<Path>, curves: Curves) -> Result<(), BenchmarkError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    if to.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        return Table::open(from)?.write_csv(to);
    }
    match official::Kind::of(from, &official::start_of(from)?) {
        Some(kind) => {
            let mut result = Ok(());
            let written = replace(to, |out| {
                official::convert(from, kind, out, curves).map(drop).map_err(|error| {
                    result = Err(error);
                    std::io::Error::other("the source could not be read")
                })
            });
            result.and(written)
        }
        None => Table::open(from)?.write(to, curves),
    }
}

impl Table {
    /// Opens a table of any supported format, recognised by its content. A CSV file or an official file of NAS-Bench-201 or
    /// NATS-Bench is converted to a compact file in memory; converting such a file once with [`convert`] is faster.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BenchmarkError> {
        let path = path.as_ref();
        let start = official::start_of(path)?;
        if let Some(kind) = official::Kind::of(path, &start) {
            let bytes = official::convert(path, kind, Vec::new(), Curves::Short)?;
            return Table::from_bytes(bytes, path);
        }
        if path.is_dir() {
            return Err(BenchmarkError::UnknownFormat { path: path.to_owned() });
        }
        if start.starts_with(b"ARROW1") {
            return Err(BenchmarkError::Arrow { path: path.to_owned() });
        }
        let bytes = fs::read(path).map_err(BenchmarkError::io(path))?;
        if compact::is_compact(&start) {
            return Table::from_bytes(bytes, path);
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.trim_start_matches('\u{feff}').starts_with("index,") => csv::read(&text, path),
            _ => Err(BenchmarkError::UnknownFormat { path: path.to_owned() }),
        }
    }

    /// Writes the table as a CSV file (means over the seeds).
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), BenchmarkError> {
        let path = path.as_ref();
        replace(path, |mut out| csv::write(self, &mut out))
    }

    /// Writes the table as a compact file.
    pub fn write(&self, path: impl AsRef<Path>, curves: Curves) -> Result<(), BenchmarkError> {
        let path = path.as_ref();
        let texts: Vec<String> = self.cells().iter().map(|cell| cells::text(*cell)).collect();
        replace(path, |out| {
            let mut writer = TableWriter::new(out, self.source(), self.columns(curves), curves);
            for run in (0..self.len()).flat_map(|index| self.runs(index)) {
                writer.push(&run);
            }
            writer.finish(&texts)?;
            Ok(())
        })
    }
}

/// Replaces a file; on an error the old file is kept.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), BenchmarkError> {
    files::replace(path, write).map_err(|cause| BenchmarkError::Io { path: path.to_owned(), cause })
}
