//! Trials: short trainings of candidate networks by which one is selected.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use gdas::Error;
use gdas::data::Dataset;
use gdas::run::{AutoPart, Event, RunDir, RunInfo};
use gdas::train::{self, TrainResult};

use crate::candidates::{Candidate, Cell};
use crate::halving::{Attempt, Score, halve};
use crate::offers::candidates;
use crate::plan::{self, Rung};
use crate::recipe;
use crate::stage::{begin, finished_or, unsuitable};
use crate::work::Work;

/// File of the run directory with the planned trials.
pub(crate) const FILE: &str = "candidates.json";
/// Ratio of the trials' actual to their planned time above which the remaining rounds are skipped.
const PATIENCE: f64 = 2.0;

/// A trial: a short training of one network on a part of the training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The network.
    #[serde(flatten)]
    pub network: Candidate,
    /// The round of successive halving, from 1.
    pub round: usize,
    /// Number of training steps.
    pub steps: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Accuracy on the held-out training images, in 0..=1.
    pub validation_accuracy: f64,
    /// Cross-entropy on the held-out training images.
    pub validation_loss: f64,
    /// Run directory, relative to that of the automatic run.
    pub run: PathBuf,
}

/// The candidates and the rounds of trials, planned once by measured times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    candidates: Vec<Candidate>,
    rungs: Vec<Rung>,
}

/// Selects the network to train; returns it with the trials. `None` if interrupted.
pub(crate) fn choose(work: &mut Work, cells: &[Cell]) -> Result<Option<(Candidate, Vec<Tried>)>, Error> {
    let Some(plan) = planned(work, cells)? else { return Ok(None) };
    // Test images are not used for selection.
    let images = Dataset { test: None, ..work.dataset.clone() };
    let mut tried: Vec<Tried> = Vec::new();
    let time: f64 = plan.rungs.iter().map(|rung| rung.candidates as f64 * rung.seconds).sum();
    let latest = work.budget.used() + PATIENCE * time;
    let trials: usize = plan.rungs.iter().map(|rung| rung.candidates).sum();
    let winner = halve(&plan.rungs, |round, index| {
        let candidate = &plan.candidates[index];
        let name = format!("tried/{}-{}", round + 1, index + 1);
        if work.budget.used() > latest && !work.run.path().join(&name).exists() {
            return Ok(Attempt::OutOfTime);
        }
        if !is_finished(&work.run.path().join(&name)) {
            let doing = format!("trying network {} of {trials}: {}", tried.len() + 1, candidate.describe());
            work.report(AutoPart::Trial, doing, Some(&name))?;
        }
        let steps = plan::steps(plan.rungs[round].seconds, candidate.seconds_per_step, usize::MAX / 1024);
        let Some(trial) = attempt(work, &images, candidate, &name, round + 1, steps)? else {
            return Ok(Attempt::Interrupted);
        };
        let score = Score { accuracy: trial.validation_accuracy, loss: trial.validation_loss };
        work.best_accuracy = Some(work.best_accuracy.map_or(score.accuracy, |best| best.max(score.accuracy)));
        tried.push(trial);
        Ok::<_, Error>(Attempt::Scored(score))
    })?;
    Ok(winner.and_then(|index| Some((plan.candidates.get(index)?.clone(), tried))))
}

/// The finished trials of a run whose selection is complete.
pub(crate) fn done(run: &RunDir) -> Result<Vec<Tried>, Error> {
    let Some(plan) = read(run)? else { return Ok(Vec::new()) };
    let mut tried = Vec::new();
    for (round, _) in plan.rungs.iter().enumerate() {
        for (index, candidate) in plan.candidates.iter().enumerate() {
            let name = PathBuf::from(format!("tried/{}-{}", round + 1, index + 1));
            let path = run.path().join(&name);
            if is_finished(&path) {
                tried.push(record(&path, name, candidate, round + 1, &gdas::run::read_result(&path)?)?);
            }
        }
    }
    Ok(tried)
}

/// The saved plan, or a new one. `None` if interrupted.
fn planned(work: &mut Work, cells: &[Cell]) -> Result<Option<Plan>, Error> {
    if let Some(plan) = read(work.run)? {
        return Ok(Some(plan));
    }
    work.report(AutoPart::Planning, "measuring how long networks take".to_owned(), None)?;
    let left = work.budget.left();
    let batch_size = recipe::batch_size(work.dataset.train.len());
    let trial_seconds = plan::trial_seconds(left);
    let expected = (left - trial_seconds - work.seconds_after_training(0.0, batch_size)).max(0.0);
    let Some(mut candidates) = candidates(work, cells, expected)? else { return Ok(None) };
    let speeds: Vec<f64> = candidates.iter().map(|candidate| candidate.seconds_per_step).collect();
    let rungs = plan::rungs(trial_seconds, &speeds, expected);
    candidates.truncate(rungs.first().map_or(1, |rung| rung.candidates));
    let plan = Plan { candidates, rungs };
    let text = serde_json::to_string_pretty(&plan).map_err(unsuitable)?;
    work.run.write_file(FILE, text.as_bytes())?;
    work.budget.save(work.run)?;
    Ok(Some(plan))
}

fn is_finished(trial: &Path) -> bool {
    RunInfo::status_of(trial) == "finished"
}

fn read(run: &RunDir) -> Result<Option<Plan>, Error> {
    let path = run.path().join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| Error::Unsuitable(format!("{} cannot be read: {error}", path.display())))?,
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Error::Unsuitable(format!(
            "{} is damaged ({error}); remove it, and the trials are planned again",
            path.display()
        ))
    })
}

/// Trains a candidate on the images that are not held out, or reads the result if that training is finished. `None` if
/// interrupted.
fn attempt(
    work: &mut Work,
    images: &Dataset,
    candidate: &Candidate,
    name: &str,
    round: usize,
    steps: u64,
) -> Result<Option<Tried>, Error> {
    let share = recipe::validation_share(images.train.len());
    let config =
        begin(work.run.path(), name, || Ok(Some(recipe::training(work.config, images, candidate, steps, share)?)))?;
    let Some(mut config) = config else { return Ok(None) };
    // The images may have been moved since the trial began.
    config.data.clone_from(&work.config.data);
    let (interrupt, device, run) = (work.interrupt, work.device, work.run.path().to_path_buf());
    let result = finished_or(&run, name, |inner| {
        Ok(match train::train(&config, images, inner, &mut work.watched(), interrupt, device)? {
            train::Outcome::Finished(result) => Some(*result),
            train::Outcome::Interrupted { .. } => None,
        })
    })?;
    let Some(result) = result else { return Ok(None) };
    record(&run.join(name), PathBuf::from(name), candidate, round, &result).map(Some)
}

fn record(
    path: &Path,
    name: PathBuf,
    candidate: &Candidate,
    round: usize,
    result: &TrainResult,
) -> Result<Tried, Error> {
    let last = RunInfo::events(path)?.into_iter().rev().find_map(|event| match event {
        Event::Finished { step, seconds, .. } => Some((step, seconds)),
        _ => None,
    });
    let (steps, seconds) = last.unwrap_or_default();
    Ok(Tried {
        network: candidate.clone(),
        round,
        steps,
        seconds,
        validation_accuracy: result.validation_accuracy.unwrap_or(0.0),
        validation_loss: result.validation_loss.unwrap_or(f64::MAX),
        run: name,
    })
}
