use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Auto, Config, Invalid, Preset};
use crate::data::Sampling;
use crate::device::{DeviceName, Precision};
use crate::network::Stem;
use crate::space::{Genotype, Space};

/// Choice of a network's stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StemRule {
    /// By the image's size.
    Auto,
    /// One convolution at full size.
    Cifar,
    /// Three convolutions of stride 2.
    ImageNet,
}

impl StemRule {
    /// The stem for square images of this size.
    pub fn stem(self, size: usize) -> Stem {
        match self {
            Self::Auto => Stem::for_size(size),
            Self::Cifar => Stem::Cifar,
            Self::ImageNet => Stem::ImageNet,
        }
    }
}

/// Configuration of the training of a genotype from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the preset of the values that are not set; for the record.
    pub preset: String,
    /// Space of the genotype: a built-in name, the path of a TOML file, or a table that defines one.
    #[serde(with = "crate::space::shared")]
    pub space: Arc<Space>,
    /// The genotype, in text form.
    pub genotype: String,
    /// Seed of all randomness.
    #[serde(with = "super::seed")]
    pub seed: u64,

    /// A known data set's name, or a path to images.
    pub data: String,
    /// Height and width in pixels to which images are resized; `auto`: the size of the data.
    pub image_size: Auto<usize>,
    /// Whether unusable image files are skipped with a warning instead of ending the run.
    pub skip_damaged: bool,
    /// Whether training images are flipped horizontally with probability 1/2; `auto`: unless that changes their meaning
    /// (digits, letters).
    pub flip: Auto<bool>,
    /// Padding of training images before the random crop, in pixels; `auto`: an eighth of the image's size.
    pub crop_padding: Auto<usize>,
    /// Side length in pixels of the cutout square of training images; 0: none.
    pub cutout: usize,
    /// Sampling of training images per epoch: `uniform`, each once, or `balanced`, every class equally often.
    pub sampling: Sampling,

    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// First layers: `cifar`, `imagenet`, or `auto` by the image's size.
    pub stem: StemRule,
    /// Weight of the auxiliary classifier's loss; 0: none.
    pub auxiliary_weight: f64,
    /// Drop-path rate in the last epoch; rises linearly from 0.
    pub drop_path: f64,

    /// Number of epochs.
    pub epochs: usize,
    /// Epochs of linear learning rate warm-up; may be a fraction.
    pub warmup_epochs: f64,
    /// Images per step.
    pub batch_size: usize,
    /// Maximum number of steps per epoch; `auto`: one pass over all images.
    pub max_steps_per_epoch: Auto<usize>,
    /// Number of steps after which the training and its schedule end, also within an epoch; `auto`: after `epochs`.
    #[serde(default = "auto_steps")]
    pub max_steps: Auto<usize>,

    /// Initial learning rate; annealed by a cosine, step by step.
    pub learning_rate: f64,
    /// Final learning rate.
    pub learning_rate_min: f64,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: f64,
    /// Maximum norm of the gradient; 0: no clipping.
    pub clip_norm: f64,
    /// Label smoothing: fraction of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Decay of the weights' exponential moving average, which is then evaluated; 0: none.
    pub ema_decay: f64,

    /// Test-time flip: whether scores are averaged over each test image and its mirror image.
    pub test_flip: bool,
    /// Interval of tests (with `validation`: validations) in epochs; the last epoch is always evaluated.
    pub test_interval: usize,
    /// Fraction of each class's training images that is held out for validation. The weights of the epoch with the highest
    /// validation accuracy are kept. 0: none is held out, and the last weights (or their moving average) are kept.
    pub validation: f64,

    /// Device on which tensors are stored and steps run. Devices differ in rounding.
    pub device: DeviceName,
    /// Type in which a GPU stores values between operations: `float32`, `float16` or `bfloat16`. Arithmetic, sums and weights
    /// are always float32.
    pub precision: Precision,
    /// Number of threads; `auto`: one per core. Results do not depend on it.
    pub threads: Auto<usize>,
    /// Seconds between checkpoints. Results do not depend on it.
    pub checkpoint_seconds: f64,
    /// Interval of `train_step` events in the log, in steps; 0: none. Results do not depend on it.
    pub log_interval: usize,
    /// Whether TensorBoard event files are written too. Results do not depend on it.
    pub tensorboard: bool,
}

