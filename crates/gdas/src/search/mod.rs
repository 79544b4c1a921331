//! Search for a cell by alternating updates of the supernet's weights and of alpha.
//!
//! [`step`] is the step of GDAS. [`Search`] is the builder for programs, [`search()`] runs a configuration. The parts of a
//! search can be replaced individually:
//!
//! | part | trait | built in |
//! | --- | --- | --- |
//! | step | [`Algorithm`] | [`algorithms`] |
//! | sampling of operations and its gradient | [`Estimator`] | [`StraightThrough`] |
//! | terms added to alpha's gradient | [`Regulariser`] | [`CostBound`] |
//! | choice of the final cell | [`Selection`] | [`Argmax`], [`Judged`] |
//!
//! All randomness is a function of (seed, purpose, step). A checkpoint therefore contains weights, momentum, running
//! statistics, alpha, Adam's moments, the position and the sums of the current epoch; a search resumes from it bit for bit.

pub mod algorithms;
mod batches;
mod builder;
mod context;
mod effects;
mod estimators;
mod events;
mod parallel;
mod parts;
mod pass;
mod picks;
mod progress;
mod regularise;
mod result;
mod searcher;
mod selection;
mod state;
pub mod step;
mod task;

use std::time::Instant;

use burn::tensor::Device;

use crate::Error;
use crate::config::SearchConfig;
use crate::data::{BatchSource, Dataset, Position, SearchBatch, SearchSplit, Subset};
use crate::device::{self, Work};
use crate::run::{Event, Interrupt, Journal, Observer, RunDir, Task, run_loop};

use batches::SearchSource;
use selection::Judge;
use task::SearchTask;

pub use crate::run::Outcome;
pub use algorithms::Algorithm;
pub use builder::{OwnParts, Search};
pub use context::{HeldOutPass, PendingWeightStep, StepContext, StepReport, WeightDraw};
pub use effects::EdgeEffects;
pub use estimators::{Dirichlet, Draw, Estimator, ReinMax, StraightThrough};
pub use parts::Parts;
pub use pass::{GradTargets, PassOutput};
pub use progress::{Half, Progress};
pub use regularise::{AlphaPenalty, CostBound, Regulariser};
pub use result::SearchResult;
pub use searcher::Searcher;
pub use selection::{Argmax, Judged, Selected, Selection, SelectionContext};

