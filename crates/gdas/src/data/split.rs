//! Split of the images of a search into those for the weights and those for alpha.

use std::sync::Arc;

use super::dataset::{Dataset, Images, Subset, by_class};
use super::error::DataError;
use crate::rng::{Rng, Stream};

/// Seed of the split. It is independent of the run's seed, as results are comparable only on the same split.
pub const SPLIT_SEED: u64 = 0;

/// Rule by which the images of a search are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// Two halves of the training partition, one for the weights, one for alpha (CIFAR-10).
    Halves,
    /// The training partition for the weights, a fixed half of the test partition for alpha (CIFAR-100, ImageNet16-120).
    TestHalf,
}

/// The images of a search.
#[derive(Clone, Debug)]
pub struct SearchSplit {
    /// Images for the weight step.
    pub weights: Subset,
    /// Held-out images for the architecture step and the held-out accuracy.
    pub alpha: Subset,
    /// Images that the search does not use: the test partition, or the half of it that alpha does not use.
    pub test: Option<Subset>,
    /// The rule that was applied.
    pub rule: SplitRule,
}

impl SearchSplit {
    /// Splits a data set. Halves are stratified by class; the extra images of classes with an odd number alternate between the
    /// halves, so that their sizes differ by at most one. The split depends only on `seed` and the labels.
    ///
    /// # Errors
    /// If there are too few images for two halves, or no test partition for [`SplitRule::TestHalf`].
    pub fn new(dataset: &Dataset, rule: SplitRule, seed: u64) -> Result<Self, DataError> {
        let classes = dataset.classes.len();
        let split = match rule {
            SplitRule::Halves => {
                let (weights, alpha) = halves(&dataset.train, classes, seed);
                Self { weights, alpha, test: dataset.test.as_ref().map(Subset::all), rule }
            }
            SplitRule::TestHalf => {
                let Some(test) = &dataset.test else {
                    return Err(DataError::Unsuitable(format!(
                        "{} has no test images, half of which would teach alpha; use the halves of the training images",
                        dataset.name
                    )));
                };
                let (alpha, test) = halves(test, classes, seed);
                Self { weights: Subset::all(&dataset.train), alpha, test: Some(test), rule }
            }
        };
        if split.weights.is_empty() || split.alpha.is_empty() {
            return Err(DataError::Unsuitable(format!("{} has too few images to divide for a search", dataset.name)));
        }
        Ok(split)
    }
}

fn halves(images: &Arc<Images>, classes: usize, seed: u64) -> (Subset, Subset) {
    let mut rng = Rng::new(seed, Stream::Split, 0);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for mut members in by_class(images, classes) {
        rng.shuffle(&mut members);
        // The extra image of an odd class goes to the smaller half.
        let middle = if first.len() > second.len() { members.len() / 2 } else { members.len().div_ceil(2) };
        first.extend_from_slice(&members[..middle]);
        second.extend_from_slice(&members[middle..]);
    }
    let subset = |mut indices: Vec<u32>| {
        indices.sort_unstable();
        Subset { images: images.clone(), indices: indices.into() }
    };
    (subset(first), subset(second))
}