/// Default for configurations of earlier versions, which lack the key.
fn auto_steps() -> Auto<usize> {
    Auto::Auto
}

macro_rules! preset {
    ($space:literal, $name:literal) => {
        Preset {
            name: $name,
            space: $space,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/presets/train/", $space, "/", $name, ".toml")),
        }
    };
}

impl Config for TrainConfig {
    const TASK: &'static str = "train";

    const PRESETS: &'static [Preset] = &[
        preset!("nas-bench-201", "paper"),
        preset!("nas-bench-201", "paper-12"),
        preset!("nas-bench-201", "quick"),
        preset!("nas-bench-201", "digits"),
        preset!("nas-bench-201", "smoke"),
        preset!("nasnet", "paper"),
        preset!("nasnet", "imagenet"),
        preset!("nasnet", "quick"),
        preset!("nasnet", "digits"),
        preset!("nasnet", "smoke"),
        Preset { space: "nasnet-frc", ..preset!("nasnet", "paper") },
        Preset { space: "nasnet-frc", ..preset!("nasnet", "imagenet") },
        Preset { space: "nasnet-frc", ..preset!("nasnet", "quick") },
        Preset { space: "nasnet-frc", ..preset!("nasnet", "digits") },
        Preset { space: "nasnet-frc", ..preset!("nasnet", "smoke") },
    ];

    const DEFAULT_SPACE: &'static str = "nas-bench-201";

    fn default_preset(data: Option<&str>) -> &'static str {
        if data.unwrap_or("digits") == "digits" { "digits" } else { "quick" }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let wrong = |key, must: String| Err(Invalid { key, must });
        let range = |key, value: f64, low: f64, high: f64| {
            // NaN is out of every range by the form of the comparison.
            if value >= low && value <= high { Ok(()) } else { wrong(key, format!("between {low} and {high}")) }
        };
        let count = |key, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) { Ok(()) } else { wrong(key, format!("between {low} and {high}")) }
        };
        if let Err(error) = self.space.validate() {
            wrong("space", format!("a space that can be built: {error}"))?;
        }
        if let Err(error) = Genotype::parse(&self.genotype, &self.space) {
            wrong("genotype", format!("a genotype of space {}: {error}", self.space.name))?;
        }
        if self.data.is_empty() {
            return wrong("data", "the name of a data set or a path".to_string());
        }
        count("image_size", self.image_size.or(8), 8, 224)?;
        count("crop_padding", self.crop_padding.or(0), 0, 112)?;
        count("cutout", self.cutout, 0, 224)?;
        count("channels", self.channels, 1, 1024)?;
        count("cells", self.cells, 1, 64)?;
        range("auxiliary_weight", self.auxiliary_weight, 0.0, 10.0)?;
        range("drop_path", self.drop_path, 0.0, 0.9)?;
        count("epochs", self.epochs, 1, 1_000_000)?;
        range("warmup_epochs", self.warmup_epochs, 0.0, self.epochs as f64)?;
        count("batch_size", self.batch_size, 1, 65_536)?;
        count("max_steps_per_epoch", self.max_steps_per_epoch.or(1), 1, 1_000_000_000)?;
        count("max_steps", self.max_steps.or(1), 1, 1_000_000_000)?;
        range("learning_rate", self.learning_rate, 1e-12, 100.0)?;
        range("learning_rate_min", self.learning_rate_min, 0.0, self.learning_rate)?;
        range("momentum", self.momentum, 0.0, 0.999_999)?;
        if self.nesterov && self.momentum == 0.0 {
            return wrong("nesterov", "false where momentum is 0".to_string());
        }
        range("weight_decay", self.weight_decay, 0.0, 1.0)?;
        range("clip_norm", self.clip_norm, 0.0, 1e9)?;
        range("label_smoothing", self.label_smoothing, 0.0, 0.999)?;
        range("ema_decay", self.ema_decay, 0.0, 0.999_999)?;
        count("test_interval", self.test_interval, 1, 1_000_000)?;
        range("validation", self.validation, 0.0, 0.9)?;
        count("threads", self.threads.or(1), 1, 1024)?;
        range("checkpoint_seconds", self.checkpoint_seconds, 0.0, 1e9)?;
        count("log_interval", self.log_interval, 0, 1_000_000_000)
    }
}
