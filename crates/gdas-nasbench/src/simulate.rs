//! Simulated training: a query of a cell costs the simulated time that its training took.

use serde::{Deserialize, Serialize};

use super::cells::Cell;
use super::{BenchmarkError, Dataset, Quantity, Seeds, Setting, Table};
use gdas::rng::{Rng, Stream};

/// Number of epochs of the trainings that a search queries.
pub const SHORT_EPOCHS: u16 = 12;

/// Assumed time in seconds of a short training and one evaluation, for tables without times.
///
/// The mean over the three cells whose official records are public in NATS-Bench's repository (indices 0, 11 and 284:
/// 89.2, 153.7 and 60.9 s for 12 epochs on `cifar10-valid` and one evaluation). A budget of 12,000 s is then 118 cells.
pub const NOMINAL_SECONDS: f64 = 101.3;

/// Budget of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Limit on the simulated time in seconds; a training that would exceed it is not started.
    Seconds(f64),
    /// Limit on the number of trainings.
    Queries(usize),
}

/// One simulated training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Visit {
    /// Index of the cell.
    pub index: usize,
    /// Number of epochs.
    pub epochs: u16,
    /// Accuracy on the held-out images, in percent.
    pub accuracy: f64,
    /// Simulated time at its end, in seconds since the start.
    pub seconds: f64,
}

/// Simulates the training of cells by table look-ups, and tracks the simulated time.
///
/// As in the benchmark's own searches, a query returns one run drawn at random among the seeds of the 12-epoch
/// training, and costs its training and one evaluation. A search on CIFAR-10 queries `cifar10-valid`.
pub struct Simulator<'t> {
    table: &'t Table,
    setting: Setting,
    budget: Budget,
    nominal: bool,
    curves: bool,
    rng: Rng,
    history: Vec<Visit>,
}

impl<'t> Simulator<'t> {
    /// A simulator for a search on this data set; `seed` determines which runs the queries return.
    pub fn new(table: &'t Table, dataset: Dataset, budget: Budget, seed: u64) -> Result<Self, BenchmarkError> {
        let valid = match budget {
            Budget::Seconds(seconds) => seconds.is_finite() && seconds > 0.0,
            Budget::Queries(queries) => queries > 0,
        };
        if !valid {
            return Err(BenchmarkError::Settings("the budget of a search must be positive".to_owned()));
        }
        let setting = Setting::new(dataset.for_search(), SHORT_EPOCHS);
        let example = (0..table.len()).find(|index| !table.seeds(*index, setting).is_empty());
        let quantity = Quantity::ValidAccuracy;
        let example = example.ok_or(BenchmarkError::NoQuantity { quantity: quantity.name(), setting })?;
        let record = table.query(example, setting, Seeds::Mean)?;
        let nominal = record.get(Quantity::TrainSeconds).and(record.get(Quantity::ValidSeconds)).is_none();
        let curves = table.curve(example, setting, Seeds::Mean, quantity)?.is_some();
        let rng = Rng::new(seed, Stream::Query, 0);
        Ok(Self { table, setting, budget, nominal, curves, rng, history: Vec::new() })
    }

    /// Whether times are [`NOMINAL_SECONDS`], as the table has none.
    pub fn is_nominal(&self) -> bool {
        self.nominal
    }

    /// Whether cells can be trained for fewer than 12 epochs, which requires learning curves in the table.
    pub fn has_curves(&self) -> bool {
        self.curves
    }

    /// The index of a cell.
    pub fn index_of(&self, cell: Cell) -> Result<usize, BenchmarkError> {
        self.table.index_of(cell).ok_or_else(|| BenchmarkError::UnknownArchitecture {
            asked: format!("`{}`", super::cells::text(cell)),
            known: self.table.len(),
        })
    }

    /// Accuracy in percent of a cell trained for 12 epochs; `None` if the budget is exhausted.
    pub fn train(&mut self, cell: Cell) -> Result<Option<f64>, BenchmarkError> {
        self.train_for(cell, SHORT_EPOCHS)
    }

    /// As [`train`](Self::train), for the first `epochs` of the 12 (for all 12 if the table has no learning curves).
    pub fn train_for(&mut self, cell: Cell, epochs: u16) -> Result<Option<f64>, BenchmarkError> {
        let index = self.index_of(cell)?;
        let epochs = if self.curves { epochs.clamp(1, SHORT_EPOCHS) } else { SHORT_EPOCHS };
        let runs = self.table.seeds(index, self.setting);
        if runs.is_empty() {
            return Err(BenchmarkError::NoResults { index, setting: self.setting });
        }
        let seeds = runs[self.rng.below(runs.len())].map_or(Seeds::Mean, Seeds::One);
        let record = self.table.query(index, self.setting, seeds)?;
        let missing =
            |quantity: Quantity| BenchmarkError::NoQuantity { quantity: quantity.name(), setting: self.setting };
        let share = f64::from(epochs) / f64::from(SHORT_EPOCHS);
        let cost = if self.nominal {
            NOMINAL_SECONDS * share
        } else {
            let seconds = |quantity| record.get(quantity).ok_or_else(|| missing(quantity));
            seconds(Quantity::TrainSeconds)? * share + seconds(Quantity::ValidSeconds)?
        };
        let accuracy = if epochs == SHORT_EPOCHS {
            record.get(Quantity::ValidAccuracy)
        } else {
            let curve = self.table.curve(index, self.setting, seeds, Quantity::ValidAccuracy)?;
            curve.and_then(|curve| curve.get(usize::from(epochs) - 1).copied())
        };
        let accuracy = accuracy.ok_or_else(|| missing(Quantity::ValidAccuracy))?;
        let seconds = self.seconds() + cost;
        let affordable = match self.budget {
            Budget::Seconds(budget) => seconds <= budget,
            Budget::Queries(budget) => self.history.len() < budget,
        };
        if !affordable {
            return Ok(None);
        }
        self.history.push(Visit { index, epochs, accuracy, seconds });
        Ok(Some(accuracy))
    }

    /// Simulated time so far, in seconds.
    pub fn seconds(&self) -> f64 {
        self.history.last().map_or(0.0, |visit| visit.seconds)
    }

    /// All trainings so far, in order.
    pub fn history(&self) -> &[Visit] {
        &self.history
    }

    /// The training with the best accuracy so far; the first of equals.
    pub fn best(&self) -> Option<&Visit> {
        self.history.iter().reduce(|best, visit| if visit.accuracy > best.accuracy { visit } else { best })
    }
}
