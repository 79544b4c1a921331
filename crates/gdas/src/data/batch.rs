//! Batches as pure functions of (seed, epoch, step), so that a resumed run reads the same batches.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use super::augment::{Augmentation, Normalise};
use super::dataset::{Dataset, Images, Statistics, Subset};
use super::resident::{OnDevice, Recipe};
use super::sampling::{self, Sampling};
use super::split::SearchSplit;
use crate::rng::{Rng, Stream};

/// A batch of normalised images with labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Normalised pixels, `[n, height, width, channels]`; empty if a device computes them.
    pub images: Vec<f32>,
    /// Classes, `[n]`.
    pub labels: Vec<u32>,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channels, 1 or 3.
    pub channels: usize,
    /// How the device computes the images, if the data set is stored on it.
    pub(crate) recipe: Option<Recipe>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape `[n, height, width, channels]`.
    pub fn shape(&self) -> [usize; 4] {
        [self.len(), self.height, self.width, self.channels]
    }

    /// The images as a tensor `[n, height, width, channels]` on a device; computed by it if the data set is stored on it.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        match &self.recipe {
            Some(recipe) => recipe.make(),
            None => Tensor::from_data(TensorData::new(self.images.clone(), self.shape()), device),
        }
    }

    fn clear_for(&mut self, images: &Images) {
        self.images.clear();
        self.labels.clear();
        self.recipe = None;
        (self.height, self.width, self.channels) = (images.height, images.width, images.channels);
    }
}

/// The two batches of one search step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchBatch {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Step within the epoch, from 0.
    pub step: u64,
    /// Training batch for the weight step.
    pub weights: Batch,
    /// Held-out batch of the same size for the architecture step.
    pub alpha: Batch,
}

/// Size, augmentation and sampling of batches.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    /// Images per batch.
    pub batch_size: usize,
    /// Whether to drop the last batch of an epoch if it is not full. By default it is kept, as in PyTorch.
    pub drop_last: bool,
    /// Augmentation of training and held-out images.
    pub augmentation: Augmentation,
    /// Sampling of the images of an epoch.
    pub sampling: Sampling,
}

impl BatchOptions {
    /// The standard augmentation for the data set's size, with flips if it allows them.
    pub fn for_dataset(dataset: &Dataset, batch_size: usize) -> Self {
        let size = dataset.train.height.min(dataset.train.width);
        let augmentation = Augmentation::standard(size, dataset.flip);
        Self { batch_size: batch_size.max(1), drop_last: false, augmentation, sampling: Sampling::Uniform }
    }

    /// Number of batches for `images`, at least one.
    fn steps(&self, images: usize) -> u64 {
        let steps = if self.drop_last { images / self.batch_size } else { images.div_ceil(self.batch_size) };
        steps.max(1) as u64
    }
}

/// A subset that is shuffled in each epoch.
#[derive(Debug)]
struct Shuffled {
    subset: Subset,
    seed: u64,
    sampling: Sampling,
    /// Cached order of the last requested epoch, which is a function of the epoch.
    order: Mutex<Option<(u64, Arc<[u32]>)>>,
}

impl Shuffled {
    fn new(subset: &Subset, seed: u64, sampling: Sampling) -> Self {
        Self { subset: subset.clone(), seed, sampling, order: Mutex::new(None) }
    }

    fn order(&self, epoch: u64) -> Arc<[u32]> {
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = kept.as_ref().filter(|(kept, _)| *kept == epoch) {
            return order.clone();
        }
        let mut rng = Rng::new(self.seed, Stream::Shuffle, epoch);
        let indices = match self.sampling {
            Sampling::Uniform => {
                let mut indices = self.subset.indices.to_vec();
                rng.shuffle(&mut indices);
                indices
            }
            Sampling::Balanced => sampling::balanced(&self.subset, &mut rng),
        };
        let order: Arc<[u32]> = indices.into();
        *kept = Some((epoch, order.clone()));
        order
    }

