//! What can go wrong with a reproduction.

use std::path::{Path, PathBuf};

use crate::BenchmarkError;

/// An error of a reproduction: what, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A file of the folder makes no sense.
    #[error("{path}, line {line}: {reason}; remove the file to have it made again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The folder was begun with another plan.
    #[error("{path} is of another plan ({difference}); choose another folder, or the same settings")]
    OtherPlan {
        /// The folder's plan.
        path: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(String),
    /// The table has no answer.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
    /// A search that trains failed.
    #[error("job {job}: {reason}")]
    Search {
        /// The job.
        job: String,
        /// What the search said.
        reason: String,
    },
}

impl ReproduceError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}
