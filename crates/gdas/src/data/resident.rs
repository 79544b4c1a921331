//! Batches computed on a GPU from images stored on it.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Shape;
use gdas_kernels::resident::{ImageTransform, ResidentImages, TransformSizes};

use super::augment::Normalise;
use super::dataset::{Images, Statistics};

/// Partitions of a data set that are stored on a GPU. Empty on the CPU, or if the images do not fit: the host then computes
/// the batches.
#[derive(Clone, Debug, Default)]
pub struct OnDevice(Vec<(Arc<Images>, Arc<ResidentImages>)>);

impl OnDevice {
    /// Copies the partitions to the device, each once.
    pub fn new(partitions: &[&Arc<Images>], statistics: &Statistics, device: &Device) -> Self {
        let values = Normalise::new(statistics).values();
        let mut there = Self::default();
        for &images in partitions {
            let shape = Shape::new(images.height, images.width, images.channels);
            if there.find(images).is_none()
                && let Some(resident) = ResidentImages::new(&images.pixels, shape, &values, device)
            {
                there.0.push((images.clone(), Arc::new(resident)));
            }
        }
        there
    }

    /// The copy of the partition on the device, if there is one.
    pub(super) fn find(&self, images: &Arc<Images>) -> Option<&Arc<ResidentImages>> {
        self.0.iter().find(|(there, _)| Arc::ptr_eq(there, images)).map(|(_, resident)| resident)
    }
}

/// Instructions for a device to compute a batch: indices and transformations of the images. The host draws them from the
/// same random numbers as for its own batches.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    from: Arc<ResidentImages>,
    frame: TransformSizes,
    changes: Vec<(u32, ImageTransform)>,
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.from, &other.from) && self.frame == other.frame && self.changes == other.changes
    }
}

impl Recipe {
    pub(super) fn new(from: &Arc<ResidentImages>, frame: TransformSizes) -> Self {
        Self { from: from.clone(), frame, changes: Vec::new() }
    }

    /// Adds an image.
    pub(super) fn push(&mut self, index: u32, change: ImageTransform) {
        self.changes.push((index, change));
    }

    /// Computes the batch `[n, height, width, channels]` on the device.
    pub(crate) fn make(&self) -> Tensor<4> {
        self.from.batch(&self.changes, self.frame)
    }
}
