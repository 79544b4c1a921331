//! A folder or an archive as one list of named files.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::CompressionMethod as Method;

use super::error::DataError;
use super::kind::HEAD;
use super::observe::{Reading, Watched};
use super::spool::{Failure, Spool};

/// What a file may grow to before reading stops with an error.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that an archive may unpack to, on disk for the most part.
    pub unpacked: u64,
    /// Bytes of one file or entry, which is in memory while it is read.
    pub file: u64,
    /// Entries of an archive, or files of a folder.
    pub entries: usize,
    /// Pixels of one image file.
    pub pixels: u64,
}

impl Default for Limits {
    /// 6 GiB, of which 2 GiB in one file, four million entries, 64 megapixels.
    fn default() -> Self {
        Self { unpacked: 6 << 30, file: 2 << 30, entries: 4_000_000, pixels: 1 << 26 }
    }
}

/// Files below one folder or in one archive, sorted by name.
pub(super) struct Tree {
    /// The path, for messages.
    pub(super) origin: String,
    pub(super) entries: Vec<Entry>,
    /// Folders, empty ones too.
    pub(super) folders: Vec<String>,
    /// What was passed over, and names that are no text.
    pub(super) notes: Vec<String>,
    pub(super) limits: Limits,
}

pub(super) struct Entry {
    /// Path inside the tree, with `/` between its parts.
    pub(super) name: String,
    /// For messages: file, and entry if it is in an archive.
    pub(super) label: String,
    content: Content,
}

enum Content {
    /// Unpacked, here.
    Spooled(Arc<Spool>, Range<u64>),
    File(PathBuf),
}

/// An archive that is being unpacked: its entries so far, and where they are.
#[derive(Default)]
struct Unpacking {
    spool: Spool,
    /// Name, message label, place.
    entries: Vec<(String, String, Range<u64>)>,
    folders: Vec<String>,
}

/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 12;
/// What systems leave in folders and archives.
const IGNORED: [&str; 3] = ["Thumbs.db", "desktop.ini", "__MACOSX"];
/// What stands before the number of a byte that is no text.
const ESCAPE: &str = "\\x";

const LINK: &str = "is a link or a device, not a file";
const FEWER: &str = "give the path of a part of it";
const SMALLER: &str = "store it as several files";
const UNPACK: &str = "unpack it, if it can be trusted, and give the path of the folder";

