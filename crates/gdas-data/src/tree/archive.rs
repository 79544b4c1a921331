//! ReadObserver an archive: a zip, a tar, or one compressed file.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use zip::CompressionMethod as Method;

use super::unpack::{Bounded, Packing, is_too_large, read_full};
use super::{FEWER, SMALLER, Tree, is_ignored, text_of};
use crate::error::DataError;
use crate::observe::Watched;
use crate::spool::{Failure, Spool};

const LINK: &str = "is a link or a device, not a file";
const UNPACK: &str = "unpack it, if it can be trusted, and give the path of the folder";

/// The entries of an archive unpacked so far.
#[derive(Default)]
pub(super) struct Unpacking {
    pub(super) spool: Spool,
    /// Name, label for messages, range in the spool.
    pub(super) entries: Vec<(String, String, Range<u64>)>,
    pub(super) folders: Vec<String>,
}

impl Tree {
    pub(super) fn read_packed(
        &self,
        mut source: BufReader<Watched>,
        path: &Path,
        into: &mut Unpacking,
    ) -> Result<(), DataError> {
        let head = source.fill_buf().map_err(|source| self.io(source))?;
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return self.read_zip(source, into);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let limit = self.limits.unpacked;
        let packing = Packing::of(head);
        let Some(packing) = packing else {
            return self.read_plain(Bounded::new(source, limit), &name, "the file", into);
        };
        let unpacked = packing.unpack(source, limit).map_err(|source| self.io(source))?;
        let name = name.rsplit_once('.').map_or(name.clone(), |(stem, _)| stem.into());
        self.read_plain(BufReader::with_capacity(1 << 16, unpacked), &name, packing.name(), into)
    }

    /// Reads a tar archive, or else a single file.
    fn read_plain(
        &self,
        mut source: impl BufRead,
        name: &str,
        packing: &str,
        into: &mut Unpacking,
    ) -> Result<(), DataError> {
        let mut head = vec![0; 512];
        let n = read_full(&mut source, &mut head).map_err(|error| self.unpack_error(packing, &error))?;
        head.truncate(n);
        let is_tar = head.len() == 512 && head[257..].starts_with(b"ustar");
        let mut source = std::io::Cursor::new(head).chain(source);
        if is_tar {
            return self.read_tar(source, packing, into);
        }
        let place = self.unpack(&mut source, packing, into)?;
        into.entries.push((name.into(), self.origin.clone(), place));
        Ok(())
    }

    /// Unpacks all of `source` to the spool; `what` names it in messages.
    fn unpack(&self, source: &mut impl Read, what: &str, into: &mut Unpacking) -> Result<Range<u64>, DataError> {
        let place = into.spool.append(&mut source.take(self.limits.file + 1)).map_err(|failure| match failure {
            Failure::Read(error) => self.unpack_error(what, &error),
            Failure::Write(source) => {
                DataError::Write { file: format!("a temporary file in {}", std::env::temp_dir().display()), source }
            }
        })?;
        if place.end - place.start > self.limits.file {
            let what = format!("{what} has more than {} bytes", self.limits.file);
            return Err(DataError::Limit { file: self.origin.clone(), what, advice: SMALLER });
        }
        Ok(place)
    }

