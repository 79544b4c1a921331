//! Prefetching of batches.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::batch::{Batch, EvaluationBatches, SearchBatch, SearchBatches, TrainBatches};
use super::error::DataError;

/// Source of the batch of any (epoch, step).
pub trait BatchSource: Send + Sync + 'static {
    /// Type of the batches.
    type Batch: Default + Send + 'static;

    /// Steps per epoch.
    fn steps(&self) -> u64;

    /// Computes a batch, reusing the memory of an old one.
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

/// Position in a run: epoch and step of the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Step within the epoch, from 0.
    pub step: u64,
}

impl Position {
    /// The first step.
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

/// Worker thread that prepares up to [`Prefetch::AHEAD`] batches ahead. It ends when this is dropped; its panics are
/// reported as errors.
pub struct Prefetch<B> {
    ready: Option<Receiver<Result<(Position, B), DataError>>>,
    used: Sender<B>,
    worker: Option<JoinHandle<()>>,
}

impl<B: Default + Send + 'static> Prefetch<B> {
    /// Maximum number of batches prepared ahead.
    pub const AHEAD: usize = 3;

    /// Starts the worker at position `from`; it ends after `epochs` epochs.
    ///
    /// # Errors
    /// If the thread cannot be started.
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

    /// Returns the memory of a used batch for reuse.
    pub fn recycle(&self, batch: B) {
        // If the worker has ended, the memory is freed.
        drop(self.used.send(batch));
    }
}

impl<B: Default + Send + 'static> Iterator for Prefetch<B> {
    type Item = Result<(Position, B), DataError>;

    /// The next batch and its position; `None` after the last epoch; [`DataError::Worker`] if the worker panicked.
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
