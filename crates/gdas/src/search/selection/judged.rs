//! Choosing the cell among many, where alpha alone would decide (GDAS, DARTS).
//!
//! Alpha's own choice, cells drawn from alpha and cells drawn uniformly are ranked by several judges: by their loss on
//! the same held-out images with the shared weights, and by zero-cost proxies ([`crate::proxies`]), which start each cell
//! with weights of its own. The best sum of ranks is the result. Short searches need this: alpha moves toward operations
//! without parameters before the others have learned enough to be worth their place, and ends in cells that hardly
//! learn. The shared weights of a short search tell such a cell from others, but order the others badly; proxies order
//! those well and cannot tell what the images want. Ranks, because losses and scores have no common scale.
//!
//! Testing candidates with the shared weights is what SETN (Dong and Yang, ICCV 2019) does; here the loss decides rather
//! than the accuracy, and normalisations use the batch's statistics, since running ones mix those of all cells. Rankings
//! by several proxies together are of Abdelfattah et al. (ICLR 2021, section 3.2), where they vote pair by pair. Half of
//! the candidates ignore alpha, which may have gone astray: `docs/results.md` has numbers.

use std::time::Instant;

use burn::tensor::Device;
use gdas_kernels::graph::Graph;

use super::side_by_side::{AT_ONCE, side_by_side};
use super::{Judge, Selected, Selection, SelectionContext};
use crate::Error;
use crate::alpha::Alpha;
use crate::config::Criterion;
use crate::data::Batch;
use crate::network::{NetworkConfig, derive};
use crate::proxies::fresh;
use crate::rng::{Rng, Stream};
use crate::run::{Judgement, Places};
use crate::search::searcher::Searcher;
use crate::space::Genotype;
use crate::stats::ranks;
use crate::supernet::Supernet;

/// Batches that every candidate's loss is taken on.
const BATCHES: u64 = 4;

/// Candidates that planning times.
const TIMED: usize = 3;

/// The best of alpha's own choice, cells drawn from alpha and cells drawn uniformly, as several judges together rank
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged;

impl Selection for Judged {
    fn name(&self) -> &'static str {
        "judged"
    }

    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error> {
        let batches = choice.batches(BATCHES);
        let candidates = candidates(choice.searcher, choice.proposal());
        let (searcher, shown) = (choice.searcher, &choice.judge.shown);
        let trial = |genotype: &Genotype| Trial::of(searcher, shown, &batches, genotype);
        let proceed = |done: usize| choice.proceed(done, candidates.len());
        let Some(trials) = side_by_side(&candidates, at_once(searcher), trial, proceed)? else { return Ok(None) };
        // Alpha may stand for a cell that costs too much, while all the others are affordable.
        let first = usize::from(candidates.len() > 1 && !choice.searcher.affords(&candidates[0]));
        let best = first_of(&trials, first);
        let genotype = candidates[best].clone();
        let judgement = Judgement {
            step: choice.steps_done(),
            genotype: genotype.to_string(),
            loss: trials[best].loss,
            own_loss: trials[0].loss,
            own_genotype: Some(candidates[0].to_string()),
            candidates: candidates.len(),
            judges: places(&choice.config().judges, &trials, best),
        };
        Ok(Some(Selected { genotype, judgement: Some(judgement) }))
    }
}

/// How long one candidate takes here, in seconds, by trying a few; for planning, never for results.
pub(crate) fn seconds_per_candidate(searcher: &Searcher, judge: &Judge) -> Result<f64, Error> {
    let batches: Vec<Batch> = (0..judge.steps().min(BATCHES)).map(|i| judge.batch(i)).collect();
    let candidates = candidates(searcher, searcher.genotype());
    let tried = &candidates[..candidates.len().min(TIMED)];
    let started = Instant::now();
    let trial = |genotype: &Genotype| Trial::of(searcher, &judge.shown, &batches, genotype);
    side_by_side(tried, at_once(searcher), trial, |_| Ok(true))?;
    Ok(started.elapsed().as_secs_f64() / tried.len() as f64)
}

/// Candidates to try at once: several on the processor, one after another on a graphics device.
fn at_once(searcher: &Searcher) -> usize {
    if *searcher.supernet.weights.device() == Device::flex() { AT_ONCE } else { 1 }
}

/// What the judges say of a candidate.
#[derive(Clone, Debug)]
struct Trial {
    /// Held-out loss with the shared weights; infinite if it is no number.
    loss: f64,
    /// Per judge; higher is better.
    scores: Vec<f64>,
}

