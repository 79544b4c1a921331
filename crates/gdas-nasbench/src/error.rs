//! Errors of benchmark tables.

use std::path::{Path, PathBuf};

use super::Setting;

/// An error of a benchmark table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// The file or folder could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The file is not of a supported format.
    #[error(
        "{path}: not a benchmark table; supported are a converted table (.safetensors), a CSV file, NAS-Bench-201's .pth, \
         NATS-Bench's .pickle.pbz2 and the folder of its per-architecture files"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The compact file is damaged, or is another safetensors file.
    #[error("{path}: {reason}; convert the table again with `gdas bench convert`")]
    Compact {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An Arrow file, written by an earlier version.
    #[error(
        "{path}: tables are no longer stored as Arrow files; convert the benchmark's own file again with \
         `gdas bench convert` (pandas.read_feather and polars.read_ipc still read this one)"
    )]
    Arrow {
        /// The file.
        path: PathBuf,
    },
    /// A line of a CSV file is malformed.
    #[error("{path}, line {line}: {reason}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// The content of an official file is not as expected.
    #[error("{path}: at {place}: {reason}")]
    Official {
        /// The file.
        path: PathBuf,
        /// Position in the data, as a path of keys.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The architecture is not in the table.
    #[error("the table has no architecture {asked}; it has {known} of them, numbered from 0")]
    UnknownArchitecture {
        /// The requested architecture.
        asked: String,
        /// Number of architectures.
        known: usize,
    },
    /// The text is not a cell of the benchmark's space.
    #[error(transparent)]
    Genotype(#[from] gdas::space::GenotypeError),
    /// The name is not that of a data set of the benchmark.
    #[error("unknown data set `{0}`: expected cifar10-valid, cifar10, cifar100 or ImageNet16-120")]
    UnknownDataset(String),
    /// The name is not that of a quantity.
    #[error("unknown quantity `{asked}`: expected one of {known}")]
    UnknownQuantity {
        /// The requested name.
        asked: String,
        /// All names.
        known: String,
    },
    /// The table has nothing for this architecture, data set and training length.
    #[error("the table has no results of architecture {index} for {setting}")]
    NoResults {
        /// The architecture.
        index: usize,
        /// Data set and training length.
        setting: Setting,
    },
    /// The table has the architecture, but no run with this seed.
    #[error("architecture {index} has no run with seed {seed} for {setting}; it has {known}")]
    UnknownSeed {
        /// The architecture.
        index: usize,
        /// Data set and training length.
        setting: Setting,
        /// The requested seed.
        seed: u32,
        /// The seeds in the table.
        known: String,
    },
    /// The table does not contain this quantity.
    #[error("the table has no {quantity} for {setting}")]
    NoQuantity {
        /// The quantity.
        quantity: &'static str,
        /// Data set and training length.
        setting: Setting,
    },
    /// Invalid settings of an algorithm or a simulation.
    #[error("{0}")]
    Settings(String),
}

impl BenchmarkError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}