    fn read_tar(&self, source: impl Read, packing: &str, into: &mut Unpacking) -> Result<(), DataError> {
        let mut archive = tar::Archive::new(source);
        archive.set_ignore_zeros(false);
        let entries = archive.entries().map_err(|error| self.unpack_error(packing, &error))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.unpack_error(packing, &error))?;
            let name = text_of(&entry.path_bytes());
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                let name = self.safe_name(&name)?;
                if kind.is_dir() {
                    into.folders.push(name);
                }
                continue;
            }
            if !matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
                return Err(self.unsafe_entry(&name, LINK));
            }
            let name = self.safe_name(&name)?;
            let size = entry.size();
            let place = self.unpack(&mut entry, &format!("entry `{name}`"), into)?;
            let found = place.end - place.start;
            if found != size {
                return Err(DataError::damaged(
                    &self.origin,
                    format!("entry `{name}`"),
                    format!("{found} of its {size} bytes are there"),
                ));
            }
            self.push_packed(name, place, into)?;
        }
        // The checksum of the compression is after the end of the tar archive.
        std::io::copy(&mut archive.into_inner(), &mut std::io::sink())
            .map_err(|error| self.unpack_error(packing, &error))?;
        Ok(())
    }

    fn read_zip(&self, source: BufReader<Watched>, into: &mut Unpacking) -> Result<(), DataError> {
        let broken = |error: zip::result::ZipError| error.to_string();
        let mut archive = zip::ZipArchive::new(source)
            .map_err(|error| DataError::damaged(&self.origin, "the zip directory", broken(error)))?;
        if archive.len() > self.limits.entries {
            let what = format!("more than {} entries", self.limits.entries);
            return Err(DataError::Limit { file: self.origin.clone(), what, advice: FEWER });
        }
        let mut left = self.limits.unpacked;
        for index in 0..archive.len() {
            let place = || format!("zip entry {index}");
            let raw_name = match archive.name_for_index(index) {
                Some(Ok(name)) => name.into_owned(),
                _ => return Err(DataError::damaged(&self.origin, place(), "its name cannot be read")),
            };
            // The header is checked first, as the content may be unreadable.
            let entry =
                archive.by_index_raw(index).map_err(|e| DataError::damaged(&self.origin, place(), broken(e)))?;
            let (encrypted, compression) = (entry.encrypted(), entry.compression());
            if entry.is_symlink() {
                return Err(self.unsafe_entry(&raw_name, LINK));
            }
            // Programs on Windows write `\\` as separator, and at the end of a folder's name.
            let is_folder = entry.is_dir() || raw_name.ends_with('\\');
            drop(entry);
            let name = self.safe_name(&raw_name.replace('\\', "/"))?;
            if is_folder {
                into.folders.push(name);
                continue;
            }
            if encrypted {
                let what = "it is encrypted".into();
                return Err(self.unread_entry(&name, what, "unpack it with its password, and give the folder"));
            }
            if !matches!(
                compression,
                Method::Stored | Method::Deflated | Method::Deflate64 | Method::Bzip2 | Method::Lzma
            ) {
                let what = "it is compressed by a method that is not supported".into();
                return Err(self.unread_entry(&name, what, "unpack it, and give the folder"));
            }
            let mut entry =
                archive.by_index(index).map_err(|e| DataError::damaged(&self.origin, place(), broken(e)))?;
            let place = self.unpack(&mut Bounded::new(&mut entry, left), &format!("entry `{name}`"), into)?;
            left -= place.end - place.start;
            self.push_packed(name, place, into)?;
        }
        Ok(())
    }

    /// The error for an intact entry that cannot be read.
    fn unread_entry(&self, name: &str, what: String, advice: &'static str) -> DataError {
        DataError::Malformed { file: self.origin.clone(), place: format!("entry `{name}`"), what, advice }
    }

    fn push_packed(&self, name: String, place: Range<u64>, into: &mut Unpacking) -> Result<(), DataError> {
        if name.split('/').any(is_ignored) {
            return Ok(());
        }
        let label = format!("{}, entry `{name}`", self.origin);
        into.entries.push((name, label, place));
        self.not_too_many(into.entries.len())
    }

    /// The entry's name without `./`.
    ///
    /// # Errors
    /// If the path leads out of the archive.
    fn safe_name(&self, name: &str) -> Result<String, DataError> {
        if name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':') {
            return Err(self.unsafe_entry(name, "has an absolute path"));
        }
        if name.split(['/', '\\']).any(|part| part == "..") {
            return Err(self.unsafe_entry(name, "leads out of the archive with `..`"));
        }
        if name.contains('\0') {
            return Err(self.unsafe_entry(name, "has a zero byte in its name"));
        }
        let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
        Ok(parts.collect::<Vec<_>>().join("/"))
    }

    fn unsafe_entry(&self, entry: &str, why: &'static str) -> DataError {
        let entry = entry.chars().take(200).flat_map(char::escape_default).collect();
        DataError::UnsafeEntry { file: self.origin.clone(), entry, why }
    }

    fn unpack_error(&self, place: &str, error: &std::io::Error) -> DataError {
        if is_too_large(error) {
            let what = format!("it unpacks to more than {} bytes", self.limits.unpacked);
            return DataError::Limit { file: self.origin.clone(), what, advice: UNPACK };
        }
        DataError::damaged(&self.origin, place, format!("it cannot be unpacked ({error})"))
    }
}
