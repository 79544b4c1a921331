use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Auto, Config, Invalid, Preset};
use crate::data::Sampling;
use crate::device::{DeviceName, Precision};
use crate::network::Stem;
use crate::space::{Genotype, Space};

/// Which first layers a network has.
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

/// Everything that decides how a genotype is trained from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The preset that the other values started from; a record.
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
    /// Images are brought to this many pixels in height and width; `auto`: the data's own size.
    pub image_size: Auto<usize>,
    /// Whether image files that cannot be used are left out, and named, instead of ending the run.
    pub skip_damaged: bool,
    /// Training images are mirrored half of the time; `auto`: unless that changes their meaning (digits, letters).
    pub flip: Auto<bool>,
    /// Padding of training images before the random crop, in pixels; `auto`: an eighth of the image's size.
    pub crop_padding: Auto<usize>,
    /// Side of the square that is cut out of training images; 0: none.
    pub cutout: usize,
    /// How often an epoch shows each training image: `uniform`, each once, or `balanced`, every class equally often.
    pub sampling: Sampling,

    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// First layers: `cifar`, `imagenet`, or `auto` by the image's size.
    pub stem: StemRule,
    /// Weight of the auxiliary classifier's loss; 0: none.
    pub auxiliary_weight: f64,
    /// Share of paths dropped in the last epoch; rises linearly from 0.
    pub drop_path: f64,

    /// Passes over the training images.
    pub epochs: usize,
    /// Epochs of linear learning rate warm-up; may be a fraction.
    pub warmup_epochs: f64,
    /// Images per step.
    pub batch_size: usize,
    /// Largest number of steps per epoch; `auto`: one pass over all images.
    pub max_steps_per_epoch: Auto<usize>,
    /// The training, and its schedule, ends after this many steps, in the midst of an epoch if need be; `auto`: after
    /// `epochs`.
    #[serde(default = "auto_steps")]
    pub max_steps: Auto<usize>,

    /// Largest learning rate; falls along a cosine, step by step.
    pub learning_rate: f64,
    /// Learning rate at the end.
    pub learning_rate_min: f64,
    /// Momentum.
    pub momentum: f64,
    /// Whether it is Nesterov's.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0: any.
    pub clip_norm: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Decay of the weights' exponential moving average, which is then what is tested; 0: none.
    pub ema_decay: f64,

    /// Whether a test image's scores are averaged with those of its mirror image.
    pub test_flip: bool,
    /// Epochs between two tests (with `validation`: validations); the last epoch is always tested.
    pub test_interval: usize,
    /// Share of every class's training images that is held out to choose the epoch whose weights are kept, by their
    /// accuracy on those images. 0: none is held out, and the last weights (or their moving average) are kept.
    pub validation: f64,

    /// Where the tensors live and the steps run. Another device rounds differently.
    pub device: DeviceName,
    /// How a graphics device stores the values between operations: `float32`, `float16` or `bfloat16`. Arithmetic, sums and
    /// weights are float32 always.
    pub precision: Precision,
    /// Threads; `auto`: one per core. Results do not depend on it.
    pub threads: Auto<usize>,
    /// Seconds between checkpoints. Results do not depend on it.
    pub checkpoint_seconds: f64,
    /// Interval of `train_step` events in the log, in steps; 0: none. Results do not depend on it.
    pub log_interval: usize,
    /// Whether the run's scalars are also written as event files for TensorBoard. Results do not depend on it.
    pub tensorboard: bool,
}

/// Of configurations that were written before the key was.
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
            // Written so that NaN is out of every range.
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
