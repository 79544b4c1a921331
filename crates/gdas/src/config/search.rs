use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::choices::{Algorithm, Criterion, EarlyStop, EdgeOutput, Estimator, Selection, Split, Undrawn, WeightDraws};
use super::{Auto, Config, Invalid, Preset};
use crate::data::Sampling;
use crate::device::{DeviceName, Precision};
use crate::space::{Derivation, Space, Wiring};

/// Configuration of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Name of the preset of the values that are not set; for the record.
    pub preset: String,
    /// Search space: `nas-bench-201`, `nasnet`, `nasnet-frc`, the path of a TOML file, or a table that defines one.
    #[serde(with = "crate::space::shared")]
    pub space: Arc<Space>,
    /// Search algorithm.
    pub algorithm: Algorithm,
    /// Seed of all randomness.
    #[serde(with = "super::seed")]
    pub seed: u64,

    /// Name of a known data set, or path of images.
    pub data: String,
    /// Height and width in pixels to which images are resized; `auto`: the size of the data.
    pub image_size: Auto<usize>,
    /// Whether unusable image files are skipped with a warning instead of ending the run.
    pub skip_damaged: bool,
    /// Split of the images into those for the weights and those for alpha.
    pub split: Split,
    /// Whether training images are flipped horizontally with probability 1/2; `auto`: unless that changes their meaning
    /// (digits, letters).
    pub flip: Auto<bool>,
    /// Padding of training images before the random crop, in pixels; `auto`: an eighth of the image's size.
    pub crop_padding: Auto<usize>,
    /// Side length in pixels of the cutout square of training images; 0: none.
    pub cutout: usize,
    /// Sampling of images per epoch: `uniform`, each once, or `balanced`, every class equally often.
    pub sampling: Sampling,

    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// Whether the candidates' batch norm has scale and shift (then their convolutions have no bias).
    pub affine: bool,
    /// Whether the candidates' batch norm keeps running statistics.
    pub track_running_stats: bool,
    /// Output of an edge.
    pub edge_output: EdgeOutput,

    /// Number of epochs.
    pub epochs: usize,
    /// Images per step, for the weights and again for alpha.
    pub batch_size: usize,
    /// Maximum number of steps per epoch; `auto`: one pass over all images.
    pub max_steps_per_epoch: Auto<usize>,

    /// Initial learning rate of the weights; annealed by a cosine, step by step.
    pub learning_rate: f64,
    /// Final learning rate of the weights.
    pub learning_rate_min: f64,
    /// Batch size for which the two learning rates are given; they are multiplied by the ratio of `batch_size` to it (linear
    /// scaling rule, Goyal et al. 2017); `auto`: they are not scaled. Alpha's learning rate is never scaled.
    pub learning_rate_batch: Auto<usize>,
    /// Momentum of the weights.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Weight decay of the weights.
    pub weight_decay: f64,
    /// Maximum norm of the weights' gradient; 0: no clipping.
    pub clip_norm: f64,
    /// Treatment of the weights of operations that were not sampled.
    pub undrawn: Undrawn,

    /// Number of initial epochs in which only the weights are trained, not alpha. Without a warm-up, operations without weights
    /// have an advantage, and short searches end in cells of these only.
    pub alpha_warmup_epochs: usize,
    /// Learning rate of alpha (Adam).
    pub alpha_learning_rate: f64,
    /// Adam's decay rates of the two moments.
    pub alpha_betas: [f64; 2],
    /// Adam's epsilon.
    pub alpha_epsilon: f64,
    /// Weight decay of alpha, added to its gradient.
    pub alpha_weight_decay: f64,
    /// Standard deviation of the initial alpha.
    pub alpha_init_std: f64,
    /// Temperature of the sampling in the first epoch; decreases linearly, epoch by epoch.
    pub tau_max: f64,
    /// Temperature in the last epoch.
    pub tau_min: f64,
    /// Gradient estimator of alpha (GDAS).
    pub estimator: Estimator,
    /// Sampling of the operations in the weight step (GDAS and REINFORCE).
    pub weight_draws: WeightDraws,
    /// Number of cells that REINFORCE compares on one held-out batch, each with the mean loss of the others as baseline. 1: the
    /// baseline is an exponential mean of earlier losses.
    pub score_cells: usize,
    /// Final weight of beta decay (Beta-DARTS); increases linearly from zero. 0: none.
    pub beta_decay: f64,
    /// Weight of alpha's entropy as a penalty; negative values reward entropy. 0: none.
    pub entropy_weight: f64,
    /// Weight of FairDARTS's zero-one loss. 0: none.
    pub zero_one_weight: f64,

    /// Rule by which the search stops before its last epoch.
    pub early_stop: EarlyStop,
    /// Number of operations from which the count-based early-stop rules trigger.
    pub early_stop_limit: usize,
    /// Number of consecutive epochs for which the rule must hold; warm-up epochs of alpha do not count.
    pub early_stop_patience: usize,
    /// Dropout rate of sampled skip connections, per image, in the first epoch; decays exponentially to 1/20 of it (P-DARTS).
    pub skip_dropout: f64,
    /// Maximum number of skip connections in the first (normal) cell of the genotype (P-DARTS: 2); `auto`: unlimited.
    pub max_skips: Auto<usize>,

    /// Bound on the parameters of the network with `channels` and `cells`, as a penalty on alpha; 0: unlimited.
    pub max_params: f64,
    /// Bound on its multiply-adds per image, as a penalty on alpha; 0: unlimited.
    pub max_flops: f64,
    /// Bound on its latency per image on this machine in milliseconds, as a penalty on alpha; 0: unlimited. Latencies of
    /// operations are measured at the start, so runs with different measurements differ.
    pub max_latency: f64,
    /// Weight of these penalties, the factor of `log(expected cost / bound)`.
    pub cost_weight: f64,
    /// Number of steps of ENAS's controller at the end of every epoch.
    pub controller_steps: usize,
    /// Number of cells sampled per step of ENAS's controller.
    pub controller_samples: usize,
    /// Selection of the final cell.
    pub selection: Selection,
    /// Judges of a judged selection; the cell with the best sum of ranks is the result.
    pub judges: Vec<Criterion>,
    /// Number of candidates for the final cell (SETN, ENAS, RSPS, judged selection).
    pub candidates: usize,
    /// Held-out images per batch for evaluating candidates: one batch each; for a judged selection the same four batches.
    pub candidate_batch_size: usize,

    /// Device on which tensors are stored and steps run. Devices differ in rounding.
    pub device: DeviceName,
    /// Type in which a GPU stores values between operations: `float32`, `float16` or `bfloat16`. Arithmetic, sums and weights
    /// are always float32.
    pub precision: Precision,
    /// Number of devices that share every batch (experimental). Batch statistics are per device, so the result depends on the
    /// number.
    pub devices: usize,
    /// Number of threads; `auto`: one per core. Results do not depend on it.
    pub threads: Auto<usize>,
    /// Seconds between checkpoints. Results do not depend on it.
    pub checkpoint_seconds: f64,
    /// Interval of `step` events in the log, in steps; 0: none. Results do not depend on it.
    pub log_interval: usize,
    /// Whether TensorBoard event files are written too. Results do not depend on it.
    pub tensorboard: bool,
}

