//! Data sets in memory, their splits, and the batches of a search or a training.
//!
//! A [`Dataset`] is built from an [`ImageSource`], or read from files by the crate `gdas-data`; [`digits()`] is embedded.
//!
//! ```
//! use gdas::data;
//!
//! let digits = data::digits().hold_out(0.2);
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
mod loader;
mod resident;
mod sampling;
mod source;
mod split;
mod validation;

pub use augment::Augmentation;
pub use batch::{Batch, BatchOptions, EvaluationBatches, SearchBatch, SearchBatches, TrainBatches};
pub use dataset::{Dataset, Files, Format, Images, SIZES, Statistics, Subset, first_names};
pub use digits::digits;
pub use error::DataError;
pub use loader::{BatchSource, Position, Prefetch};
pub use resident::OnDevice;
pub use sampling::Sampling;
pub use source::ImageSource;
pub use split::{SPLIT_SEED, SearchSplit, SplitRule};
pub use validation::TrainSplit;

#[cfg(test)]
mod tests;
