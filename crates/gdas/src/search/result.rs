//! Result of a search: `result.json`.

use serde::{Deserialize, Serialize};

use super::searcher::Searcher;
use super::state::SearchState;
use crate::Error;
use crate::alpha::Alpha;
use crate::budget::Standing;
use crate::cost;
use crate::data::Dataset;
use crate::network;
use crate::run::Judgement;
use crate::space::Genotype;
use crate::weights::host;

/// Result of a search, independent of time and number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Name of the search space.
    pub space: String,
    /// Name of the data set.
    pub data: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// Number of epochs.
    pub epochs: usize,
    /// The final cell in text form, see [`Selection`](crate::config::Selection); after an early stop by a count-based rule, that
    /// of the last epoch within the limit.
    pub genotype: String,
    /// The final cell as data.
    pub cells: Genotype,
    /// Accuracy of the final cell with the shared weights on the held-out images, in 0..=1.
    pub held_out_accuracy: f64,
    /// The genotype of the epoch with the highest held-out accuracy (a running mean over the architecture batches).
    pub best_genotype: Option<String>,
    /// The epoch of `best_genotype`.
    pub best_epoch: Option<u64>,
    /// The held-out accuracy of that epoch.
    pub best_accuracy: Option<f64>,
    /// Number of parameters of the network on the searched skeleton, counted like the benchmark.
    pub params: u64,
    /// Multiply-adds per image of this network.
    pub multiply_adds: u64,
    /// Fraction of the cells' edges without weights.
    pub parameter_free: f64,
    /// Reason of an early stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<String>,
    /// The judgement, if the selection was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// Final costs and their bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Standing>,
    /// Final logits `[edges, operations]` of each searched cell.
    pub alphas: Vec<Alpha>,
    /// Treatment of the weights of operations that were not sampled (`skip` or `decay`).
    pub undrawn: String,
    /// BLAKE3 hash of the final alphas, weights and metrics; equal runs have equal digests.
    pub digest: String,
}

impl SearchResult {
    pub(super) fn new(
        searcher: &Searcher,
        state: &SearchState,
        dataset: &Dataset,
        genotype: &Genotype,
        accuracy: f64,
        judged: Option<Judgement>,
    ) -> Result<Self, Error> {
        let supernet = &searcher.supernet;
        let config = network::NetworkConfig { affine: true, ..supernet.config.clone() };
        let cost = cost::network(&network::derive(&supernet.blocks, &config, genotype)?);
        let mut hasher = blake3::Hasher::new();
        for value in searcher.alpha.iter().flat_map(Alpha::values).chain([&accuracy]) {
            hasher.update(&value.to_le_bytes());
        }
        for value in &supernet.weights.values {
            for x in host(value) {
                hasher.update(&x.to_le_bytes());
            }
        }
        let undrawn = match searcher.config.undrawn {
            crate::config::Undrawn::Skip => "skip",
            crate::config::Undrawn::Decay => "decay",
        };
        Ok(Self {
            space: supernet.space.name.clone(),
            data: dataset.name.clone(),
            seed: searcher.config.seed,
            epochs: searcher.config.epochs,
            genotype: genotype.to_string(),
            cells: genotype.clone(),
            held_out_accuracy: accuracy,
            best_genotype: state.best.as_ref().map(|best| best.genotype.clone()),
            best_epoch: state.best.as_ref().map(|best| best.epoch),
            best_accuracy: state.best.as_ref().map(|best| best.accuracy),
            params: cost.params,
            multiply_adds: cost.multiply_adds,
            parameter_free: genotype.parameter_free_share(),
            early_stop: state.early_stop.stopped.clone(),
            judged,
            costs: searcher.standings(genotype),
            alphas: searcher.alpha.clone(),
            undrawn: undrawn.to_owned(),
            digest: hasher.finalize().to_hex().to_string(),
        })
    }
}