    /// Indices of the images of a step.
    fn members(&self, epoch: u64, step: u64, batch_size: usize) -> Vec<u32> {
        let order = self.order(epoch);
        order.iter().skip(step as usize * batch_size).take(batch_size).copied().collect()
    }
}

/// Random counter for each (epoch, step).
fn counter(epoch: u64, step: u64) -> u64 {
    epoch << 32 | step
}

/// Computes the images of batches.
#[derive(Debug)]
struct Maker {
    normalise: Normalise,
    on_device: OnDevice,
}

impl Maker {
    fn new(statistics: &Statistics) -> Self {
        Self { normalise: Normalise::new(statistics), on_device: OnDevice::default() }
    }

    /// Fills a batch with the images of these indices, each augmented; on the device if the data set is stored there.
    fn fill(
        &self,
        batch: &mut Batch,
        images: &Arc<Images>,
        members: &[u32],
        augmentation: &Augmentation,
        mut rng: Rng,
    ) {
        batch.clear_for(images);
        let frame = augmentation.frame();
        let mut recipe = self.on_device.find(images).map(|resident| Recipe::new(resident, frame));
        if recipe.is_none() {
            batch.images.reserve(members.len() * images.image_len());
        }
        for &index in members {
            let change = augmentation.draw(images.height, images.width, &mut rng);
            match &mut recipe {
                Some(recipe) => recipe.push(index, change),
                None => self.normalise.push(images, index as usize, frame, &change, &mut batch.images),
            }
            batch.labels.push(images.labels[index as usize]);
        }
        batch.recipe = recipe;
    }
}

/// Batches of a search: pairs of a training batch and a held-out batch.
#[derive(Debug)]
pub struct SearchBatches {
    training: Shuffled,
    held_out: Subset,
    /// The held-out images by class, for balanced sampling.
    held_out_classes: Option<Vec<Vec<u32>>>,
    options: BatchOptions,
    maker: Maker,
}

impl SearchBatches {
    /// The training images are shuffled in each epoch; the held-out images are drawn with replacement.
    pub fn new(dataset: &Dataset, split: &SearchSplit, options: &BatchOptions, seed: u64) -> Self {
        Self {
            training: Shuffled::new(&split.weights, seed, options.sampling),
            held_out: split.alpha.clone(),
            held_out_classes: (options.sampling == Sampling::Balanced).then(|| sampling::classes_of(&split.alpha)),
            options: options.clone(),
            maker: Maker::new(&dataset.statistics),
        }
    }

    /// Lets the device make the images of the batches that lie there. They are the same, bit for bit.
    #[must_use]
    pub fn on_device(mut self, images: &OnDevice) -> Self {
        self.maker.on_device = images.clone();
        self
    }

    /// Steps per epoch.
    pub fn steps(&self) -> u64 {
        self.options.steps(self.training.subset.len())
    }

    /// The batches of a step, a pure function of epoch and step.
    pub fn batch(&self, epoch: u64, step: u64) -> SearchBatch {
        let mut batch = SearchBatch::default();
        self.fill(&mut batch, epoch, step);
        batch
    }

    /// As [`Self::batch`], into the memory of an old one.
    pub fn fill(&self, batch: &mut SearchBatch, epoch: u64, step: u64) {
        let Self { training, options, maker, .. } = self;
        let members = training.members(epoch, step, options.batch_size);
        let rng = Rng::new(training.seed, Stream::Augment, counter(epoch, step));
        maker.fill(&mut batch.weights, &training.subset.images, &members, &options.augmentation, rng);
        self.fill_alpha(batch, epoch, step, members.len());
    }

    /// As [`Self::fill`], with a full held-out batch and an empty training batch, for a step without a weight update.
    pub fn fill_held_out(&self, batch: &mut SearchBatch, epoch: u64, step: u64) {
        batch.weights.clear_for(&self.training.subset.images);
        self.fill_alpha(batch, epoch, step, self.options.batch_size);
    }

