//! Data sets, their splits, and the batches that a search or a training run reads.
//!
//! [`open()`] takes `digits` (embedded), the name of a known set in the data directory, or a path:
//!
//! | format | where |
//! | --- | --- |
//! | CIFAR-10, CIFAR-100, binary and Python version | folder or archive |
//! | ImageNet16-120 (first 120 classes of the pickled batches) | folder or archive |
//! | images in `train/<class>/`, `test/<class>/`, or plain `<class>/` | folder, `.tar`, `.tar.gz`, `.tar.xz`, `.tar.bz2`, `.zip` |
//! | MNIST, Fashion-MNIST | folder or archive of idx files, gzipped or not |
//! | MedMNIST | `.npz` |
//!
//! What a file is, is decided by what it holds, not by its name. Archives are never unpacked under
//! names of theirs: what does not fit into a little memory waits in a temporary file without a name. Everything a file
//! claims about itself is checked, and [`Limits`] bound what it may take.
//!
//! ```
//! use gdas::data;
//!
//! let digits = data::open("digits")?;
//! assert_eq!((digits.train.height, digits.train.channels, digits.classes.len()), (8, 1, 10));
//!
//! // The two fixed halves of a search, and the batches of its first steps.
//! let split = data::SearchSplit::new(&digits, data::SplitRule::Halves, data::SPLIT_SEED)?;
//! let batches = data::SearchBatches::new(&digits, &split, &data::BatchOptions::for_dataset(&digits, 64), 1);
//! let pair = batches.batch(0, 0);
//! assert_eq!(pair.weights.images.len(), 64 * 8 * 8);
//! # Ok::<(), data::DataError>(())
//! ```

mod augment;
mod batch;
mod dataset;
mod digits;
mod error;
pub mod fetch;
mod inspect;
mod kind;
mod known;
mod layout;
mod loader;
mod observe;
mod open;
mod packed;
mod parts;
mod read;
mod resident;
mod split;
mod spool;
mod tree;

pub use augment::Augmentation;
pub use batch::{Batch, BatchOptions, EvaluationBatches, SearchBatch, SearchBatches, TrainBatches};
pub use dataset::{Dataset, Format, Images, Statistics, Subset};
pub use error::{BrokenImage, DataError};
pub use inspect::{ClassCount, Summary, inspect};
pub use known::{Known, KnownFile, Listing, Status, data_directory, find_known, known, list};
pub use loader::{BatchSource, Position, Prefetch};
pub use observe::{Progress as ReadingProgress, Reading};
pub use open::{Options, open, open_with, read_images};
pub use read::image_files::LooseImages;
pub use resident::OnDevice;
pub use split::{SPLIT_SEED, SearchSplit, SplitRule};
pub use tree::Limits;

#[cfg(test)]
mod tests;
