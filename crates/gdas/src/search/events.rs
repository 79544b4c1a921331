//! What a search tells while it runs.

use std::time::Instant;

use super::Searcher;
use super::state::{Best, Progress, Sums};
use crate::algorithms::Taken;
use crate::data::{Dataset, Position, SearchSplit};
use crate::run::{AlphaTable, Event};

impl Searcher<'_> {
    pub(super) fn end_epoch(
        &self,
        progress: &mut Progress,
        epoch: u64,
        steps: u64,
        tau: f64,
        rate: f64,
        speed: f64,
    ) -> Event {
        let genotype = self.genotype();
        let sums = std::mem::take(&mut progress.sums);
        let means = sums.means();
        if progress.best.as_ref().is_none_or(|best| means.held_out_accuracy > best.accuracy) {
            let accuracy = means.held_out_accuracy;
            progress.best = Some(Best { epoch, accuracy, genotype: genotype.to_string() });
        }
        let left = (self.config.epochs as u64 - epoch - 1) * steps;
        Event::Epoch {
            epoch: epoch as usize,
            epochs: self.config.epochs,
            step: (epoch + 1) * steps,
            train_loss: means.train_loss,
            train_accuracy: means.train_accuracy,
            held_out_loss: means.held_out_loss,
            held_out_accuracy: means.held_out_accuracy,
            tau,
            learning_rate: rate,
            alpha_rests: epoch < self.config.alpha_warmup_epochs as u64,
            alphas: self.alpha_tables(),
            costs: self.standings(&genotype),
            genotype: genotype.to_string(),
            parameter_free: genotype.parameter_free_share(),
            redraws: sums.redraws,
            steps_per_second: speed,
            eta_seconds: if speed > 0.0 { left as f64 / speed } else { 0.0 },
        }
    }

    fn alpha_tables(&self) -> Vec<AlphaTable> {
        let row = |row: &Vec<f64>| row.iter().map(|&a| a as f32).collect();
        let tables = self.alpha.iter().zip(&self.supernet.space.cells);
        tables.map(|(t, cell)| AlphaTable { name: cell.name.clone(), alphas: t.iter().map(row).collect() }).collect()
    }

    pub(super) fn started(&self, dataset: &Dataset, split: &SearchSplit, steps: u64, step: u64) -> Event {
        Event::Started {
            task: "search".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            algorithm: self.config.algorithm.name().to_owned(),
            space: self.config.space.name.clone(),
            data: dataset.name.clone(),
            classes: dataset.classes.len(),
            train_images: split.weights.len(),
            held_out_images: split.alpha.len(),
            epochs: self.config.epochs,
            steps_per_epoch: steps as usize,
            parameters: self.supernet.weights.count(),
            seed: self.config.seed,
            threads: rayon::current_num_threads(),
            step,
        }
    }
}

pub(super) fn per_second(since: Instant, steps: u64) -> f64 {
    steps as f64 / since.elapsed().as_secs_f64().max(1e-9)
}

/// What a step did. Of what it did not measure (some algorithms train and choose in turns) it tells the epoch's mean.
pub(super) fn step_event(
    at: Position,
    step: u64,
    taken: &Taken,
    sums: &Sums,
    tau: f64,
    rate: f64,
    speed: f64,
) -> Event {
    let means = sums.means();
    let train = taken.train.map_or((means.train_loss, means.train_accuracy), |m| (m.loss, m.accuracy));
    let held_out = taken.held_out.map_or((means.held_out_loss, means.held_out_accuracy), |m| (m.loss, m.accuracy));
    Event::Step {
        epoch: at.epoch as usize,
        step,
        train_loss: train.0,
        train_accuracy: train.1,
        held_out_loss: held_out.0,
        held_out_accuracy: held_out.1,
        tau,
        learning_rate: rate,
        picked: taken.picked.clone(),
        steps_per_second: speed,
    }
}
