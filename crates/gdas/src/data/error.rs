//! Errors of data sets in memory and their batches.

/// Error of a data set in memory or of its batches.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// An option that does not suit the data; the message says which and why.
    #[error("{0}")]
    Unsuitable(String),
    /// An image of a source ([`ImageSource`](super::ImageSource)) could not be read.
    #[error("{part} image {index} cannot be read: {source}")]
    Source {
        /// `training` or `test`.
        part: &'static str,
        /// Index of the image, from 0.
        index: usize,
        /// Error of the source.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that prepares batches could not be started.
    #[error("cannot start a thread that prepares batches: {0}")]
    Thread(#[source] std::io::Error),
    /// The thread that prepares batches panicked.
    #[error("the thread that prepares batches failed at epoch {epoch}, step {step}: {what}")]
    Worker {
        /// Epoch of the batch.
        epoch: u64,
        /// Step of the batch.
        step: u64,
        /// The panic's message.
        what: String,
    },
}
