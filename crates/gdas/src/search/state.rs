//! What a search saves so that it goes on exactly.

use serde::{Deserialize, Serialize};

use super::Searcher;
use super::collapse::Watch;
use crate::Error;
use crate::algorithms::Taken;
use crate::data::{Dataset, Position};
use crate::device;
use crate::run::{Alarms, Array, Checkpoint, Event, Observer, RunDir};
use crate::sampler::Table;

/// How far a search has come.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The next step to do.
    pub(super) at: Position,
    /// Of the epoch so far.
    pub(super) sums: Sums,
    /// The epoch with the highest held-out accuracy.
    pub(super) best: Option<Best>,
    /// What an early stop has seen.
    pub(super) watch: Watch,
    /// What the alarms have seen.
    pub(super) alarms: Alarms,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            at: Position::START,
            sums: Sums::default(),
            best: None,
            watch: Watch::default(),
            alarms: Alarms::default(),
        }
    }
}

impl Progress {
    /// Steps done in the whole search.
    pub(super) fn step(&self, steps_per_epoch: u64) -> u64 {
        self.at.epoch * steps_per_epoch + self.at.step
    }
}

/// The best epoch's genotype.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) epoch: u64,
    pub(super) accuracy: f64,
    pub(super) genotype: String,
}

/// Sums over the images of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    train: [f64; 3],
    held_out: [f64; 3],
    pub(super) redraws: u64,
}

/// Means over the images of an epoch.
pub(super) struct Means {
    pub(super) train_loss: f64,
    pub(super) train_accuracy: f64,
    pub(super) held_out_loss: f64,
    pub(super) held_out_accuracy: f64,
}

impl Sums {
    pub(super) fn add(&mut self, taken: &Taken) {
        for (sums, metrics) in [(&mut self.train, taken.train), (&mut self.held_out, taken.held_out)] {
            let Some(metrics) = metrics else { continue };
            let n = metrics.images as f64;
            *sums = [sums[0] + n, sums[1] + n * metrics.loss, sums[2] + n * metrics.accuracy];
        }
        self.redraws += taken.redraws;
    }

    pub(super) fn means(&self) -> Means {
        let mean = |sums: &[f64; 3], i: usize| sums[i] / sums[0].max(1.0);
        Means {
            train_loss: mean(&self.train, 1),
            train_accuracy: mean(&self.train, 2),
            held_out_loss: mean(&self.held_out, 1),
            held_out_accuracy: mean(&self.held_out, 2),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    epoch: u64,
    step: u64,
    sums: Sums,
    best: Option<Best>,
    #[serde(default)]
    watch: Watch,
    #[serde(default)]
    alarms: Alarms,
    adam_steps: u64,
    data_digest: String,
    /// What computed it; empty in checkpoints of early builds.
    #[serde(default)]
    arithmetic: String,
}

impl Searcher<'_> {
    /// Saves a checkpoint and returns the event that says so.
    pub(super) fn save(&self, run: &mut RunDir, progress: &Progress, steps_per_epoch: u64) -> Result<Event, Error> {
        let saved = Saved {
            epoch: progress.at.epoch,
            step: progress.at.step,
            sums: progress.sums.clone(),
            best: progress.best.clone(),
            watch: progress.watch.clone(),
            alarms: progress.alarms.clone(),
            adam_steps: self.adam.steps,
            data_digest: self.data_digest.clone(),
            arithmetic: device::arithmetic(self.supernet.weights.device()),
        };
        let mut checkpoint = Checkpoint::new(&saved)?;
        self.supernet.weights.save(&mut checkpoint, "weights");
        self.sgd.save(&self.supernet.weights, &mut checkpoint);
        for (name, tables) in self.tables() {
            for (i, table) in tables.iter().enumerate() {
                let shape = [table.len(), table[0].len()];
                checkpoint.insert(format!("{name}/{i}"), Array::f64(&shape, table.concat()));
            }
        }
        self.own.save(&mut checkpoint);
        Error::finite_state(&checkpoint, progress.at)?;
        Ok(run.save(&checkpoint)?.event(progress.at.epoch as usize, progress.step(steps_per_epoch)))
    }

    /// Takes up the newest checkpoint of the run, if it has one.
    pub(super) fn resume(
        &mut self,
        run: &mut RunDir,
        observer: &mut dyn Observer,
        dataset: &Dataset,
    ) -> Result<Option<Progress>, Error> {
        let Some(checkpoint) = run.take_up(observer)? else { return Ok(None) };
        let saved: Saved = checkpoint.state()?;
        if let Some(message) = device::other_arithmetic(&saved.arithmetic, self.supernet.weights.device()) {
            run.warn(observer, message)?;
        }
        self.restore(checkpoint, dataset).map(Some)
    }

    /// Takes up what [`save`](Self::save) put into a checkpoint.
    pub(super) fn restore(&mut self, mut checkpoint: Checkpoint, dataset: &Dataset) -> Result<Progress, Error> {
        let saved: Saved = checkpoint.state()?;
        Error::same_data(&saved.data_digest, &self.data_digest, &dataset.name)?;
        self.supernet.weights.load(&mut checkpoint, "weights")?;
        self.sgd.load(&self.supernet.weights, &mut checkpoint)?;
        let mut read = |name: &str, tables: &mut Vec<Table>| -> Result<(), Error> {
            for (i, table) in tables.iter_mut().enumerate() {
                let width = table[0].len();
                let values = checkpoint.take_f64(&format!("{name}/{i}"), &[table.len(), width])?;
                *table = values.chunks_exact(width).map(<[f64]>::to_vec).collect();
            }
            Ok(())
        };
        read("alpha", &mut self.alpha)?;
        read("adam/first", &mut self.adam.first)?;
        read("adam/second", &mut self.adam.second)?;
        self.adam.steps = saved.adam_steps;
        self.own.load(&self.supernet.space, &mut checkpoint)?;
        let at = Position { epoch: saved.epoch, step: saved.step };
        Ok(Progress { at, sums: saved.sums, best: saved.best, watch: saved.watch, alarms: saved.alarms })
    }

    fn tables(&self) -> [(&'static str, &Vec<Table>); 3] {
        [("alpha", &self.alpha), ("adam/first", &self.adam.first), ("adam/second", &self.adam.second)]
    }
}
