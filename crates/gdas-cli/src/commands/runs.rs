use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use gdas::run::{self, Event, RunInfo};
use serde_json::json;

use crate::cli::RunsDir;
use crate::output::{self, percent, table};

/// List runs, or show one
#[derive(Subcommand)]
#[command(after_help = "Examples:
  gdas runs list
  gdas runs show digits-1
  gdas runs show digits-1 --json | jq .genotype")]
pub(crate) enum Runs {
    List(List),
    Show(Show),
}

/// List the runs of a directory, with what came out of each
#[derive(Args)]
#[command(after_help = "Examples:
  gdas runs list
  gdas runs list --runs /data/runs --json")]
pub(crate) struct List {
    #[command(flatten)]
    directory: RunsDir,
    /// One JSON object per run
    #[arg(long)]
    json: bool,
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
        Runs::List(list) => run_list(&list),
        Runs::Show(show) => run_show(&show),
    }
}

fn run_list(command: &List) -> anyhow::Result<()> {
    let runs = run::list(&command.directory.runs)?;
    if command.json {
        for run in runs {
            match run {
                Ok(info) => output::json(&info)?,
                Err(error) => output::json(&json!({ "error": error.to_string() }))?,
            }
        }
        return Ok(());
    }
    if runs.is_empty() {
        output::note(format_args!(
            "no runs in {}; `gdas search` starts one, --runs looks elsewhere",
            command.directory.runs.display()
        ));
        return Ok(());
    }
    let head = ["run", "state", "task", "data", "space", "epochs", "accuracy", "genotype"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for run in runs {
        match run {
            Ok(info) => rows.push(vec![
                info.name,
                info.status.to_string(),
                info.task,
                info.data,
                info.space,
                format!("{}/{}", info.epochs_done, info.epochs),
                info.accuracy.map_or_else(|| "-".to_string(), percent),
                info.genotype.unwrap_or_else(|| "-".to_string()),
            ]),
            Err(error) => output::note(format_args!("warning: {error}")),
        }
    }
    Ok(output::line(table(&rows))?)
}

fn run_show(command: &Show) -> anyhow::Result<()> {
    let path = command.directory.find(&command.run);
    let info = RunInfo::read(&path)?;
    let events = RunInfo::events(&path)?;
    let files = files(&path)?;
    if command.json {
        let mut value = serde_json::to_value(&info)?;
        value["files"] = files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect();
        value["epoch_log"] = events
            .iter()
            .filter(|event| matches!(event, Event::Epoch { .. } | Event::TrainEpoch { .. }))
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()?;
        return output::json(&value);
    }
    let mut rows = vec![
        ("run", info.path.display().to_string()),
        ("state", info.holder.as_ref().map_or_else(|| info.status.to_string(), |by| format!("running ({by})"))),
        ("task", format!("{} on {}, {}", info.task, info.space, info.data)),
        ("epochs", format!("{} of {}", info.epochs_done, info.epochs)),
    ];
    match (info.accuracy, info.test_images) {
        (Some(accuracy), _) => rows.push(("accuracy", percent(accuracy))),
        (None, Some(0)) => rows.push(("accuracy", "no test images".to_string())),
        (None, _) => {}
    }
    if let Some(genotype) = &info.genotype {
        rows.push(("genotype", genotype.clone()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;

    let epochs = epochs(&events);
    if epochs.len() > 1 {
        output::line(format_args!("\n{}", table(&epochs)))?;
    }
    let rows: Vec<_> = files.into_iter().map(|(name, bytes)| vec![name, bytes.to_string()]).collect();
    output::line(format_args!("\nfiles (bytes)\n{}", table(&rows)))?;
    if info.status == "stopped" {
        output::line(format_args!("\ngo on with: gdas resume {}", info.path.display()))?;
    }
    Ok(())
}

/// A table of at most a dozen epochs, evenly spread, the last among them.
fn epochs(events: &[Event]) -> Vec<Vec<String>> {
    let mut head = ["epoch", "loss", "accuracy", "held-out loss", "accuracy", "tau", "parameter-free edges"];
    let mut rows = Vec::new();
    for event in events {
        match event {
            Event::Epoch {
                epoch,
                train_loss,
                train_accuracy,
                held_out_loss,
                held_out_accuracy,
                tau,
                parameter_free,
                ..
            } => {
                rows.push(vec![
                    (epoch + 1).to_string(),
                    format!("{train_loss:.4}"),
                    percent(*train_accuracy),
                    format!("{held_out_loss:.4}"),
                    percent(*held_out_accuracy),
                    format!("{tau:.3}"),
                    percent(*parameter_free),
                ]);
            }
            Event::TrainEpoch {
                epoch,
                train_loss,
                train_accuracy,
                test_loss,
                test_accuracy,
                validation_loss,
                validation_accuracy,
                ..
            } => {
                head[3] = if validation_loss.is_some() { "validation loss" } else { "test loss" };
                rows.push(vec![
                    (epoch + 1).to_string(),
                    format!("{train_loss:.4}"),
                    percent(*train_accuracy),
                    validation_loss.or(*test_loss).map_or_else(|| "-".to_string(), |loss| format!("{loss:.4}")),
                    validation_accuracy.or(*test_accuracy).map_or_else(|| "-".to_string(), percent),
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
