//! Batches prepared ahead of the step that needs them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::batch::{Batch, EvaluationBatches, SearchBatch, SearchBatches, TrainBatches};
use super::error::DataError;

/// Something that can make the batch of any (epoch, step).
pub trait BatchSource: Send + Sync + 'static {
    /// What it makes.
    type Batch: Default + Send + 'static;

    /// Steps per epoch.
    fn steps(&self) -> u64;

    /// Makes the batch in the memory of an old one.
    fn fill(&self, batch: &mut Self::Batch, epoch: u64, step: u64);
}

impl BatchSource for SearchBatches {
    type Batch = SearchBatch;

    fn steps(&self) -> u64 {
        self.steps()
    }

    fn fill(&self, batch: &mut SearchBatch, epoch: u64, step: u64) {
        self.fill(batch, epoch, step);
    }
}

impl BatchSource for TrainBatches {
    type Batch = Batch;

    fn steps(&self) -> u64 {
        self.steps()
    }

    fn fill(&self, batch: &mut Batch, epoch: u64, step: u64) {
        self.fill(batch, epoch, step);
    }
}

impl BatchSource for EvaluationBatches {
    type Batch = Batch;

    fn steps(&self) -> u64 {
        self.steps()
    }

    fn fill(&self, batch: &mut Batch, _: u64, step: u64) {
        self.fill(batch, step);
    }
}

/// A place in a run: the next step to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Step within the epoch, from 0.
    pub step: u64,
}

impl Position {
    /// The very beginning.
    pub const START: Self = Self { epoch: 0, step: 0 };

    /// The step after this one.
    #[must_use]
    pub fn next(self, steps_per_epoch: u64) -> Self {
        if self.step + 1 < steps_per_epoch {
            Self { step: self.step + 1, ..self }
        } else {
            Self { epoch: self.epoch + 1, step: 0 }
        }
    }
}

/// A worker thread that stays a few batches ahead. It holds at most [`Prefetch::AHEAD`] finished
/// batches, ends when this is dropped, and reports a panic instead of hanging.
pub struct Prefetch<B> {
    ready: Option<Receiver<Result<(Position, B), DataError>>>,
    used: Sender<B>,
    worker: Option<JoinHandle<()>>,
}

impl<B: Default + Send + 'static> Prefetch<B> {
    /// Finished batches that wait at most.
    pub const AHEAD: usize = 3;

    /// Starts at any position and goes on until `epochs` are complete.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start<S>(source: S, from: Position, epochs: u64) -> Result<Self, DataError>
    where
        S: BatchSource<Batch = B>,
    {
        let (sender, ready) = sync_channel(Self::AHEAD);
        let (used, old) = channel();
        let worker = std::thread::Builder::new()
            .name("batches".into())
            .spawn(move || run(&source, from, epochs, &sender, &old))
            .map_err(DataError::Thread)?;
        Ok(Self { ready: Some(ready), used, worker: Some(worker) })
    }

    /// Gives a used batch's memory back.
    pub fn recycle(&self, batch: B) {
        // The worker may have ended already; then the memory is simply freed.
        drop(self.used.send(batch));
    }
}

impl<B: Default + Send + 'static> Iterator for Prefetch<B> {
    type Item = Result<(Position, B), DataError>;

    /// The next batch and its position; `None` when all epochs are complete. [`DataError::Worker`]
    /// if the worker panicked.
    fn next(&mut self) -> Option<Self::Item> {
        self.ready.as_ref()?.recv().ok()
    }
}

impl<B> Drop for Prefetch<B> {
    fn drop(&mut self) {
        // Without a receiver, the worker's next send fails and it ends.
        self.ready = None;
        if let Some(worker) = self.worker.take() {
            drop(worker.join());
        }
    }
}

fn run<S: BatchSource>(
    source: &S,
    from: Position,
    epochs: u64,
    ready: &SyncSender<Result<(Position, S::Batch), DataError>>,
    old: &Receiver<S::Batch>,
) {
    let steps = source.steps();
    let mut at = from;
    while at.epoch < epochs && steps > 0 {
        if at.step < steps {
            let mut batch = old.try_recv().unwrap_or_default();
            let made = catch_unwind(AssertUnwindSafe(|| source.fill(&mut batch, at.epoch, at.step)));
            let failed = made.is_err();
            let result = match made {
                Ok(()) => Ok((at, batch)),
                Err(panic) => Err(DataError::Worker { epoch: at.epoch, step: at.step, what: message(&*panic) }),
            };
            if ready.send(result).is_err() || failed {
                return;
            }
        }
        at = at.next(steps);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}
