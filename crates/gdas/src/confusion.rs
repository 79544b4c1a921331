//! Confusion matrices.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// A sparse confusion matrix: number of images by true and predicted class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<[u64; 3]>", into = "Vec<[u64; 3]>")]
pub struct Confusion {
    /// Number of images by (true class, predicted class).
    counts: BTreeMap<(u64, u64), u64>,
}

impl From<Vec<[u64; 3]>> for Confusion {
    fn from(triples: Vec<[u64; 3]>) -> Self {
        Self { counts: triples.into_iter().map(|[class, answer, images]| ((class, answer), images)).collect() }
    }
}

impl From<Confusion> for Vec<[u64; 3]> {
    fn from(confusion: Confusion) -> Self {
        confusion.counts.into_iter().map(|((class, answer), images)| [class, answer, images]).collect()
    }
}

/// Results on the images of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassResult {
    /// Name of the class.
    pub class: String,
    /// Number of its images.
    pub images: u64,
    /// Number of correct predictions.
    pub correct: u64,
    /// Recall in 0..=1; `None` for a class without images.
    pub accuracy: Option<f64>,
    /// Number of wrong predictions by predicted class.
    pub mistaken_for: BTreeMap<String, u64>,
}

/// The class of the highest score, of equal ones the first.
pub(crate) fn answer_of(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

impl Confusion {
    /// Adds a batch of scores `[batch, classes]`. The prediction is the class of the highest score, the first of equals.
    pub fn add(&mut self, scores: &Tensor<2>, labels: &[u32]) {
        let [_, classes] = scores.dims();
        let values: Vec<f32> = scores.to_data().convert::<f32>().iter::<f32>().collect();
        for (row, &label) in values.chunks_exact(classes.max(1)).zip(labels) {
            *self.counts.entry((label.into(), answer_of(row) as u64)).or_default() += 1;
        }
    }

    /// Number of images of a class that were predicted as `answer`.
    pub fn count(&self, class: usize, answer: usize) -> u64 {
        self.counts.get(&(class as u64, answer as u64)).copied().unwrap_or(0)
    }

    /// The matrix `[classes][classes]`: rows are true classes, columns predictions.
    pub fn matrix(&self, classes: usize) -> Vec<Vec<u64>> {
        (0..classes).map(|class| (0..classes).map(|answer| self.count(class, answer)).collect()).collect()
    }

    /// Results by class; `names` are the class names.
    pub fn per_class(&self, names: &[String]) -> Vec<ClassResult> {
        let name = |index: u64| names.get(index as usize).cloned().unwrap_or_else(|| index.to_string());
        let class = |(index, class): (usize, &String)| {
            let row = self.counts.range((index as u64, 0)..(index as u64 + 1, 0));
            let (mut images, mut mistaken_for) = (0, BTreeMap::new());
            for (&(_, answer), &count) in row {
                images += count;
                if answer != index as u64 {
                    *mistaken_for.entry(name(answer)).or_default() += count;
                }
            }
            let correct = self.count(index, index);
            let accuracy = (images > 0).then(|| correct as f64 / images as f64);
            ClassResult { class: class.clone(), images, correct, accuracy, mistaken_for }
        };
        names.iter().enumerate().map(class).collect()
    }
}

impl ClassResult {
    /// The most frequent wrong prediction and its number; the first by name of equals.
    pub fn worst_mistake(&self) -> Option<(&str, u64)> {
        let worst = self.mistaken_for.iter().rev().max_by_key(|(_, count)| **count);
        worst.map(|(name, &count)| (name.as_str(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::cross_entropy;
    use burn::tensor::Device;

    #[test]
    fn answers_are_counted_as_the_accuracy_counts_them() {
        // Correct, taken for c, equal scores (the first counts), correct.
        let scores = [[2.0, 1.0, 0.0], [0.0, 0.1, 0.2], [1.0, 1.0, 0.0], [0.0, 0.0, 0.5]];
        let (scores, labels) = (Tensor::<2>::from_floats(scores, &Device::flex()), [0, 1, 1, 2]);
        let mut confusion = Confusion::default();
        confusion.add(&scores, &labels);
        assert_eq!(confusion.matrix(3), [[1, 0, 0], [1, 0, 1], [0, 0, 1]]);
        let names = ["a", "b", "c", "d"].map(String::from);
        let classes = confusion.per_class(&names);
        let correct: u64 = classes.iter().map(|class| class.correct).sum();
        assert_eq!(correct as f64 / 4.0, cross_entropy(&scores, &labels, 0.0).1.accuracy);
        assert_eq!(
            (classes[1].images, classes[1].accuracy, classes[1].worst_mistake()),
            (2, Some(0.0), Some(("a", 1)))
        );
        assert_eq!((classes[3].images, classes[3].accuracy, classes[3].worst_mistake()), (0, None, None));
        let text = serde_json::to_string(&confusion).unwrap_or_default();
        assert_eq!(text, "[[0,0,1],[1,0,1],[1,2,1],[2,2,1]]");
        assert_eq!(serde_json::from_str::<Confusion>(&text).ok(), Some(confusion));
    }
}
