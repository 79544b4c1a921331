//! What can go wrong with data, where, and how to mend it.

use std::fmt::Write;
use std::path::PathBuf;

use crate::pickle::PickleError;

/// Why a data set could not be opened, fetched or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither a known name nor a path.
    #[error("there is no data set `{spec}`: no file or folder of that name, and no known set ({hint})")]
    Unknown {
        /// What was asked for.
        spec: String,
        /// Known names, the most similar first.
        hint: String,
    },
    /// A known set that has not been fetched.
    #[error(
        "`{name}` is not in {directory}; fetch it with `gdas data fetch {name}`, or put {files} there by hand{here}"
    )]
    NotFetched {
        /// The set.
        name: String,
        /// Where it was looked for.
        directory: PathBuf,
        /// The files that may stand there, with their addresses.
        files: String,
        /// How to name the files here that are called the same, if there are any.
        here: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// Which.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The content is of no known format.
    #[error(
        "{file} is no data set that can be read: {found}; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, \
         idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`"
    )]
    Unrecognised {
        /// Which file or folder.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// There is nothing to predict.
    #[error("{file} holds no image: {found}; PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are read")]
    NoImages {
        /// Which file or folder.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// A file does not keep to its format.
    #[error("{file}, {place}: {what}; {mend}")]
    Malformed {
        /// The file, and the entry in it if it is an archive.
        file: String,
        /// Where in it: a byte offset, a record, a key.
        place: String,
        /// What is wrong.
        what: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// An archive entry that could reach outside of the archive.
    #[error("{file}: entry `{entry}` {why}; such an archive is not read, pack it again without that entry")]
    UnsafeEntry {
        /// The archive.
        file: String,
        /// The entry's name.
        entry: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A stated limit was reached.
    #[error("{file}: {what}; {mend}")]
    Limit {
        /// Which file.
        file: String,
        /// Which limit.
        what: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// Image files that cannot be used.
    #[error("{file}: {}", broken_images(.broken, *.all))]
    BrokenImages {
        /// The folder or archive.
        file: String,
        /// Which of its image files, sorted by name.
        broken: Vec<BrokenImage>,
        /// How many image files there are.
        all: usize,
    },
    /// A pickle was refused.
    #[error("{file}: {source}")]
    Pickle {
        /// The file, and the entry in it if it is an archive.
        file: String,
        /// Where and why.
        source: PickleError,
    },
    /// A request that makes no sense for this data.
    #[error("{0}")]
    Unsuitable(String),
    /// A download failed.
    #[error("cannot fetch {url}: {what}; put the file by hand at {path}")]
    Fetch {
        /// The address.
        url: String,
        /// Why.
        what: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// A download was stopped by the caller.
    #[error("fetching {url} was stopped after {received} bytes; the same command goes on from there")]
    Stopped {
        /// The address.
        url: String,
        /// Bytes on disk.
        received: u64,
    },
    /// The images that were read cannot be used.
    #[error(transparent)]
    Images(#[from] gdas::data::DataError),
}

/// An image file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenImage {
    /// Its path within the folder or archive.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Files that a message names at most.
const NAMED: usize = 20;

/// The files and the reason for each, one a line.
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

/// What to do about a file that is not what it should be.
pub(super) const COPY_AGAIN: &str = "the file is damaged or incomplete, copy or download it again";

impl DataError {
    pub(super) fn missing(folder: &str, file_name: &str) -> Self {
        Self::Malformed {
            file: folder.into(),
            place: "its files".into(),
            what: format!("`{file_name}` is missing"),
            mend: "the files of a data set must lie together, copy or download it again",
        }
    }

    pub(super) fn damaged(file: &str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed { file: file.into(), place: place.into(), what: what.into(), mend: COPY_AGAIN }
    }
}