impl Tree {
    /// Lists a folder, or unpacks an archive (or a single, perhaps compressed file).
    pub(super) fn open(path: &Path, limits: Limits, reading: &Reading) -> Result<Self, DataError> {
        let origin = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Read { file: origin.clone(), source })?;
        let mut tree = Self { origin, entries: Vec::new(), folders: Vec::new(), notes: Vec::new(), limits };
        if metadata.is_dir() {
            let mut dangling = Vec::new();
            tree.walk(path, "", 0, &mut dangling)?;
            if let [first, ..] = dangling.as_slice() {
                tree.notes.push(format!(
                    "links that lead to nothing, and are passed over: {}, such as `{first}`",
                    dangling.len()
                ));
            }
        } else {
            let file = File::open(path).map_err(|source| tree.io(source))?;
            let mut into = Unpacking::default();
            let file = Watched::new(file, metadata.len(), reading);
            tree.read_packed(BufReader::with_capacity(1 << 16, file), path, &mut into)?;
            let spool = Arc::new(into.spool);
            let entry = |(name, label, place)| Entry { name, label, content: Content::Spooled(spool.clone(), place) };
            tree.entries = into.entries.into_iter().map(entry).collect();
            tree.folders = into.folders;
        }
        tree.entries.sort_by(|a, b| a.name.cmp(&b.name));
        tree.folders.sort();
        let strange: Vec<&str> =
            tree.entries.iter().map(|entry| entry.name.as_str()).filter(|name| name.contains(ESCAPE)).collect();
        if let [first, ..] = strange.as_slice() {
            tree.notes.push(format!(
                "names that are not UTF-8: {}, such as `{first}`; bytes that are no text are written as `\\x..`",
                strange.len()
            ));
        }
        Ok(tree)
    }

    /// The tree of these files, by their names in it and where they are.
    pub(super) fn of_files(origin: &str, files: Vec<(String, PathBuf)>, limits: Limits) -> Self {
        let entry = |(name, path): (String, PathBuf)| {
            let label = path.display().to_string();
            Entry { name, label, content: Content::File(path) }
        };
        let mut entries: Vec<Entry> = files.into_iter().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self { origin: origin.to_owned(), entries, folders: Vec::new(), notes: Vec::new(), limits }
    }

    /// Takes the other's entries over under the names that `rename` gives; those without one are left out.
    pub(super) fn graft(&mut self, other: Self, rename: impl Fn(&str) -> Option<String>) {
        let renamed = other.entries.into_iter().filter_map(|entry| Some(Entry { name: rename(&entry.name)?, ..entry }));
        self.entries.extend(renamed);
        self.folders.extend(other.folders.iter().filter_map(|folder| rename(folder)));
        self.notes.extend(other.notes);
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.folders.sort();
    }

    /// The entry whose file name (the last part, without `.gz`) is this.
    pub(super) fn find(&self, file_name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.file_name() == file_name)
    }

    fn io(&self, source: std::io::Error) -> DataError {
        DataError::Read { file: self.origin.clone(), source }
    }

    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize, dangling: &mut Vec<String>) -> Result<(), DataError> {
        let io = |source| DataError::Read { file: folder.display().to_string(), source };
        if depth > MAX_DEPTH {
            let what = format!("folders nested more than {MAX_DEPTH} deep");
            return Err(DataError::Limit {
                file: self.origin.clone(),
                what,
                mend: "give the path of a folder further down",
            });
        }
        for item in std::fs::read_dir(folder).map_err(io)? {
            let item = item.map_err(io)?;
            let name = text_of(item.file_name().as_encoded_bytes());
            if name.starts_with('.') || IGNORED.contains(&name.as_str()) {
                continue;
            }
            let path = item.path();
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            // Follows links: people link data sets together, and a folder is their own.
            let metadata = match std::fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    dangling.push(name);
                    continue;
                }
                Err(source) => return Err(DataError::Read { file: path.display().to_string(), source }),
            };
            if metadata.is_dir() {
                self.walk(&path, &name, depth + 1, dangling)?;
                self.folders.push(name);
            } else if metadata.is_file() {
                let label = path.display().to_string();
                self.entries.push(Entry { name, label, content: Content::File(path) });
                self.not_too_many(self.entries.len())?;
            }
        }
        Ok(())
    }

    fn not_too_many(&self, files: usize) -> Result<(), DataError> {
        if files > self.limits.entries {
            let what = format!("more than {} files", self.limits.entries);
            return Err(DataError::Limit { file: self.origin.clone(), what, mend: FEWER });
        }
        Ok(())
    }

    fn read_packed(&self, mut source: BufReader<Watched>, path: &Path, into: &mut Unpacking) -> Result<(), DataError> {
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

    /// A tar archive, or else one file.
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

    /// Takes all of `source`, which is what `what` says.
    fn unpack(&self, source: &mut impl Read, what: &str, into: &mut Unpacking) -> Result<Range<u64>, DataError> {
        let place = into.spool.append(&mut source.take(self.limits.file + 1)).map_err(|failure| match failure {
            Failure::Read(error) => self.unpack_error(what, &error),
            Failure::Write(source) => {
                DataError::Write { file: format!("a temporary file in {}", std::env::temp_dir().display()), source }
            }
        })?;
        if place.end - place.start > self.limits.file {
            let what = format!("{what} has more than {} bytes", self.limits.file);
            return Err(DataError::Limit { file: self.origin.clone(), what, mend: SMALLER });
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
        // What follows the archive's end still carries the checksum of the packing.
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
            return Err(DataError::Limit { file: self.origin.clone(), what, mend: FEWER });
        }
        let mut left = self.limits.unpacked;
        for index in 0..archive.len() {
            let place = || format!("zip entry {index}");
            let raw_name = match archive.name_for_index(index) {
                Some(Ok(name)) => name.into_owned(),
                _ => return Err(DataError::damaged(&self.origin, place(), "its name cannot be read")),
            };
            // Looked at before the content is, which may be out of reach.
            let entry =
                archive.by_index_raw(index).map_err(|e| DataError::damaged(&self.origin, place(), broken(e)))?;
            let (encrypted, compression) = (entry.encrypted(), entry.compression());
            if entry.is_symlink() {
                return Err(self.unsafe_entry(&raw_name, LINK));
            }
            // Programs on Windows write `\\`, and mark a folder by one at its end.
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
                let what = "it is compressed by a method that is not read".into();
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

    /// An entry that is whole and still cannot be read.
    fn unread_entry(&self, name: &str, what: String, mend: &'static str) -> DataError {
        DataError::Malformed { file: self.origin.clone(), place: format!("entry `{name}`"), what, mend }
    }

    fn push_packed(&self, name: String, place: Range<u64>, into: &mut Unpacking) -> Result<(), DataError> {
        if name.split('/').any(|part| part.starts_with('.') || IGNORED.contains(&part)) {
            return Ok(());
        }
        let label = format!("{}, entry `{name}`", self.origin);
        into.entries.push((name, label, place));
        self.not_too_many(into.entries.len())
    }

    /// The entry's name without `./`, if it stays inside the archive.
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
            return DataError::Limit { file: self.origin.clone(), what, mend: UNPACK };
        }
        DataError::damaged(&self.origin, place, format!("it cannot be unpacked ({error})"))
    }
}

