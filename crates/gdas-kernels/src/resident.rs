//! Images that stay on a graphics device as bytes, and batches that are made of them there.
//!
//! What is random about a batch is drawn on the host and comes as [`Change`]s, a few numbers per image, so that the batch is
//! the one that the host would have made, bit for bit: values come out of the same table.

/// What is done to an image on its way into a batch: mirrored, cut out of a black frame, normalised, and a square of it
/// set to zero, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether it is mirrored left to right.
    pub mirror: bool,
    /// First row of the cut, counted from the top of the frame.
    pub top: usize,
    /// First column of the cut, counted from the left of the frame.
    pub left: usize,
    /// Row and column of the middle of the square.
    pub cutout: [usize; 2],
}

/// What all changes of a batch have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Black pixels around an image, on every side.
    pub padding: usize,
    /// Side length of the square; 0 for none. It reaches from half of it before its middle on.
    pub cutout: usize,
}

#[cfg(feature = "gpu")]
pub use crate::gpu::ResidentImages;

/// Images on a graphics device. This build knows none, so there are none.
#[cfg(not(feature = "gpu"))]
#[derive(Clone, Debug)]
pub enum ResidentImages {}

#[cfg(not(feature = "gpu"))]
impl ResidentImages {
    /// Nothing: the host makes the batches.
    pub fn new(_: &[u8], _: crate::graph::Shape, _: &[f32], _: &burn::tensor::Device) -> Option<Self> {
        None
    }

    /// A batch.
    pub fn batch(&self, _: &[(u32, Change)], _: Frame) -> burn::tensor::Tensor<4> {
        match *self {}
    }
}
