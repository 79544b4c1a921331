//! The top of a run's report: alarms, then its state and main results.

use maud::{Markup, html};

use super::parts::{duration, percent, table};
use crate::run_data::RunData;
use gdas::run::{Event, RunInfo};
use gdas_nasbench::{Quantity, Table, cell_of};

/// Alarms that hold at the last epoch.
pub(super) fn alarms(run: &RunData) -> Markup {
    html! {
        @for (_, message) in &run.alarms {
            p.alarm role="alert" { strong { "Alarm:" } " " (message) "." }
        }
    }
}

/// State (if `state`), data, accuracy, genotype; with a table also the cell's accuracies and ranks in it.
pub(super) fn section(run: &RunData, known: Option<&Table>, state: bool) -> Markup {
    let standing = known.map_or_else(Vec::new, |known| standing(run, known));
    html! {
        section.facts {
            dl {
                @for (name, value) in rows(run).into_iter().filter(|(name, _)| state || *name != "state") {
                    div { dt { (name) } dd { (value) } }
                }
            }
            @if let Some(text) = &run.info.genotype {
                p.genotype { code { (text) } }
            }
            @if !standing.is_empty() {
                h2 { "In the NAS-Bench-201 table" }
                (table(&["data set", "epochs", "accuracy", "rank"], &standing))
            }
        }
    }
}

fn rows(run: &RunData) -> Vec<(&'static str, String)> {
    let info = &run.info;
    let epochs = |info: &RunInfo| format!("{} of {} epochs", info.epochs_done, info.epochs);
    let mut rows: Vec<(&str, String)> = Vec::new();
    if info.task == "auto" {
        rows.push(("state", info.status.to_owned()));
        for stage in &info.stages {
            rows.push((if stage.task == "train" { "training" } else { "search" }, epochs(stage)));
        }
    } else {
        rows.push(("state", format!("{}, {}", info.status, epochs(info))));
    }
    rows.extend([("space", info.space.clone()), ("data", info.data.clone())]);
    match (info.accuracy, info.stage.unwrap_or(&info.task)) {
        (Some(accuracy), "train") => {
            rows.push(("test accuracy", percent(accuracy)));
            rows.extend(
                run.test_interval()
                    .map(|[low, high]| ("95 % interval", format!("{:.2} to {:.2} %", low * 100.0, high * 100.0))),
            );
        }
        (Some(accuracy), _) => rows.push(("held-out accuracy (shared weights)", percent(accuracy))),
        (None, "train") if info.test_images == Some(0) => {
            rows.push(("test accuracy", "no test images".into()));
        }
        (None, _) => {}
    }
    if let Some((epoch, accuracy)) = run.chosen_epoch() {
        rows.push(("weights", format!("of epoch {epoch}, chosen by its validation accuracy of {}", percent(accuracy))));
    }
    if let Some(genotype) = run.genotype() {
        rows.push(("edges without parameters", percent(genotype.parameter_free_share())));
    }
    let seconds = run.events.iter().rev().find_map(|e| match e {
        Event::Finished { seconds, .. } => Some(*seconds),
        _ => None,
    });
    rows.extend(seconds.map(|seconds| ("time of the last process", duration(seconds))));
    rows
}

/// Data set, epochs, accuracy and rank of the run's cell, for each setting of the table.
pub(super) fn standing(run: &RunData, table: &Table) -> Vec<Vec<String>> {
    let Some(index) = run.genotype().and_then(|g| cell_of(&g).ok()).and_then(|cell| table.index_of(cell)) else {
        return vec![];
    };
    let mut rows = Vec::new();
    for setting in table.settings() {
        for (quantity, name) in [(Quantity::ValidAccuracy, "valid"), (Quantity::TestAccuracy, "test")] {
            if let Ok(rank) = table.rank(index, setting, quantity) {
                rows.push(vec![
                    format!("{} {name}", setting.dataset.name()),
                    setting.epochs.to_string(),
                    format!("{:.2} %", rank.value),
                    format!("{} of {}", rank.rank, rank.of),
                ]);
            }
        }
    }
    rows
}
