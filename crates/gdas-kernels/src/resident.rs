//! Data sets that stay on a graphics device as bytes, and batches that are augmented there.
//!
//! The random numbers of an augmentation are drawn on the host and passed as one [`ImageTransform`] per image. The batch has the
//! same bits as the one that the host would make, because values are looked up in the same table.

/// The augmentation of one image: mirror, crop from the zero-padded image, normalise, then zero a square (cutout), in this
/// order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageTransform {
    /// Whether the image is mirrored left to right.
    pub mirror: bool,
    /// First row of the crop in the padded image.
    pub top: usize,
    /// First column of the crop in the padded image.
    pub left: usize,
    /// Row and column of the cutout's centre, in the cropped image.
    pub cutout: [usize; 2],
}

/// The sizes that all transforms of a batch share, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransformSizes {
    /// Black pixels added on every side before the crop.
    pub padding: usize,
    /// Side of the cutout square; 0 for none. The square begins `cutout / 2` before its centre.
    pub cutout: usize,
}

#[cfg(feature = "gpu")]
pub use crate::gpu::ResidentImages;

/// Images on a graphics device. This build has no engine for graphics devices, so no value of this type exists.
#[cfg(not(feature = "gpu"))]
#[derive(Clone, Debug)]
pub enum ResidentImages {}

#[cfg(not(feature = "gpu"))]
impl ResidentImages {
    /// `None`: without an engine for graphics devices the host makes the batches.
    pub fn new(_: &[u8], _: crate::graph::Shape, _: &[f32], _: &burn::tensor::Device) -> Option<Self> {
        None
    }

    /// The batch `[n, height, width, channels]` of the images with these indices, each with its transform.
    pub fn batch(&self, _: &[(u32, ImageTransform)], _: TransformSizes) -> burn::tensor::Tensor<4> {
        match *self {}
    }
}
