//! Runs networks described as [`graph::Graph`]s: plain Burn operations as the meaning, fused kernels for speed.

pub mod cpu;
pub mod graph;

/// Whether batch normalisation uses the batch's statistics or the running ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Statistics of the batch.
    Train,
    /// Running statistics, where they are tracked.
    Eval,
}