macro_rules! preset {
    ($space:literal, $name:literal) => {
        Preset {
            name: $name,
            space: $space,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/presets/", $space, "/", $name, ".toml")),
        }
    };
}

impl SearchConfig {
    /// Factor by which the weights' learning rates are scaled.
    ///
    /// ```
    /// use gdas::config::{Auto, SearchConfig, resolve};
    ///
    /// let config: SearchConfig = resolve(&[])?;
    /// assert_eq!(config.learning_rate_factor(), 1.0);
    /// let large = SearchConfig { batch_size: 256, learning_rate_batch: Auto::Is(64), ..config };
    /// assert_eq!(large.learning_rate_factor(), 4.0);
    /// # Ok::<(), gdas::config::ConfigError>(())
    /// ```
    pub fn learning_rate_factor(&self) -> f64 {
        self.batch_size as f64 / self.learning_rate_batch.or(self.batch_size) as f64
    }
}

impl Config for SearchConfig {
    const TASK: &'static str = "search";

    const PRESETS: &'static [Preset] = &[
        preset!("nas-bench-201", "paper"),
        preset!("nas-bench-201", "quick"),
        preset!("nas-bench-201", "digits"),
        preset!("nas-bench-201", "smoke"),
        preset!("nas-bench-201", "robust"),
        preset!("nasnet", "paper"),
        preset!("nasnet", "quick"),
        preset!("nasnet", "digits"),
        preset!("nasnet", "smoke"),
        preset!("nasnet-frc", "paper"),
        preset!("nasnet-frc", "quick"),
        preset!("nasnet-frc", "digits"),
        preset!("nasnet-frc", "smoke"),
    ];

    const DEFAULT_SPACE: &'static str = "nas-bench-201";

    fn variant(chosen: &dyn Fn(&'static str) -> Option<String>) -> Option<Preset> {
        let algorithm = chosen("algorithm")?;
        let text = match algorithm.as_str() {
            "darts-v1" | "darts-v2" | "snas" | "drnas" => include_str!("../../presets/algorithms/darts.toml"),
            "setn" => include_str!("../../presets/algorithms/setn.toml"),
            "enas" => include_str!("../../presets/algorithms/enas.toml"),
            "rsps" => include_str!("../../presets/algorithms/rsps.toml"),
            _ => return None,
        };
        Some(Preset { name: "paper", space: "", text })
    }

    fn default_preset(data: Option<&str>) -> &'static str {
        if data.unwrap_or("digits") == "digits" { "digits" } else { "quick" }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let count = |key, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) { Ok(()) } else { wrong(key, format!("between {low} and {high}")) }
        };
        let auto = |key, value: Auto<usize>, low: usize, high: usize| {
            if (low..=high).contains(&value.or(low)) {
                Ok(())
            } else {
                wrong(key, format!("\"auto\" or between {low} and {high}"))
            }
        };
        // NaN is out of every range by the form of the comparison.
        let within = |key, value: f64, low: f64, high: f64| {
            if value >= low && value <= high { Ok(()) } else { wrong(key, format!("between {low} and {high}")) }
        };
        let positive = |key, value: f64, high: f64| {
            if value > 0.0 && value <= high { Ok(()) } else { wrong(key, format!("above 0 and at most {high}")) }
        };
        let below_one = |key, value: f64| {
            if (0.0..1.0).contains(&value) { Ok(()) } else { wrong(key, "at least 0 and below 1".to_string()) }
        };

        if let Err(error) = self.space.validate() {
            return wrong("space", format!("a space that can be built: {error}"));
        }
        if self.data.is_empty() {
            return wrong("data", "the name of a data set or a path".to_string());
        }
        auto("image_size", self.image_size, 8, 224)?;
        auto("crop_padding", self.crop_padding, 0, 112)?;
        count("cutout", self.cutout, 0, 224)?;
        count("channels", self.channels, 1, 1024)?;
        if self.space.skeleton.wiring == (Wiring::TwoInputs { fixed_reduction: true })
            && !self.channels.is_multiple_of(8)
        {
            return wrong("channels", "a multiple of 8, as the fixed reduction cell has groups of 8".to_string());
        }
        count("cells", self.cells, 1, 64)?;
        count("epochs", self.epochs, 1, 1_000_000)?;
        count("batch_size", self.batch_size, 1, 65_536)?;
        auto("max_steps_per_epoch", self.max_steps_per_epoch, 1, 1_000_000_000)?;
        positive("learning_rate", self.learning_rate, 100.0)?;
        within("learning_rate_min", self.learning_rate_min, 0.0, self.learning_rate)?;
        auto("learning_rate_batch", self.learning_rate_batch, 1, 65_536)?;
        below_one("momentum", self.momentum)?;
        if self.nesterov && self.momentum == 0.0 {
            return wrong("nesterov", "false where momentum is 0".to_string());
        }
        within("weight_decay", self.weight_decay, 0.0, 1.0)?;
        within("clip_norm", self.clip_norm, 0.0, 1e9)?;
        count("alpha_warmup_epochs", self.alpha_warmup_epochs, 0, self.epochs)?;
        positive("alpha_learning_rate", self.alpha_learning_rate, 100.0)?;
        below_one("alpha_betas", self.alpha_betas[0])?;
        below_one("alpha_betas", self.alpha_betas[1])?;
        positive("alpha_epsilon", self.alpha_epsilon, 1.0)?;
        within("alpha_weight_decay", self.alpha_weight_decay, 0.0, 1.0)?;
        within("alpha_init_std", self.alpha_init_std, 0.0, 10.0)?;
        positive("tau_max", self.tau_max, 1e6)?;
        positive("tau_min", self.tau_min, self.tau_max)?;
        within("beta_decay", self.beta_decay, 0.0, 1e6)?;
        within("entropy_weight", self.entropy_weight, -1e6, 1e6)?;
        within("zero_one_weight", self.zero_one_weight, 0.0, 1e6)?;
        count("early_stop_limit", self.early_stop_limit, 1, 1000)?;
        count("early_stop_patience", self.early_stop_patience, 1, 1_000_000)?;
        within("skip_dropout", self.skip_dropout, 0.0, 0.95)?;
        auto("max_skips", self.max_skips, 0, 1000)?;
        within("max_params", self.max_params, 0.0, 1e15)?;
        within("max_flops", self.max_flops, 0.0, 1e18)?;
        within("max_latency", self.max_latency, 0.0, 1e9)?;
        positive("cost_weight", self.cost_weight, 1e6)?;
        count("controller_steps", self.controller_steps, 1, 1_000_000)?;
        count("score_cells", self.score_cells, 1, 1_000)?;
        count("controller_samples", self.controller_samples, 1, 1_000_000)?;
        if self.judges.is_empty() {
            return wrong("judges", "at least one of loss, synflow, snip, grad-norm, naswot and jacob-cov".to_string());
        }
        count("candidates", self.candidates, 1, 1_000_000)?;
        count("candidate_batch_size", self.candidate_batch_size, 1, 65_536)?;
        let whole = self.space.cells.iter().all(|cell| cell.derivation == Derivation::BestPerEdge);
        if !self.algorithm.learns_alpha() && self.early_stop != EarlyStop::Off {
            return wrong("early_stop", format!("off with {}, which learns no alpha", self.algorithm.name()));
        }
        if self.algorithm.samples_whole_cells() && !whole {
            return wrong("algorithm", format!("not setn, enas or rsps in space {}", self.space.name));
        }
        count("devices", self.devices, 1, 64)?;
        if self.devices > self.batch_size {
            return wrong("devices", format!("at most the batch's {} images", self.batch_size));
        }
        auto("threads", self.threads, 1, 1024)?;
        within("checkpoint_seconds", self.checkpoint_seconds, 0.0, 1e9)?;
        count("log_interval", self.log_interval, 0, 1_000_000_000)
    }
}

fn wrong(key: &'static str, must: String) -> Result<(), Invalid> {
    Err(Invalid { key, must })
}
