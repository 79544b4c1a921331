//! The fused engine on a graphics processor: runs a whole [`Graph`](crate::graph::Graph) forward and backward in
//! CubeCL kernels, on CUDA, Vulkan, Metal or whatever `wgpu` finds.
//!
//! What is fused: a rectifier with the convolution that reads it, bias with its convolution, a gated sum with the
//! normalisations that it alone reads, both gradients of a sum's term in one pass, and the sums over a batch in two launches
//! that give the same bits every time. Values may be stored in 16 bits; all arithmetic is float32. Nothing is read back while
//! a network runs. Convolutions are computed directly in blocks, without matrix units.

mod backward;
mod check;
mod conv;
mod forward;
mod gates;
mod kernels;
mod loss;
mod norms;
mod place;
mod plan;
mod resident;
mod running;
mod sgd;

pub(crate) use backward::backward;
pub use check::self_test;
pub(crate) use forward::{Tape, forward};
pub(crate) use loss::{cross_entropy, scaled};
pub use place::{Counters, counters, memory};
pub(crate) use place::{record_read, stores};
pub use resident::ResidentImages;
pub(crate) use running::update_running;
pub(crate) use sgd::{clipped_step, step};
