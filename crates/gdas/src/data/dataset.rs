//! Images in memory.

use std::sync::Arc;

use serde::Serialize;

use super::error::DataError;
use crate::rng::{Rng, Stream};

/// Smallest and largest height and width of images that are accepted, in pixels.
pub const SIZES: std::ops::RangeInclusive<usize> = 8..=224;

/// A classification data set in memory, as bytes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Name: `cifar10`, `digits`, or the name of the file or folder.
    pub name: String,
    /// Format from which it was read.
    pub format: Format,
    /// Name of each class; labels are indices into it.
    pub classes: Vec<String>,
    /// The training partition.
    pub train: Arc<Images>,
    /// The test partition, if there is one; see [`hold_out`](Self::hold_out).
    pub test: Option<Arc<Images>>,
    /// Whether the test partition was held out of the training images.
    pub held_out: bool,
    /// Mean and standard deviation per channel.
    pub statistics: Statistics,
    /// Whether a horizontal flip keeps the class; not so for digits.
    pub flip: bool,
    /// Remarks of the reader: resized images, unused partitions, unusual counts.
    pub notes: Vec<String>,
    /// The files that the images were read from, where each is one of its own.
    pub files: Files,
}

/// Names of image files, in the order of the images; none where images have no files of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Of the training images.
    pub train: Arc<[String]>,
    /// Of the test images.
    pub test: Arc<[String]>,
}

/// Images of one size with their labels.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channels: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Pixels `[n, height, width, channels]`.
    pub pixels: Vec<u8>,
    /// Labels `[n]`, each below the number of classes.
    pub labels: Vec<u32>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} images of {}x{}x{}", self.len(), self.height, self.width, self.channels)
    }
}

/// A selection of a partition's images.
#[derive(Clone, Debug)]
pub struct Subset {
    /// The partition.
    pub images: Arc<Images>,
    /// Indices of the selected images, in ascending order.
    pub indices: Arc<[u32]>,
}

/// Mean and standard deviation of the pixels per channel, in 0..255.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, never zero.
    pub std: Vec<f32>,
    /// Whether these are the constants of published results; otherwise they are computed from the training partition.
    pub published: bool,
}

/// Format from which a data set was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The embedded handwritten digits.
    Digits,
    /// CIFAR's binary version.
    CifarBinary,
    /// CIFAR's Python (pickled) version.
    CifarPickle,
    /// Downsampled ImageNet's pickled batches.
    ImageNet16,
    /// A tree of image files.
    Images,
    /// idx files.
    Idx,
    /// MedMNIST's `.npz`.
    MedMnist,
    /// Images of a program's [`ImageSource`](super::ImageSource).
    Source,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Size of one image in bytes.
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The pixels of image `index`, `[height, width, channels]`.
    pub fn image(&self, index: usize) -> &[u8] {
        let n = self.image_len();
        &self.pixels[index * n..(index + 1) * n]
    }

    /// A copy of the images with these indices.
    pub(super) fn select(&self, indices: &[u32]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_len());
        for &index in indices {
            pixels.extend_from_slice(self.image(index as usize));
        }
        let labels = indices.iter().map(|&index| self.labels[index as usize]).collect();
        Self { pixels, labels, ..*self }
    }

    /// Appends images stored as planes (`[n, channels, height, width]`, as in CIFAR), converted to channels-last.
    pub fn push_planes(&mut self, planes: &[u8]) {
        let area = self.height * self.width;
        for image in planes.chunks_exact(area * self.channels) {
            for pixel in 0..area {
                self.pixels.extend((0..self.channels).map(|channel| image[channel * area + pixel]));
            }
        }
    }

    /// An empty collection of images of this size.
    pub fn empty(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, pixels: Vec::new(), labels: Vec::new() }
    }
}

impl Statistics {
    /// Computes the statistics of all pixels. A constant channel has deviation 1.
    pub fn of(images: &Images) -> Self {
        let channels = images.channels;
        let mut counts = vec![[0u64; 256]; channels];
        for pixel in images.pixels.chunks_exact(channels) {
            for (count, &value) in counts.iter_mut().zip(pixel) {
                count[usize::from(value)] += 1;
            }
        }
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for count in &counts {
            let n = count.iter().sum::<u64>().max(1) as f64;
            let m = count.iter().enumerate().map(|(v, &c)| v as f64 * c as f64).sum::<f64>() / n;
            let variance = count.iter().enumerate().map(|(v, &c)| (v as f64 - m).powi(2) * c as f64).sum::<f64>() / n;
            mean.push(m as f32);
            std.push(if variance > 0.0 { variance.sqrt() as f32 } else { 1.0 });
        }
        Self { mean, std, published: false }
    }

    /// Statistics of published results, per channel, in 0..255.
    pub fn published(mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { mean: mean.into(), std: std.into(), published: true }
    }
}

impl Subset {
    /// All images of a partition.
    pub fn all(images: &Arc<Images>) -> Self {
        Self { images: images.clone(), indices: (0..images.len() as u32).collect() }
    }

