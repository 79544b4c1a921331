//! Batches made on the graphics device that reads them, out of images that lie there.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Shape;
use gdas_kernels::resident::{ImageTransform, ResidentImages, TransformSizes};

use super::augment::Normalise;
use super::dataset::{Images, Statistics};

/// Partitions of a data set that lie on a graphics device. Empty where there is none, and where the images are too many
/// for it: then the host makes the batches.
#[derive(Clone, Debug, Default)]
pub struct OnDevice(Vec<(Arc<Images>, Arc<ResidentImages>)>);

impl OnDevice {
    /// Brings partitions to a device, each once.
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

    /// The partition on the device, if it is there.
    pub(super) fn find(&self, images: &Arc<Images>) -> Option<&Arc<ResidentImages>> {
        self.0.iter().find(|(there, _)| Arc::ptr_eq(there, images)).map(|(_, resident)| resident)
    }
}

/// How a device makes a batch: which images, and what is done to each. Drawn by the host from the same random numbers as
/// the batches that it makes itself.
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

    /// One more image.
    pub(super) fn push(&mut self, index: u32, change: ImageTransform) {
        self.changes.push((index, change));
    }

    /// `[n, height, width, channels]`, on the device.
    pub(crate) fn make(&self) -> Tensor<4> {
        self.from.batch(&self.changes, self.frame)
    }
}
