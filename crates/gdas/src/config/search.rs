use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Auto, Config, Invalid, Preset};
use crate::data::Sampling;
use crate::device::{DeviceName, Precision};
use crate::proxies::Proxy;
use crate::space::{Derivation, Space, Wiring};

/// Which algorithm searches: the name of one in [`crate::search::algorithms`], or of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Gradient-based search using a differentiable architecture sampler (Dong and Yang, CVPR 2019).
    Gdas,
    /// Differentiable architecture search, first order (Liu, Simonyan and Yang, ICLR 2019).
    DartsV1,
    /// The same, second order.
    DartsV2,
    /// Search by a self-evaluated template network (Dong and Yang, ICCV 2019).
    Setn,
    /// Efficient neural architecture search (Pham, Guan, Zoph, Le and Dean, ICML 2018).
    Enas,
    /// Random search with parameter sharing (Li and Talwalkar, UAI 2019).
    Rsps,
    /// Stochastic neural architecture search (Xie, Zheng, Liu and Lin, ICLR 2019).
    Snas,
    /// Dirichlet neural architecture search (Chen et al., ICLR 2021).
    Drnas,
    /// Alpha learns by the score function, as in TuNAS (Bender et al., CVPR 2020).
    Reinforce,
    /// Alpha learns by the mean of GDAS's gradient and that of the score function.
    GdasReinforce,
    /// An algorithm of the user's own, by its name; `own:NAME` in configurations. Only a program that defines it can
    /// search with it.
    Own(String),
}

/// What stands before the name of a user's own algorithm.
const OWN: &str = "own:";

impl Algorithm {
    /// The built-in ones.
    pub const ALL: [Self; 10] = [
        Self::Gdas,
        Self::DartsV1,
        Self::DartsV2,
        Self::Setn,
        Self::Enas,
        Self::Rsps,
        Self::Snas,
        Self::Drnas,
        Self::Reinforce,
        Self::GdasReinforce,
    ];

    /// The algorithm of this name: a built-in one, or else the user's own.
    pub fn named(name: &str) -> Self {
        let built_in = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        built_in.unwrap_or_else(|| Self::Own(name.to_owned()))
    }

    /// Its name; that of a built-in one is what stands in configurations and on the command line.
    pub fn name(&self) -> &str {
        match self {
            Self::Gdas => "gdas",
            Self::DartsV1 => "darts-v1",
            Self::DartsV2 => "darts-v2",
            Self::Setn => "setn",
            Self::Enas => "enas",
            Self::Rsps => "rsps",
            Self::Snas => "snas",
            Self::Drnas => "drnas",
            Self::Reinforce => "reinforce",
            Self::GdasReinforce => "gdas-reinforce",
            Self::Own(name) => name,
        }
    }

    /// Whether it chooses among sampled cells, each of which must be a cell of the space: one operation on every edge.
    pub fn samples_whole_cells(&self) -> bool {
        matches!(self, Self::Setn | Self::Enas | Self::Rsps)
    }

    /// Whether it moves alpha by a gradient; of a user's own only the algorithm itself can say.
    pub fn learns_alpha(&self) -> bool {
        !matches!(self, Self::Enas | Self::Rsps)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(name) => serializer.collect_str(&format_args!("{OWN}{name}")),
            built_in => serializer.serialize_str(built_in.name()),
        }
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] =
            &["gdas", "darts-v1", "darts-v2", "setn", "enas", "rsps", "snas", "drnas", "reinforce", "gdas-reinforce"];
        let text = String::deserialize(deserializer)?;
        if let Some(name) = text.strip_prefix(OWN).filter(|name| !name.is_empty()) {
            return Ok(Self::Own(name.to_owned()));
        }
        let built_in = Self::ALL.into_iter().find(|algorithm| algorithm.name() == text);
        built_in.ok_or_else(|| D::Error::unknown_variant(&text, NAMES))
    }
}

/// How the gradient of a drawn operation reaches alpha; see [`crate::search::Estimator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Straight-through Gumbel-softmax, as published.
    StraightThrough,
    /// Second-order straight-through (Liu et al., NeurIPS 2023).
    #[serde(rename = "reinmax")]
    ReinMax,
}

/// How the operations are drawn whose weights learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightDraws {
    /// By alpha, as published.
    Alpha,
    /// Uniformly, so that alpha does not decide what learns.
    Uniform,
    /// In turn: every operation of an edge equally often (FairNAS, strict fairness).
    Fair,
}