    /// The same images in a fixed shuffled order. Data sets are often sorted by class, and batch statistics of a single class
    /// are useless.
    #[must_use]
    pub fn mixed(&self) -> Self {
        let mut indices = self.indices.to_vec();
        Rng::new(0, Stream::Judge, 0).shuffle(&mut indices);
        Self { images: self.images.clone(), indices: indices.into() }
    }

    /// At most the first `count` images.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { images: self.images.clone(), indices: self.indices[..count.min(self.indices.len())].into() }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Index in the partition of the subset's image `i`.
    pub fn index(&self, i: usize) -> usize {
        self.indices[i] as usize
    }
}

impl Dataset {
    /// Checks the requirements on a data set: sizes within [`SIZES`], 1 or 3 channels, at least two classes, as many pixels as
    /// the labels require, and valid labels. `file` names the source in an error.
    ///
    /// # Errors
    /// [`DataError::Unsuitable`] with the requirement that is not met.
    pub fn check(self, file: &str) -> Result<Self, DataError> {
        let wrong = |what: String| Err(DataError::Unsuitable(format!("{file}: {what}")));
        let Images { height, width, channels, .. } = *self.train;
        if !SIZES.contains(&height) || !SIZES.contains(&width) {
            return wrong(format!(
                "images of {height}x{width} pixels; {} to {} in each direction can be used",
                SIZES.start(),
                SIZES.end()
            ));
        }
        if channels != 1 && channels != 3 {
            return wrong(format!("images of {channels} channels; 1 or 3 can be used"));
        }
        if self.classes.len() < 2 {
            return wrong(format!("{} class; a classifier needs at least two", self.classes.len()));
        }
        if self.train.is_empty() {
            return wrong("no training images".into());
        }
        for (partition, images) in [("train", Some(&self.train)), ("test", self.test.as_ref())] {
            let Some(images) = images else { continue };
            if (images.height, images.width, images.channels) != (height, width, channels) {
                return wrong(format!("{partition} holds {images:?}, where train holds {:?}", self.train));
            }
            if images.pixels.len() != images.len() * images.image_len() {
                return wrong(format!("{partition} holds {} labels for {} bytes", images.len(), images.pixels.len()));
            }
            if let Some(at) = images.labels.iter().position(|&label| label as usize >= self.classes.len()) {
                let label = images.labels[at];
                return wrong(format!("{partition} image {at} has label {label} of {} classes", self.classes.len()));
            }
        }
        Ok(self)
    }

    /// If there is no test partition, holds out a part of the training images as one: `fraction * n` rounded of the `n` images
    /// of each class, drawn with a fixed seed; at least one of two or more, and none of a single one, which is noted. Both
    /// partitions keep the order of the images. If no image can be held out, there is no test partition.
    #[must_use]
    pub fn hold_out(mut self, fraction: f64) -> Self {
        if self.test.is_some() || fraction <= 0.0 {
            return self;
        }
        let mut rng = Rng::new(0, Stream::Split, 1);
        let mut is_test = vec![false; self.train.len()];
        let mut single = Vec::new();
        for (class, mut members) in by_class(&self.train, self.classes.len()).into_iter().enumerate() {
            rng.shuffle(&mut members);
            let count = ((members.len() as f64 * fraction).round() as usize).max(1);
            if members.len() == 1 {
                single.push(self.classes[class].as_str());
            }
            for &index in &members[..count.min(members.len().saturating_sub(1))] {
                is_test[index as usize] = true;
            }
        }
        if !single.is_empty() {
            let what = format!("no test image can be held out of {}: one image each", first_names(&single));
            self.notes.push(what);
        }
        if !is_test.contains(&true) {
            return self;
        }
        let pick = |test: bool| {
            let indices: Vec<u32> = (0..self.train.len() as u32).filter(|&i| is_test[i as usize] == test).collect();
            Arc::new(self.train.select(&indices))
        };
        let (train, test) = (pick(false), pick(true));
        if self.files.train.len() == is_test.len() {
            let pick = |test: bool| {
                let named = self.files.train.iter().zip(&is_test).filter(|(_, is_test)| **is_test == test);
                named.map(|(name, _)| name.clone()).collect()
            };
            self.files = Files { train: pick(false), test: pick(true) };
        }
        if !self.statistics.published {
            self.statistics = Statistics::of(&train);
        }
        self.train = train;
        self.test = Some(test);
        self.held_out = true;
        self
    }

    /// Digest of all pixels, labels and class names; equal digests mean equal data.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for class in &self.classes {
            hasher.update(class.as_bytes()).update(b"\0");
        }
        for images in [Some(&self.train), self.test.as_ref()].into_iter().flatten() {
            for n in [images.len(), images.height, images.width, images.channels] {
                hasher.update(&(n as u64).to_le_bytes());
            }
            hasher.update(&images.pixels);
            let labels: Vec<u8> = images.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
            hasher.update(&labels);
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The names as a phrase, at most eight of them.
pub fn first_names(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
    format!("{} {}{more}", if names.len() == 1 { "class" } else { "classes" }, shown.join(", "))
}

/// The indices of each class's images, ascending.
pub(super) fn by_class(images: &Images, classes: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in images.labels.iter().enumerate() {
        members[label as usize].push(index as u32);
    }
    members
}
