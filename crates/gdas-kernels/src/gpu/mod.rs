//! The fused engine on a graphics processor: runs a whole [`Graph`](crate::graph::Graph) forward and backward in
//! CubeCL kernels, on CUDA, Vulkan, Metal or whatever `wgpu` finds.
//!
//! Fused are: a ReLU with the convolutions that read it, a bias with its convolution, a gated sum with the normalisations that
//! it alone reads, and both gradients of a sum's term. A sum over a batch takes two launches and has the same bits every time.
//! Values may be stored in 16 bits; all arithmetic is float32. Nothing is copied to the host while a network runs. Convolutions
//! are computed directly in blocks, without matrix units.

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
