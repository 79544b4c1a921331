//! Answers of a network to test images, per image, for the report.

use burn::tensor::Tensor;

use crate::alpha::log_softmax;
use crate::confusion::answer_of;
use crate::data::Images;

/// Maximum number of answers stored; for larger tests, the first ones.
pub const KEPT_ANSWERS: usize = 100_000;
/// Maximum number of wrong answers stored with their image.
pub const KEPT_MISTAKES: usize = 24;
/// Number of classes stored for a wrong answer.
const KEPT_CLASSES: usize = 3;
/// Number of bins of the calibration error, as in the publication.
const BINS: usize = 15;

/// The answer to one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// The image's index in its partition.
    pub index: u64,
    /// Its class.
    pub label: u64,
    /// The most probable class according to the network; the first one on a tie.
    pub answer: u64,
    /// Probability of the answer according to the network.
    pub confidence: f32,
    /// Probability of the image's class according to the network.
    pub probability: f32,
}

/// A wrong answer with its image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mistake {
    /// The answer.
    pub answer: Answer,
    /// Cross-entropy of this image.
    pub loss: f32,
    /// The most probable classes with their probabilities, at most three.
    pub top: Vec<(u64, f32)>,
    /// The image, `[height, width, channels]`.
    pub pixels: Vec<u8>,
}

/// A bin of a calibration: the images with a confidence in one range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Number of images.
    pub images: u64,
    /// Number of correct answers.
    pub correct: u64,
    /// Sum of the confidences.
    pub confidence: f64,
}

/// Calibration of a network: correct answers and confidence, in bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Bin `m` of `M` contains the confidences in `(m / M, (m + 1) / M]`; the first also contains 0.
    pub bins: Vec<Bin>,
}

/// Answers of a network to test images. The size is bounded for any number of images and classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Answers in the order of the images, at most [`KEPT_ANSWERS`].
    pub kept: Vec<Answer>,
    /// The wrong answers with the largest loss, at most [`KEPT_MISTAKES`], by decreasing loss and then by index.
    pub mistakes: Vec<Mistake>,
    /// Calibration over all images.
    pub calibration: Calibration,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { bins: vec![Bin::default(); BINS] }
    }
}

impl Calibration {
    /// Adds an answer.
    pub fn add(&mut self, confidence: f32, correct: bool) {
        let bins = self.bins.len();
        let above = (f64::from(confidence) * bins as f64).ceil() as usize;
        let bin = &mut self.bins[above.clamp(1, bins) - 1];
        bin.images += 1;
        bin.correct += u64::from(correct);
        bin.confidence += f64::from(confidence);
    }

    /// Number of images.
    pub fn images(&self) -> u64 {
        self.bins.iter().map(|bin| bin.images).sum()
    }

    /// Expected calibration error, in 0..=1: the mean distance between accuracy and mean confidence of an image's bin,
    /// `sum_m |B_m| / n |acc(B_m) - conf(B_m)|` (Guo, Pleiss, Sun and Weinberger: On Calibration of Modern Neural Networks,
    /// ICML 2017, equation 3, with 15 bins). `None` without images.
    pub fn expected_error(&self) -> Option<f64> {
        let images = self.images();
        let apart: f64 = self.bins.iter().map(|bin| (bin.correct as f64 - bin.confidence).abs()).sum();
        (images > 0).then(|| apart / images as f64)
    }
}

impl Answers {
    /// Adds a batch of scores `[batch, classes]` for the images with these indices.
    pub(crate) fn add(&mut self, scores: &Tensor<2>, images: &Images, indices: &[u32]) {
        let [_, classes] = scores.dims();
        let values: Vec<f32> = scores.to_data().convert::<f32>().iter::<f32>().collect();
        for (row, &index) in values.chunks_exact(classes.max(1)).zip(indices) {
            self.add_image(row, images, index as usize);
        }
    }

