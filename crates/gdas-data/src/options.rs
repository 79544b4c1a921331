//! Options of opening a data set.

use std::path::PathBuf;

use super::observe::ReadObserver;
use super::tree::Limits;

/// Options of opening a data set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Height and width in pixels to which image files are resized; by default the most common size, at most 224.
    pub image_size: Option<usize>,
    /// Fraction of the training images to hold out as test images if there is no test partition.
    pub hold_out: f64,
    /// Whether to skip unusable image files instead of failing. [`Dataset::notes`](gdas::data::Dataset::notes) lists them.
    pub skip_damaged: bool,
    /// Bounds on memory and disk use.
    pub limits: Limits,
    /// Folder of the known data sets; by default [`data_directory()`](crate::data_directory).
    pub directory: Option<PathBuf>,
    /// Receives the progress of reading.
    pub observer: ReadObserver,
}

impl Default for Options {
    /// A hold-out of one fifth, default [`Limits`], no observer.
    fn default() -> Self {
        Self {
            image_size: None,
            hold_out: 0.2,
            skip_damaged: false,
            limits: Limits::default(),
            directory: None,
            observer: ReadObserver::default(),
        }
    }
}
