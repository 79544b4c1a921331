//! Judged selection: the final cell is chosen among many candidates instead of by alpha alone (GDAS, DARTS).
//!
//! The candidates are the cell derived from alpha, cells sampled from alpha, and cells sampled uniformly. Several judges
//! rank them: the loss on the same held-out images with the shared weights, and zero-cost proxies ([`crate::proxies`]) with
//! separate initial weights. The best sum of ranks is the result; ranks, as losses and scores have no common scale.
//!
//! Short searches need this: alpha moves towards operations without parameters before the others are trained, and ends in
//! cells that hardly learn. The shared weights of a short search recognise such cells, but rank the others poorly; proxies
//! rank those well, but do not depend on the data.
//!
//! SETN (Dong and Yang, ICCV 2019) also evaluates candidates with the shared weights, by accuracy instead of loss.
//! Normalisations use batch statistics, as running ones are averages over all cells. Ranking by several proxies follows
//! Abdelfattah et al. (ICLR 2021, section 3.2), where they vote pairwise. Half of the candidates do not depend on alpha,
//! which may be misled (figures: `docs/results.md`).

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

/// Number of batches for the loss of each candidate.
const BATCHES: u64 = 4;

/// Number of candidates measured for planning.
const TIMED: usize = 3;

/// Selects the candidate with the best sum of ranks over the configured judges.
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
        // The cell derived from alpha may exceed a cost bound; the other candidates do not.
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

/// Measures the time per candidate in seconds by a few trials; for planning only.
pub(crate) fn seconds_per_candidate(searcher: &Searcher, judge: &Judge) -> Result<f64, Error> {
    let batches: Vec<Batch> = (0..judge.steps().min(BATCHES)).map(|i| judge.batch(i)).collect();
    let candidates = candidates(searcher, searcher.genotype());
    let tried = &candidates[..candidates.len().min(TIMED)];
    let started = Instant::now();
    let trial = |genotype: &Genotype| Trial::of(searcher, &judge.shown, &batches, genotype);
    side_by_side(tried, at_once(searcher), trial, |_| Ok(true))?;
    Ok(started.elapsed().as_secs_f64() / tried.len() as f64)
}

/// Number of candidates judged concurrently: several on the CPU, one on a GPU.
fn at_once(searcher: &Searcher) -> usize {
    if *searcher.supernet.weights.device() == Device::flex() { AT_ONCE } else { 1 }
}

/// The judges' results for a candidate.
#[derive(Clone, Debug)]
struct Trial {
    /// Held-out loss with the shared weights; infinite if it is NaN.
    loss: f64,
    /// Score by each judge; higher is better.
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

/// For each judge the ranks of the chosen candidate and of the first, which is the algorithm's genotype.
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

/// Index of the candidate from `first` on with the largest sum of ranks; of equals the one with the smallest loss, then the
/// first.
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

/// The network of a cell at the supernet's size, built as for training: with scale and shift in all normalisations.
fn as_trained(supernet: &Supernet, genotype: &Genotype) -> Result<Graph, Error> {
    let config = NetworkConfig { affine: true, ..supernet.config.clone() };
    Ok(derive(&supernet.blocks, &config, genotype)?)
}

/// The algorithm's genotype, then alternately cells sampled from alpha and uniformly, without repetition and within the
/// cost bounds.
pub(super) fn candidates(searcher: &Searcher, own: Genotype) -> Vec<Genotype> {
    let config = &searcher.config;
    let mut found = vec![own];
    for draw in 0..10 * config.candidates as u64 {
        // The space may have fewer cells than requested.
        if found.len() >= config.candidates {
            break;
        }
        // The argmax of logits plus Gumbel noise is a sample of their softmax, the argmax of the noise a uniform one.
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
