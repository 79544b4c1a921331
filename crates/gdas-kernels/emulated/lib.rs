//! The engine of the processor alone; see `Cargo.toml`.

#[path = "../src/cpu/mod.rs"]
pub mod cpu;
#[path = "../src/graph.rs"]
pub mod graph;
#[path = "../src/sgd/rule.rs"]
mod rule;

pub use graph::Mode;

/// Stochastic gradient descent.
pub mod sgd {
    pub use crate::rule::Rule;
}
