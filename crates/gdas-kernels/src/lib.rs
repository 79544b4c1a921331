//! Runs networks described as [`graph::Graph`]s: plain Burn operations as the meaning, fused kernels for speed.

pub mod graph;
