//! Automatic runs: from images and a time budget to a trained network.
//!
//! [`auto`] takes these steps:
//!
//! 1. A search finds a cell of [`AutoConfig::space`], if the budget suffices for a useful search.
//! 2. That cell and [known good cells](candidates::known) become candidate networks, of the [sizes](candidates::sizes) that
//!    the budget and the bounds allow by their measured time per step.
//! 3. Successive halving by validation accuracy selects one of them. The validation images are held out of the training
//!    images; the test images are not used for selection.
//! 4. That network is trained on all training images for the time left, tested once, and exported.
//!
//! The run directory contains an ordinary run directory for each: `search`, `tried/1-1` and so on, `train`. Decisions that
//! depend on measured time are saved before they take effect, so that a resumed run does the same work.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bounds;
mod budget;
pub mod candidates;
mod config;
mod export;
mod halving;
mod offers;
mod plan;
mod recipe;
mod searching;
mod stage;
mod training;
mod trials;
mod work;

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use gdas::Error;
use gdas::data::{Dataset, Sampling};
use gdas::run::{AutoPart, Interrupt, Observer, RunDir};
use gdas::search::SearchResult;
use gdas::train::TrainResult;

use budget::Budget;
use candidates::{Cell, known};
use searching::Found;
use work::Work;

pub use candidates::Candidate;
pub use config::AutoConfig;
pub use trials::Tried;

/// Result of an automatic run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoResult {
    /// Result of the search; `None` if there was no time for one.
    pub search: Option<SearchResult>,
    /// The trials of candidate networks, in order.
    #[serde(default)]
    pub tried: Vec<Tried>,
    /// Result of the training of the selected network.
    pub train: TrainResult,
    /// Files of the exported network, relative to the run's directory.
    pub exported: Vec<PathBuf>,
}

/// How an automatic run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is complete; `result.json` is written.
    Finished(Box<AutoResult>),
    /// A stop was requested; all completed work is saved.
    Interrupted,
}

/// The budget and the time used so far, in seconds; the arguments are those of [`auto`].
pub fn time(config: &AutoConfig, run: &RunDir, started: Instant) -> (f64, f64) {
    let budget = Budget::open(run, config.budget_seconds, started);
    (budget.total(), budget.used())
}

/// Starts the automatic run in the directory `run`, or resumes it. The budget counts from `started`, which may be before
/// the images were read.
///
/// # Errors
/// If the configuration does not suit the data or the run, no network is within the bounds, a file cannot be read or
/// written, or a value is not finite.
pub fn auto(
    config: &AutoConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    started: Instant,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome, Error> {
    let interrupt = &interrupt.watching(run.path())?;
    run.begin_with(&config.data, &dataset.name, &dataset.digest())?;
    if recipe::sampling(dataset) == Sampling::Balanced && !run.path().join(trials::FILE).exists() {
        let message = format!(
            "the largest class has {:.1} times as many training images as the smallest, so each epoch shows every class \
             equally often (`sampling = \"balanced\"`)",
            dataset.imbalance()
        );
        run.warn(observer, message)?;
    }
    let budget = &Budget::open(run, config.budget_seconds, started);
    let mut work = Work { config, dataset, run, observer, interrupt, device, budget, best_accuracy: None };

    // Once the final training has begun, all selections are made.
    let is_chosen = stage::has_begun(work.run.path(), training::STAGE);
    let mut cells = known(&config.space);
    let search = if is_chosen && !stage::has_begun(work.run.path(), searching::STAGE) {
        None
    } else {
        match searching::search(&mut work, cells.is_empty())? {
            Found::Cell(result) => Some(*result),
            Found::Skipped => None,
            Found::Interrupted => return Ok(Outcome::Interrupted),
        }
    };
    if let Some(search) = &search
        && cells.iter().all(|cell| cell.genotype.cells != search.cells.cells)
    {
        // The cell found for these images is the second candidate.
        cells.insert(cells.len().min(1), Cell { name: "found".to_owned(), genotype: search.cells.clone() });
    }

    let (candidate, tried) = if is_chosen {
        (None, trials::done(work.run)?)
    } else {
        match trials::choose(&mut work, &cells)? {
            Some((candidate, tried)) => (Some(candidate), tried),
            None => return Ok(Outcome::Interrupted),
        }
    };

    let Some(train) = training::train(&mut work, candidate.as_ref())? else { return Ok(Outcome::Interrupted) };
    work.report(AutoPart::Export, "writing the network's files".to_owned(), None)?;
    let exported = export::export(work.run, device)?;
    let result = AutoResult { search, tried, train, exported };
    work.run.write_result(&result)?;
    budget.save(work.run)?;
    Ok(Outcome::Finished(Box::new(result)))
}
