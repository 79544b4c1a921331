use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use gdas::train::TrainedModel;
use gdas_data::read_images;
use serde_json::{Map, json};

use crate::cli::RunsDir;
use crate::commands::{devices, search};
use crate::exit::Preempted;
use crate::flags::WeightsFlag;
use crate::output::{self, note, percent, table};
use crate::signals;

/// Say what images show, with a trained network
#[derive(Args)]
#[command(after_help = "Examples:
  gdas predict photos-2 new/cat.jpg new/dog.png
  gdas predict photos-2 new/ --json")]
pub(crate) struct Predict {
    /// Name of a training or an automatic run, or path to its directory
    run: String,
    /// Image files, or folders or archives of them
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Average the scores of each image and its mirror image [default: as the training's tests did]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    test_flip: Option<bool>,
    #[command(flatten)]
    weights: WeightsFlag,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: Auto<usize>,
    /// Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas devices
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceName,
    #[command(flatten)]
    runs: RunsDir,
    /// One JSON object per image, with the probability of every class
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Predict) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    search::use_threads(command.threads)?;
    let path = command.runs.run(&command.run)?.trained()?;
    let device = devices::open(command.device, Precision::Float32)?;
    let model = TrainedModel::open_weights(&path, command.weights.choice(), &device)?;
    let flip = command.test_flip.unwrap_or(model.test_flip);
    let size = [model.image.height, model.image.width, model.image.channels];
    let mut rows = Vec::new();
    let (mut answered, mut failed) = (0, 0);
    for given in &command.images {
        // One that cannot be used does not keep the others from an answer.
        let read = match read_images(given, size) {
            Ok(read) => read,
            Err(error) => {
                note(format_args!("error: {error}"));
                failed += 1;
                continue;
            }
        };
        for image in &read.broken {
            note(format_args!("error: {}: {}", image.name, image.reason));
        }
        failed += read.broken.len();
        if let Some(what) = read.note() {
            note(format_args!("{}: {what}", given.display()));
        }
        if read.others > 0 {
            note(format_args!("{}: {} files are not images", given.display(), read.others));
        }
        let Some(predictions) = model.predict(&Arc::new(read.images), flip, &interrupt) else {
            return Err(Preempted("the same command".to_string()).into());
        };
        answered += read.names.len();
        for (name, probabilities) in read.names.into_iter().zip(predictions) {
            let best = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
            if command.json {
                let all: Map<_, _> =
                    model.classes.iter().cloned().zip(probabilities.iter().map(|&p| json!(p))).collect();
                output::json(&json!({
                    "image": name, "class": model.classes[best],
                    "probability": probabilities[best], "probabilities": all,
                }))?;
            } else {
                rows.push(vec![name, model.classes[best].clone(), percent(probabilities[best].into())]);
            }
        }
    }
    if !command.json && !rows.is_empty() {
        output::line(table(&rows))?;
    }
    if failed > 0 {
        bail!("images answered: {answered}; not usable: {failed}");
    }
    Ok(())
}
