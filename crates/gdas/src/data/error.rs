//! What can go wrong with images in memory and their batches.

/// Why images cannot be used, or no batch could be made of them.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A request that makes no sense for this data.
    #[error("{0}")]
    Unsuitable(String),
    /// An image of a source ([`ImageSource`](super::ImageSource)) could not be read.
    #[error("{part} image {index} cannot be read: {source}")]
    Source {
        /// `training` or `test`.
        part: &'static str,
        /// The image, from 0.
        index: usize,
        /// What the source reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No thread could be started to prepare batches.
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
