//! Batches of a search.

use burn::tensor::Device;

use crate::config::{SearchConfig, Split};
use crate::data::{
    Augmentation, BatchOptions, BatchSource, DataError, Dataset, OnDevice, SPLIT_SEED, SearchBatch, SearchBatches,
    SearchSplit, SplitRule,
};

/// Source of the pairs of batches of a search, at most `max_steps_per_epoch` per epoch. Additional steps of the algorithm
/// have a held-out batch only.
pub(super) struct SearchSource {
    batches: SearchBatches,
    weight_steps: u64,
    further_steps: u64,
}

impl SearchSource {
    pub(super) fn new(
        config: &SearchConfig,
        dataset: &Dataset,
        split: &SearchSplit,
        on_device: &OnDevice,
        further_steps: u64,
    ) -> Self {
        let batches = SearchBatches::new(dataset, split, &batch_options(config, dataset), config.seed);
        let batches = batches.on_device(on_device);
        let steps = (config.max_steps_per_epoch.or(usize::MAX) as u64).min(batches.steps());
        Self { batches, weight_steps: steps, further_steps }
    }

    /// Number of weight steps per epoch.
    pub(super) fn weight_steps(&self) -> u64 {
        self.weight_steps
    }
}

impl BatchSource for SearchSource {
    type Batch = SearchBatch;

    fn steps(&self) -> u64 {
        self.weight_steps + self.further_steps
    }

    fn fill(&self, batch: &mut SearchBatch, epoch: u64, step: u64) {
        if step < self.weight_steps {
            self.batches.fill(batch, epoch, step);
        } else {
            self.batches.fill_held_out(batch, epoch, step);
        }
    }
}

pub(super) fn split(config: &SearchConfig, dataset: &Dataset) -> Result<SearchSplit, DataError> {
    SearchSplit::new(dataset, rule(config, dataset), SPLIT_SEED)
}

/// Copies the partitions of a search to the device, if it computes batches.
pub(super) fn on_device(config: &SearchConfig, dataset: &Dataset, device: &Device) -> OnDevice {
    let test = dataset.test.as_ref().filter(|_| rule(config, dataset) == SplitRule::TestHalf);
    let partitions: Vec<_> = std::iter::once(&dataset.train).chain(test).collect();
    OnDevice::new(&partitions, &dataset.statistics, device)
}

fn rule(config: &SearchConfig, dataset: &Dataset) -> SplitRule {
    let published = ["cifar100", "imagenet16-120"].contains(&dataset.name.as_str());
    match config.split {
        Split::TrainAndHalfTest => SplitRule::TestHalf,
        Split::Auto if published && dataset.test.is_some() && !dataset.held_out => SplitRule::TestHalf,
        Split::Auto | Split::Halves => SplitRule::Halves,
    }
}

fn batch_options(config: &SearchConfig, dataset: &Dataset) -> BatchOptions {
    let standard = Augmentation::standard(dataset.train.height.min(dataset.train.width), dataset.flip);
    let augmentation = Augmentation {
        flip: config.flip.or(dataset.flip),
        crop_padding: config.crop_padding.or(standard.crop_padding),
        cutout: config.cutout,
    };
    BatchOptions { batch_size: config.batch_size, drop_last: false, augmentation, sampling: config.sampling }
}
