//! A folder or an archive as one list of named files.

mod archive;
mod unpack;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DataError;
use super::kind::HEAD;
use super::observe::{ReadObserver, Watched};
use super::spool::Spool;
use archive::Unpacking;
use unpack::{Bounded, is_too_large, read_full};

/// Limits on the memory and disk that reading may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Unpacked size of an archive in bytes, mostly on disk.
    pub unpacked: u64,
    /// Size of one file or entry in bytes; it is in memory while it is read.
    pub file: u64,
    /// Number of entries of an archive, or of files of a folder.
    pub entries: usize,
    /// Number of pixels of one image file.
    pub pixels: u64,
}

impl Default for Limits {
    /// 6 GiB unpacked, 2 GiB per file, four million entries, 64 megapixels.
    fn default() -> Self {
        Self { unpacked: 6 << 30, file: 2 << 30, entries: 4_000_000, pixels: 1 << 26 }
    }
}

/// The files below one folder or in one archive, sorted by name.
pub(super) struct Tree {
    /// The path, for messages.
    pub(super) origin: String,
    pub(super) entries: Vec<Entry>,
    /// Paths of the folders, empty ones included.
    pub(super) folders: Vec<String>,
    /// Notes on skipped links and on names that are not UTF-8.
    pub(super) notes: Vec<String>,
    pub(super) limits: Limits,
}

pub(super) struct Entry {
    /// Path inside the tree, separated by `/`.
    pub(super) name: String,
    /// For messages: the file, and the entry if it is in an archive.
    pub(super) label: String,
    content: Content,
}

enum Content {
    /// Unpacked to this range of the spool.
    Spooled(Arc<Spool>, Range<u64>),
    File(PathBuf),
}

/// Maximum depth of folders.
const MAX_DEPTH: usize = 12;
/// Files and folders that operating systems create.
const IGNORED: [&str; 3] = ["Thumbs.db", "desktop.ini", "__MACOSX"];
/// Prefix of the hexadecimal number of a byte that is not UTF-8.
const ESCAPE: &str = "\\x";

const FEWER: &str = "give the path of a part of it";
const SMALLER: &str = "store it as several files";

impl Tree {
    /// Lists a folder, or unpacks an archive (or a single, perhaps compressed file).
    pub(super) fn open(path: &Path, limits: Limits, observer: &ReadObserver) -> Result<Self, DataError> {
        let origin = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Read { file: origin.clone(), source })?;
        let mut tree = Self { origin, entries: Vec::new(), folders: Vec::new(), notes: Vec::new(), limits };
        if metadata.is_dir() {
            let mut dangling = Vec::new();
            tree.walk(path, "", 0, &mut dangling)?;
            if let [first, ..] = dangling.as_slice() {
                tree.notes.push(format!("dangling links, skipped: {}, such as `{first}`", dangling.len()));
            }
        } else {
            let file = File::open(path).map_err(|source| tree.io(source))?;
            let mut into = Unpacking::default();
            let file = Watched::new(file, metadata.len(), observer);
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
                "names that are not UTF-8: {}, such as `{first}`; such bytes are written as `\\x..`",
                strange.len()
            ));
        }
        Ok(tree)
    }

    /// A tree of the given files: name in the tree and path of each.
    pub(super) fn of_files(origin: &str, files: Vec<(String, PathBuf)>, limits: Limits) -> Self {
        let entry = |(name, path): (String, PathBuf)| {
            let label = path.display().to_string();
            Entry { name, label, content: Content::File(path) }
        };
        let mut entries: Vec<Entry> = files.into_iter().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self { origin: origin.to_owned(), entries, folders: Vec::new(), notes: Vec::new(), limits }
    }

    /// Adds the entries of another tree under the names that `rename` returns; those with `None` are left out.
    pub(super) fn graft(&mut self, other: Self, rename: impl Fn(&str) -> Option<String>) {
        let renamed = other.entries.into_iter().filter_map(|entry| Some(Entry { name: rename(&entry.name)?, ..entry }));
        self.entries.extend(renamed);
        self.folders.extend(other.folders.iter().filter_map(|folder| rename(folder)));
        self.notes.extend(other.notes);
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.folders.sort();
    }

    /// The entry with this file name (without folders and `.gz`).
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
                advice: "give the path of a folder further down",
            });
        }
        for item in std::fs::read_dir(folder).map_err(io)? {
            let item = item.map_err(io)?;
            let name = text_of(item.file_name().as_encoded_bytes());
            if is_ignored(&name) {
                continue;
            }
            let path = item.path();
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            // Links are followed: data sets are often assembled from links, and a folder is trusted.
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
            return Err(DataError::Limit { file: self.origin.clone(), what, advice: FEWER });
        }
        Ok(())
    }
}

impl Entry {
    /// The file name without folders and `.gz`.
    pub(super) fn file_name(&self) -> &str {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        name.strip_suffix(".gz").unwrap_or(name)
    }

    /// The content, decompressed if it is gzip.
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
                    return Err(DataError::Limit { file: self.label.clone(), what, advice: SMALLER });
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
                Err(DataError::Limit { file: self.label.clone(), what, advice: SMALLER })
            }
            Err(error) => Err(DataError::damaged(&self.label, "gzip data", format!("it cannot be unpacked ({error})"))),
        }
    }

    /// The first [`HEAD`] bytes; fewer if the file is shorter, none if it cannot be read.
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

/// Whether a file or folder of this name is hidden, or one that an operating system leaves behind.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || IGNORED.contains(&name)
}

/// A file name as text. Bytes that are not UTF-8 are escaped (`\xE9`), so that different names stay different.
fn text_of(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("{ESCAPE}{byte:02X}")));
    }
    text
}