impl Trial {
    fn of(searcher: &Searcher, shown: &Batch, batches: &[Batch], genotype: &Genotype) -> Result<Self, Error> {
        let loss = searcher.loss(genotype, batches)?;
        let loss = if loss.is_nan() { f64::INFINITY } else { loss };
        let judges = &searcher.config.judges;
        if judges.iter().all(|judge| judge.proxy().is_none()) {
            return Ok(Self { loss, scores: vec![-loss; judges.len()] });
        }
        let graph = as_trained(&searcher.supernet, genotype)?;
        let weights = fresh(&graph, searcher.config.seed);
        let score = |judge: &Criterion| judge.proxy().map_or(-loss, |proxy| proxy.score_with(&graph, &weights, shown));
        Ok(Self { loss, scores: judges.iter().map(score).collect() })
    }
}

/// Per judge the places of the candidate chosen and of the first, which is the algorithm's own choice.
fn places(judges: &[Criterion], trials: &[Trial], chosen: usize) -> Vec<Places> {
    let of = |(i, judge): (usize, &Criterion)| {
        let scores: Vec<f64> = trials.iter().map(|trial| trial.scores[i]).collect();
        let ranks = ranks(&scores);
        // The highest score has the highest rank, and the first place.
        let place = |trial: usize| (trials.len() + 1) as f64 - ranks[trial];
        Places { judge: judge.name().to_owned(), chosen: place(chosen), own: place(0) }
    };
    judges.iter().enumerate().map(of).collect()
}

/// Which candidate from `first` on has the largest sum of ranks; of equals that with the smallest loss, then the first.
fn first_of(trials: &[Trial], first: usize) -> usize {
    let mut sums = vec![0.0; trials.len()];
    for judge in 0..trials[0].scores.len() {
        let scores: Vec<f64> = trials.iter().map(|trial| trial.scores[judge]).collect();
        for (sum, rank) in sums.iter_mut().zip(ranks(&scores)) {
            *sum += rank;
        }
    }
    let mut best = first;
    for i in first + 1..trials.len() {
        if sums[i] > sums[best] || (sums[i] == sums[best] && trials[i].loss < trials[best].loss) {
            best = i;
        }
    }
    best
}

/// A cell's network in the supernet's size, built as it would be trained: with scale and shift after every convolution.
fn as_trained(supernet: &Supernet, genotype: &Genotype) -> Result<Graph, Error> {
    let config = NetworkConfig { affine: true, ..supernet.config.clone() };
    Ok(derive(&supernet.blocks, &config, genotype)?)
}

/// The algorithm's own choice, then cells drawn from alpha and uniformly, by turns, without repetition and within the
/// bounds on cost.
pub(super) fn candidates(searcher: &Searcher, own: Genotype) -> Vec<Genotype> {
    let config = &searcher.config;
    let mut found = vec![own];
    for draw in 0..10 * config.candidates as u64 {
        // The space may hold fewer cells than are asked for.
        if found.len() >= config.candidates {
            break;
        }
        // The largest of logits with Gumbel noise is a draw from their softmax, the largest noise a uniform one.
        let mut rng = Rng::new(config.seed, Stream::Architectures, draw);
        let scale = if draw.is_multiple_of(2) { 1.0 } else { 0.0 };
        let mut noisy =
            |alpha: &Alpha| alpha.map_rows(|row| row.iter().map(|alpha| scale * alpha + rng.gumbel()).collect());
        let genotype = searcher.genotype_of(&searcher.alpha.iter().map(&mut noisy).collect::<Vec<_>>());
        if !found.contains(&genotype) && searcher.affords(&genotype) {
            found.push(genotype);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Trial, first_of};

    /// Trials of these losses, judged by them and by other scores.
    fn trials(losses: &[f64], others: &[&[f64]]) -> Vec<Trial> {
        let scores = |i: usize| std::iter::once(-losses[i]).chain(others.iter().map(|other| other[i])).collect();
        (0..losses.len()).map(|i| Trial { loss: losses[i], scores: scores(i) }).collect()
    }

    /// Judges of quite different scales weigh the same; equals go by the loss, then by their place.
    #[test]
    fn the_best_sum_of_ranks_is_first() {
        let losses = [0.5, 0.1, 0.4, 0.9];
        let of = |others: &[&[f64]]| first_of(&trials(&losses, others), 0);
        assert_eq!(of(&[]), 1);
        // Ranks by loss 2 4 3 1, by the other 3 1 4 2: sums 5 5 7 3.
        assert_eq!(of(&[&[1e30, 1e-30, 1e40, 1.0]]), 2);
        // 2 4 3 1 and 3 1 2 4: all 5; the smallest loss.
        assert_eq!(of(&[&[3.0, f64::NEG_INFINITY, 2.0, 4.0]]), 1);
        // Two that agree outvote the loss.
        assert_eq!(of(&[&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 1e40]]), 2);
        assert_eq!(first_of(&trials(&[f64::INFINITY, f64::INFINITY], &[&[1.0, 1.0]]), 0), 0);
        assert_eq!(first_of(&trials(&[0.1, 0.2], &[]), 1), 1);
    }
}
