//! Regularized evolution (Real et al., AAAI 2019, algorithm 1): of a few individuals drawn at random the best becomes
//! a parent, its mutated child joins the population, and the oldest dies.

use std::collections::VecDeque;

use super::random_cell;
use crate::{BenchmarkError, CANDIDATES, Cell, Simulator};
use gdas::rng::Rng;

/// Settings of regularized evolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegularizedEvolution {
    /// Size of the population.
    pub population: usize,
    /// Tournament size: individuals drawn with repetition to select a parent.
    pub sample: usize,
}

/// `--ea_population 10 --ea_sample_size 3` (AutoDL-Projects, `exps/NATS-algos/run-all.sh`).
impl Default for RegularizedEvolution {
    fn default() -> Self {
        Self { population: 10, sample: 3 }
    }
}

impl RegularizedEvolution {
    /// Searches until the budget is spent.
    pub fn search(&self, simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
        if self.population == 0 || self.sample == 0 {
            return Err(BenchmarkError::Settings("population and sample must be at least 1".to_owned()));
        }
        let mut population: VecDeque<(Cell, f64)> = VecDeque::new();
        while population.len() < self.population {
            let cell = random_cell(rng);
            let Some(accuracy) = simulator.train(cell)? else { return Ok(()) };
            population.push_back((cell, accuracy));
        }
        loop {
            let mut parent = population[rng.below(population.len())];
            for _ in 1..self.sample {
                let other = population[rng.below(population.len())];
                if other.1 > parent.1 {
                    parent = other;
                }
            }
            let child = mutated(parent.0, rng);
            let Some(accuracy) = simulator.train(child)? else { return Ok(()) };
            population.push_back((child, accuracy));
            population.pop_front();
        }
    }
}

/// The cell with one operation changed to another: a node is drawn first, then one of its edges, as in the
/// published code, so that the edge into the first node changes more often than the others.
fn mutated(mut cell: Cell, rng: &mut Rng) -> Cell {
    let node = rng.below(3);
    let edge = node * (node + 1) / 2 + rng.below(node + 1);
    let step = 1 + rng.below(CANDIDATES - 1);
    cell[edge] = ((usize::from(cell[edge]) + step) % CANDIDATES) as u8;
    cell
}

#[cfg(test)]
mod tests {
    use super::mutated;
    use gdas::rng::{Rng, Stream};

    #[test]
    fn a_mutation_changes_exactly_one_operation_and_reaches_every_edge() {
        let mut rng = Rng::new(3, Stream::Algorithm, 0);
        let mut changed = [0; 6];
        for _ in 0..9_000 {
            let child = mutated([4, 3, 2, 1, 0, 4], &mut rng);
            let edges: Vec<_> = (0..6).filter(|i| child[*i] != [4, 3, 2, 1, 0, 4][*i]).collect();
            assert_eq!(edges.len(), 1);
            changed[edges[0]] += 1;
        }
        // Each node is drawn with probability 1/3, shared among its edges.
        for (edge, expected) in [3_000, 1_500, 1_500, 1_000, 1_000, 1_000].into_iter().enumerate() {
            assert!(i32::abs(changed[edge] - expected) < 200, "edge {edge}: {}", changed[edge]);
        }
    }
}
