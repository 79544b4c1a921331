//! What can go wrong with a table.

use std::path::{Path, PathBuf};

use super::Setting;

/// An error of the benchmark table: what, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// The file or folder could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is of no kind that is known here.
    #[error(
        "{path}: not a benchmark table; known are a table converted before (.safetensors), a CSV file, NAS-Bench-201's .pth, \
         NATS-Bench's .pickle.pbz2 and the folder of its per-architecture files"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The compact file is damaged, or is another safetensors file.
    #[error("{path}: {reason}; convert the table anew with `gdas bench convert`")]
    Compact {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An Arrow file, which earlier builds wrote.
    #[error(
        "{path}: tables are not kept as Arrow files any more; convert the benchmark's own file anew with \
         `gdas bench convert` (pandas.read_feather and polars.read_ipc still read this one)"
    )]
    Arrow {
        /// The file.
        path: PathBuf,
    },
    /// A line of a CSV file makes no sense.
    #[error("{path}, line {line}: {reason}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// An official file does not hold what it should.
    #[error("{path}: at {place}: {reason}")]
    Official {
        /// The file.
        path: PathBuf,
        /// Where in the data, as a chain of keys.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The architecture is not in the table.
    #[error("the table has no architecture {asked}; it has {known} of them, numbered from 0")]
    UnknownArchitecture {
        /// What was asked for.
        asked: String,
        /// Number of architectures.
        known: usize,
    },
    /// The text is no cell of the benchmark's space.
    #[error(transparent)]
    Genotype(#[from] gdas::space::GenotypeError),
    /// No such name of a data set.
    #[error("unknown data set `{0}`: expected cifar10-valid, cifar10, cifar100 or ImageNet16-120")]
    UnknownDataset(String),
    /// No such name of a quantity.
    #[error("unknown quantity `{asked}`: expected one of {known}")]
    UnknownQuantity {
        /// What was asked for.
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
        /// The seed asked for.
        seed: u32,
        /// The seeds there are.
        known: String,
    },
    /// The table lacks this quantity altogether.
    #[error("the table has no {quantity} for {setting}")]
    NoQuantity {
        /// The quantity.
        quantity: &'static str,
        /// Data set and training length.
        setting: Setting,
    },
    /// An algorithm or a simulation was given settings that cannot work.
    #[error("{0}")]
    Settings(String),
}

impl BenchmarkError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |cause| Self::Io { path: path.to_owned(), cause }
    }
}