impl Entry {
    /// The last part of the name, without `.gz`.
    pub(super) fn file_name(&self) -> &str {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        name.strip_suffix(".gz").unwrap_or(name)
    }

    /// The content, unpacked if it is gzipped itself.
    pub(super) fn read(&self, limits: &Limits) -> Result<Cow<'_, [u8]>, DataError> {
        let io = |source| DataError::Read { file: self.label.clone(), source };
        let data = match &self.content {
            Content::Spooled(spool, place) => spool.read(place).map_err(io)?,
            Content::File(path) => {
                let file = File::open(path).map_err(io)?;
                let mut data = Vec::new();
                let taken = file.take(limits.file + 1).read_to_end(&mut data).map_err(io)?;
                if taken as u64 > limits.file {
                    let what = format!("it has more than {} bytes", limits.file);
                    return Err(DataError::Limit { file: self.label.clone(), what, mend: SMALLER });
                }
                Cow::Owned(data)
            }
        };
        if !data.starts_with(&[0x1f, 0x8b]) {
            return Ok(data);
        }
        let mut unpacked = Vec::new();
        let decoder = flate2::bufread::MultiGzDecoder::new(&*data);
        match Bounded::new(decoder, limits.file).read_to_end(&mut unpacked) {
            Ok(_) => Ok(Cow::Owned(unpacked)),
            Err(error) if is_too_large(&error) => {
                let what = format!("it unpacks to more than {} bytes", limits.file);
                Err(DataError::Limit { file: self.label.clone(), what, mend: SMALLER })
            }
            Err(error) => Err(DataError::damaged(&self.label, "gzip data", format!("it cannot be unpacked ({error})"))),
        }
    }

    /// The first [`HEAD`] bytes, to see what it is; fewer if there are no more or they cannot be read.
    pub(super) fn head(&self) -> Vec<u8> {
        match &self.content {
            Content::Spooled(spool, place) => {
                let start = place.start..place.end.min(place.start + HEAD as u64);
                spool.read(&start).map(Cow::into_owned).unwrap_or_default()
            }
            Content::File(path) => {
                let mut head = vec![0; HEAD];
                let n = File::open(path).and_then(|mut file| read_full(&mut file, &mut head)).unwrap_or_default();
                head.truncate(n);
                head
            }
        }
    }
}

/// A name as text. Bytes that are no UTF-8 become `\xE9` and the like, so that different names stay different.
fn text_of(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("{ESCAPE}{byte:02X}")));
    }
    text
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Xz,
    Bzip2,
}

impl Packing {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip data",
            Self::Xz => "xz data",
            Self::Bzip2 => "bzip2 data",
        }
    }

    fn unpack(self, source: BufReader<Watched>, limit: u64) -> std::io::Result<Bounded<Box<dyn Read>>> {
        /// What xz's dictionary may take; its own largest preset needs 64 MiB.
        const XZ_MEMORY: u64 = 512 << 20;
        let decoder: Box<dyn Read> = match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        };
        Ok(Bounded::new(decoder, limit))
    }
}

/// A reader that fails once more than `left` bytes have come out of it.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("more data than allowed")]
struct TooLarge;

/// Whether the limit is the cause, however often the error has been wrapped.
fn is_too_large(error: &std::io::Error) -> bool {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        let wrapped = error.downcast_ref::<std::io::Error>();
        if error.is::<TooLarge>() || wrapped.is_some_and(is_too_large) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl<R> Bounded<R> {
    fn new(inner: R, left: u64) -> Self {
        Self { inner, left }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| std::io::Error::other(TooLarge))?;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
        self.inner.consume(n);
    }
}

/// Fills the buffer as far as the source allows.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
