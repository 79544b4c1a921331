//! Augmentation and normalisation of images.

use gdas_kernels::resident::{ImageTransform, TransformSizes};

use super::dataset::{Images, Statistics};
use crate::rng::Rng;

/// Preprocessing of an image: flip, padded crop, normalisation, cutout, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Augmentation {
    /// Flip horizontally with probability 1/2.
    pub flip: bool,
    /// Black padding in pixels on every side, before a crop of the original size at a random position; 0 for no crop.
    pub crop_padding: usize,
    /// Side length in pixels of a square at a random position that is set to the mean; it may extend over the edge. 0 for none.
    pub cutout: usize,
}

impl Augmentation {
    /// No augmentation.
    pub fn none() -> Self {
        Self { flip: false, crop_padding: 0, cutout: 0 }
    }

    /// Flip (if allowed) and crop with a padding of an eighth of the size: 4 for 32 pixels, 2 for 16.
    pub fn standard(size: usize, flip: bool) -> Self {
        Self { flip, crop_padding: (size + 4) / 8, cutout: 0 }
    }

    /// Adds cutout (DeVries and Taylor, 2017) of half the size: 16 for 32 pixels.
    #[must_use]
    pub fn with_cutout(self, size: usize) -> Self {
        Self { cutout: size / 2, ..self }
    }

    /// Draws the transformation of the next image of this size.
    pub(super) fn draw(&self, height: usize, width: usize, rng: &mut Rng) -> ImageTransform {
        let mirror = self.flip && rng.below(2) == 1;
        let places = 2 * self.crop_padding + 1;
        let [top, left] = if self.crop_padding > 0 { [rng.below(places), rng.below(places)] } else { [0, 0] };
        let cutout = if self.cutout > 0 { [rng.below(height), rng.below(width)] } else { [0, 0] };
        ImageTransform { mirror, top, left, cutout }
    }

    /// The sizes common to the transformations of all images.
    pub(super) fn frame(&self) -> TransformSizes {
        TransformSizes { padding: self.crop_padding, cutout: self.cutout }
    }
}

/// Look-up table of the normalised value of every byte, by channel.
#[derive(Clone, Debug)]
pub(super) struct Normalise {
    /// `[channels][256]`.
    table: Vec<[f32; 256]>,
}

impl Normalise {
    pub(super) fn new(statistics: &Statistics) -> Self {
        let table = statistics.mean.iter().zip(&statistics.std).map(|(mean, std)| {
            let mut values = [0.0; 256];
            for (byte, value) in values.iter_mut().enumerate() {
                *value = (byte as f32 - mean) / std;
            }
            values
        });
        Self { table: table.collect() }
    }

    /// The table as a flat array `[channels, 256]`.
    pub(super) fn values(&self) -> Vec<f32> {
        self.table.concat()
    }

    /// Appends image `index` to `out` as `[height, width, channels]`, transformed and normalised.
    pub(super) fn push(
        &self,
        images: &Images,
        index: usize,
        frame: TransformSizes,
        change: &ImageTransform,
        out: &mut Vec<f32>,
    ) {
        let Images { height, width, channels, .. } = *images;
        let pixels = images.image(index);
        let padding = frame.padding;
        let ImageTransform { mirror, top, left, cutout: [y, x] } = *change;
        let start = out.len();
        let black: Vec<f32> = self.table.iter().map(|values| values[0]).collect();
        // Columns of the result that come from the image; the others are padding.
        let from = padding.saturating_sub(left);
        let to = (width + padding - left).min(width);
        for row in 0..height {
            let Some(y) = (row + top).checked_sub(padding).filter(|&row| row < height) else {
                push_pixels(out, &black, width);
                continue;
            };
            let line = &pixels[y * width * channels..(y + 1) * width * channels];
            let first = from + left - padding;
            let columns = first..first + to - from;
            push_pixels(out, &black, from);
            if mirror {
                let columns = width - columns.end..width - columns.start;
                let source = line[columns.start * channels..columns.end * channels].chunks_exact(channels);
                self.push_line(out, source.rev());
            } else {
                self.push_line(out, line[columns.start * channels..columns.end * channels].chunks_exact(channels));
            }
            push_pixels(out, &black, width - to);
        }
        if frame.cutout > 0 {
            let half = frame.cutout / 2;
            let columns = x.saturating_sub(half)..(x + frame.cutout - half).min(width);
            for row in y.saturating_sub(half)..(y + frame.cutout - half).min(height) {
                let line = start + row * width * channels;
                out[line + columns.start * channels..line + columns.end * channels].fill(0.0);
            }
        }
    }

    fn push_line<'p>(&self, out: &mut Vec<f32>, pixels: impl Iterator<Item = &'p [u8]>) {
        if let [red, green, blue] = self.table.as_slice() {
            for pixel in pixels {
                let value = |table: &[f32; 256], channel: usize| table[usize::from(pixel[channel])];
                out.extend_from_slice(&[value(red, 0), value(green, 1), value(blue, 2)]);
            }
            return;
        }
        for pixel in pixels {
            out.extend(pixel.iter().zip(&self.table).map(|(&byte, values)| values[usize::from(byte)]));
        }
    }
}

fn push_pixels(out: &mut Vec<f32>, pixel: &[f32], count: usize) {
    for _ in 0..count {
        out.extend_from_slice(pixel);
    }
}
