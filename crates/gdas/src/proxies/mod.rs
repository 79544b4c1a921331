//! Zero-cost proxies: scores of untrained networks that predict their accuracy after training.
//!
//! One file each, with its source: [`synflow`], [`gradients`] (`snip` and `grad-norm`), [`naswot`], [`jacob_cov`]. They
//! need only a [`Graph`], so they work on every space. A higher score predicts a better network; scores of different
//! proxies, data or batch sizes are not comparable. Proxies run on the CPU, so that scores do not depend on the device of a
//! search.
//!
//! Batch sizes and forms are those of Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-cost proxies for lightweight NAS"
//! (ICLR 2021) and of Mellor, Turner, Storkey and Crowley, "Neural architecture search without training" (ICML 2021).
//! Unlike there, the images are not augmented.

mod forward_mode;
pub mod gradients;
pub mod jacob_cov;
mod matrix;
pub mod naswot;
mod pass;
pub mod synflow;

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::{Graph, Op, ParamId};

use crate::data::{Batch, Dataset, EvaluationBatches, Subset};
use crate::weights::Weights;

/// A zero-cost proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Sum of the products of weights and gradients in a linearised network ([`synflow`]).
    Synflow,
    /// Sensitivity of the loss to the removal of weights ([`gradients::snip`]).
    Snip,
    /// Norm of the gradient of the loss ([`gradients::grad_norm`]).
    GradNorm,
    /// Dissimilarity of the images' ReLU activation patterns ([`naswot`]).
    Naswot,
    /// Dissimilarity of the images' gradients ([`jacob_cov`]).
    JacobCov,
}

impl Proxy {
    /// All proxies.
    pub const ALL: [Self; 5] = [Self::Synflow, Self::Snip, Self::GradNorm, Self::Naswot, Self::JacobCov];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Synflow => "synflow",
            Self::Snip => "snip",
            Self::GradNorm => "grad-norm",
            Self::Naswot => "naswot",
            Self::JacobCov => "jacob-cov",
        }
    }

    /// The published number of images.
    pub fn batch_size(self) -> usize {
        if self == Self::Naswot { 128 } else { 64 }
    }

    /// The score of a network with weights initialised from this seed. NaN, as for a network without a gradient, is replaced by
    /// minus infinity.
    pub fn score(self, graph: &Graph, batch: &Batch, seed: u64) -> f64 {
        self.score_with(graph, &fresh(graph, seed), batch)
    }

    /// As [`Proxy::score`], with the given parameters in the graph's order.
    pub(crate) fn score_with(self, graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> f64 {
        let score = match self {
            Self::Synflow => synflow::score(graph, params),
            Self::Snip => gradients::snip(graph, params, batch),
            Self::GradNorm => gradients::grad_norm(graph, params, batch),
            Self::Naswot => naswot::score(graph, params, batch),
            Self::JacobCov => jacob_cov::score(graph, params.to_vec(), batch),
        };
        if score.is_nan() { f64::NEG_INFINITY } else { score }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|proxy| proxy.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|proxy| proxy.name()).collect();
            format!("unknown proxy `{text}`; known are {}", known.join(", "))
        })
    }
}

/// The images for proxies: the first of the training partition in a fixed shuffled order.
pub fn images(dataset: &Dataset, batch_size: usize) -> Batch {
    EvaluationBatches::new(&dataset.statistics, &Subset::all(&dataset.train).mixed(), batch_size).batch(0)
}

/// Initial values of a network's parameters, in the graph's order.
pub(crate) fn fresh(graph: &Graph, seed: u64) -> Vec<Tensor<1>> {
    let mut weights = Weights::new(seed, &Device::flex());
    weights.declare(graph);
    weights.locate(graph).into_iter().map(|index| weights.values[index].clone()).collect()
}

/// The weights of convolutions and classifiers, over which the published proxies are computed.
fn kernels(graph: &Graph) -> impl Iterator<Item = ParamId> + '_ {
    graph.nodes.iter().filter_map(|node| match node.op {
        Op::Conv { weight, .. } => Some(weight),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
