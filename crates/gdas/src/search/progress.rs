use crate::data::Position;

/// Where in a search a step stands, and the values of the schedules there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The epoch, and the step within it; both count from 0.
    pub at: Position,
    /// Number of the step in the whole search, from 0.
    pub step: u64,
    /// Epochs of the whole search.
    pub epochs: usize,
    /// Temperature of the draw.
    pub tau: f64,
    /// Learning rate of the weights.
    pub learning_rate: f64,
}

/// Which of a step's two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The training batch, which the weights learn from.
    Training = 0,
    /// The held-out batch, which alpha learns from.
    HeldOut = 1,
}
