mod delete;
mod list;

use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use gdas::run::{Event, RunInfo};
use gdas::shell;
use serde_json::json;

use crate::cli::RunsDir;
use crate::output::{self, percent, table};

/// List runs, show one, or delete some
#[derive(Subcommand)]
#[command(after_help = "Examples:
  gdas runs list
  gdas runs show digits-1
  gdas runs show digits-1 --json | jq .genotype
  gdas runs delete digits-1")]
pub(crate) enum Runs {
    List(list::List),
    Show(Show),
    Delete(delete::Delete),
}

/// Show a run: its state, its cell, its epochs, its files
#[derive(Args)]
#[command(after_help = "Examples:
  gdas runs show digits-1
  gdas runs show runs/digits-1 --json")]
pub(crate) struct Show {
    /// Name of the run, or path to its directory
    run: String,
    #[command(flatten)]
    directory: RunsDir,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Runs) -> anyhow::Result<()> {
    match command {
        Runs::List(command) => list::run(&command),
        Runs::Show(command) => show(&command),
        Runs::Delete(command) => delete::run(&command),
    }
}

fn show(command: &Show) -> anyhow::Result<()> {
    let path = command.directory.run(&command.run)?.path;
    let info = RunInfo::read(&path)?;
    let events = RunInfo::events(&path)?;
    let files = files(&path)?;
    if command.json {
        let mut value = serde_json::to_value(&info)?;
        value["files"] = files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect();
        let mut events = events;
        for stage in &info.stages {
            events.extend(RunInfo::events(&stage.path)?);
        }
        value["epoch_log"] = events
            .iter()
            .filter(|event| matches!(event, Event::Epoch(_) | Event::TrainEpoch(_)))
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()?;
        return output::json(&value);
    }
    let mut rows = vec![
        ("run", info.path.display().to_string()),
        ("state", info.holder.as_ref().map_or_else(|| info.status.to_string(), |by| format!("running ({by})"))),
        ("task", format!("{} on {}, {}", info.task, info.space, info.data)),
    ];
    for stage in &info.stages {
        let name = if stage.task == "train" { "training" } else { "search" };
        let accuracy = accuracy(stage).map_or_else(String::new, |text| format!(", accuracy: {text}"));
        rows.push((name, format!("{}, {} of {} epochs{accuracy}", stage.status, stage.epochs_done, stage.epochs)));
    }
    if info.stages.is_empty() {
        rows.push(("epochs", format!("{} of {}", info.epochs_done, info.epochs)));
        rows.extend(accuracy(&info).map(|text| ("accuracy", text)));
    }
    if let Some(genotype) = &info.genotype {
        rows.push(("genotype", genotype.clone()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;

    for stage in &info.stages {
        let epochs = epochs(&RunInfo::events(&stage.path)?);
        if epochs.len() > 1 {
            output::line(format_args!("\n{}\n{}", stage.name, table(&epochs)))?;
        }
    }
    let epochs = epochs(&events);
    if epochs.len() > 1 {
        output::line(format_args!("\n{}", table(&epochs)))?;
    }
    let rows: Vec<_> = files.into_iter().map(|(name, bytes)| vec![name, bytes.to_string()]).collect();
    output::line(format_args!("\nfiles (bytes)\n{}", table(&rows)))?;
    if info.status == "stopped" {
        output::line(format_args!("\ngo on with: gdas resume {}", shell::path(&info.path)))?;
    }
    Ok(())
}

/// The accuracy of a run in words, if there is anything to say about it.
fn accuracy(info: &RunInfo) -> Option<String> {
    match (info.accuracy, info.test_images) {
        (Some(accuracy), _) => Some(percent(accuracy)),
        (None, Some(0)) => Some("no test images".to_string()),
        (None, _) => None,
    }
}

/// A table of at most a dozen epochs, evenly spread, the last among them.
fn epochs(events: &[Event]) -> Vec<Vec<String>> {
    let mut head = ["epoch", "loss", "accuracy", "held-out loss", "accuracy", "tau", "parameter-free edges"];
    let mut rows = Vec::new();
    for event in events {
        match event {
            Event::Epoch(epoch) => {
                let metrics = &epoch.metrics;
                rows.push(vec![
                    (epoch.epoch + 1).to_string(),
                    format!("{:.4}", metrics.train_loss),
                    percent(metrics.train_accuracy),
                    format!("{:.4}", metrics.held_out_loss),
                    percent(metrics.held_out_accuracy),
                    format!("{:.3}", metrics.tau),
                    percent(epoch.parameter_free),
                ]);
            }
            Event::TrainEpoch(epoch) => {
                head[3] = if epoch.validation_loss.is_some() { "validation loss" } else { "test loss" };
                rows.push(vec![
                    (epoch.epoch + 1).to_string(),
                    format!("{:.4}", epoch.train_loss),
                    percent(epoch.train_accuracy),
                    epoch.other_loss().map_or_else(|| "-".to_string(), |loss| format!("{loss:.4}")),
                    epoch.other_accuracy().map_or_else(|| "-".to_string(), percent),
                ]);
            }
            _ => {}
        }
    }
    let every = rows.len().div_ceil(12).max(1);
    let last = rows.len() - usize::from(!rows.is_empty());
    let mut kept: Vec<_> =
        rows.into_iter().enumerate().filter(|(i, _)| (last - i) % every == 0).map(|(_, row)| row).collect();
    let width = kept.first().map_or(0, Vec::len);
    kept.insert(0, head.iter().take(width).map(ToString::to_string).collect());
    kept
}

fn files(path: &Path) -> anyhow::Result<Vec<(String, u64)>> {
    let read = || format!("cannot list {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(read)? {
        let entry = entry.with_context(read)?;
        let metadata = entry.metadata().with_context(read)?;
        if metadata.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
