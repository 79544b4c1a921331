//! The events of a search.

use super::context::StepReport;
use super::progress::Progress;
use super::searcher::Searcher;
use super::state::EpochSums;
use crate::config::Selection;
use crate::data::{Dataset, SearchSplit};
use crate::run::{Alarm, Alarms, AlphaTable, EpochMetrics, EpochNumbers, Event, StepMetrics};
use crate::space::Genotype;

/// The event that a search starts, or resumes after `step` steps.
pub(super) fn started(
    searcher: &Searcher,
    algorithm: &str,
    dataset: &Dataset,
    split: &SearchSplit,
    steps_per_epoch: u64,
    step: u64,
) -> Event {
    let config = &searcher.config;
    Event::Started {
        task: "search".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        algorithm: algorithm.to_owned(),
        space: config.space.name.clone(),
        data: dataset.name.clone(),
        classes: dataset.classes.len(),
        train_images: split.weights.len(),
        held_out_images: split.alpha.len(),
        validation_images: 0,
        epochs: config.epochs,
        steps_per_epoch: steps_per_epoch as usize,
        parameters: searcher.supernet.weights.count(),
        seed: config.seed,
        threads: rayon::current_num_threads(),
        step,
    }
}

/// The event of a step, with speed and the time needed after the last step. Metrics that the step did not measure (some
/// algorithms alternate between weights and alpha) are the means of the epoch.
pub(super) fn step(
    progress: &Progress,
    report: &StepReport,
    sums: &EpochSums,
    [steps_per_second, after_seconds]: [f64; 2],
) -> Event {
    let mut metrics = sums.means(progress);
    if let Some(training) = report.training {
        (metrics.train_loss, metrics.train_accuracy) = (training.loss, training.accuracy);
    }
    if let Some(held_out) = report.held_out {
        (metrics.held_out_loss, metrics.held_out_accuracy) = (held_out.loss, held_out.accuracy);
    }
    Event::Step(StepMetrics {
        epoch: progress.at.epoch as usize,
        step: progress.step + 1,
        metrics,
        picked: report.picks.clone(),
        steps_per_second,
        after_seconds,
    })
}

/// The event that ends an epoch; `progress` is that of its last step.
pub(super) fn epoch(
    searcher: &Searcher,
    progress: &Progress,
    step: u64,
    sums: &EpochSums,
    genotype: &Genotype,
    [steps_per_second, eta_seconds]: [f64; 2],
) -> Event {
    let epoch = progress.at.epoch;
    let cells = searcher.supernet.space.cells.iter();
    Event::Epoch(EpochMetrics {
        epoch: epoch as usize,
        epochs: progress.epochs,
        step,
        metrics: sums.means(progress),
        alpha_rests: epoch < searcher.config.alpha_warmup_epochs as u64,
        alphas: cells.zip(&searcher.alpha).map(|(cell, alpha)| AlphaTable::new(&cell.name, alpha)).collect(),
        costs: searcher.standings(genotype),
        genotype: genotype.to_string(),
        parameter_free: genotype.parameter_free_share(),
        redraws: sums.redraws,
        steps_per_second,
        eta_seconds,
    })
}

/// The alarms raised by an epoch, from the event that ends it.
pub(super) fn alarms(searcher: &Searcher, alarms: &mut Alarms, ended: &Event) -> Vec<Event> {
    let Event::Epoch(EpochMetrics { epoch, step, .. }) = ended else { return vec![] };
    let Some(now) = EpochNumbers::of(ended) else { return vec![] };
    let begun = alarms.follow(&now);
    let judged = searcher.config.selection == Selection::Judged;
    let event =
        |alarm: Alarm| Event::Alarm { epoch: *epoch, step: *step, alarm, message: alarms.message(alarm, &now, judged) };
    begun.into_iter().map(event).collect()
}
