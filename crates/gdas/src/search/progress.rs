use crate::data::Position;

/// Position of a step in the search, and the values of the schedules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epoch and step within it, both from 0.
    pub at: Position,
    /// Number of the step in the whole search, from 0.
    pub step: u64,
    /// Number of epochs of the whole search.
    pub epochs: usize,
    /// Temperature tau of the sampling.
    pub tau: f64,
    /// Learning rate of the weights.
    pub learning_rate: f64,
}

/// One of the two batches of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The training batch, for the weights.
    Training = 0,
    /// The held-out batch, for alpha.
    HeldOut = 1,
}
