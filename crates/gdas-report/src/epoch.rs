//! Metrics of one epoch of a search or a training.

use gdas::budget::Measure;
use gdas::run::{AlphaTable, EpochMetrics, Event, TrainEpochMetrics, relative_entropy};

/// Metrics of one epoch of a search or a training. Metrics that the task lacks are `None`; accuracies and shares are
/// fractions.
#[derive(Clone, Debug, PartialEq)]
pub enum Epoch {
    /// An epoch of a search.
    Search(EpochMetrics),
    /// An epoch of a training.
    Train(TrainEpochMetrics),
}

impl Epoch {
    /// The metrics in an event that ends an epoch.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Epoch(epoch) => Some(Self::Search(epoch.clone())),
            Event::TrainEpoch(epoch) => Some(Self::Train(epoch.clone())),
            _ => None,
        }
    }

    fn search(&self) -> Option<&EpochMetrics> {
        match self {
            Self::Search(epoch) => Some(epoch),
            Self::Train(_) => None,
        }
    }

    fn train(&self) -> Option<&TrainEpochMetrics> {
        match self {
            Self::Search(_) => None,
            Self::Train(epoch) => Some(epoch),
        }
    }

    /// Number of the epoch, from zero.
    pub fn number(&self) -> usize {
        match self {
            Self::Search(epoch) => epoch.epoch,
            Self::Train(epoch) => epoch.epoch,
        }
    }

    /// Mean cross-entropy of the training batches.
    pub fn train_loss(&self) -> f64 {
        match self {
            Self::Search(epoch) => epoch.metrics.train_loss,
            Self::Train(epoch) => epoch.train_loss,
        }
    }

    /// Mean accuracy on the training batches.
    pub fn train_accuracy(&self) -> f64 {
        match self {
            Self::Search(epoch) => epoch.metrics.train_accuracy,
            Self::Train(epoch) => epoch.train_accuracy,
        }
    }

    /// Cross-entropy of the held-out batches (search), or of the validation images, else the test images (training).
    pub fn other_loss(&self) -> Option<f64> {
        match self {
            Self::Search(epoch) => Some(epoch.metrics.held_out_loss),
            Self::Train(epoch) => epoch.other_loss(),
        }
    }

    /// Accuracy on the images of [`other_loss`](Self::other_loss).
    pub fn other_accuracy(&self) -> Option<f64> {
        match self {
            Self::Search(epoch) => Some(epoch.metrics.held_out_accuracy),
            Self::Train(epoch) => epoch.other_accuracy(),
        }
    }

    /// Learning rate of the weights.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Search(epoch) => epoch.metrics.learning_rate,
            Self::Train(epoch) => epoch.learning_rate,
        }
    }

    /// Steps per second.
    pub fn steps_per_second(&self) -> f64 {
        match self {
            Self::Search(epoch) => epoch.steps_per_second,
            Self::Train(epoch) => epoch.steps_per_second,
        }
    }

    /// Top-5 accuracy on the test images.
    pub fn top5(&self) -> Option<f64> {
        self.train()?.test_top5
    }

    /// Drop-path rate.
    pub fn drop_path(&self) -> Option<f64> {
        Some(self.train()?.drop_path)
    }

    /// Temperature tau of the sampling.
    pub fn tau(&self) -> Option<f64> {
        Some(self.search()?.metrics.tau)
    }

    /// Fraction of the edges of the cell derived from alpha that have no parameters.
    pub fn parameter_free(&self) -> Option<f64> {
        Some(self.search()?.parameter_free)
    }

    /// Entropy of alpha as a fraction of the maximum.
    pub fn entropy(&self) -> Option<f64> {
        relative_entropy(self.alphas())
    }

    /// Alpha at the end of the epoch; empty for a training.
    pub fn alphas(&self) -> &[AlphaTable] {
        self.search().map_or(&[], |epoch| &epoch.alphas)
    }

    /// The derived cell at the end of the epoch.
    pub fn genotype(&self) -> Option<&str> {
        Some(&self.search()?.genotype)
    }

    /// Ratio of the expected cost to its bound, if there is a bound.
    pub fn over_bound(&self, measure: Measure) -> Option<f64> {
        self.search()?.costs.iter().find(|c| c.measure == measure).map(|c| c.expected / c.limit)
    }
}
