//! A search as a [`Task`] of the run loop.

use super::algorithms::Algorithm;
use super::batches::SearchSource;
use super::context::{StepContext, StepReport};
use super::events;
use super::progress::Progress;
use super::searcher::Searcher;
use super::state::{BestEpoch, SearchState};
use crate::Error;
use crate::data::{BatchSource, Position, SearchBatch};
use crate::optim::tau;
use crate::run::{Checkpoint, Clock, Event, Interrupt, Journal, Task};

pub(super) struct SearchTask {
    pub(super) searcher: Searcher,
    pub(super) algorithm: Box<dyn Algorithm>,
    pub(super) state: SearchState,
    /// Names of the custom parts.
    pub(super) own_parts: Vec<String>,
    /// Number of steps per epoch, and of weight steps among them.
    steps: u64,
    weight_steps: u64,
    /// Estimated seconds of the selection after the last step; for the log only.
    pub(super) selection_seconds: f64,
    /// The last step.
    last: Option<(Progress, StepReport)>,
}

impl SearchTask {
    pub(super) fn new(
        searcher: Searcher,
        algorithm: Box<dyn Algorithm>,
        own_parts: Vec<String>,
        source: &SearchSource,
    ) -> Self {
        let (steps, weight_steps) = (source.steps(), source.weight_steps());
        let state = SearchState::default();
        Self { searcher, algorithm, state, own_parts, steps, weight_steps, selection_seconds: 0.0, last: None }
    }

    /// Position of a step, and the values of the schedules.
    pub(super) fn progress(&self, at: Position) -> Progress {
        let config = &self.searcher.config;
        let done = at.epoch * self.weight_steps + at.step.min(self.weight_steps);
        Progress {
            at,
            step: at.epoch * self.steps + at.step,
            epochs: config.epochs,
            tau: tau(config.tau_max, config.tau_min, at.epoch as usize, config.epochs),
            learning_rate: config.learning_rate_factor()
                * self.algorithm.learning_rate(config, done, self.weight_steps),
        }
    }

    /// Performs a step without advancing the position.
    pub(super) fn try_step(&mut self, batch: &SearchBatch, progress: Progress) -> Result<StepReport, Error> {
        let mut context = StepContext::new(&mut self.searcher, &batch.weights, &batch.alpha, progress);
        self.algorithm.step(&mut context)
    }

    /// Number of steps per epoch.
    pub(super) fn steps_per_epoch(&self) -> u64 {
        self.steps
    }
}

impl Task for SearchTask {
    type Batch = SearchBatch;

    fn at(&self) -> Position {
        self.state.at
    }

    fn steps_done(&self) -> u64 {
        self.state.at.epoch * self.steps + self.state.at.step
    }

    fn step(&mut self, at: Position, batch: &SearchBatch) -> Result<(), Error> {
        let progress = self.progress(at);
        let report = self.try_step(batch, progress)?;
        self.state.sums.add(&report);
        self.state.at = at.next(self.steps);
        self.last = Some((progress, report));
        Ok(())
    }

    fn step_event(&self, steps_per_second: f64) -> Option<Event> {
        let interval = self.searcher.config.log_interval as u64;
        let done = self.steps_done();
        let (progress, report) = self.last.as_ref().filter(|_| interval > 0 && done.is_multiple_of(interval))?;
        Some(events::step(progress, report, &self.state.sums, [steps_per_second, self.selection_seconds]))
    }

    fn epoch_is_full(&self) -> bool {
        self.state.at.step == 0 && self.last.as_ref().is_some_and(|(last, _)| last.at.epoch < self.state.at.epoch)
    }

    fn end_epoch(&mut self, clock: &Clock, journal: &mut Journal, _: &Interrupt) -> Result<bool, Error> {
        let Some((progress, _)) = self.last.take() else { return Ok(true) };
        let (epoch, done) = (progress.at.epoch, self.steps_done());
        let genotype = self.algorithm.genotype(&self.searcher);
        let sums = std::mem::take(&mut self.state.sums);
        let accuracy = sums.means(&progress).held_out_accuracy;
        if self.state.best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            self.state.best = Some(BestEpoch { epoch, accuracy, genotype: genotype.to_string() });
        }
        let speed = clock.steps_per_second(done);
        let left = (progress.epochs as u64 - epoch - 1) * self.steps;
        let eta_seconds = self.selection_seconds + if speed > 0.0 { left as f64 / speed } else { 0.0 };
        let ended = events::epoch(&self.searcher, &progress, done, &sums, &genotype, [speed, eta_seconds]);
        let mut alarms = Vec::new();
        if self.algorithm.learns_alpha() {
            alarms = events::alarms(&self.searcher, &mut self.state.alarms, &ended);
        }
        for event in std::iter::once(ended).chain(alarms) {
            journal.report(event)?;
        }
        let Searcher { config, supernet, alpha, .. } = &self.searcher;
        let stop = self.state.early_stop.check(config, &supernet.space, alpha, &genotype, (epoch, done));
        stop.map_or(Ok(()), |event| journal.report(event))?;
        Ok(true)
    }

    fn is_done(&self) -> bool {
        let epochs = self.searcher.config.epochs as u64;
        (self.state.at.epoch == epochs || self.state.early_stop.stopped.is_some()) && !self.epoch_is_full()
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let mut checkpoint = self.searcher.checkpoint(&self.state, &self.own_parts)?;
        self.algorithm.save(&mut checkpoint);
        Ok(checkpoint)
    }
}
