//! Choosing the cell by what the shared weights make of it, where alpha alone would decide (GDAS, DARTS).
//!
//! Alpha's own choice, cells drawn from alpha and cells drawn uniformly are judged on the same held-out images; the one
//! with the smallest loss is the result. Short searches need this: alpha moves toward operations without parameters
//! before the others have learned enough to be worth their place, and ends in cells that hardly learn. The shared weights
//! of a short search order cells badly, too, but they do tell such a cell from others. Testing candidates with the shared weights is what SETN (Dong and Yang, ICCV 2019) does;
//! here the loss decides rather than the accuracy, and normalisations use the batch's statistics, since running ones mix
//! those of all cells. Half of the candidates ignore alpha, which may have gone astray: `docs/results.md` has numbers.

use super::Judge;
use crate::rng::{Rng, Stream};
use crate::run::Interrupt;
use crate::sampler::Table;
use crate::search::Searcher;
use crate::space::Genotype;

/// Batches that every candidate is judged on.
const BATCHES: u64 = 4;

/// The best candidate and its loss, after that of alpha's own choice. `None` if interrupted.
pub(super) fn choose(searcher: &Searcher, judge: &Judge, interrupt: &Interrupt) -> Option<Judged> {
    let batches: Vec<_> = (0..judge.steps().min(BATCHES)).map(|i| judge.batch(i)).collect();
    let mut candidates = candidates(searcher).into_iter();
    let own = candidates.next()?;
    let own_loss = searcher.loss(&own, &batches);
    let mut best = Judged { genotype: own, loss: own_loss, own_loss };
    for genotype in candidates {
        if interrupt.is_requested() {
            return None;
        }
        let loss = searcher.loss(&genotype, &batches);
        // A loss that is no number is no reason to take or keep a cell.
        if loss < best.loss || (best.loss.is_nan() && !loss.is_nan()) {
            best = Judged { genotype, loss, ..best };
        }
    }
    Some(best)
}

/// What judging came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// The candidate with the smallest loss; the first of equals.
    pub(crate) genotype: Genotype,
    /// That loss.
    pub(crate) loss: f64,
    /// The loss of alpha's own choice.
    pub(crate) own_loss: f64,
}

/// Alpha's own choice, then cells drawn from alpha and uniformly, by turns and without repetition.
fn candidates(searcher: &Searcher) -> Vec<Genotype> {
    let config = searcher.config;
    let mut found = vec![searcher.genotype()];
    for draw in 0..10 * config.candidates as u64 {
        // The space may hold fewer cells than are asked for.
        if found.len() >= config.candidates {
            break;
        }
        // The largest of logits with Gumbel noise is a draw from their softmax, the largest noise a uniform one.
        let mut rng = Rng::new(config.seed, Stream::Architectures, draw);
        let scale = if draw.is_multiple_of(2) { 1.0 } else { 0.0 };
        let mut noisy = |table: &Table| -> Table {
            table.iter().map(|row| row.iter().map(|alpha| scale * alpha + rng.gumbel()).collect()).collect()
        };
        let genotype = searcher.genotype_of(&searcher.alpha.iter().map(&mut noisy).collect::<Vec<_>>());
        if !found.contains(&genotype) {
            found.push(genotype);
        }
    }
    found
}
