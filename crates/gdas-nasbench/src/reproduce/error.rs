//! Errors of a reproduction.

use std::path::{Path, PathBuf};

use crate::BenchmarkError;

/// An error of a reproduction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A file of the folder is malformed.
    #[error("{path}, line {line}: {reason}; remove the file to compute it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The folder belongs to another plan.
    #[error("{path} is of another plan ({difference}); choose another folder, or the same settings")]
    OtherPlan {
        /// The plan file of the folder.
        path: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// Invalid settings.
    #[error("{0}")]
    Settings(String),
    /// A query of the table failed.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
    /// A training search failed.
    #[error("job {job}: {reason}")]
    Search {
        /// The job.
        job: String,
        /// The search's error.
        reason: String,
    },
}

impl ReproduceError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}
