//! Early stop (DARTS+, arXiv 1909.06035): ends the search when its rule has held for `early_stop_patience` consecutive
//! epochs. Off in the `paper` presets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alpha::{Alpha, argmax};
use crate::config::{EarlyStop, SearchConfig};
use crate::run::Event;
use crate::space::{Body, Choice, Genotype, Space};

/// State of the early-stop rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EarlyStopState {
    /// Number of consecutive epochs for which the rule has held.
    held: usize,
    /// The best operation with parameters of every edge in the previous epoch, one row per searched cell.
    best: Vec<Vec<usize>>,
    /// The last cells that were within the limit.
    within: Option<Genotype>,
    /// The reason of an early stop.
    pub(crate) stopped: Option<String>,
}

impl EarlyStopState {
    /// The genotype to report: after a stop by a count-based rule, the last one within the limit.
    pub(crate) fn reported(&self, last: Genotype) -> Genotype {
        if self.stopped.is_some() { self.within.clone().unwrap_or(last) } else { last }
    }

    /// Checks the rule after an epoch; `found` is the algorithm's genotype. Returns the event if the search ends.
    pub(crate) fn check(
        &mut self,
        config: &SearchConfig,
        space: &Arc<Space>,
        alpha: &[Alpha],
        found: &Genotype,
        (epoch, step): (u64, u64),
    ) -> Option<Event> {
        if epoch < config.alpha_warmup_epochs as u64 || epoch + 1 == config.epochs as u64 {
            return None;
        }
        // Derived from alpha without a limit on skip connections.
        let cell = Genotype::from_alpha(space, alpha).cells.swap_remove(0);
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
                let best = best_with_parameters(space, alpha);
                let same = self.best == best;
                self.best = best;
                same.then(|| "the best operations with parameters are the same on every edge".to_owned())
            }
        };
        self.held = if reason.is_some() { self.held + 1 } else { 0 };
        if reason.is_none() && config.early_stop != EarlyStop::Stable {
            self.within = Some(found.clone());
        }
        let reason = reason.filter(|_| self.held >= config.early_stop_patience)?;
        let reported = if self.within.is_some() { "; the last cells before that are reported" } else { "" };
        let reason = format!("{reason}, {} epochs running{reported}", self.held);
        self.stopped = Some(reason.clone());
        Some(Event::EarlyStop { epoch: epoch as usize, step, reason })
    }
}

fn best_with_parameters(space: &Space, alpha: &[Alpha]) -> Vec<Vec<usize>> {
    let cells = alpha.iter().zip(&space.cells);
    let best = cells.map(|(alpha, cell)| {
        let learnable = |k: usize| !cell.operations[k].is_parameter_free();
        let of = |row: &[f64]| {
            let row = row.iter().enumerate().map(|(k, &a)| if learnable(k) { a } else { f64::NEG_INFINITY });
            argmax(&row.collect::<Vec<_>>())
        };
        alpha.rows().map(of).collect()
    });
    best.collect()
}
