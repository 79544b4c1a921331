//! The final training, on all training images, for the time left.

use gdas::Error;
use gdas::run::AutoPart;
use gdas::train::{self, StepCount, TrainResult};

use crate::budget::Budget;
use crate::candidates::Candidate;
use crate::plan;
use crate::recipe;
use crate::stage::{begin, finished_or};
use crate::work::Work;

/// Name of the stage.
pub(crate) const STAGE: &str = "train";

/// Starts or resumes the final training; `candidate` is used only if it has not begun. `None` if interrupted.
pub(crate) fn train(work: &mut Work, candidate: Option<&Candidate>) -> Result<Option<TrainResult>, Error> {
    let run = work.run.path().to_path_buf();
    let images = work.dataset.train.len();
    let (batch_size, steps_per_epoch) = (recipe::batch_size(images), recipe::steps_per_epoch(images));
    let mut after = 0.0;
    let config = begin(&run, STAGE, || {
        let Some(candidate) = candidate else { return Ok(None) };
        after = work.seconds_after_training(candidate.seconds_per_step, batch_size);
        let steps = plan::steps(work.budget.left() - after, candidate.seconds_per_step, steps_per_epoch);
        recipe::training(work.config, work.dataset, candidate, steps, 0.0).map(Some)
    })?;
    let Some(mut config) = config else { return Ok(None) };
    // The images may have been moved since the stage began.
    config.data.clone_from(&work.config.data);
    // A resumed training keeps its last plan whatever the time, so that the result is bit for bit the same.
    let goes_on = run.join(STAGE).join("checkpoint.0").is_file();
    let (dataset, interrupt, device, budget) = (work.dataset, work.interrupt, work.device, work.budget);
    finished_or(&run, STAGE, |inner| {
        work.report(
            AutoPart::Training,
            format!("training on all images: C = {}, N = {}", config.channels, config.cells),
            Some(STAGE),
        )?;
        let mut watched = work.watched();
        let outcome = if goes_on || candidate.is_none() {
            train::train(&config, dataset, inner, &mut watched, interrupt, device)?
        } else {
            let mut pacer = Pacer::new(budget, after, steps_per_epoch);
            let mut replan = |count: StepCount| pacer.replan(count);
            train::train_with_plan(&config, dataset, inner, &mut replan, &mut watched, interrupt, device)?
        };
        Ok(match outcome {
            train::Outcome::Finished(result) => Some(*result),
            train::Outcome::Interrupted { .. } => None,
        })
    })
}

/// Fractions of the training at which its length is replanned.
const REPLAN_AT: [f64; 11] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.85, 0.92, 0.97];
/// Relative change of the length below which the plan is kept.
const TOLERANCE: f64 = 0.01;

/// Replans the length of a training by the speed since the last plan and the time left.
struct Pacer<'a> {
    budget: &'a Budget,
    /// Seconds needed after the training.
    after: f64,
    steps_per_epoch: usize,
    /// Time used in seconds and steps done at the last plan.
    since: Option<(f64, u64)>,
    moment: usize,
}

impl<'a> Pacer<'a> {
    fn new(budget: &'a Budget, after: f64, steps_per_epoch: usize) -> Self {
        Self { budget, after, steps_per_epoch, since: None, moment: 0 }
    }

    fn replan(&mut self, StepCount { done, total }: StepCount) -> Option<u64> {
        let used = self.budget.used();
        let Some((then, before)) = self.since else {
            // The first step is slower than the others, so the measurement starts after it.
            self.since = Some((used, done));
            return None;
        };
        let due = *REPLAN_AT.get(self.moment)? * total as f64;
        if (done as f64) < due || done == before {
            return None;
        }
        while REPLAN_AT.get(self.moment).is_some_and(|moment| moment * total as f64 <= done as f64) {
            self.moment += 1;
        }
        self.since = Some((used, done));
        let seconds_per_step = (used - then) / (done - before) as f64;
        let whole = done as f64 * seconds_per_step + self.budget.left() - self.after;
        let planned = plan::steps(whole, seconds_per_step, self.steps_per_epoch).max(done + 1);
        let off = (planned as f64 - total as f64).abs() / total as f64;
        (off > TOLERANCE).then_some(planned)
    }
}
