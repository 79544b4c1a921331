//! The one loop that searches and trainings run in: batches, steps, ends of epochs, checkpoints, pauses, stops.

use std::time::{Duration, Instant};

use super::{Cadence, Checkpoint, Event, Interrupt, Observer, RunDir, RunError};
use crate::Error;
use crate::data::{BatchSource, Position, Prefetch};

/// How a search or a training ended.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// It is complete. Where there is a run directory, `result.json` is written.
    Finished(Box<T>),
    /// It was asked to stop. Where there is a run directory, a checkpoint of this very step is durable.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

impl<T> Outcome<T> {
    /// The outcome of which only a part is wanted.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Finished(result) => Outcome::Finished(Box::new(part(*result))),
            Self::Interrupted { step } => Outcome::Interrupted { step },
        }
    }
}

/// Work that is done in steps and epochs, and that can go on from a checkpoint after any step.
pub(crate) trait Task {
    /// What a step reads.
    type Batch: Default + Send + 'static;

    /// The next step to do.
    fn at(&self) -> Position;

    /// Steps done in the whole run.
    fn steps_done(&self) -> u64;

    /// Does a step, and moves to the next one.
    fn step(&mut self, at: Position, batch: &Self::Batch) -> Result<(), Error>;

    /// The event of the step done last, at this speed in steps per second; `None` if it is not logged.
    fn step_event(&self, steps_per_second: f64) -> Option<Event>;

    /// Whether all steps of an epoch are done that has not been ended yet.
    fn epoch_is_full(&self) -> bool;

    /// Ends an epoch: tests, events. False if it was asked to stop before it could.
    fn end_epoch(&mut self, clock: &Clock, journal: &mut Journal, interrupt: &Interrupt) -> Result<bool, Error>;

    /// Whether no step and no end of an epoch is left to do.
    fn is_done(&self) -> bool;

    /// Whether a checkpoint has to be saved now, as something was decided that a resumed run must not decide again.
    fn must_save(&mut self) -> bool {
        false
    }

    /// All that is needed to go on.
    fn checkpoint(&self) -> Result<Checkpoint, Error>;
}

/// Does all steps of a task that are left. False if it was asked to stop, and everything is durable.
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

/// Measures speed, for the log alone.
pub(crate) struct Clock {
    since: Instant,
    /// Steps done then.
    steps: u64,
}

impl Clock {
    fn start(steps: u64) -> Self {
        Self { since: Instant::now(), steps }
    }

    /// Steps per second since the start, given the steps done now.
    pub(crate) fn steps_per_second(&self, steps: u64) -> f64 {
        (steps - self.steps) as f64 / self.since.elapsed().as_secs_f64().max(1e-9)
    }

    fn leave_out(&mut self, waited: Duration) {
        self.since += waited;
    }
}

/// Where events and checkpoints go: to the observer, and to the run directory if there is one.
pub(crate) struct Journal<'a> {
    run: Option<&'a mut RunDir>,
    observer: &'a mut dyn Observer,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(run: Option<&'a mut RunDir>, observer: &'a mut dyn Observer) -> Self {
        Self { run, observer }
    }

    /// The run directory.
    pub(crate) fn run(&self) -> Option<&RunDir> {
        self.run.as_deref()
    }

    /// Reports an event.
    #[allow(clippy::needless_pass_by_value, reason = "callers make the event for it")]
    pub(crate) fn report(&mut self, event: Event) -> Result<(), RunError> {
        self.observer.event(&event);
        self.run.as_mut().map_or(Ok(()), |run| run.log(&event))
    }

    /// Saves a checkpoint, if there is a place for it.
    pub(crate) fn save<T: Task>(&mut self, task: &T) -> Result<(), Error> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let checkpoint = task.checkpoint()?;
        Error::finite_state(&checkpoint, task.at())?;
        let event = run.save(&checkpoint)?.event(task.at().epoch as usize, task.steps_done());
        Ok(self.report(event)?)
    }

    /// The newest checkpoint, if there is one; damage found on the way is reported.
    pub(crate) fn take_up(&mut self) -> Result<Option<Checkpoint>, RunError> {
        self.run.as_mut().map_or(Ok(None), |run| run.take_up(self.observer))
    }
}
