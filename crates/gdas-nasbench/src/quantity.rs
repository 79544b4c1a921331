//! Data sets, training lengths and quantities of the table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BenchmarkError;

/// A data set of the benchmark with its split (NAS-Bench-201, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dataset {
    /// CIFAR-10, trained on the training half (25,000), validated on the other half.
    #[serde(rename = "cifar10-valid")]
    Cifar10Valid,
    /// CIFAR-10, trained on both halves, tested on the test images (10,000).
    #[serde(rename = "cifar10")]
    Cifar10,
    /// CIFAR-100, trained on all training images; its test images are split into valid and test (5,000 each).
    #[serde(rename = "cifar100")]
    Cifar100,
    /// ImageNet of 16x16 pixels, the first 120 classes; valid and test of 3,000 each.
    #[serde(rename = "ImageNet16-120")]
    ImageNet16,
}

impl Dataset {
    /// All data sets, in the benchmark's order.
    pub const ALL: [Self; 4] = [Self::Cifar10Valid, Self::Cifar10, Self::Cifar100, Self::ImageNet16];

    /// The benchmark's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10Valid => "cifar10-valid",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::ImageNet16 => "ImageNet16-120",
        }
    }

    /// The data set whose validation accuracy a search uses: for CIFAR-10 that of the training on one half.
    #[must_use]
    pub fn for_search(self) -> Self {
        if self == Self::Cifar10 { Self::Cifar10Valid } else { self }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dataset {
    type Err = BenchmarkError;

    fn from_str(text: &str) -> Result<Self, BenchmarkError> {
        let wanted = text.to_ascii_lowercase().replace('_', "-");
        Self::ALL
            .into_iter()
            .find(|dataset| dataset.name().eq_ignore_ascii_case(&wanted))
            .ok_or_else(|| BenchmarkError::UnknownDataset(text.to_owned()))
    }
}

/// A data set and the number of epochs of the training: 12 (the short runs) or 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Setting {
    /// The data set.
    pub dataset: Dataset,
    /// Number of epochs, over which the learning rate is annealed to zero.
    pub epochs: u16,
}

impl Setting {
    /// This data set, trained for the given number of epochs.
    pub fn new(dataset: Dataset, epochs: u16) -> Self {
        Self { dataset, epochs }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} epochs", self.dataset, self.epochs)
    }
}

/// A measured quantity of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Quantity {
    /// Accuracy on the training images, in percent.
    TrainAccuracy,
    /// Cross-entropy on the training images.
    TrainLoss,
    /// Accuracy on the held-out images, in percent.
    ValidAccuracy,
    /// Cross-entropy on the held-out images.
    ValidLoss,
    /// Accuracy on the test images, in percent.
    TestAccuracy,
    /// Cross-entropy on the test images.
    TestLoss,
    /// Accuracy on valid and test images together (CIFAR-100 and ImageNet16-120), in percent.
    ValidTestAccuracy,
    /// Cross-entropy on valid and test images together.
    ValidTestLoss,
    /// Parameters of the network, in millions.
    Parameters,
    /// Multiply-adds of a forward pass, in millions.
    Flops,
    /// Time of a forward pass of 256 images on the benchmark's machine, in seconds.
    Latency,
    /// Time of the whole training, in seconds.
    TrainSeconds,
    /// Time of one evaluation on the held-out images, in seconds.
    ValidSeconds,
    /// Time of one evaluation on the test images, in seconds.
    TestSeconds,
    /// Time of one evaluation on valid and test images together, in seconds.
    ValidTestSeconds,
}

impl Quantity {
    /// All quantities, in the order of the columns of the compact file.
    pub const ALL: [Self; 15] = [
        Self::TrainAccuracy,
        Self::TrainLoss,
        Self::ValidAccuracy,
        Self::ValidLoss,
        Self::TestAccuracy,
        Self::TestLoss,
        Self::ValidTestAccuracy,
        Self::ValidTestLoss,
        Self::Parameters,
        Self::Flops,
        Self::Latency,
        Self::TrainSeconds,
        Self::ValidSeconds,
        Self::TestSeconds,
        Self::ValidTestSeconds,
    ];
    /// Number of quantities.
    pub const COUNT: usize = Self::ALL.len();
    /// Number of quantities that can have a learning curve; they are the first ones of [`ALL`](Self::ALL).
    pub const PER_EPOCH: usize = 8;

    /// The name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainAccuracy => "train_accuracy",
            Self::TrainLoss => "train_loss",
            Self::ValidAccuracy => "valid_accuracy",
            Self::ValidLoss => "valid_loss",
            Self::TestAccuracy => "test_accuracy",
            Self::TestLoss => "test_loss",
            Self::ValidTestAccuracy => "valid_test_accuracy",
            Self::ValidTestLoss => "valid_test_loss",
            Self::Parameters => "parameters",
            Self::Flops => "flops",
            Self::Latency => "latency",
            Self::TrainSeconds => "train_seconds",
            Self::ValidSeconds => "valid_seconds",
            Self::TestSeconds => "test_seconds",
            Self::ValidTestSeconds => "valid_test_seconds",
        }
    }

    /// The unit, for display.
    pub fn unit(self) -> &'static str {
        match self {
            Self::TrainAccuracy | Self::ValidAccuracy | Self::TestAccuracy | Self::ValidTestAccuracy => "%",
            Self::TrainLoss | Self::ValidLoss | Self::TestLoss | Self::ValidTestLoss => "",
            Self::Parameters | Self::Flops => "M",
            Self::Latency | Self::TrainSeconds | Self::ValidSeconds | Self::TestSeconds | Self::ValidTestSeconds => "s",
        }
    }

    /// Whether a higher value is better.
    pub fn higher_is_better(self) -> bool {
        self.unit() == "%"
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quantity {
    type Err = BenchmarkError;

    fn from_str(text: &str) -> Result<Self, BenchmarkError> {
        let wanted = text.replace('-', "_");
        Self::ALL.into_iter().find(|quantity| quantity.name() == wanted).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|quantity| quantity.name()).collect();
            BenchmarkError::UnknownQuantity { asked: text.to_owned(), known: known.join(", ") }
        })
    }
}

/// The quantities of a run, or their means over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    values: [Option<f64>; Quantity::COUNT],
    /// Number of runs averaged; 1 for a single run, 0 if the source contains only a mean.
    pub runs: usize,
}

impl Record {
    pub(super) fn new(values: [Option<f64>; Quantity::COUNT], runs: usize) -> Self {
        Self { values, runs }
    }

    /// The value of a quantity, if the table has it.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        self.values[quantity as usize]
    }

    /// All quantities that the table has, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Quantity, f64)> + '_ {
        Quantity::ALL.into_iter().filter_map(|quantity| Some((quantity, self.get(quantity)?)))
    }
}
