//! Implementation of training for the run loop.

use super::pace::Pace;
use super::{TrainState, Trainer};
use crate::Error;
use crate::data::{Batch, Dataset, Position};
use crate::run::{Checkpoint, Clock, Event, Interrupt, Journal, Task};

/// Progress of a training, as input of [`Replan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCount {
    /// Steps done.
    pub done: u64,
    /// Planned steps of the whole training.
    pub total: u64,
}

/// Called after a step; may return a new number of steps for the whole training.
pub type Replan<'a> = dyn FnMut(StepCount) -> Option<u64> + 'a;

pub(super) struct TrainTask<'a, 'r> {
    pub(super) trainer: Trainer<'a>,
    pub(super) state: TrainState,
    dataset: &'a Dataset,
    /// Steps per epoch.
    pub(super) steps: u64,
    /// The plan of the configuration.
    planned: Pace,
    replan: Option<&'a mut Replan<'r>>,
    /// Whether the plan has changed since the last checkpoint.
    unsaved_plan: bool,
}

impl<'a, 'r> TrainTask<'a, 'r> {
    /// A training before its first step, with this many steps per epoch.
    pub(super) fn new(
        trainer: Trainer<'a>,
        dataset: &'a Dataset,
        steps: u64,
        replan: Option<&'a mut Replan<'r>>,
    ) -> Self {
        let planned = trainer.pace(steps);
        Self { trainer, state: TrainState::default(), dataset, steps, planned, replan, unsaved_plan: false }
    }

    /// Continues from the newest checkpoint, if there is one.
    pub(super) fn resume(&mut self, journal: &mut Journal) -> Result<(), Error> {
        if let Some(checkpoint) = journal.take_up()? {
            let (state, warning) = self.trainer.restore(checkpoint, self.dataset)?;
            self.state = state;
            if let Some(message) = warning {
                journal.report(Event::Warning { message })?;
            }
        }
        Ok(())
    }

    fn pace(&self) -> Pace {
        self.state.pace.unwrap_or(self.planned)
    }

    /// Calls `replan` and applies a change of the plan.
    fn ask_for_plan(&mut self) {
        let (done, mut pace) = (self.steps_done(), self.pace());
        let Some(replan) = &mut self.replan else { return };
        let Some(total) = replan(StepCount { done, total: pace.total }) else { return };
        pace.change(done, total);
        if pace != self.pace() {
            self.state.pace = Some(pace);
            self.unsaved_plan = true;
        }
    }
}

impl Task for TrainTask<'_, '_> {
    type Batch = Batch;

    fn at(&self) -> Position {
        self.state.at
    }

    fn steps_done(&self) -> u64 {
        // The last epoch may be shorter than the others.
        (self.state.at.epoch * self.steps + self.state.at.step).min(self.pace().total)
    }

    fn step(&mut self, at: Position, batch: &Batch) -> Result<(), Error> {
        let (done, steps, pace) = (self.steps_done(), self.steps, self.pace());
        let rate = self.trainer.rate(pace.position(done), pace.planned(), steps);
        let metrics = self.trainer.step(batch, at, done, pace, rate)?;
        self.state.add(&metrics, rate);
        let next = at.next(steps);
        let is_last = done + 1 == pace.total;
        self.state.at = if is_last { Position { epoch: at.epoch + 1, step: 0 } } else { next };
        self.state.untested = (self.state.at.step == 0).then_some(at.epoch);
        if !is_last {
            self.ask_for_plan();
        }
        Ok(())
    }

    fn step_event(&self, steps_per_second: f64) -> Option<Event> {
        let interval = self.trainer.config.log_interval as u64;
        let done = self.steps_done();
        if interval == 0 || !done.is_multiple_of(interval) {
            return None;
        }
        let left = (self.pace().total - done) as f64 / steps_per_second.max(1e-9);
        let epoch = self.state.untested.unwrap_or(self.state.at.epoch);
        Some(self.state.step_event(epoch, done, [steps_per_second, left]))
    }

    fn epoch_is_full(&self) -> bool {
        self.state.untested.is_some()
    }

    /// If a test is interrupted, the epoch stays untested and the test is repeated on resume.
    fn end_epoch(&mut self, clock: &Clock, journal: &mut Journal, interrupt: &Interrupt) -> Result<bool, Error> {
        let Some(epoch) = self.state.untested else { return Ok(true) };
        let (done, total) = (self.steps_done(), self.pace().total);
        let ended = (epoch, done == total);
        if interrupt.is_requested() || !self.trainer.end_epoch(&mut self.state, ended, self.dataset, interrupt)? {
            return Ok(false);
        }
        let speed = clock.steps_per_second(done);
        let left = (total - done) as f64 / speed.max(1e-9);
        let epochs = total.div_ceil(self.steps) as usize;
        journal.report(self.state.epoch_event(self.trainer.config, (epoch, epochs), done, speed, left))?;
        Ok(true)
    }

    fn is_done(&self) -> bool {
        self.steps_done() == self.pace().total && self.state.untested.is_none()
    }

    fn must_save(&mut self) -> bool {
        std::mem::take(&mut self.unsaved_plan)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        self.trainer.checkpoint(&self.state, self.dataset)
    }
}
