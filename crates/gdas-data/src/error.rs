//! Errors of opening, fetching and reading data sets.

use std::fmt::Write;
use std::path::PathBuf;

use crate::pickle::PickleError;

/// Why a data set could not be opened, fetched or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither the name of a known data set nor an existing path.
    #[error("there is no data set `{spec}`: no file or folder of that name, and no known set ({hint})")]
    Unknown {
        /// The name or path as given.
        spec: String,
        /// Known names, the most similar first.
        hint: String,
    },
    /// A known set that has not been fetched.
    #[error(
        "`{name}` is not in {directory}; fetch it with `gdas data fetch {name}`, or put {files} there by hand{local}"
    )]
    NotFetched {
        /// Name of the data set.
        name: String,
        /// The folder in which it was expected.
        directory: PathBuf,
        /// The files that belong in the folder, with their URLs.
        files: String,
        /// How to name a local file or folder of the same name; empty if there is none.
        local: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file or folder.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// The file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The content is of no known format.
    #[error(
        "{file} is not a data set that can be read: {found}; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, \
         idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`"
    )]
    Unrecognised {
        /// Which file or folder.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// There is no image to predict.
    #[error("{file} holds no image: {found}; PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are read")]
    NoImages {
        /// Which file or folder.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// A file violates its format.
    #[error("{file}, {place}: {what}; {advice}")]
    Malformed {
        /// The file, and the entry in it if it is an archive.
        file: String,
        /// Position in the file: a byte offset, a record, a key.
        place: String,
        /// What is wrong.
        what: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// An archive entry that could reach outside of the archive.
    #[error("{file}: entry `{entry}` {why}; such an archive is refused, pack it again without that entry")]
    UnsafeEntry {
        /// The archive.
        file: String,
        /// The entry's name.
        entry: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// One of [`Limits`](crate::Limits) was exceeded.
    #[error("{file}: {what}; {advice}")]
    Limit {
        /// The file.
        file: String,
        /// The limit, as a phrase.
        what: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// Image files that cannot be used.
    #[error("{file}: {}", broken_images(.broken, *.all))]
    BrokenImages {
        /// The folder or archive.
        file: String,
        /// The unusable image files, sorted by name.
        broken: Vec<BrokenImage>,
        /// Total number of image files.
        all: usize,
    },
    /// A pickle was refused.
    #[error("{file}: {source}")]
    Pickle {
        /// The file, and the entry in it if it is an archive.
        file: String,
        /// Byte offset and reason.
        source: PickleError,
    },
    /// An option that does not apply to this data; the message says which and why.
    #[error("{0}")]
    Unsuitable(String),
    /// A download failed.
    #[error("cannot fetch {url}: {what}; put the file by hand at {path}")]
    Fetch {
        /// URL of the file.
        url: String,
        /// Why.
        what: String,
        /// The path at which a file copied by hand is found.
        path: PathBuf,
    },
    /// A download was stopped by the caller.
    #[error("fetching {url} was stopped after {received} bytes; the same command goes on from there")]
    Stopped {
        /// URL of the file.
        url: String,
        /// Bytes on disk.
        received: u64,
    },
    /// The images were read but cannot be used.
    #[error(transparent)]
    Images(#[from] gdas::data::DataError),
}

/// An image file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenImage {
    /// Path within the folder or archive.
    pub name: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Maximum number of files that a message lists.
const NAMED: usize = 20;

/// The files and the reason for each, one per line.
pub(super) fn broken_list(broken: &[BrokenImage]) -> String {
    let mut text = String::new();
    for image in broken.iter().take(NAMED) {
        let _ = write!(text, "\n  {}: {}", image.name, image.reason);
    }
    if broken.len() > NAMED {
        let _ = write!(text, "\n  and {} more", broken.len() - NAMED);
    }
    text
}

fn broken_images(broken: &[BrokenImage], all: usize) -> String {
    let list = broken_list(broken);
    format!(
        "{} of {all} image files cannot be used:{list}\nreplace or remove them, or leave them out with `--skip-damaged`",
        broken.len()
    )
}

/// Advice for a damaged file.
pub(super) const COPY_AGAIN: &str = "the file is damaged or incomplete, copy or download it again";

impl DataError {
    pub(super) fn missing(folder: &str, file_name: &str) -> Self {
        Self::Malformed {
            file: folder.into(),
            place: "its files".into(),
            what: format!("`{file_name}` is missing"),
            advice: "the files of a data set must be together, copy or download it again",
        }
    }

    pub(super) fn damaged(file: &str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed { file: file.into(), place: place.into(), what: what.into(), advice: COPY_AGAIN }
    }
}
