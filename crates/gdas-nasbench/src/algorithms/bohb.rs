//! BOHB (Falkner, Klein and Hutter, ICML 2018): Hyperband whose cells are proposed by a pair of kernel density
//! estimates, one of good cells and one of the others, instead of at random.
//!
//! Follows HpBandSter's `BOHB` with the settings of AutoDL-Projects (`exps/NATS-algos/bohb.py`, `run-all.sh`): rungs of
//! 1, 4 and 12 epochs. Where the table has no learning curves only the 12 epochs are left, so every bracket is a single
//! training and what remains is the model-based search; that is no longer BOHB's successive halving, and results from
//! such a table must say so.
//!
//! Two differences from HpBandSter: the kernel's number of levels is always 5 (there: the levels seen so far, which may
//! divide by zero), and a bandwidth is at most 4/5, where the kernel is uniform (there: it may pass 1 and make the
//! density negative).

use super::random_cell;
use crate::{BenchmarkError, CANDIDATES as K, Cell, EDGES, SHORT_EPOCHS, Simulator};
use gdas::rng::Rng;

/// Settings of BOHB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bohb {
    /// Reduction factor (eta): one training in eta is promoted to the next rung, with eta times the epochs.
    pub eta: usize,
    /// Epochs of the shortest rung.
    pub min_epochs: u16,
    /// Number of proposals drawn per cell; the one with the best ratio of densities is trained.
    pub samples: usize,
    /// Fraction of cells that are drawn uniformly even when there is a model.
    pub random_fraction: f64,
    /// Smallest bandwidth of the kernels.
    pub min_bandwidth: f64,
    /// Percentage of the trainings that are used for the density of good cells.
    pub top_percent: usize,
}

/// `eta=3, min_budget=1, max_budget=12` and `min_bandwidth` 0.3 (`bohb.py`), `--num_samples 4 --random_fraction 0.0`
/// (`run-all.sh`), `top_n_percent=15` (HpBandSter's default).
impl Default for Bohb {
    fn default() -> Self {
        Self { eta: 3, min_epochs: 1, samples: 4, random_fraction: 0.0, min_bandwidth: 0.3, top_percent: 15 }
    }
}

impl Bohb {
    /// Searches until the budget is spent.
    pub fn search(&self, simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
        if self.eta < 2 || self.min_epochs == 0 || self.min_epochs > SHORT_EPOCHS || self.samples == 0 {
            return Err(BenchmarkError::Settings(
                "BOHB needs eta of at least 2, at least 1 sample and 1 to 12 epochs in the shortest rung".to_owned(),
            ));
        }
        let epochs = if simulator.has_curves() { self.rungs() } else { vec![SHORT_EPOCHS] };
        let mut seen: Vec<Vec<(Cell, f64)>> = vec![Vec::new(); epochs.len()];
        for iteration in 0.. {
            // The brackets alternate, starting with the one that has the most cells in the shortest rung.
            let first = iteration % epochs.len();
            let halvings = epochs.len() - 1 - first;
            let starters = epochs.len() / (halvings + 1) * self.eta.pow(halvings as u32);
            let mut alive: Vec<(Cell, f64)> = Vec::new();
            for _ in 0..starters {
                let cell = self.propose(&seen, rng);
                let Some(accuracy) = simulator.train_for(cell, epochs[first])? else { return Ok(()) };
                seen[first].push((cell, accuracy));
                alive.push((cell, accuracy));
            }
            for (halving, rung) in (first + 1..epochs.len()).enumerate() {
                alive.sort_by(|a, b| b.1.total_cmp(&a.1));
                alive.truncate((starters / self.eta.pow(halving as u32 + 1)).max(1));
                for (cell, accuracy) in &mut alive {
                    let Some(trained) = simulator.train_for(*cell, epochs[rung])? else { return Ok(()) };
                    *accuracy = trained;
                    seen[rung].push((*cell, trained));
                }
            }
        }
        Ok(())
    }

    /// Epochs of the rungs: 12 divided by powers of eta, rounded down, not below the shortest.
    fn rungs(&self) -> Vec<u16> {
        let mut rungs = Vec::new();
        let mut epochs = f64::from(SHORT_EPOCHS);
        while epochs >= f64::from(self.min_epochs) {
            rungs.push(epochs as u16);
            epochs /= self.eta as f64;
        }
        rungs.reverse();
        rungs
    }

