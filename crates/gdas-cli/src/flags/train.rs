use clap::Args;
use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use serde::Serialize;

/// One flag per key but the genotype; see `gdas::config::TrainConfig` for their meaning.
#[derive(Args, Serialize)]
pub(crate) struct TrainFlags {
    /// Data set: a name (`gdas data list`) or a path [default: the search's, else digits]
    #[arg(long, value_name = "NAME|PATH", help_heading = "What to train")]
    data: Option<String>,
    /// Space of the genotype: a built-in name or a TOML file [default: the search's, else as the genotype's form says]
    #[arg(long, value_name = "NAME|FILE", help_heading = "What to train")]
    space: Option<String>,
    /// Values to start from: paper, quick, digits, smoke; paper-12 (NAS-Bench-201), imagenet (NASNet)
    /// [default: digits for the digits, else quick]
    #[arg(long, value_name = "NAME", help_heading = "What to train")]
    preset: Option<String>,
    /// Seed of all randomness; the same seed gives the same result, bit for bit
    #[arg(long, value_name = "N", help_heading = "What to train")]
    #[serde(serialize_with = "super::seed")]
    seed: Option<u64>,

    /// Passes over the training images
    #[arg(long, value_name = "N", help_heading = "How long")]
    epochs: Option<usize>,
    /// Epochs of linear learning rate warm-up; may be a fraction
    #[arg(long, value_name = "N", help_heading = "How long")]
    warmup_epochs: Option<f64>,
    /// Images per step
    #[arg(long, value_name = "N", help_heading = "How long")]
    batch_size: Option<usize>,
    /// Steps per epoch
    #[arg(long, value_name = "N|auto", help_heading = "How long")]
    max_steps_per_epoch: Option<Auto<usize>>,
    /// End the training, and its schedule, after this many steps
    #[arg(long, value_name = "N|auto", help_heading = "How long")]
    max_steps: Option<Auto<usize>>,

    /// Channels of the first stage (C)
    #[arg(long, value_name = "N", help_heading = "Network")]
    channels: Option<usize>,
    /// Cells per stage (N)
    #[arg(long, value_name = "N", help_heading = "Network")]
    cells: Option<usize>,
    /// First layers: auto, cifar or imagenet
    #[arg(long, value_name = "KIND", help_heading = "Network")]
    stem: Option<String>,
    /// Weight of the auxiliary classifier's loss; 0: none
    #[arg(long, value_name = "WEIGHT", help_heading = "Network")]
    auxiliary_weight: Option<f64>,
    /// Share of paths dropped in the last epoch
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    drop_path: Option<f64>,

    /// Side length that images are brought to
    #[arg(long, value_name = "PIXELS|auto", help_heading = "Data")]
    image_size: Option<Auto<usize>>,
    /// Leave out image files that cannot be used, instead of stopping; they are named
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data")]
    skip_damaged: Option<bool>,
    /// Mirror training images half of the time; auto: unless they are digits
    #[arg(long, value_name = "BOOL|auto", help_heading = "Data")]
    flip: Option<Auto<bool>>,
    /// Pad training images by so much, then crop
    #[arg(long, value_name = "PIXELS|auto", help_heading = "Data")]
    crop_padding: Option<Auto<usize>>,
    /// Side of the square cut out of training images
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    cutout: Option<usize>,
    /// How often an epoch shows each image: uniform (each once) or balanced (every class equally often)
    #[arg(long, value_name = "RULE", help_heading = "Data")]
    sampling: Option<String>,

    /// Largest learning rate
    #[arg(long, value_name = "RATE", help_heading = "Weights (SGD)")]
    learning_rate: Option<f64>,
    /// Learning rate at the end of the cosine
    #[arg(long, value_name = "RATE", help_heading = "Weights (SGD)")]
    learning_rate_min: Option<f64>,
    /// Momentum
    #[arg(long, value_name = "SHARE", help_heading = "Weights (SGD)")]
    momentum: Option<f64>,
    /// Nesterov's form of momentum
    #[arg(long, value_name = "BOOL", help_heading = "Weights (SGD)")]
    nesterov: Option<bool>,
    /// Weight decay
    #[arg(long, value_name = "RATE", help_heading = "Weights (SGD)")]
    weight_decay: Option<f64>,
    /// Largest norm of the gradient; 0: any
    #[arg(long, value_name = "NORM", help_heading = "Weights (SGD)")]
    clip_norm: Option<f64>,
    /// Share of the target spread over all classes
    #[arg(long, value_name = "SHARE", help_heading = "Weights (SGD)")]
    label_smoothing: Option<f64>,
    /// Decay of the weights' moving average, which is then tested; 0: none
    #[arg(long, value_name = "DECAY", help_heading = "Weights (SGD)")]
    ema_decay: Option<f64>,

    /// Average the scores of a test image and its mirror image
    #[arg(long, value_name = "BOOL", help_heading = "Test")]
    test_flip: Option<bool>,
    /// Epochs between two tests (with --validation: validations); the last epoch is always tested
    #[arg(long, value_name = "N", help_heading = "Test")]
    test_interval: Option<usize>,
    /// Share of the training images held out to choose the best epoch; 0: the last weights are kept
    #[arg(long, value_name = "SHARE", help_heading = "Test")]
    validation: Option<f64>,

    /// Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas devices
    #[arg(long, value_name = "NAME", help_heading = "Machine")]
    device: Option<DeviceName>,
    /// How a graphics device stores values between operations: float32, or half of it: float16 or bfloat16
    #[arg(long, value_name = "TYPE", help_heading = "Machine")]
    precision: Option<Precision>,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", help_heading = "Machine")]
    threads: Option<Auto<usize>>,
    /// Seconds between checkpoints
    #[arg(long, value_name = "S", help_heading = "Machine")]
    checkpoint_seconds: Option<f64>,
    /// Steps between lines of the event log; 0: epochs only
    #[arg(long, value_name = "N", help_heading = "Machine")]
    log_interval: Option<usize>,
    /// Also write event files for TensorBoard, to `tensorboard` in the run directory
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = "Machine")]
    tensorboard: Option<bool>,
}

impl TrainFlags {
    /// The space that was named.
    pub(crate) fn space(&self) -> Option<&str> {
        self.space.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use gdas::config::TrainConfig;

    use super::TrainFlags;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: TrainFlags,
    }

    /// Every key has a flag, but for the genotype, which is an argument.
    #[test]
    fn flags_and_keys_are_the_same_set() {
        let mut keys = crate::flags::keys::<TrainConfig>();
        keys.retain(|key| key != "genotype");
        assert_eq!(keys, crate::flags::flags(&Only::command()));
    }
}
