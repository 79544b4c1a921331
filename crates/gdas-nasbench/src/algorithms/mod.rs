//! Search algorithms without shared weights, on the benchmark's table: each query is one simulated training of 12 epochs.
//! The settings are those that the benchmark's authors published with their code; each file names its source.

mod bohb;
mod evolution;
mod local;
mod random;
mod reinforce;

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use bohb::Bohb;
pub use evolution::RegularizedEvolution;
pub use reinforce::Reinforce;

use crate::{BenchmarkError, Budget, CANDIDATES, Cell, Dataset, Simulator, Table};
use gdas::rng::{Rng, Stream};

/// Simulated time budget of a search in NAS-Bench-201's scripts, in seconds
/// (AutoDL-Projects, `scripts-search/NAS-Bench-201-algos/*.sh`).
pub const BUDGET_SECONDS: f64 = 12_000.0;

/// A search algorithm on the benchmark's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableAlgorithm {
    /// Random search (RS).
    Random,
    /// Regularized evolution (REA).
    Evolution,
    /// Policy gradient (REINFORCE).
    Reinforce,
    /// Bayesian optimisation and Hyperband (BOHB).
    Bohb,
    /// Local search with restarts.
    Local,
}

impl TableAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] = [Self::Random, Self::Evolution, Self::Reinforce, Self::Bohb, Self::Local];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Evolution => "evolution",
            Self::Reinforce => "reinforce",
            Self::Bohb => "bohb",
            Self::Local => "local",
        }
    }

    /// The name in the benchmark's paper.
    pub fn title(self) -> &'static str {
        match self {
            Self::Random => "RS",
            Self::Evolution => "REA",
            Self::Reinforce => "REINFORCE",
            Self::Bohb => "BOHB",
            Self::Local => "Local search",
        }
    }

    /// Searches until the budget is spent, with the published settings.
    pub fn search(self, simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
        match self {
            Self::Random => random::search(simulator, rng),
            Self::Evolution => RegularizedEvolution::default().search(simulator, rng),
            Self::Reinforce => Reinforce::default().search(simulator, rng),
            Self::Bohb => Bohb::default().search(simulator, rng),
            Self::Local => local::search(simulator, rng),
        }
    }

    /// Runs one search with this seed.
    pub fn run(
        self,
        table: &Table,
        dataset: Dataset,
        budget: Budget,
        seed: u64,
    ) -> Result<TableSearchResult, BenchmarkError> {
        let mut simulator = Simulator::new(table, dataset, budget, seed)?;
        let mut rng = Rng::new(seed, Stream::Algorithm, self as u64);
        self.search(&mut simulator, &mut rng)?;
        let best = simulator.best().ok_or_else(|| {
            BenchmarkError::Settings("the budget does not suffice to train one cell; raise it".to_owned())
        })?;
        let mut trace: Vec<Improvement> = Vec::new();
        for visit in simulator.history() {
            if trace.last().is_none_or(|last| visit.accuracy > last.accuracy) {
                trace.push(Improvement { seconds: visit.seconds, index: visit.index, accuracy: visit.accuracy });
            }
        }
        Ok(TableSearchResult {
            algorithm: self,
            dataset,
            seed,
            best: best.index,
            accuracy: best.accuracy,
            queries: simulator.history().len(),
            seconds: simulator.seconds(),
            nominal_seconds: simulator.is_nominal(),
            trace,
        })
    }

    /// Searches with many seeds, in parallel; the result does not depend on the number of threads.
    pub fn run_seeds(
        self,
        table: &Table,
        dataset: Dataset,
        budget: Budget,
        seeds: std::ops::Range<u64>,
    ) -> Result<Vec<TableSearchResult>, BenchmarkError> {
        seeds.into_par_iter().map(|seed| self.run(table, dataset, budget, seed)).collect()
    }
}

impl fmt::Display for TableAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TableAlgorithm {
    type Err = BenchmarkError;

    fn from_str(text: &str) -> Result<Self, BenchmarkError> {
        let wanted = text.to_ascii_lowercase();
        let wanted = match wanted.as_str() {
            "rs" => "random",
            "rea" => "evolution",
            "rl" => "reinforce",
            other => other,
        };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == wanted).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|algorithm| algorithm.name()).collect();
            BenchmarkError::Settings(format!("unknown algorithm `{text}`: expected one of {}", known.join(", ")))
        })
    }
}

/// A cell that was better than all before it in a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Improvement {
    /// Simulated time since the start in seconds.
    pub seconds: f64,
    /// Index of the cell.
    pub index: usize,
    /// Accuracy on the held-out images in percent, after the training that the search queried.
    pub accuracy: f64,
}

/// Result of a search on the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSearchResult {
    /// The algorithm.
    pub algorithm: TableAlgorithm,
    /// The data set searched on.
    pub dataset: Dataset,
    /// The seed.
    pub seed: u64,
    /// Index of the cell with the best accuracy on the held-out images.
    pub best: usize,
    /// Its accuracy in percent, in the training that the search queried.
    pub accuracy: f64,
    /// Number of trainings within the budget.
    pub queries: usize,
    /// Simulated time of these trainings in seconds.
    pub seconds: f64,
    /// Whether the time is [`NOMINAL_SECONDS`](crate::NOMINAL_SECONDS) per training, as the table has no times.
    pub nominal_seconds: bool,
    /// The successive best cells.
    pub trace: Vec<Improvement>,
}

/// A cell drawn uniformly.
fn random_cell(rng: &mut Rng) -> Cell {
    std::array::from_fn(|_| rng.below(CANDIDATES) as u8)
}