/// What an edge hands on; both forms were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeOutput {
    /// `h[k*] * op(x)` plus the other gates, zero in value but not in gradient (NAS-Bench-201's code).
    AllGates,
    /// `h[k*] * op(x)` alone (the NASNet space's code).
    PickedGate,
}

/// What happens in a step to the weights of operations that were not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undrawn {
    /// Nothing, as with PyTorch since 2.0.
    Skip,
    /// Weight decay and momentum move them on, as with PyTorch to 1.13, which the published figures were made with.
    Decay,
}

/// When a search ends before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyStop {
    /// Never, as published.
    Off,
    /// The first (normal) cell has at least `early_stop_limit` skip connections (DARTS+, criterion 1).
    Skips,
    /// Number of operations without parameters from which the rule triggers: skip connections, pools, and `none` where a cell may
    /// hold it.
    ParameterFree,
    /// On every edge the best operation with parameters is the one of the epoch before (after DARTS+, criterion 2,
    /// which wants the order of all of them to rest).
    Stable,
}

/// How the cell is chosen in the end, where alpha is what learned (GDAS, DARTS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The operations of largest alpha, as published.
    Argmax,
    /// Of that cell, others drawn from alpha and others drawn uniformly, `candidates` together, the one that the `judges`
    /// together put first. Better where the search was short. After an early stop alpha decides.
    Judged,
}

/// What a judged selection ranks cells by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The held-out loss with the shared weights.
    Loss,
    /// The zero-cost proxy of this name, with weights of the cell's own, as they start.
    Synflow,
    /// Likewise.
    Snip,
    /// Likewise.
    GradNorm,
    /// Likewise.
    Naswot,
    /// Likewise.
    JacobCov,
}

impl Criterion {
    /// The name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        self.proxy().map_or("loss", Proxy::name)
    }

    /// The proxy, if it is one.
    pub fn proxy(self) -> Option<Proxy> {
        match self {
            Self::Loss => None,
            Self::Synflow => Some(Proxy::Synflow),
            Self::Snip => Some(Proxy::Snip),
            Self::GradNorm => Some(Proxy::GradNorm),
            Self::Naswot => Some(Proxy::Naswot),
            Self::JacobCov => Some(Proxy::JacobCov),
        }
    }
}

/// Which images the weights learn from and which alpha learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// As published for CIFAR-100 and ImageNet16-120 (`train-and-half-test`), for all other data `halves`.
    Auto,
    /// Two fixed halves of the train images.
    Halves,
    /// Weights: all train images; alpha: a fixed half of the test images.
    TrainAndHalfTest,
}

