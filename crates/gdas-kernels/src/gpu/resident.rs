//! Batches out of images that lie on the device; see [`crate::resident`].

use burn::backend::Cube;
use burn::tensor::{DType, Device, Shape as Dims, Tensor};
use burn_cubecl::tensor::CubeTensor;

use super::kernels::TRANSFORM_FIELDS;
use super::place::{Place, launch};
use crate::graph::Shape;
use crate::resident::{ImageTransform, TransformSizes};

/// Images on a graphics device, one byte per value.
#[derive(Clone, Debug)]
pub struct ResidentImages {
    shape: Shape,
    /// Four bytes to a number, the first one lowest; `[images, height, width, channels]` without gaps.
    pixels: CubeTensor,
    /// The normalised value of every byte of every channel, `[channels, 256]`.
    values: CubeTensor,
}

impl ResidentImages {
    /// Copies images `[n, height, width, channels]` to a device; `values` is the normalised value of every byte of every
    /// channel, `[channels, 256]`.
    ///
    /// `None` if `device` is no graphics device of this engine, with `GDAS_ENGINE=reference`, and if the images need more
    /// than the device's largest allocation (or a quarter of its memory, where the driver reports it).
    pub fn new(pixels: &[u8], shape: Shape, values: &[f32], device: &Device) -> Option<Self> {
        if crate::reference_forced() {
            return None;
        }
        let any = Tensor::<1>::zeros([1], device).try_into_primitive::<Cube>().ok()?;
        let place = Place::of(&any);
        let memory = &place.client.properties().memory;
        let most = memory.max_memory().map_or(u64::MAX, |bytes| bytes / 4).min(memory.max_page_size);
        // Kernels count bytes in 32 bits.
        if pixels.is_empty() || pixels.len() as u64 > most.min(u64::from(u32::MAX)) {
            return None;
        }
        let mut bytes = pixels.to_vec();
        bytes.resize(pixels.len().next_multiple_of(4), 0);
        let words = Dims::new([bytes.len() / 4]);
        let handle = place.client.create_from_slice(&bytes);
        let (client, device) = (place.client.clone(), place.device.clone());
        let pixels = CubeTensor::new_contiguous(client, device, words, handle, DType::U32);
        Some(Self { shape, pixels, values: place.floats(values.to_vec()) })
    }

    /// The batch `[n, height, width, channels]` of the images with these indices, each with its transform. One launch.
    pub fn batch(&self, images: &[(u32, ImageTransform)], sizes: TransformSizes) -> Tensor<4> {
        let Shape { height, width, channels } = self.shape;
        let place = Place::of(&self.values);
        let fields = images.iter().flat_map(|&(index, transform)| {
            let ImageTransform { mirror, top, left, cutout: [row, column] } = transform;
            [index, u32::from(mirror), top as u32, left as u32, row as u32, column as u32]
        });
        let fields: Vec<u32> = fields.collect();
        debug_assert_eq!(fields.len(), TRANSFORM_FIELDS * images.len());
        let transforms = place.words(&fields);
        let y = place.empty([images.len(), height, width, channels]);
        let count = images.len() * self.shape.elements();
        let TransformSizes { padding, cutout } = sizes;
        launch!(place, make_batch, count, [self.pixels, self.values, transforms, y], self.shape, padding, cutout);
        Tensor::from_primitive::<Cube>(y)
    }
}