    fn fill_alpha(&self, batch: &mut SearchBatch, epoch: u64, step: u64, images: usize) {
        let Self { training, held_out, held_out_classes, options, maker } = self;
        let count = counter(epoch, step);
        let mut rng = Rng::new(training.seed, Stream::HeldOut, count);
        let mut draw = || match held_out_classes {
            None => held_out.indices[rng.below(held_out.len())],
            Some(classes) => {
                let members = &classes[rng.below(classes.len())];
                members[rng.below(members.len())]
            }
        };
        let drawn: Vec<u32> = (0..images).map(|_| draw()).collect();
        (batch.epoch, batch.step) = (epoch, step);
        let rng = Rng::new(training.seed, Stream::AugmentHeldOut, count);
        maker.fill(&mut batch.alpha, &held_out.images, &drawn, &options.augmentation, rng);
    }
}

/// Batches of a training.
#[derive(Debug)]
pub struct TrainBatches {
    training: Shuffled,
    options: BatchOptions,
    maker: Maker,
}

impl TrainBatches {
    /// The subset is shuffled in each epoch.
    pub fn new(dataset: &Dataset, subset: &Subset, options: &BatchOptions, seed: u64) -> Self {
        Self {
            training: Shuffled::new(subset, seed, options.sampling),
            options: options.clone(),
            maker: Maker::new(&dataset.statistics),
        }
    }

    /// Lets the device make the images of the batches that lie there. They are the same, bit for bit.
    #[must_use]
    pub fn on_device(mut self, images: &OnDevice) -> Self {
        self.maker.on_device = images.clone();
        self
    }

    /// Steps per epoch.
    pub fn steps(&self) -> u64 {
        self.options.steps(self.training.subset.len())
    }

    /// The batch of a step, a pure function of epoch and step.
    pub fn batch(&self, epoch: u64, step: u64) -> Batch {
        let mut batch = Batch::default();
        self.fill(&mut batch, epoch, step);
        batch
    }

    /// As [`Self::batch`], into the memory of an old one.
    pub fn fill(&self, batch: &mut Batch, epoch: u64, step: u64) {
        let Self { training, options, maker } = self;
        let members = training.members(epoch, step, options.batch_size);
        let rng = Rng::new(training.seed, Stream::Augment, counter(epoch, step));
        maker.fill(batch, &training.subset.images, &members, &options.augmentation, rng);
    }
}

/// Batches for evaluation: a subset in order, normalised without augmentation; the last batch may be smaller.
#[derive(Debug)]
pub struct EvaluationBatches {
    subset: Subset,
    batch_size: usize,
    maker: Maker,
}

impl EvaluationBatches {
    /// `statistics` are those of the training partition.
    pub fn new(statistics: &Statistics, subset: &Subset, batch_size: usize) -> Self {
        Self { subset: subset.clone(), batch_size: batch_size.max(1), maker: Maker::new(statistics) }
    }

    /// Lets the device make the images of the batches that lie there. They are the same, bit for bit.
    #[must_use]
    pub fn on_device(mut self, images: &OnDevice) -> Self {
        self.maker.on_device = images.clone();
        self
    }

    /// Number of batches.
    pub fn steps(&self) -> u64 {
        self.subset.len().div_ceil(self.batch_size) as u64
    }

    /// Batch `step`; empty after the last.
    pub fn batch(&self, step: u64) -> Batch {
        let mut batch = Batch::default();
        self.fill(&mut batch, step);
        batch
    }

    /// The partition's indices of the images of batch `step`.
    pub fn members(&self, step: u64) -> &[u32] {
        let start = (step as usize).saturating_mul(self.batch_size).min(self.subset.len());
        &self.subset.indices[start..(start + self.batch_size).min(self.subset.len())]
    }

    /// As [`Self::batch`], into the memory of an old one.
    pub fn fill(&self, batch: &mut Batch, step: u64) {
        let members = self.members(step);
        let unused = Rng::new(0, Stream::Augment, 0);
        self.maker.fill(batch, &self.subset.images, members, &Augmentation::none(), unused);
    }
}
