//! The fused engine on a graphics processor: runs a whole [`Graph`](crate::graph::Graph) forward and backward in
//! CubeCL kernels, on CUDA, Vulkan, Metal or whatever `wgpu` finds.
//!
//! What is fused: a rectifier with the convolution that reads it, bias with its convolution, both gradients of a gated
//! sum's term in one pass, and the sums over a batch in two launches that give the same bits every time. Nothing is
//! read back while a network runs. Convolutions are computed directly, one thread per element, without matrix units.

mod backward;
mod forward;
mod gates;
mod kernels;
mod loss;
mod place;
mod resident;
mod sgd;

pub(crate) use backward::backward;
pub(crate) use forward::{Tape, forward};
pub(crate) use loss::{cross_entropy, scaled};
pub use place::{Counters, counters};
pub(crate) use place::{record_read, stores};
pub use resident::ResidentImages;
pub(crate) use sgd::{clipped_step, step};
