use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use gdas::shell;
use gdas::train::TrainedModel;
use serde_json::json;

use crate::cli::RunsDir;
use crate::commands::{devices, search};
use crate::exit::Preempted;
use crate::flags::WeightsFlag;
use crate::images::{self, Damaged};
use crate::output::{self, percent, table};
use crate::per_class;
use crate::signals;

/// Test a trained network
#[derive(Args)]
#[command(after_help = "Examples:
  gdas evaluate digits-2
  gdas evaluate digits-2 --data other-digits/ --test-flip --json
  gdas evaluate digits-2 --confusion matrix.csv")]
pub(crate) struct Evaluate {
    /// Name of a training or an automatic run, or path to its directory
    run: String,
    /// Where the images of the training lie now, or other data; the test images are used, and the classes must be the same
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Average the scores of each image and its mirror image [default: as the training's tests did]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    test_flip: Option<bool>,
    /// Write the confusion matrix as CSV: a row for each class, a column for each answer
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
    #[command(flatten)]
    weights: WeightsFlag,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: Auto<usize>,
    /// Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas devices
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceName,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Evaluate) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    let path = command.runs.run(&command.run)?.trained()?;
    let device = devices::open(command.device, Precision::Float32)?;
    let model = TrainedModel::open_weights(&path, command.weights.choice(), &device)?;
    search::use_threads(command.threads)?;
    let dataset = images::of_model(&path, &model, command.data.as_deref(), command.damaged)?;
    let same_data = dataset.digest() == model.data_digest;
    let flip = command.test_flip.unwrap_or(model.test_flip);
    let evaluation = match dataset.test_images() {
        Some(test) => Some(
            model
                .test(&test, flip, &interrupt)
                .ok_or_else(|| Preempted(format!("gdas evaluate {}", shell::path(&path))))?,
        ),
        None => None,
    };
    let metrics = evaluation.as_ref().map(|evaluation| evaluation.metrics);
    let confusion = evaluation.map(|evaluation| evaluation.confusion);
    let classes = confusion.as_ref().map(|confusion| confusion.per_class(&model.classes));
    if let (Some(file), Some(confusion)) = (&command.confusion, &confusion) {
        let text = per_class::csv(confusion, &model.classes);
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if command.json {
        return output::json(&json!({
            "run": path, "data": dataset.name, "same_data": same_data, "images": metrics.map_or(0, |metrics| metrics.images),
            "accuracy": metrics.map(|metrics| metrics.accuracy), "top5": metrics.map(|metrics| metrics.top5),
            "loss": metrics.map(|metrics| metrics.loss), "weights": model.origin.to_string(),
            "interval": classes.as_deref().map(per_class::interval), "classes": classes,
            "confusion": confusion.map(|confusion| confusion.matrix(model.classes.len())),
        }));
    }
    let (Some(metrics), Some(classes), Some(confusion)) = (metrics, classes, confusion) else {
        return Ok(output::line(format_args!("{} has no test images; --data names others", dataset.name))?);
    };
    let of = if same_data || model.data_digest.is_empty() { "" } else { " (not the images of the training)" };
    let mut rows = vec![
        ("data", format!("{}, {} test images{of}", dataset.name, metrics.images)),
        ("weights", model.origin.to_string()),
        ("accuracy", per_class::accuracy(metrics.accuracy, per_class::interval(&classes))),
        ("loss", format!("{:.4}", metrics.loss)),
    ];
    if model.classes.len() > 5 {
        rows.push(("top-5", percent(metrics.top5)));
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    output::line(format_args!("\n{}", per_class::text(&classes)))?;
    if let Some(matrix) = per_class::matrix(&confusion, &model.classes) {
        output::line(format_args!("\n{matrix}"))?;
    }
    Ok(())
}