/// Everything that decides what a search computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// The preset that the other values started from; a record.
    pub preset: String,
    /// Search space: `nas-bench-201`, `nasnet`, `nasnet-frc`, the path of a TOML file, or a table that defines one.
    #[serde(with = "crate::space::shared")]
    pub space: Arc<Space>,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Seed of all randomness.
    #[serde(with = "super::seed")]
    pub seed: u64,

    /// A known data set's name, or a path to images.
    pub data: String,
    /// Images are brought to this many pixels in height and width; `auto`: the data's own size.
    pub image_size: Auto<usize>,
    /// Whether image files that cannot be used are left out, and named, instead of ending the run.
    pub skip_damaged: bool,
    /// Which images teach what.
    pub split: Split,
    /// Training images are mirrored half of the time; `auto`: unless that changes their meaning (digits, letters).
    pub flip: Auto<bool>,
    /// Padding of training images before the random crop, in pixels; `auto`: an eighth of the image's size.
    pub crop_padding: Auto<usize>,
    /// Side of the square that is cut out of training images; 0: none.
    pub cutout: usize,
    /// How often an epoch shows each image: `uniform`, each once, or `balanced`, every class equally often.
    pub sampling: Sampling,

    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// Whether the candidates' batch norm has scale and shift (then their convolutions have no bias).
    pub affine: bool,
    /// Whether the candidates' batch norm keeps running statistics.
    pub track_running_stats: bool,
    /// What an edge hands on.
    pub edge_output: EdgeOutput,

    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step, as many again for alpha.
    pub batch_size: usize,
    /// Largest number of steps per epoch; `auto`: one pass over all images.
    pub max_steps_per_epoch: Auto<usize>,

    /// Learning rate of the weights at the start; falls along a cosine, step by step.
    pub learning_rate: f64,
    /// Learning rate of the weights at the end.
    pub learning_rate_min: f64,
    /// Batch size that the two learning rates refer to; they are multiplied by `batch_size` over this
    /// (the linear rule of Goyal et al. 2017); `auto`: they are taken as they are. Alpha's is never scaled.
    pub learning_rate_batch: Auto<usize>,
    /// Momentum of the weights.
    pub momentum: f64,
    /// Whether it is Nesterov's.
    pub nesterov: bool,
    /// Weight decay of the weights.
    pub weight_decay: f64,
    /// Largest norm of the weights' gradient; 0: any.
    pub clip_norm: f64,
    /// What happens to the weights of operations not drawn.
    pub undrawn: Undrawn,

    /// Epochs at the start in which only the weights are trained, not alpha. Without it, operations that need no training
    /// have a head start, and short searches end in cells of nothing else.
    pub alpha_warmup_epochs: usize,
    /// Learning rate of alpha (Adam).
    pub alpha_learning_rate: f64,
    /// Adam's two decay rates.
    pub alpha_betas: [f64; 2],
    /// Adam's epsilon.
    pub alpha_epsilon: f64,
    /// Weight decay of alpha, added to its gradient.
    pub alpha_weight_decay: f64,
    /// Standard deviation of alpha at the start.
    pub alpha_init_std: f64,
    /// Temperature of the draw in the first epoch; falls linearly, epoch by epoch.
    pub tau_max: f64,
    /// Temperature in the last epoch.
    pub tau_min: f64,
    /// How the gradient of a drawn operation reaches alpha (GDAS).
    pub estimator: Estimator,
    /// How the operations are drawn whose weights learn (GDAS and REINFORCE).
    pub weight_draws: WeightDraws,
    /// Cells that REINFORCE compares on one held-out batch, each with the mean loss of the others as its baseline. 1: the
    /// baseline is an exponential mean of earlier losses.
    pub score_cells: usize,
    /// Weight of beta decay (Beta-DARTS) at the end; grows linearly from zero. 0: none.
    pub beta_decay: f64,
    /// Weight of alpha's entropy as a penalty; below zero it is a reward. 0: none.
    pub entropy_weight: f64,
    /// Weight of FairDARTS's zero-one loss. 0: none.
    pub zero_one_weight: f64,

    /// When the search ends before its last epoch.
    pub early_stop: EarlyStop,
    /// So many operations are too many, for the rules that count.
    pub early_stop_limit: usize,
    /// Consecutive epochs for which the rule must hold; those in which alpha rests do not count.
    pub early_stop_patience: usize,
    /// Share of the images for which a drawn skip connection gives nothing, in the first epoch; falls to a twentieth
    /// of that along an exponential (P-DARTS).
    pub skip_dropout: f64,
    /// Largest number of skip connections in the first (normal) cell of the genotype (P-DARTS: 2); `auto`: any number.
    pub max_skips: Auto<usize>,

    /// Most parameters of the network searched with (that of `channels` and `cells`), by a penalty on alpha; 0: any.
    pub max_params: f64,
    /// Most multiply-adds per image, likewise; 0: any.
    pub max_flops: f64,
    /// Most milliseconds per image on this machine, likewise; 0: any. Operations are timed once, at the start, so two
    /// runs differ where their times do.
    pub max_latency: f64,
    /// Weight of these penalties: it multiplies the logarithm of (expected cost / bound).
    pub cost_weight: f64,
    /// Steps of ENAS's controller at the end of every epoch.
    pub controller_steps: usize,
    /// Cells that it samples for one of them.
    pub controller_samples: usize,
    /// How the cell is chosen in the end.
    pub selection: Selection,
    /// What a judged selection goes by: the cell with the best sum of ranks is the result.
    pub judges: Vec<Criterion>,
    /// Cells that SETN, ENAS, RSPS and a judged selection choose from in the end.
    pub candidates: usize,
    /// Held-out images per batch that they are judged on: one batch each, the same four batches for a judged selection.
    pub candidate_batch_size: usize,

    /// Where the tensors live and the steps run. Another device rounds differently.
    pub device: DeviceName,
    /// How a graphics device stores the values between operations: `float32`, `float16` or `bfloat16`. Arithmetic, sums and
    /// weights are float32 always.
    pub precision: Precision,
    /// So many devices share every batch (experimental): each normalises its part by itself, so the result depends on
    /// their number.
    pub devices: usize,
    /// Threads; `auto`: one per core. Results do not depend on it.
    pub threads: Auto<usize>,
    /// Seconds between checkpoints. Results do not depend on it.
    pub checkpoint_seconds: f64,
    /// Interval of `step` events in the log, in steps; 0: none. Results do not depend on it.
    pub log_interval: usize,
    /// Whether the run's scalars are also written as event files for TensorBoard. Results do not depend on it.
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
    /// What the weights' learning rates are multiplied by.
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
        // Written so that NaN is out of every range.
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