    fn add_image(&mut self, scores: &[f32], images: &Images, index: usize) {
        let label = images.labels[index] as usize;
        let log: Vec<f64> = log_softmax(&scores.iter().map(|&score| f64::from(score)).collect::<Vec<_>>());
        // NaN scores count as probability 0.
        let finite = |p: f64| if p.is_nan() { 0.0 } else { p as f32 };
        let probability = |class: usize| log.get(class).map_or(0.0, |&log| finite(log.exp()));
        let class = answer_of(scores);
        let answer = Answer {
            index: index as u64,
            label: label as u64,
            answer: class as u64,
            confidence: probability(class),
            probability: probability(label),
        };
        self.calibration.add(answer.confidence, class == label);
        if self.kept.len() < KEPT_ANSWERS {
            self.kept.push(answer);
        }
        if class == label {
            return;
        }
        let loss = log.get(label).filter(|log| !log.is_nan()).map_or(f32::INFINITY, |&log| -log as f32);
        let place = self.mistakes.partition_point(|other| other.loss >= loss);
        if place >= KEPT_MISTAKES {
            return;
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| probability(b).total_cmp(&probability(a)).then(a.cmp(&b)));
        let top = order.into_iter().take(KEPT_CLASSES).map(|class| (class as u64, probability(class))).collect();
        self.mistakes.insert(place, Mistake { answer, loss, top, pixels: images.image(index).to_vec() });
        self.mistakes.truncate(KEPT_MISTAKES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of one pixel, whose value is their index.
    fn images(labels: &[u32]) -> Images {
        let pixels = (0..labels.len() as u8).collect();
        Images { height: 1, width: 1, channels: 1, pixels, labels: labels.to_vec() }
    }

    /// Scores that `softmax` makes these probabilities of.
    fn scores(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    #[test]
    fn the_calibration_error_is_the_published_one() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.expected_error(), None);
        // Four in (12/15, 13/15], two in (6/15, 7/15], by hand: accuracy 3/4 and 0, confidence 0.85 and 0.45.
        for correct in [true, true, true, false] {
            calibration.add(0.85, correct);
        }
        calibration.add(0.44, false);
        calibration.add(0.46, false);
        let expected = 4.0 / 6.0 * (0.75f64 - 0.85).abs() + 2.0 / 6.0 * 0.45;
        let found = calibration.expected_error().unwrap_or_default();
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        let filled: Vec<(usize, u64)> = calibration
            .bins
            .iter()
            .enumerate()
            .filter(|(_, bin)| bin.images > 0)
            .map(|(m, bin)| (m, bin.images))
            .collect();
        assert_eq!(filled, [(6, 2), (12, 4)]);
    }

    #[test]
    fn every_confidence_has_a_bin() {
        let mut calibration = Calibration::default();
        for confidence in [0.0, 1.0, 0.2, 0.2001] {
            calibration.add(confidence, true);
        }
        let at = |bin: usize| calibration.bins[bin].images;
        // 0.2 is 3/15 and belongs to the third bin; as a 32-bit float it is slightly more.
        assert_eq!((at(0), at(14), at(2) + at(3)), (1, 1, 2));
    }

    #[test]
    fn the_worst_mistakes_are_kept_with_their_images() {
        let labels: Vec<u32> = (0..60).map(|i| i % 2).collect();
        let (images, mut answers) = (images(&labels), Answers::default());
        for index in 0..60 {
            // Images of class 0 are taken for class 1, the more surely the higher their index; the others are right.
            let sure = 0.5 + f64::from(index as u32) / 200.0;
            let right = labels[index] == 1;
            let row = if right {
                scores(&[0.2, 0.7, 0.06, 0.04])
            } else {
                scores(&[(1.0 - sure) / 2.0, sure, (1.0 - sure) / 3.0, (1.0 - sure) / 6.0])
            };
            answers.add_image(&row, &images, index);
        }
        assert_eq!((answers.kept.len(), answers.calibration.images(), answers.mistakes.len()), (60, 60, KEPT_MISTAKES));
        let indices: Vec<u64> = answers.mistakes.iter().map(|mistake| mistake.answer.index).collect();
        assert_eq!(indices, (0..24).map(|i| 58 - 2 * i).collect::<Vec<u64>>());
        let worst = &answers.mistakes[0];
        assert_eq!((worst.pixels.as_slice(), worst.answer.label, worst.answer.answer), (&[58][..], 0, 1));
        assert!((worst.answer.confidence - 0.79).abs() < 1e-5 && (worst.answer.probability - 0.105).abs() < 1e-5);
        assert!((worst.loss + 0.105f32.ln()).abs() < 1e-4);
        assert_eq!(worst.top.iter().map(|(class, _)| *class).collect::<Vec<_>>(), [1, 0, 2]);
    }

    #[test]
    fn scores_that_are_no_numbers_are_mistakes_without_confidence() {
        let (images, mut answers) = (images(&[1]), Answers::default());
        answers.add_image(&[f32::NAN, f32::NAN], &images, 0);
        let mistake = &answers.mistakes[0];
        assert_eq!(
            (mistake.loss, mistake.answer.confidence, answers.calibration.expected_error()),
            (f32::INFINITY, 0.0, Some(0.0))
        );
    }
}
