use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use gdas::run::{RunDir, RunError, TestRecord};
use gdas::shell;
use gdas::train::TrainedModel;
use gdas_report::predictions_csv;
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
  gdas evaluate digits-2 --confusion matrix.csv --predictions answers.csv

Test images of the training itself are recorded in the run (test.safetensors), for `gdas report`.")]
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
    /// Write the answer to each image as CSV: index, class, answer, confidence, probability of the class
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
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
    let began = Instant::now();
    let evaluation = match dataset.test_images() {
        Some(test) => Some(
            model
                .test(&test, flip, &interrupt)
                .ok_or_else(|| Preempted(format!("gdas evaluate {}", shell::path(&path))))?,
        ),
        None => None,
    };
    let seconds = began.elapsed().as_secs_f64();
    let metrics = evaluation.as_ref().map(|evaluation| evaluation.metrics);
    let (confusion, answers) = evaluation.map(|evaluation| (evaluation.confusion, evaluation.answers)).unzip();
    let record = answers.map(|answers| model.record(&dataset, flip, answers));
    let calibration_error = record.as_ref().and_then(|record| record.answers.calibration.expected_error());
    if let Some(record) = &record {
        let own = (same_data || model.data_digest.is_empty()) && command.weights.choice().is_none();
        // A run that has this record already is only read.
        let known = TestRecord::read(&path).ok().flatten();
        if own && flip == model.test_flip && known.as_ref() != Some(record) {
            keep(&path, &model, record, seconds);
        }
        if let Some(file) = &command.predictions {
            write(file, &predictions_csv(record, &model.classes))?;
        }
    }
    let classes = confusion.as_ref().map(|confusion| confusion.per_class(&model.classes));
    if let (Some(file), Some(confusion)) = (&command.confusion, &confusion) {
        write(file, &per_class::csv(confusion, &model.classes))?;
    }
    if command.json {
        return output::json(&json!({
            "run": path, "data": dataset.name, "same_data": same_data, "images": metrics.map_or(0, |metrics| metrics.images),
            "accuracy": metrics.map(|metrics| metrics.accuracy), "top5": metrics.map(|metrics| metrics.top5),
            "loss": metrics.map(|metrics| metrics.loss), "calibration_error": calibration_error, "weights": model.origin.to_string(),
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
    rows.extend(calibration_error.map(|error| ("calibration error", percent(error))));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    output::line(format_args!("\n{}", per_class::text(&classes)))?;
    if let Some(matrix) = per_class::matrix(&confusion, &model.classes) {
        output::line(format_args!("\n{matrix}"))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Records the test in the run, for its report. The numbers are the command's result: where the run cannot be written, a note
/// says so.
fn keep(run: &Path, model: &TrainedModel, record: &TestRecord, seconds: f64) {
    let kept = || {
        let mut run = RunDir::open(run)?;
        run.write_test(record)?;
        run.log(&model.tested(0, &record.answers, record.facts.flip, seconds))
    };
    if let Err::<(), RunError>(error) = kept() {
        output::note(format_args!("the answers are not recorded for the report: {error}"));
    }
}
