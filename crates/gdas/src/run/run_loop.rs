//! The loop of searches and trainings: batches, steps, ends of epochs, checkpoints, pauses, stops.

use std::time::{Duration, Instant};

use super::{Cadence, Checkpoint, Event, Interrupt, Observer, RunDir, RunError};
use crate::Error;
use crate::data::{BatchSource, Position, Prefetch};

/// How a search or a training ended.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// It is complete. If there is a run directory, `result.json` is written.
    Finished(Box<T>),
    /// It stopped on request. If there is a run directory, a checkpoint of this step is saved.
    Interrupted {
        /// Number of steps done.
        step: u64,
    },
}

impl<T> Outcome<T> {
    /// Maps the result by `part`.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Finished(result) => Outcome::Finished(Box::new(part(*result))),
            Self::Interrupted { step } => Outcome::Interrupted { step },
        }
    }
}

/// Work in steps and epochs that can be resumed from a checkpoint after any step.
pub(crate) trait Task {
    /// Type of the batches.
    type Batch: Default + Send + 'static;

    /// Position of the next step.
    fn at(&self) -> Position;

    /// Steps done in the whole run.
    fn steps_done(&self) -> u64;

    /// Performs a step and advances the position.
    fn step(&mut self, at: Position, batch: &Self::Batch) -> Result<(), Error>;

    /// The event of the last step, with this speed in steps per second; `None` if it is not to be logged.
    fn step_event(&self, steps_per_second: f64) -> Option<Event>;

    /// Whether all steps of the current epoch are done and its end is pending.
    fn epoch_is_full(&self) -> bool;

    /// Ends an epoch: evaluation, events. Returns false if interrupted.
    fn end_epoch(&mut self, clock: &Clock, journal: &mut Journal, interrupt: &Interrupt) -> Result<bool, Error>;

    /// Whether all steps and ends of epochs are done.
    fn is_done(&self) -> bool;

    /// Whether a checkpoint must be saved now, because of a decision that a resumed run must not repeat.
    fn must_save(&mut self) -> bool {
        false
    }

    /// The complete state.
    fn checkpoint(&self) -> Result<Checkpoint, Error>;
}

/// Performs the remaining steps of a task. Returns false if interrupted; the state is then saved.
pub(crate) fn run_loop<T: Task, S: BatchSource<Batch = T::Batch>>(
    task: &mut T,
    batches: S,
    epochs: u64,
    checkpoint_seconds: f64,
    journal: &mut Journal,
    interrupt: &Interrupt,
) -> Result<bool, Error> {
    let mut cadence = Cadence::new(checkpoint_seconds);
    let (mut epoch_clock, mut log_clock) = (Clock::start(task.steps_done()), Clock::start(task.steps_done()));
    let mut prefetch = Prefetch::start(batches, task.at(), epochs)?;
    while !task.is_done() {
        if !task.epoch_is_full() {
            let (at, batch) = prefetch.next().ok_or_else(|| Error::Unsuitable("the batches ended early".into()))??;
            debug_assert_eq!(at, task.at());
            task.step(at, &batch)?;
            prefetch.recycle(batch);
            if let Some(event) = task.step_event(log_clock.steps_per_second(task.steps_done())) {
                log_clock = Clock::start(task.steps_done());
                journal.report(event)?;
            }
        }
        let mut stop = false;
        if task.epoch_is_full() {
            stop = !task.end_epoch(&epoch_clock, journal, interrupt)?;
            if !stop {
                epoch_clock = Clock::start(task.steps_done());
            }
        }
        stop |= interrupt.is_requested();
        let pause = interrupt.is_paused();
        if task.must_save() || stop || pause || task.is_done() || cadence.is_due() {
            let began = Instant::now();
            journal.save(task)?;
            cadence.saved(began);
        }
        let done = task.steps_done();
        if pause {
            let waited = interrupt.wait(done, |event| journal.report(event))?;
            epoch_clock.leave_out(waited);
            log_clock.leave_out(waited);
            stop |= interrupt.is_requested();
        }
        if stop && !task.is_done() {
            journal.report(Event::Interrupted { step: done })?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Measures the speed for the log.
pub(crate) struct Clock {
    since: Instant,
    /// Number of steps done at `start`.
    steps: u64,
}

impl Clock {
    fn start(steps: u64) -> Self {
        Self { since: Instant::now(), steps }
    }

    /// Steps per second since the start; `steps` is the current number of steps done.
    pub(crate) fn steps_per_second(&self, steps: u64) -> f64 {
        (steps - self.steps) as f64 / self.since.elapsed().as_secs_f64().max(1e-9)
    }

    fn leave_out(&mut self, waited: Duration) {
        self.since += waited;
    }
}

/// Destination of events and checkpoints: the observer, and the run directory if there is one.
pub(crate) struct Journal<'a> {
    run: Option<&'a mut RunDir>,
    observer: &'a mut dyn Observer,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(run: Option<&'a mut RunDir>, observer: &'a mut dyn Observer) -> Self {
        Self { run, observer }
    }

    /// The run directory, if there is one.
    pub(crate) fn run(&self) -> Option<&RunDir> {
        self.run.as_deref()
    }

    /// Reports an event.
    #[allow(clippy::needless_pass_by_value, reason = "callers make the event for it")]
    pub(crate) fn report(&mut self, event: Event) -> Result<(), RunError> {
        self.observer.event(&event);
        self.run.as_mut().map_or(Ok(()), |run| run.log(&event))
    }

    /// Saves a checkpoint if there is a run directory.
    pub(crate) fn save<T: Task>(&mut self, task: &T) -> Result<(), Error> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let checkpoint = task.checkpoint()?;
        Error::finite_state(&checkpoint, task.at())?;
        let event = run.save(&checkpoint)?.event(task.at().epoch as usize, task.steps_done());
        Ok(self.report(event)?)
    }

    /// The newest valid checkpoint, if there is one; damage is reported.
    pub(crate) fn take_up(&mut self) -> Result<Option<Checkpoint>, RunError> {
        self.run.as_mut().map_or(Ok(None), |run| run.take_up(self.observer))
    }
}
