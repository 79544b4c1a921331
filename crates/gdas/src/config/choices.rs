//! Values of the keys of a search's configuration that name a choice.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::proxies::Proxy;

/// A search algorithm: one of [`crate::search::algorithms`], or a custom one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Gradient-based search using a differentiable architecture sampler (Dong and Yang, CVPR 2019).
    Gdas,
    /// Differentiable architecture search, first order (Liu, Simonyan and Yang, ICLR 2019).
    DartsV1,
    /// Differentiable architecture search, second order.
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
    /// Score-function gradient of alpha (REINFORCE), as in TuNAS (Bender et al., CVPR 2020).
    Reinforce,
    /// Mean of GDAS's gradient of alpha and that of the score function.
    GdasReinforce,
    /// A custom algorithm, by its name; `own:NAME` in configurations. Only a program that defines it can run it.
    Own(String),
}

/// Prefix of the name of a custom algorithm.
const OWN: &str = "own:";

impl Algorithm {
    /// All built-in algorithms.
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

    /// The algorithm of this name: a built-in one, or else a custom one.
    pub fn named(name: &str) -> Self {
        let built_in = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        built_in.unwrap_or_else(|| Self::Own(name.to_owned()))
    }

    /// Name; for built-in algorithms that in configurations and on the command line.
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

    /// Whether the result is one of the sampled cells, which requires a space with one operation on every edge.
    pub fn samples_whole_cells(&self) -> bool {
        matches!(self, Self::Setn | Self::Enas | Self::Rsps)
    }

    /// Whether it updates alpha by a gradient. True for custom algorithms, whose trait method is authoritative.
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

/// Gradient estimator of alpha; see [`crate::search::Estimator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Straight-through Gumbel-softmax, as published.
    StraightThrough,
    /// Second-order straight-through (Liu et al., NeurIPS 2023).
    #[serde(rename = "reinmax")]
    ReinMax,
}

/// Sampling of the operations in the weight step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightDraws {
    /// By alpha, as published.
    Alpha,
    /// Uniformly, so that training does not depend on alpha.
    Uniform,
    /// Fairly: every operation of an edge equally often (FairNAS, strict fairness).
    Fair,
}

/// Output of an edge, in one of the two published forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeOutput {
    /// `h[k*] * op(x)` plus the other gates, zero in value but not in gradient (NAS-Bench-201's code).
    AllGates,
    /// `h[k*] * op(x)` alone (the NASNet space's code).
    PickedGate,
}

/// Treatment of the weights of operations that were not sampled in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undrawn {
    /// Unchanged, as in PyTorch since 2.0.
    Skip,
    /// Updated by weight decay and momentum, as in PyTorch up to 1.13, with which the published figures were obtained.
    Decay,
}

/// Rule by which a search stops before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyStop {
    /// No early stop, as published.
    Off,
    /// The first (normal) cell has at least `early_stop_limit` skip connections (DARTS+, criterion 1).
    Skips,
    /// The first (normal) cell has at least `early_stop_limit` operations without parameters: skip connections, pools, and
    /// `none` if genotypes can contain it.
    ParameterFree,
    /// The best operation with parameters of every edge is unchanged (after DARTS+, criterion 2, which requires the ranking of
    /// all operations to be unchanged).
    Stable,
}

/// Selection of the final cell for algorithms that learn alpha (GDAS, DARTS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The operations of largest alpha, as published.
    Argmax,
    /// The best of `candidates` cells by the ranks of all `judges`: the argmax of alpha, cells sampled from alpha, and cells
    /// sampled uniformly. Better for short searches. Not used after an early stop.
    Judged,
}

/// A judge of a judged selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The held-out loss with the shared weights.
    Loss,
    /// The zero-cost proxy [`Proxy::Synflow`], with initial weights.
    Synflow,
    /// The zero-cost proxy [`Proxy::Snip`], with initial weights.
    Snip,
    /// The zero-cost proxy [`Proxy::GradNorm`], with initial weights.
    GradNorm,
    /// The zero-cost proxy [`Proxy::Naswot`], with initial weights.
    Naswot,
    /// The zero-cost proxy [`Proxy::JacobCov`], with initial weights.
    JacobCov,
}

impl Criterion {
    /// The name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        self.proxy().map_or("loss", Proxy::name)
    }

    /// The proxy; `None` for the loss.
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

/// Split of the images into those for the weights and those for alpha.
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
