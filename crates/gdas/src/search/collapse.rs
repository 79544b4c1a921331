//! Options against the method's known way to fail: cells of nearly nothing but skip connections and pools.
//!
//! All are off in the `paper` presets. An early stop (DARTS+, arXiv 1909.06035) ends the search when its rule has held
//! for `early_stop_patience` epochs running. Dropout on skip connections (P-DARTS, arXiv 1904.12760) takes from them
//! the head start that operations without weights have; `alpha_warmup_epochs` does so more directly and is the one to
//! try first. `max_skips` bounds what is read off alpha (P-DARTS too) and leaves the search itself alone.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Searcher;
use super::state::Progress;
use crate::algorithms::Own;
use crate::config::{Auto, EarlyStop};
use crate::data::Position;
use crate::rng::{Rng, Stream};
use crate::run::Event;
use crate::sampler::{Table, argmax};
use crate::space::{Body, Choice, Genotype};
use crate::supernet::SubNetwork;

/// What an early stop has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    /// For how many epochs running the rule has held.
    held: usize,
    /// The best operation with parameters of every edge, one row per table, as it was an epoch ago.
    best: Vec<Vec<usize>>,
    /// The last cells that were within the limit.
    within: Option<Genotype>,
    /// Why the search is over before its last epoch.
    pub(super) stopped: Option<String>,
}

impl Watch {
    /// The genotype that is reported: if too many operations without parameters ended the search, the last before.
    pub(super) fn reported(&self, last: Genotype) -> Genotype {
        if self.stopped.is_some() { self.within.clone().unwrap_or(last) } else { last }
    }
}

impl Searcher<'_> {
    /// The genotype that alpha stands for now.
    pub fn genotype(&self) -> Genotype {
        if let Own::Best(Some(best)) = &self.own {
            return Genotype::from_picks(&self.supernet.space, &best.picks);
        }
        self.genotype_of(&self.alpha)
    }

    /// The genotype that some logits stand for, within the limit on skip connections.
    pub(crate) fn genotype_of(&self, alpha: &[Table]) -> Genotype {
        match self.config.max_skips {
            Auto::Auto => Genotype::from_alpha(&self.supernet.space, alpha),
            Auto::Is(most) => Genotype::from_alpha_with_skips(&self.supernet.space, alpha, most),
        }
    }

    /// Looks at alpha after an epoch; the event, if the search is over.
    pub(super) fn early_stop(&self, progress: &mut Progress, epoch: u64, step: u64) -> Option<Event> {
        let config = self.config;
        if epoch < config.alpha_warmup_epochs as u64 || epoch + 1 == config.epochs as u64 {
            return None;
        }
        let watch = &mut progress.watch;
        // As alpha has it, before any limit on what is read off.
        let cell = Genotype::from_alpha(&self.supernet.space, &self.alpha).cells.swap_remove(0);
        let limit = config.early_stop_limit;
        let too_many = |what: &str, count: usize| {
            (count >= limit).then(|| format!("{count} {what} in the first cell, {limit} are too many"))
        };
        let reason = match config.early_stop {
            EarlyStop::Off => return None,
            EarlyStop::Skips => too_many("skip connections", cell.count(|c| c.operation.body == Body::Skip)),
            EarlyStop::ParameterFree => {
                too_many("operations without parameters", cell.count(|c: &Choice| c.operation.is_parameter_free()))
            }
            EarlyStop::Stable => {
                let best = self.best_with_parameters();
                let same = watch.best == best;
                watch.best = best;
                same.then(|| "the best operations with parameters are the same on every edge".to_owned())
            }
        };
        watch.held = if reason.is_some() { watch.held + 1 } else { 0 };
        if reason.is_none() && config.early_stop != EarlyStop::Stable {
            watch.within = Some(self.genotype());
        }
        let reason = reason.filter(|_| watch.held >= config.early_stop_patience)?;
        let reported = if watch.within.is_some() { "; the last cells before that are reported" } else { "" };
        let reason = format!("{reason}, {} epochs running{reported}", watch.held);
        watch.stopped = Some(reason.clone());
        Some(Event::EarlyStop { epoch: epoch as usize, step, reason })
    }

    fn best_with_parameters(&self) -> Vec<Vec<usize>> {
        let tables = self.alpha.iter().zip(&self.supernet.space.cells);
        let best = tables.map(|(table, cell)| {
            let learnable = |k: usize| !cell.operations[k].is_parameter_free();
            let of = |row: &Vec<f64>| {
                let row = row.iter().enumerate().map(|(k, &a)| if learnable(k) { a } else { f64::NEG_INFINITY });
                argmax(&row.collect::<Vec<_>>())
            };
            table.iter().map(of).collect()
        });
        best.collect()
    }

    /// Factors of the skip connections that a sub-network can drop, `[skips, batch]`: zero for a dropped one, else the
    /// inverse of the share kept. `half` is 0 for the weight step and 1 for the architecture step.
    pub(crate) fn skip_masks(
        &self,
        net: &SubNetwork,
        at: Position,
        step: u64,
        half: u64,
        batch: usize,
    ) -> Option<Tensor<2>> {
        let skips = net.graph.masks;
        if skips == 0 {
            return None;
        }
        let rate = skip_dropout(self.config.skip_dropout, at.epoch, self.config.epochs);
        let mut rng = Rng::new(self.config.seed, Stream::SkipDropout, 2 * step + half);
        let mut factor = || if rng.uniform() < rate { 0.0 } else { (1.0 / (1.0 - rate)) as f32 };
        let factors = (0..skips * batch).map(|_| factor()).collect();
        let data = TensorData::new::<f32, _>(factors, [skips, batch]);
        Some(Tensor::from_data(data, self.supernet.weights.device()))
    }
}

/// The share dropped in an epoch. P-DARTS's `exp(-0.2 epoch)` comes to a twentieth after its 15 epochs; here it does
/// so after however many there are.
fn skip_dropout(first: f64, epoch: u64, epochs: usize) -> f64 {
    first * (-3.0 * epoch as f64 / epochs as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_dropout_falls_to_a_twentieth() {
        assert_eq!(skip_dropout(0.4, 0, 25), 0.4);
        assert!((skip_dropout(0.4, 25, 25) - 0.02).abs() < 1e-3);
        // P-DARTS after a third of its 15 epochs: exp(-0.2 * 5).
        assert!((skip_dropout(1.0, 5, 15) - (-1.0_f64).exp()).abs() < 1e-12);
    }
}