    /// The next cell: by the model of the longest rung that has enough trainings, or else at random.
    fn propose(&self, seen: &[Vec<(Cell, f64)>], rng: &mut Rng) -> Cell {
        let model = seen.iter().rev().find_map(|trainings| self.fit(trainings));
        let Some((good, bad)) = model else { return random_cell(rng) };
        if rng.uniform() < self.random_fraction {
            return random_cell(rng);
        }
        let mut best: Option<(Cell, f64)> = None;
        for _ in 0..self.samples {
            let cell = good.sample(rng);
            let ratio = bad.density(cell).max(1e-32) / good.density(cell).max(1e-32);
            if best.is_none_or(|(_, smallest)| ratio < smallest) {
                best = Some((cell, ratio));
            }
        }
        best.map_or_else(|| random_cell(rng), |(cell, _)| cell)
    }

    /// Densities of the good trainings and of the others; each needs one more training than there are edges.
    fn fit(&self, trainings: &[(Cell, f64)]) -> Option<(Density, Density)> {
        let least = EDGES + 1;
        let mut sorted = trainings.to_vec();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let good = least.max(self.top_percent * sorted.len() / 100);
        let bad = least.max((100 - self.top_percent.min(100)) * sorted.len() / 100);
        if sorted.len() < good + least {
            return None;
        }
        let cells: Vec<Cell> = sorted.into_iter().map(|(cell, _)| cell).collect();
        let end = (good + bad).min(cells.len());
        Some((self.density(&cells[..good]), self.density(&cells[good..end])))
    }

    fn density(&self, cells: &[Cell]) -> Density {
        let n = cells.len() as f64;
        let bandwidths = std::array::from_fn(|edge| {
            let mean = cells.iter().map(|cell| f64::from(cell[edge])).sum::<f64>() / n;
            let variance = cells.iter().map(|cell| (f64::from(cell[edge]) - mean).powi(2)).sum::<f64>() / n;
            // Scott's normal reference rule, as HpBandSter's estimator applies it to the operations' numbers.
            let reference = 1.06 * variance.sqrt() * n.powf(-1.0 / (4.0 + EDGES as f64));
            reference.max(self.min_bandwidth).min((K - 1) as f64 / K as f64)
        });
        Density { cells: cells.to_vec(), bandwidths }
    }
}

/// A kernel density estimate over cells: a product over the edges of Aitchison and Aitken's kernel.
struct Density {
    cells: Vec<Cell>,
    bandwidths: [f64; EDGES],
}

impl Density {
    fn density(&self, at: Cell) -> f64 {
        let kernel = |cell: &Cell| -> f64 {
            (0..EDGES)
                .map(|edge| {
                    let bandwidth = self.bandwidths[edge];
                    if cell[edge] == at[edge] { 1.0 - bandwidth } else { bandwidth / (K - 1) as f64 }
                })
                .product()
        };
        self.cells.iter().map(kernel).sum::<f64>() / self.cells.len() as f64
    }

    /// One of the cells, with each operation redrawn with the probability of its bandwidth.
    fn sample(&self, rng: &mut Rng) -> Cell {
        let mut cell = self.cells[rng.below(self.cells.len())];
        for edge in 0..EDGES {
            if rng.uniform() >= 1.0 - self.bandwidths[edge] {
                cell[edge] = rng.below(K) as u8;
            }
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::{Bohb, Cell, K};

    #[test]
    fn the_rungs_are_those_of_the_published_run() {
        assert_eq!(Bohb::default().rungs(), [1, 4, 12]);
    }

    #[test]
    fn a_density_sums_to_one_over_all_cells() {
        let density = Bohb::default().density(&[[0, 1, 2, 3, 4, 0], [1, 1, 2, 3, 4, 2], [4, 0, 2, 3, 0, 0]]);
        let mut sum = 0.0;
        for number in 0..K.pow(6) {
            let cell: Cell = std::array::from_fn(|edge| (number / K.pow(edge as u32) % K) as u8);
            sum += density.density(cell);
        }
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
}
