use clap::Args;
use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use serde::Serialize;

/// One flag per key; see `gdas::config::SearchConfig` for their meaning.
#[derive(Args, Serialize)]
pub(crate) struct SearchFlags {
    /// Data set: a name (`gdas data list`) or a path to images, an archive or a data file [default: digits]
    #[arg(long, value_name = "NAME|PATH", help_heading = "What to search")]
    data: Option<String>,
    /// Values to start from: paper, quick, digits, smoke; robust (NAS-Bench-201) [default: digits for the digits, else quick]
    #[arg(long, value_name = "NAME", help_heading = "What to search")]
    preset: Option<String>,
    /// Search space: nas-bench-201, nasnet, nasnet-frc or a TOML file [default: nas-bench-201]
    #[arg(long, value_name = "NAME|FILE", help_heading = "What to search")]
    space: Option<String>,
    /// Algorithm: gdas, darts-v1, darts-v2, snas, drnas, reinforce or gdas-reinforce; in nas-bench-201 also setn, enas or
    /// rsps [default: gdas]
    #[arg(long, value_name = "NAME", help_heading = "What to search")]
    algorithm: Option<String>,
    /// Seed of all randomness; the same seed gives the same result, bit for bit
    #[arg(long, value_name = "N", help_heading = "What to search")]
    #[serde(serialize_with = "super::seed")]
    seed: Option<u64>,

    /// Passes over the training images
    #[arg(long, value_name = "N", help_heading = "How long")]
    epochs: Option<usize>,
    /// Images per step, and as many again for alpha
    #[arg(long, value_name = "N", help_heading = "How long")]
    batch_size: Option<usize>,
    /// Steps per epoch
    #[arg(long, value_name = "N|auto", help_heading = "How long")]
    max_steps_per_epoch: Option<Auto<usize>>,

    /// Channels of the first stage (C)
    #[arg(long, value_name = "N", help_heading = "Supernet")]
    channels: Option<usize>,
    /// Cells per stage (N)
    #[arg(long, value_name = "N", help_heading = "Supernet")]
    cells: Option<usize>,
    /// Scale and shift in the candidates' batch norm
    #[arg(long, value_name = "BOOL", help_heading = "Supernet")]
    affine: Option<bool>,
    /// Running statistics in the candidates' batch norm
    #[arg(long, value_name = "BOOL", help_heading = "Supernet")]
    track_running_stats: Option<bool>,
    /// What an edge hands on: all-gates or picked-gate
    #[arg(long, value_name = "FORM", help_heading = "Supernet")]
    edge_output: Option<String>,

    /// Side length that images are brought to
    #[arg(long, value_name = "PIXELS|auto", help_heading = "Data")]
    image_size: Option<Auto<usize>>,
    /// Leave out image files that cannot be used, instead of stopping; they are named
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data")]
    skip_damaged: Option<bool>,
    /// Who learns from what: auto, halves or train-and-half-test
    #[arg(long, value_name = "RULE", help_heading = "Data")]
    split: Option<String>,
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

    /// Learning rate of the weights at the start
    #[arg(long, value_name = "RATE", help_heading = "Weights (SGD)")]
    learning_rate: Option<f64>,
    /// Learning rate of the weights at the end of the cosine
    #[arg(long, value_name = "RATE", help_heading = "Weights (SGD)")]
    learning_rate_min: Option<f64>,
    /// Batch size that the learning rates refer to; they are scaled in proportion to batch_size; auto: not scaled
    #[arg(long, value_name = "N|auto", help_heading = "Weights (SGD)")]
    learning_rate_batch: Option<Auto<usize>>,
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
    /// Weights of operations not drawn in a step: skip (leave alone) or decay
    #[arg(long, value_name = "RULE", help_heading = "Weights (SGD)")]
    undrawn: Option<String>,

    /// Epochs at the start in which only the weights are trained, not alpha
    #[arg(long, value_name = "N", help_heading = "Alpha (Adam)")]
    alpha_warmup_epochs: Option<usize>,
    /// Learning rate of alpha
    #[arg(long, value_name = "RATE", help_heading = "Alpha (Adam)")]
    alpha_learning_rate: Option<f64>,
    /// Decay rates of the two moments
    #[arg(long, value_name = "B1,B2", value_parser = betas, allow_hyphen_values = true, help_heading = "Alpha (Adam)")]
    alpha_betas: Option<Betas>,
    /// Epsilon
    #[arg(long, value_name = "X", help_heading = "Alpha (Adam)")]
    alpha_epsilon: Option<f64>,
    /// Weight decay of alpha
    #[arg(long, value_name = "RATE", help_heading = "Alpha (Adam)")]
    alpha_weight_decay: Option<f64>,
    /// Standard deviation of alpha at the start
    #[arg(long, value_name = "X", help_heading = "Alpha (Adam)")]
    alpha_init_std: Option<f64>,
    /// Temperature of the draw in the first epoch
    #[arg(long, value_name = "TAU", help_heading = "Alpha (Adam)")]
    tau_max: Option<f64>,
    /// Temperature in the last epoch
    #[arg(long, value_name = "TAU", help_heading = "Alpha (Adam)")]
    tau_min: Option<f64>,
    /// How the gradient reaches alpha: straight-through (as published) or reinmax (its second order)
    #[arg(long, value_name = "NAME", help_heading = "Alpha (Adam)")]
    estimator: Option<String>,
    /// How operations are drawn whose weights learn: alpha (as published), uniform, or fair (all equally often)
    #[arg(long, value_name = "HOW", help_heading = "Alpha (Adam)")]
    weight_draws: Option<String>,
    /// Cells that REINFORCE compares on each held-out batch (1: a running mean of losses is the baseline)
    #[arg(long, value_name = "N", help_heading = "Alpha (Adam)")]
    score_cells: Option<usize>,
    /// Weight of beta decay (Beta-DARTS); grows from 0 to this
    #[arg(long, value_name = "X", help_heading = "Alpha (Adam)")]
    beta_decay: Option<f64>,
    /// Weight of alpha's entropy as a penalty (below 0: a reward)
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Alpha (Adam)")]
    entropy_weight: Option<f64>,
    /// Weight of FairDARTS's zero-one loss
    #[arg(long, value_name = "X", help_heading = "Alpha (Adam)")]
    zero_one_weight: Option<f64>,

