//! Images in, the best network that a budget of time buys out: search, trials, training, test, export.
//!
//! [`auto`] is the whole on one page:
//!
//! 1. a search finds a cell ([`AutoConfig::space`]), where the time is enough for a search that finds something;
//! 2. that cell and some that are [`candidates::known`] to be good become networks of the [`candidates::sizes`]
//!    that the time and the bounds allow, by the time that training steps of them take here;
//! 3. short trainings of several, longer ones of fewer (successive halving) choose one of them by its accuracy on a part of the
//!    training images; the test images have no part in any choice;
//! 4. that network is trained on all training images for the time that is left, tested once, and exported.
//!
//! The directory of an automatic run holds an ordinary run for each: `search`, `tried/1-1` and so on, `train`. Whatever was
//! decided by the clock is in a file before it is acted on, so that a run that is resumed does the same work.
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

/// What an automatic run leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoResult {
    /// What the search found; `None` where the time was too short for one.
    pub search: Option<SearchResult>,
    /// Short trainings of several networks, which chose the one that was trained, in their order.
    #[serde(default)]
    pub tried: Vec<Tried>,
    /// Result of the training of the network that was chosen.
    pub train: TrainResult,
    /// Files of the exported network, relative to the run's directory.
    pub exported: Vec<PathBuf>,
}

/// How an automatic run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is complete; `result.json` is written.
    Finished(Box<AutoResult>),
    /// It was asked to stop; everything done is durable.
    Interrupted,
}

/// Seconds of the whole, and of those the ones that are used by now; the arguments are those of [`auto`].
pub fn time(config: &AutoConfig, run: &RunDir, started: Instant) -> (f64, f64) {
    let budget = Budget::open(run, config.budget_seconds, started);
    (budget.total(), budget.used())
}

/// Does the whole, or goes on with what `run` holds. The budget counts from `started`, so that the time in which the images
/// were read can be counted, too.
///
/// # Errors
/// The configuration does not suit the data or the run, no network keeps to the bounds, a file cannot be read or written, or
/// a number is not finite.
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

    // A run that has come to its training has made all choices.
    let is_chosen = stage::has_begun(work.run.path(), training::STAGE);
    let mut cells = known(&config.space);
    let search = if is_chosen && !stage::has_begun(work.run.path(), searching::STAGE) {
        None
    } else {
        match searching::search(&mut work, cells.is_empty())? {
            Found::Cell(result) => Some(*result),
            Found::LeftOut => None,
            Found::Interrupted => return Ok(Outcome::Interrupted),
        }
    };
    if let Some(search) = &search
        && cells.iter().all(|cell| cell.genotype.cells != search.cells.cells)
    {
        // Of the cells, the one that is made for these images is the second to be tried.
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
