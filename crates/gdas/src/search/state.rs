//! Checkpoints of a search.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::context::StepReport;
use super::progress::Progress;
use super::regularise::EarlyStopState;
use super::searcher::Searcher;
use crate::Error;
use crate::config::SearchConfig;
use crate::data::{Dataset, Position};
use crate::device;
use crate::run::{Alarms, Array, Checkpoint, SearchMetrics, read_checkpoint};

/// State of a search besides the searcher and the algorithm.
#[derive(Clone, Debug)]
pub(super) struct SearchState {
    /// Position of the next step.
    pub(super) at: Position,
    /// Sums over the current epoch.
    pub(super) sums: EpochSums,
    /// The epoch with the highest held-out accuracy.
    pub(super) best: Option<BestEpoch>,
    /// State of the early-stop rule.
    pub(super) early_stop: EarlyStopState,
    /// State of the alarms.
    pub(super) alarms: Alarms,
}

impl Default for SearchState {
    fn default() -> Self {
        let (sums, early_stop) = (EpochSums::default(), EarlyStopState::default());
        Self { at: Position::START, sums, best: None, early_stop, alarms: Alarms::default() }
    }
}

/// The epoch with the highest held-out accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BestEpoch {
    pub(super) epoch: u64,
    pub(super) accuracy: f64,
    pub(super) genotype: String,
}

/// Sums over the images of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EpochSums {
    train: [f64; 3],
    held_out: [f64; 3],
    pub(super) redraws: u64,
}

impl EpochSums {
    pub(super) fn add(&mut self, report: &StepReport) {
        for (sums, metrics) in [(&mut self.train, report.training), (&mut self.held_out, report.held_out)] {
            let Some(metrics) = metrics else { continue };
            let n = metrics.images as f64;
            *sums = [sums[0] + n, sums[1] + n * metrics.loss, sums[2] + n * metrics.accuracy];
        }
        self.redraws += report.redraws;
    }

    /// Means over the images so far, with the schedule values of a step.
    pub(super) fn means(&self, progress: &Progress) -> SearchMetrics {
        let mean = |sums: &[f64; 3], i: usize| sums[i] / sums[0].max(1.0);
        SearchMetrics {
            train_loss: mean(&self.train, 1),
            train_accuracy: mean(&self.train, 2),
            held_out_loss: mean(&self.held_out, 1),
            held_out_accuracy: mean(&self.held_out, 2),
            tau: progress.tau,
            learning_rate: progress.learning_rate,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SavedState {
    epoch: u64,
    step: u64,
    sums: EpochSums,
    best: Option<BestEpoch>,
    #[serde(default)]
    watch: EarlyStopState,
    #[serde(default)]
    alarms: Alarms,
    adam_steps: u64,
    data_digest: String,
    /// The arithmetic of the device; empty in checkpoints of early versions.
    #[serde(default)]
    arithmetic: String,
    /// Names of the custom parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
}

impl Searcher {
    /// The checkpoint without the state of the algorithm.
    pub(super) fn checkpoint(&self, state: &SearchState, own_parts: &[String]) -> Result<Checkpoint, Error> {
        let mut checkpoint = Checkpoint::new(&SavedState {
            epoch: state.at.epoch,
            step: state.at.step,
            sums: state.sums.clone(),
            best: state.best.clone(),
            watch: state.early_stop.clone(),
            alarms: state.alarms.clone(),
            adam_steps: self.adam.steps,
            data_digest: self.data_digest.clone(),
            arithmetic: device::arithmetic(self.supernet.weights.device()),
            parts: own_parts.to_vec(),
        })?;
        checkpoint.arrays.extend(self.supernet.weights.to_arrays("weights"));
        checkpoint.arrays.extend(self.sgd.to_arrays(&self.supernet.weights));
        for (name, matrices) in
            [("alpha", &self.alpha), ("adam/first", &self.adam.first), ("adam/second", &self.adam.second)]
        {
            for (i, matrix) in matrices.iter().enumerate() {
                checkpoint.insert(format!("{name}/{i}"), Array::f64(&matrix.shape(), matrix.values().to_vec()));
            }
        }
        Ok(checkpoint)
    }

    /// Restores the state saved by [`checkpoint`](Self::checkpoint), and returns it with a warning for the user, if there is
    /// one.
    pub(super) fn restore(
        &mut self,
        checkpoint: &mut Checkpoint,
        dataset: &Dataset,
        own_parts: &[String],
    ) -> Result<(SearchState, Option<String>), Error> {
        let saved: SavedState = checkpoint.state()?;
        Error::same_data(&saved.data_digest, &self.data_digest, &dataset.name)?;
        if saved.parts != own_parts {
            let list = |parts: &[String]| if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
            return Err(Error::Unsuitable(format!(
                "this run was begun with other parts than the built-in ones ({}), and was given: {}; go on with it from \
                 a program that has them (`Search::resume`)",
                list(&saved.parts),
                list(own_parts)
            )));
        }
        let warning = device::other_arithmetic(&saved.arithmetic, self.supernet.weights.device());
        self.supernet.weights.set_arrays("weights", |name, shape| checkpoint.take_f32(name, shape))?;
        self.sgd.set_arrays(&self.supernet.weights, |name, shape| checkpoint.take_f32_if_there(name, shape))?;
        for (name, matrices) in
            [("alpha", &mut self.alpha), ("adam/first", &mut self.adam.first), ("adam/second", &mut self.adam.second)]
        {
            for (i, matrix) in matrices.iter_mut().enumerate() {
                let values = checkpoint.take_f64(&format!("{name}/{i}"), &matrix.shape())?;
                matrix.values_mut().copy_from_slice(&values);
            }
        }
        self.adam.steps = saved.adam_steps;
        let at = Position { epoch: saved.epoch, step: saved.step };
        let SavedState { sums, best, watch: early_stop, alarms, .. } = saved;
        let state = SearchState { at, sums, best, early_stop, alarms };
        Ok((state, warning))
    }

    /// The searcher of the newest checkpoint of the run at `path`, with the number of the checkpoint. The run may be in progress
    /// and is only read.
    ///
    /// # Errors
    /// If there is no checkpoint yet, or the data differ.
    pub fn of_run(
        config: &SearchConfig,
        path: &Path,
        dataset: &Dataset,
        device: &Device,
    ) -> Result<(Self, u64), Error> {
        let mut searcher = Self::new(config, dataset, device)?;
        let loaded = read_checkpoint(path)?;
        let mut loaded =
            loaded.ok_or_else(|| Error::Unsuitable(format!("{} has no checkpoint yet", path.display())))?;
        let parts = loaded.checkpoint.state::<SavedState>()?.parts;
        searcher.restore(&mut loaded.checkpoint, dataset, &parts)?;
        Ok((searcher, loaded.generation))
    }
}
