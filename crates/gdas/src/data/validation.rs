//! Split of the training images of a training into those for the weights and those for validation.

use super::dataset::{Dataset, Subset, by_class};
use super::error::DataError;
use super::split::SPLIT_SEED;
use crate::rng::{Rng, Stream};

/// The training images of a training, split for validation.
#[derive(Clone, Debug)]
pub struct TrainSplit {
    /// Images for the weights.
    pub training: Subset,
    /// Images by which the epoch is chosen, if one is chosen.
    pub validation: Option<Subset>,
    /// Names of the classes without a validation image, as they have fewer than two training images.
    pub not_validated: Vec<String>,
}

impl TrainSplit {
    /// Holds out the fraction `share` of each class's training images, rounded, but at least one and never all. With 0 nothing
    /// is held out. The split depends only on the labels, not on a run's seed, so that runs are comparable.
    ///
    /// # Errors
    /// If `share` is positive and no class has two training images.
    pub fn new(dataset: &Dataset, share: f64) -> Result<Self, DataError> {
        if share <= 0.0 {
            return Ok(Self { training: Subset::all(&dataset.train), validation: None, not_validated: vec![] });
        }
        let mut rng = Rng::new(SPLIT_SEED, Stream::Split, 2);
        let mut held_out = vec![false; dataset.train.len()];
        let mut not_validated = Vec::new();
        for (class, mut members) in by_class(&dataset.train, dataset.classes.len()).into_iter().enumerate() {
            if members.len() < 2 {
                not_validated.push(dataset.classes[class].clone());
                continue;
            }
            rng.shuffle(&mut members);
            let count = (members.len() as f64 * share).round() as usize;
            for &index in &members[..count.clamp(1, members.len() - 1)] {
                held_out[index as usize] = true;
            }
        }
        if not_validated.len() == dataset.classes.len() {
            return Err(DataError::Unsuitable(format!(
                "{}: no images can be held out for validation, as no class has two training images; leave `validation` at 0",
                dataset.name
            )));
        }
        let pick = |held: bool| Subset {
            images: dataset.train.clone(),
            indices: (0..dataset.train.len() as u32).filter(|&i| held_out[i as usize] == held).collect(),
        };
        Ok(Self { training: pick(false), validation: Some(pick(true)), not_validated })
    }

    /// Warning about classes without a validation image, if there are any.
    pub fn warning(&self) -> Option<String> {
        let names = self.not_validated.as_slice();
        let classes = if names.len() == 1 { "class" } else { "classes" };
        (!names.is_empty()).then(|| {
            format!(
                "the validation images have none of the {classes} {}, which have fewer than two training images; \
                 the epoch is chosen by the others",
                names.join(", ")
            )
        })
    }
}

impl Dataset {
    /// The test images, if there are any.
    pub fn test_images(&self) -> Option<Subset> {
        self.test.as_ref().filter(|images| !images.is_empty()).map(Subset::all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Images, digits};
    use super::*;

    /// The digits, cut to this many training images per class.
    fn cut(counts: &[usize]) -> Dataset {
        let mut dataset = digits();
        let mut kept: Vec<u32> = by_class(&dataset.train, 10)
            .iter()
            .zip(counts)
            .flat_map(|(members, &count)| members[..count].to_vec())
            .collect();
        kept.sort_unstable();
        dataset.train = Arc::new(dataset.train.select(&kept));
        dataset
    }

    fn per_class(subset: &Subset, images: &Images) -> Vec<usize> {
        let mut counts = vec![0; 10];
        subset.indices.iter().for_each(|&i| counts[images.labels[i as usize] as usize] += 1);
        counts
    }

    #[test]
    fn a_share_of_every_class_is_held_out_and_at_least_one_image_where_there_are_two() {
        let counts = [100, 50, 30, 10, 5, 4, 3, 2, 2, 100];
        let dataset = cut(&counts);
        let split = TrainSplit::new(&dataset, 0.1).expect("a split");
        let validation = split.validation.as_ref().expect("validation images");
        assert_eq!(per_class(validation, &dataset.train), [10, 5, 3, 1, 1, 1, 1, 1, 1, 10]);
        let training = per_class(&split.training, &dataset.train);
        assert_eq!(training, [90, 45, 27, 9, 4, 3, 2, 1, 1, 90]);
        assert!(split.training.indices.iter().all(|i| !validation.indices.contains(i)), "the parts are disjoint");
        assert_eq!(split.warning(), None);
        let again = TrainSplit::new(&dataset, 0.1).expect("a split");
        assert_eq!(again.training.indices, split.training.indices);

        let most = TrainSplit::new(&dataset, 0.9).expect("a split");
        assert!(
            per_class(&most.training, &dataset.train).iter().all(|&n| n > 0),
            "every class keeps an image to learn"
        );
    }

    #[test]
    fn classes_that_cannot_be_validated_are_named() {
        let split = TrainSplit::new(&cut(&[9, 1, 9, 9, 9, 9, 9, 9, 9, 0]), 0.2).expect("a split");
        assert_eq!(split.not_validated, ["1", "9"]);
        assert!(split.warning().is_some_and(|text| text.contains("classes 1, 9")));
        let error = TrainSplit::new(&cut(&[1; 10]), 0.2).expect_err("nothing to hold out").to_string();
        assert!(error.contains("no class has two training images"), "{error}");
    }

    #[test]
    fn without_a_share_all_images_are_learned_from() {
        let dataset = cut(&[1; 10]);
        let split = TrainSplit::new(&dataset, 0.0).expect("a split");
        assert_eq!((split.training.len(), split.validation.is_none()), (10, true));
    }
}
