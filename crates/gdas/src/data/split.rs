//! Which images teach the weights, and which teach alpha (algorithm, section 3).

use std::sync::Arc;

use super::dataset::{Dataset, Images, Subset, by_class};
use super::error::DataError;
use crate::rng::{Rng, Stream};

/// The seed of the fixed split. Results of different runs can only be compared on the same split, so
/// it does not follow the run's seed.
pub const SPLIT_SEED: u64 = 0;

/// How the data of a search is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// The training partition in two halves, one for the weights, one for alpha (CIFAR-10).
    Halves,
    /// Weights on the whole training partition, alpha on a fixed half of the test partition (CIFAR-100,
    /// ImageNet16-120).
    TestHalf,
}

/// The data of a search.
#[derive(Clone, Debug)]
pub struct SearchSplit {
    /// Images for the weight step.
    pub weights: Subset,
    /// Images for the architecture step, and for held-out accuracy.
    pub alpha: Subset,
    /// Images that the search does not touch: the test partition, or what the rule leaves of it.
    pub test: Option<Subset>,
    /// How it was divided.
    pub rule: SplitRule,
}

impl SearchSplit {
    /// Divides a data set. Halves have the same share of every class; where the number of a class's
    /// images is odd, the extra ones alternate between the halves, so the halves' sizes differ by at
    /// most one. Which images go where depends on `seed` and the labels alone.
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
        // The extra image of an odd class goes to the half that is behind.
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
