//! How to open a data set.

use std::path::PathBuf;

use super::observe::Reading;
use super::tree::Limits;

/// How to open a data set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Height and width for image files; by default the most common size among them.
    pub image_size: Option<usize>,
    /// Share of the training images to hold out as test images where no test partition is given.
    pub hold_out: f64,
    /// Whether to leave image files out that cannot be used, instead of failing. [`Dataset::notes`](gdas::data::Dataset::notes) names them.
    pub skip_damaged: bool,
    /// Bounds on what a file may unpack to.
    pub limits: Limits,
    /// Where known sets lie; by default [`data_directory()`](crate::data_directory).
    pub directory: Option<PathBuf>,
    /// Receives the progress of reading.
    pub reading: Reading,
}

impl Default for Options {
    /// A fifth is held out.
    fn default() -> Self {
        Self {
            image_size: None,
            hold_out: 0.2,
            skip_damaged: false,
            limits: Limits::default(),
            directory: None,
            reading: Reading::default(),
        }
    }
}
