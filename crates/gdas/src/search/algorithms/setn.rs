//! SETN (Dong and Yang, "One-shot neural architecture search via self-evaluated template network", ICCV 2019).
//!
//! Each step trains the weights of a uniformly sampled network, and alpha through the mixture of all operations, weighted
//! by `softmax(alpha)`. At the end, the most probable cells are evaluated with the shared weights, and the best of them is
//! the result.
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/SETN.config` and `exps/NAS-Bench-201-algos/SETN.py` (250
//! epochs, no clipping of gradients, 100 candidates, each judged on one batch of 512 held-out images with running
//! statistics). Difference: that choice is made once, at the end; the cells of earlier epochs are the argmax of alpha.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Algorithm;
use super::darts::move_alpha;
use crate::Error;
use crate::alpha::softmax;
use crate::rng::Stream;
use crate::search::context::{StepContext, StepReport};
use crate::search::searcher::Searcher;

/// SETN: self-evaluated template network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setn;

impl Algorithm for Setn {
    fn name(&self) -> &'static str {
        "setn"
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let picks = step.draw_uniform(Stream::DrawWeights);
        let trained = step.train_picks(&picks)?;
        let held_out = move_alpha(step, &step.supernet().mixture(), trained)?;
        Ok(StepReport { training: held_out.training, held_out: Some(held_out.metrics), picks, redraws: 0 })
    }

    /// The most probable cells under `softmax(alpha)`, the most probable first.
    fn candidates(&self, searcher: &Searcher) -> Option<Vec<Vec<Vec<usize>>>> {
        let rows: Vec<Vec<f64>> = searcher.alpha.iter().flat_map(|alpha| alpha.rows().map(softmax)).collect();
        let cut = |picks: Vec<usize>| {
            let mut rest = picks.as_slice();
            let cells = searcher.alpha.iter().map(|alpha| {
                let (own, after) = rest.split_at(alpha.edges());
                rest = after;
                own.to_vec()
            });
            cells.collect()
        };
        Some(most_probable(&rows, searcher.config.candidates).into_iter().map(cut).collect())
    }
}

/// A choice of one column per row, as the ranks of the columns within their rows.
struct Choice {
    log_probability: f64,
    places: Vec<usize>,
}

impl Ord for Choice {
    /// Orders by probability; of equals the one with lower ranks is greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.log_probability.total_cmp(&other.log_probability).then_with(|| other.places.cmp(&self.places))
    }
}

impl PartialOrd for Choice {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Choice {}

/// The `count` most probable choices of one column per row, for independent rows. A best-first search: it takes the most
/// probable choice and adds those with the next rank in one row.
fn most_probable(rows: &[Vec<f64>], count: usize) -> Vec<Vec<usize>> {
    let orders: Vec<Vec<usize>> = rows
        .iter()
        .map(|row| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            order
        })
        .collect();
    let picks = |places: &[usize]| orders.iter().zip(places).map(|(order, &place)| order[place]).collect::<Vec<_>>();
    let choice = |places: Vec<usize>| {
        let log_probability = rows.iter().zip(picks(&places)).map(|(row, pick)| row[pick].ln()).sum();
        Choice { log_probability, places }
    };
    let mut heap = BinaryHeap::from([choice(vec![0; rows.len()])]);
    let mut found = Vec::new();
    while found.len() < count
        && let Some(best) = heap.pop()
    {
        // Each choice has a unique parent: the one without its last increment.
        let last = best.places.iter().rposition(|&place| place > 0).unwrap_or(0);
        for row in last..rows.len() {
            let mut places = best.places.clone();
            places[row] += 1;
            if places[row] < orders[row].len() {
                heap.push(choice(places));
            }
        }
        found.push(picks(&best.places));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Against a list of all choices.
    #[test]
    fn the_most_probable_choices_are_those_of_a_full_list() {
        let mut rng = Rng::new(1, Stream::Alpha, 0);
        let rows: Vec<Vec<f64>> = (0..4).map(|_| softmax(&(0..3).map(|_| rng.normal()).collect::<Vec<_>>())).collect();
        let probability = |picks: &[usize]| rows.iter().zip(picks).map(|(row, &pick)| row[pick]).product::<f64>();
        let mut all: Vec<Vec<usize>> = (0..81).map(|n| (0..4).map(|row| n / 3usize.pow(row) % 3).collect()).collect();
        all.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
        assert_eq!(most_probable(&rows, 81), all);
        assert_eq!(most_probable(&rows, 7), all[..7]);
        assert_eq!(most_probable(&rows, 1000).len(), 81);
    }
}
