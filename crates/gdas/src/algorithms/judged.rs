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

use super::Judge;
use crate::benchmark::ranks;
use crate::network::{NetworkConfig, derive};
use crate::rng::{Rng, Stream};
use crate::run::Interrupt;
use crate::sampler::Table;
use crate::search::Searcher;
use crate::space::Genotype;
use crate::supernet::Supernet;

/// Batches that every candidate's loss is taken on.
const BATCHES: u64 = 4;

/// Images that proxies are shown: fewer than published, to spend no more time on them than on the losses.
pub(super) const SHOWN: usize = 32;

/// The best candidate. `None` if interrupted.
pub(super) fn choose(searcher: &Searcher, judge: &Judge, interrupt: &Interrupt) -> Option<Judged> {
    let batches: Vec<_> = (0..judge.steps().min(BATCHES)).map(|i| judge.batch(i)).collect();
    let candidates = candidates(searcher);
    let judges = &searcher.config.judges;
    let mut losses = Vec::with_capacity(candidates.len());
    let mut scores = vec![Vec::with_capacity(candidates.len()); judges.len()];
    for genotype in &candidates {
        if interrupt.is_requested() {
            return None;
        }
        let loss = searcher.loss(genotype, &batches);
        // A loss that is no number is the worst.
        let loss = if loss.is_nan() { f64::INFINITY } else { loss };
        losses.push(loss);
        let graph = as_trained(&searcher.supernet, genotype);
        for (scores, criterion) in scores.iter_mut().zip(judges) {
            let of_proxy = criterion.proxy().map(|proxy| proxy.score(&graph, &judge.shown, searcher.config.seed));
            scores.push(of_proxy.unwrap_or(-loss));
        }
    }
    // Alpha may stand for a cell that costs too much, while all the others are affordable.
    let first = usize::from(candidates.len() > 1 && !searcher.affords(&candidates[0]));
    let best = first_of(&scores, &losses, first);
    Some(Judged { genotype: candidates[best].clone(), loss: losses[best], own_loss: losses[0] })
}

/// What judging came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// The candidate chosen.
    pub(crate) genotype: Genotype,
    /// Its held-out loss with the shared weights.
    pub(crate) loss: f64,
    /// That of alpha's own choice.
    pub(crate) own_loss: f64,
}

/// Which candidate from `first` on has the largest sum of ranks by these scores, `[judge][candidate]`; of equals that
/// with the smallest loss, then the first.
fn first_of(scores: &[Vec<f64>], losses: &[f64], first: usize) -> usize {
    let mut sums = vec![0.0; losses.len()];
    for scores in scores {
        for (sum, rank) in sums.iter_mut().zip(ranks(scores)) {
            *sum += rank;
        }
    }
    let mut best = first;
    for i in first + 1..losses.len() {
        if sums[i] > sums[best] || (sums[i] == sums[best] && losses[i] < losses[best]) {
            best = i;
        }
    }
    best
}

/// A cell's network in the supernet's size, built as it would be trained: with scale and shift after every convolution.
fn as_trained(supernet: &Supernet, genotype: &Genotype) -> gdas_kernels::graph::Graph {
    let config = NetworkConfig { affine: true, ..supernet.config.clone() };
    derive(&supernet.space, &supernet.blocks, &config, genotype)
}

/// Alpha's own choice, then cells drawn from alpha and uniformly, by turns, without repetition and within the bounds on
/// cost.
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
        if !found.contains(&genotype) && searcher.affords(&genotype) {
            found.push(genotype);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::first_of;

    /// Judges of quite different scales weigh the same; equals go by the loss, then by their place.
    #[test]
    fn the_best_sum_of_ranks_is_first() {
        let losses = [0.5, 0.1, 0.4, 0.9];
        let by_loss: Vec<f64> = losses.iter().map(|loss: &f64| -loss).collect();
        let of = |scores: &[&[f64]]| first_of(&scores.iter().map(|s| s.to_vec()).collect::<Vec<_>>(), &losses, 0);
        assert_eq!(of(&[&by_loss]), 1);
        assert_eq!(of(&[&[1.0, 1e-9, 2.0, 1e40]]), 3);
        // Ranks by loss 2 4 3 1, by the other 3 1 4 2: sums 5 5 7 3.
        assert_eq!(of(&[&by_loss, &[1e30, 1e-30, 1e40, 1.0]]), 2);
        // 2 4 3 1 and 3 1 2 4: all 5; the smallest loss.
        assert_eq!(of(&[&by_loss, &[3.0, f64::NEG_INFINITY, 2.0, 4.0]]), 1);
        assert_eq!(first_of(&[vec![1.0, 1.0]], &[f64::INFINITY, f64::INFINITY], 0), 0);
        assert_eq!(first_of(&[vec![2.0, 1.0]], &[0.1, 0.2], 1), 1);
    }
}