    /// End early: off, skips, parameter-free (too many of them in the normal cell) or stable (the best operations rest)
    #[arg(long, value_name = "RULE", help_heading = "Against collapse")]
    early_stop: Option<String>,
    /// So many such operations are too many
    #[arg(long, value_name = "N", help_heading = "Against collapse")]
    early_stop_limit: Option<usize>,
    /// Consecutive epochs for which the rule must hold
    #[arg(long, value_name = "N", help_heading = "Against collapse")]
    early_stop_patience: Option<usize>,
    /// Share of images for which a skip connection gives nothing, at first; falls exponentially
    #[arg(long, value_name = "SHARE", help_heading = "Against collapse")]
    skip_dropout: Option<f64>,
    /// Most skip connections in the normal cell of the genotype
    #[arg(long, value_name = "N|auto", help_heading = "Against collapse")]
    max_skips: Option<Auto<usize>>,

    /// Cell chosen in the end: argmax (of alpha, as published) or judged (of many, the one that its judges put first)
    #[arg(long, value_name = "HOW", help_heading = "Against collapse")]
    selection: Option<String>,
    /// What a judged selection ranks cells by: loss (with the shared weights), synflow, snip, grad-norm, naswot, jacob-cov
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Against collapse")]
    judges: Option<Vec<String>>,

    /// Most parameters of the network searched with; 0: any
    #[arg(long, value_name = "N", help_heading = "Bounds on cost (penalties on alpha)")]
    max_params: Option<f64>,
    /// Most multiply-adds per image
    #[arg(long, value_name = "N", help_heading = "Bounds on cost (penalties on alpha)")]
    max_flops: Option<f64>,
    /// Most milliseconds per image on this machine
    #[arg(long, value_name = "MS", help_heading = "Bounds on cost (penalties on alpha)")]
    max_latency: Option<f64>,
    /// Weight of the penalties
    #[arg(long, value_name = "X", help_heading = "Bounds on cost (penalties on alpha)")]
    cost_weight: Option<f64>,
    /// Steps of ENAS's controller at the end of every epoch
    #[arg(long, value_name = "N", help_heading = "Other algorithms")]
    controller_steps: Option<usize>,
    /// Cells sampled for one of these steps
    #[arg(long, value_name = "N", help_heading = "Other algorithms")]
    controller_samples: Option<usize>,
    /// Cells that a judged selection, setn, enas and rsps choose from in the end
    #[arg(long, value_name = "N", help_heading = "Other algorithms")]
    candidates: Option<usize>,
    /// Held-out images per batch that each of them is judged on (four batches for a judged selection, else one)
    #[arg(long, value_name = "N", help_heading = "Other algorithms")]
    candidate_batch_size: Option<usize>,

    /// Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas devices
    #[arg(long, value_name = "NAME", help_heading = "Machine")]
    device: Option<DeviceName>,
    /// How a graphics device stores values between operations: float32, or half of it: float16 or bfloat16
    #[arg(long, value_name = "TYPE", help_heading = "Machine")]
    precision: Option<Precision>,
    /// So many devices share every batch (experimental; no faster on the processor); another number is another search
    #[arg(long, value_name = "N", help_heading = "Machine")]
    devices: Option<usize>,
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

type Betas = [f64; 2];

fn betas(text: &str) -> Result<Betas, String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([first, second]) => Ok([*first, *second]),
        _ => Err("two numbers with a comma between them, as in 0.5,0.999".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use gdas::config::{Auto, Layer, SearchConfig, resolve};

    use super::SearchFlags;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: SearchFlags,
    }

    /// Every key of the configuration has a flag, and every flag is a key.
    #[test]
    fn flags_and_keys_are_the_same_set() {
        use clap::CommandFactory;
        assert_eq!(crate::flags::keys::<SearchConfig>(), crate::flags::flags(&Only::command()));
    }

    #[test]
    fn given_flags_and_no_others_reach_the_configuration() {
        let only =
            Only::parse_from(["x", "--alpha-betas", "0.1,0.2", "--threads", "auto", "--flip", "true", "--seed", "4"]);
        let layer = Layer::flags(&only.flags).expect("a layer");
        let config: SearchConfig = resolve(&[layer]).expect("valid");
        assert_eq!((config.alpha_betas, config.flip, config.seed), ([0.1, 0.2], Auto::Is(true), 4));
        assert_eq!(
            SearchConfig { alpha_betas: [0.5, 0.999], flip: Auto::Auto, seed: 0, ..config },
            resolve(&[]).expect("valid")
        );
    }
}