/// Starts a search with the built-in parts of the configuration, or resumes the one in `run`.
///
/// Uses the current rayon thread pool; the result does not depend on its size.
///
/// # Errors
/// If the configuration does not suit the data or the run, a file cannot be read or written, or a value is not finite.
pub fn search(
    config: &SearchConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome<SearchResult>, Error> {
    search_on(config, dataset, run, observer, interrupt, std::slice::from_ref(device))
}

/// As [`search()`], on several devices that share every batch (experimental); their number is that of the configuration. The
/// weights are on the first.
pub fn search_on(
    config: &SearchConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    devices: &[Device],
) -> Result<Outcome<SearchResult>, Error> {
    search_with(Parts::of(config)?, config, dataset, Some(run), observer, interrupt, devices)
}

/// As [`search_on`], with custom parts and an optional run directory. Without one nothing is saved, and an interrupted search
/// cannot be resumed.
pub fn search_with(
    parts: Parts,
    config: &SearchConfig,
    dataset: &Dataset,
    run: Option<&mut RunDir>,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    devices: &[Device],
) -> Result<Outcome<SearchResult>, Error> {
    let place = run.as_ref().map(|run| run.path().to_path_buf());
    search_in(parts, config, dataset, run, observer, interrupt, devices).map_err(|error| error.in_run(place.as_deref()))
}

fn search_in(
    parts: Parts,
    config: &SearchConfig,
    dataset: &Dataset,
    run: Option<&mut RunDir>,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    devices: &[Device],
) -> Result<Outcome<SearchResult>, Error> {
    let (asked, given) = (config.devices, devices.len());
    let first = devices.first().filter(|_| given == asked).ok_or_else(|| {
        Error::Unsuitable(format!("the configuration says `devices = {asked}`, but the search has {given}"))
    })?;
    let started = Instant::now();
    let split = batches::split(config, dataset)?;
    let (mut task, source, selection) = prepare(parts, config, dataset, &split, first)?;
    task.searcher = task.searcher.on_devices(devices);
    let interrupt = &match &run {
        Some(run) => interrupt.watching(run.path())?,
        None => interrupt.clone(),
    };
    let mut journal = Journal::new(run, observer);
    resume(&mut task, dataset, &mut journal)?;
    if let Some(run) = journal.run() {
        run.begin_with(&config.data, &dataset.name, &task.searcher.data_digest)?;
    }
    let (algorithm, steps) = (task.algorithm.name(), task.steps_per_epoch());
    journal.report(events::started(&task.searcher, algorithm, dataset, &split, steps, task.steps_done()))?;
    if !task.own_parts.is_empty() && task.steps_done() == 0 {
        // The first checkpoint records the custom parts.
        journal.save(&task)?;
    }

    let judge = Judge::new(config, dataset, &split.alpha, &task.searcher.on_device);
    if selection.name() == Judged.name() && !config.algorithm.samples_whole_cells() {
        let each = selection::seconds_per_candidate(&task.searcher, &judge)?;
        task.selection_seconds = each * config.candidates as f64;
    }
    let epochs = config.epochs as u64;
    let finished = run_loop(&mut task, source, epochs, config.checkpoint_seconds, &mut journal, interrupt)?;
    let step = task.steps_done();
    if !finished {
        return Ok(Outcome::Interrupted { step });
    }
    // The cell, and its accuracy with the shared weights on the held-out images.
    let chosen = match select(&task, &*selection, &judge, &mut journal, interrupt)? {
        Some(selected) => {
            let genotype = task.state.early_stop.reported(selected.genotype);
            let accuracy = task.searcher.evaluate(&genotype, dataset, &split.alpha, interrupt)?;
            accuracy.map(|accuracy| (genotype, accuracy, selected.judgement))
        }
        None => None,
    };
    let Some((genotype, accuracy, judgement)) = chosen else {
        journal.report(Event::Interrupted { step })?;
        return Ok(Outcome::Interrupted { step });
    };
    if let Some(judgement) = &judgement {
        journal.report(Event::Judged(judgement.clone()))?;
    }
    Error::finite_after(accuracy, "a class score of the cell found", task.state.at.epoch.saturating_sub(1))?;
    if let Some(warning) = regularise::exceeded(&task.searcher.standings(&genotype)) {
        journal.report(warning)?;
    }
    let result = SearchResult::new(&task.searcher, &task.state, dataset, &genotype, accuracy, judgement)?;
    if let Some(run) = journal.run() {
        run.write_result(&result)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    journal.report(Event::Finished { step, genotype: result.genotype.clone(), accuracy: Some(accuracy), seconds })?;
    Ok(Outcome::Finished(Box::new(result)))
}

/// The task of a new search, its batches, and the selection.
fn prepare(
    parts: Parts,
    config: &SearchConfig,
    dataset: &Dataset,
    split: &SearchSplit,
    device: &Device,
) -> Result<(SearchTask, SearchSource, Box<dyn Selection>), Error> {
    parts.check(config)?;
    let own = parts.own(config);
    let Parts { mut algorithm, estimator, regularisers, selection } = parts;
    let mut searcher = Searcher::new(config, dataset, device)?;
    searcher = searcher.with_estimator(estimator).with_regularisers(regularisers);
    // For a built-in algorithm, the searcher has done this.
    if !algorithm.learns_alpha() && config.algorithm.learns_alpha() {
        searcher.alpha = searcher.alpha.iter().map(crate::Alpha::zeros_like).collect();
    }
    algorithm.begin(config, &searcher.supernet.space)?;
    let further_steps = algorithm.further_steps(config);
    let source = SearchSource::new(config, dataset, split, &searcher.on_device, further_steps);
    Ok((SearchTask::new(searcher, algorithm, own, &source), source, selection))
}

/// Sets up the cost bounds, and restores the newest checkpoint if there is one.
fn resume(task: &mut SearchTask, dataset: &Dataset, journal: &mut Journal) -> Result<(), Error> {
    let (bounds, timed_now) = CostBound::of(&task.searcher.config, &task.searcher.supernet, journal.run())?;
    task.searcher.bounds = bounds;
    let Some(mut checkpoint) = journal.take_up()? else { return Ok(()) };
    let (state, warning) = task.searcher.restore(&mut checkpoint, dataset, &task.own_parts)?;
    task.state = state;
    task.algorithm.load(&task.searcher, &mut checkpoint)?;
    if let Some(message) = warning {
        journal.report(Event::Warning { message })?;
    }
    if timed_now {
        let what = "latency.json is missing from the run directory; the search cannot be resumed with other times";
        return Err(Error::Unsuitable(what.into()));
    }
    Ok(())
}

/// Selects the final cell. `None` if interrupted.
fn select(
    task: &SearchTask,
    selection: &dyn Selection,
    judge: &Judge,
    journal: &mut Journal,
    interrupt: &Interrupt,
) -> Result<Option<Selected>, Error> {
    let SearchTask { searcher, algorithm, state, .. } = task;
    let step = task.steps_done();
    let candidates = algorithm.candidates(searcher);
    // After an early stop, the result is the cell reported by its rule.
    if candidates.is_none() && state.early_stop.stopped.is_some() {
        return Ok(Some(Selected::new(algorithm.genotype(searcher))));
    }
    let mut began = Instant::now();
    let mut report = |done: usize, candidates: usize| {
        if interrupt.is_paused() && !interrupt.is_requested() {
            // The checkpoint of the last step is saved; the results of judging stay in memory.
            began += interrupt.wait(step, |event| journal.report(event))?;
        }
        let each = match done {
            0 => task.selection_seconds / candidates.max(1) as f64,
            done => began.elapsed().as_secs_f64() / done as f64,
        };
        let eta_seconds = each * (candidates - done) as f64;
        Ok(journal.report(Event::Judging { step, candidates, done, eta_seconds })?)
    };
    let algorithm = &**algorithm;
    let mut choice = SelectionContext { searcher, algorithm, judge, interrupt, step, report: &mut report };
    match candidates {
        Some(candidates) => selection::most_accurate(&candidates, &mut choice),
        None => selection.select(&mut choice),
    }
}

/// The held-out images of a search, those for alpha.
pub fn held_out(config: &SearchConfig, dataset: &Dataset) -> Result<Subset, Error> {
    Ok(batches::split(config, dataset)?.alpha)
}

/// Cost of a step on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// Duration in seconds.
    pub seconds: f64,
    /// The engine's work on a GPU; `None` on the CPU.
    pub work: Option<Work>,
}

/// Measures the cost of a step by a few trial steps; for planning only. `None` if interrupted.
pub fn step_cost(
    config: &SearchConfig,
    dataset: &Dataset,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Option<StepCost>, Error> {
    let split = batches::split(config, dataset)?;
    let (mut task, source, _) = prepare(Parts::of(config)?, config, dataset, &split, device)?;
    let mut batch = SearchBatch::default();
    let mut taken = 0;
    let (seconds, work) = device::counted(|| {
        crate::timing::measure(interrupt, |step| {
            taken += 1;
            let at = Position { epoch: 0, step: step % source.steps() };
            source.fill(&mut batch, 0, at.step);
            let progress = task.progress(at);
            task.try_step(&batch, progress).map(|_| ())
        })
    });
    let work = work.map(|Work { launches, bytes, reads }| Work {
        launches: launches / taken,
        bytes: bytes / taken,
        reads: reads / taken,
    });
    Ok(seconds?.map(|seconds| StepCost { seconds, work }))
}

/// Measures the time of judging a candidate in seconds by a few trials; for planning only.
pub fn seconds_per_candidate(config: &SearchConfig, dataset: &Dataset, device: &Device) -> Result<f64, Error> {
    let searcher = Searcher::new(config, dataset, device)?;
    let judge = Judge::new(config, dataset, &held_out(config, dataset)?, &searcher.on_device);
    selection::seconds_per_candidate(&searcher, &judge)
}
