//! Sampling of the images of an epoch.

use serde::{Deserialize, Serialize};

use super::dataset::{Dataset, Subset, by_class};
use crate::rng::Rng;

/// Sampling of the images of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Every image once.
    #[default]
    Uniform,
    /// Every class equally often, with the same number of images in total: images of small classes are repeated, those of large
    /// classes are not in every epoch.
    Balanced,
}

/// The images of a subset by class; classes without any are left out.
pub(super) fn classes_of(subset: &Subset) -> Vec<Vec<u32>> {
    let images = &subset.images;
    let count = images.labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut chosen = vec![false; images.len()];
    for &index in &*subset.indices {
        chosen[index as usize] = true;
    }
    let mut classes = by_class(images, count);
    for members in &mut classes {
        members.retain(|&index| chosen[index as usize]);
    }
    classes.retain(|members| !members.is_empty());
    classes
}

/// Indices for one balanced epoch, as many as the subset has images, in shuffled order. Class counts differ by at most one.
/// The images of a class are drawn in shuffled order, each again only after all others.
pub(super) fn balanced(subset: &Subset, rng: &mut Rng) -> Vec<u32> {
    let mut classes = classes_of(subset);
    rng.shuffle(&mut classes);
    let (each, more) = (subset.len() / classes.len().max(1), subset.len() % classes.len().max(1));
    let mut order = Vec::with_capacity(subset.len());
    for (number, members) in classes.iter_mut().enumerate() {
        let mut left = each + usize::from(number < more);
        while left > 0 {
            rng.shuffle(members);
            order.extend_from_slice(&members[..left.min(members.len())]);
            left = left.saturating_sub(members.len());
        }
    }
    rng.shuffle(&mut order);
    order
}

impl Dataset {
    /// Ratio of the largest to the smallest class of the training images, without empty classes.
    pub fn imbalance(&self) -> f64 {
        let sizes =
            || by_class(&self.train, self.classes.len()).into_iter().map(|class| class.len()).filter(|&n| n > 0);
        sizes().max().unwrap_or(1) as f64 / sizes().min().unwrap_or(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::digits;
    use super::*;
    use crate::rng::Stream;

    /// All zeros, seven ones, forty twos and one four of the digits.
    fn unequal() -> Subset {
        let images = digits().train;
        let mut left = [usize::MAX, 7, 40, 0, 1, 0, 0, 0, 0, 0];
        let mut keep = |&index: &u32| {
            let left = &mut left[images.labels[index as usize] as usize];
            let kept = *left > 0;
            *left = left.saturating_sub(1);
            kept
        };
        let indices: Vec<u32> = (0..images.len() as u32).filter(|index| keep(index)).collect();
        Subset { images, indices: indices.into() }
    }

    #[test]
    fn balanced_epochs_show_every_class_equally_often_and_no_image_before_its_turn() {
        let subset = unequal();
        let sizes: Vec<usize> = classes_of(&subset).iter().map(Vec::len).collect();
        assert_eq!(sizes[1..], [7, 40, 1], "{sizes:?}");
        let order = |epoch| balanced(&subset, &mut Rng::new(3, Stream::Shuffle, epoch));
        let first = order(0);
        assert_eq!((first.len(), &first), (subset.len(), &order(0)));
        assert_ne!(first, order(1));
        for members in classes_of(&subset) {
            let times: Vec<usize> = members.iter().map(|m| first.iter().filter(|&i| i == m).count()).collect();
            let total: usize = times.iter().sum();
            assert!(total.abs_diff(subset.len() / 4) <= 1, "{total} of {}", subset.len());
            let (least, most) = (times.iter().min().unwrap_or(&0), times.iter().max().unwrap_or(&0));
            assert!(most - least <= 1, "{least} to {most}");
        }
    }

    #[test]
    fn imbalance_is_that_of_the_training_images() {
        let mut dataset = digits();
        assert!(dataset.imbalance() < 1.1);
        dataset.train = Arc::new(dataset.train.select(&unequal().indices));
        assert!(dataset.imbalance() > 100.0);
    }
}
