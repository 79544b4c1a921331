//! Metrics of steps and epochs, as reported in events.
//!
//! Epochs and steps count from zero; accuracies and shares are fractions. Speeds and estimated times are informative and
//! affect no result.

use serde::{Deserialize, Serialize};

use crate::alpha::{Alpha, softmax};
use crate::budget::Standing;

/// The logits of one alpha table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlphaTable {
    /// Name of the searched cell, such as "normal".
    pub name: String,
    /// Logits `[edges][operations]`.
    pub alphas: Vec<Vec<f32>>,
}

impl AlphaTable {
    /// A table rounded to `f32`, for the log only.
    pub fn new(name: &str, alpha: &Alpha) -> Self {
        let row = |row: &[f64]| row.iter().map(|&a| a as f32).collect();
        Self { name: name.to_owned(), alphas: alpha.rows().map(row).collect() }
    }

    /// `softmax(alpha)` of each edge.
    pub fn probabilities(&self) -> impl Iterator<Item = Vec<f64>> {
        self.alphas.iter().map(|logits| softmax(&logits.iter().map(|&logit| f64::from(logit)).collect::<Vec<_>>()))
    }
}

/// Losses, accuracies and schedules of a search, of one step or averaged over an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchMetrics {
    /// Cross-entropy of the training images.
    pub train_loss: f64,
    /// Accuracy on the training images.
    pub train_accuracy: f64,
    /// Cross-entropy of the held-out images.
    pub held_out_loss: f64,
    /// Accuracy on the held-out images.
    pub held_out_accuracy: f64,
    /// Temperature tau of the sampling.
    pub tau: f64,
    /// Learning rate of the weights; for an epoch that of its last step.
    pub learning_rate: f64,
}

/// Metrics of a step of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Number of the epoch.
    pub epoch: usize,
    /// Steps done in the whole run, this one included.
    pub step: u64,
    /// Metrics of its two batches.
    #[serde(flatten)]
    pub metrics: SearchMetrics,
    /// Sampled operation per edge in the weight step, one row per alpha table.
    pub picked: Vec<Vec<usize>>,
    /// Speed since the step logged before.
    pub steps_per_second: f64,
    /// Estimated time for judging after the last step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_seconds: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

/// Metrics of an epoch of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of the epoch.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Steps done in the whole run.
    pub step: u64,
    /// Means over the batches.
    #[serde(flatten)]
    pub metrics: SearchMetrics,
    /// Whether alpha was not updated in this epoch (warm-up).
    #[serde(default)]
    pub alpha_rests: bool,
    /// Alpha at the end of the epoch.
    pub alphas: Vec<AlphaTable>,
    /// Expected costs and their bounds at the end of the epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Standing>,
    /// The cell derived from alpha at the end of the epoch.
    pub genotype: String,
    /// Fraction of that cell's edges whose operation has no parameters (skip, pool, none).
    pub parameter_free: f64,
    /// Number of samples repeated because they were not finite.
    pub redraws: u64,
    /// Speed of this epoch.
    pub steps_per_second: f64,
    /// Time left at this speed.
    pub eta_seconds: f64,
}

/// A step of training from scratch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainStepMetrics {
    /// Number of the epoch.
    pub epoch: usize,
    /// Steps done in the whole run, this one included.
    pub step: u64,
    /// Mean cross-entropy of the epoch's batches so far.
    pub train_loss: f64,
    /// Mean accuracy on them.
    pub train_accuracy: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Speed since the step logged before.
    pub steps_per_second: f64,
    /// Time left at this speed.
    pub eta_seconds: f64,
}

/// Metrics of an epoch of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainEpochMetrics {
    /// Number of the epoch.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Steps done in the whole run.
    pub step: u64,
    /// Mean cross-entropy of the training batches.
    pub train_loss: f64,
    /// Mean accuracy on the training batches.
    pub train_accuracy: f64,
    /// Cross-entropy of the test images, if the epoch was tested.
    pub test_loss: Option<f64>,
    /// Top-1 accuracy on the test images.
    pub test_accuracy: Option<f64>,
    /// Top-5 accuracy on the test images, if there are more than five classes.
    pub test_top5: Option<f64>,
    /// Cross-entropy of the validation images, if there are any and the epoch was validated.
    #[serde(default)]
    pub validation_loss: Option<f64>,
    /// Top-1 accuracy on the validation images.
    #[serde(default)]
    pub validation_accuracy: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Drop-path rate of the epoch.
    pub drop_path: f64,
    /// Speed of this epoch.
    pub steps_per_second: f64,
    /// Time left at this speed.
    pub eta_seconds: f64,
}

impl TrainEpochMetrics {
    /// Loss on the validation images if there are any, else on the test images.
    pub fn other_loss(&self) -> Option<f64> {
        self.validation_loss.or(self.test_loss)
    }

    /// Accuracy on the same images.
    pub fn other_accuracy(&self) -> Option<f64> {
        self.validation_accuracy.or(self.test_accuracy)
    }
}
