use std::path::{Path, PathBuf};

use clap::Args;
use gdas::Device;
use gdas::config::{Auto, Layer, TrainConfig, resolve, to_toml};
use gdas::cost;
use gdas::run::{Interrupt, RunDir, RunError, read_config};
use gdas::shell;
use gdas::train::{Outcome, TrainResult, train};
use gdas_data::LocateError;
use gdas_exchange::import::UNKNOWN_DATA;
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::genotype::SpaceFlag;
use crate::commands::{devices, search};
use crate::exit::{Preempted, Usage};
use crate::flags::{self, TrainFlags};
use crate::images::{self, Damaged, Opened};
use crate::named::Named;
use crate::output::{self, percent, table};
use crate::per_class;
use crate::progress::Progress;
use crate::signals;

/// Train the network of a genotype from scratch
///
/// Values come from the preset, then from the search that is given, then from the file given with --config, then from
/// flags; later ones win.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas train digits-1                                   what a search found, on the search's data
  gdas train GDAS_V1 --data cifar10 --preset paper      a published cell, the published way
  gdas train cell.txt --data cifar10 --preset paper-12  NAS-Bench-201's 12 epochs
  gdas train digits-1 --print-config                    all keys and their values")]
pub(crate) struct Train {
    /// A run, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file (text, JSON or result.json), or the text
    genotype: Option<String>,
    /// TOML file with any of the keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of the run [default: the data's name and a number]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the resolved configuration and do nothing
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    flags: TrainFlags,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Train) -> anyhow::Result<()> {
    let (mut config, source) = config(command)?;
    if command.print_config {
        return Ok(output::line(to_toml(&config)?.trim_end())?);
    }
    let device = devices::open(config.device, config.precision)?;
    let interrupt = signals::install()?;
    search::use_threads(config.threads)?;
    let mut opened = if let Some(run) = &source {
        let (opened, place) = open_of(run, &config, command.display)?;
        config.data = place;
        opened
    } else {
        let damaged = Damaged { skip_damaged: config.skip_damaged };
        let opened = images::open(&config.data, config.image_size, damaged, command.display.quiet)?;
        config.data = flags::lasting(&config.data);
        opened
    };
    opened.warnings.extend(few_steps(&config, opened.dataset.train.len()));
    let mut run = command.runs.create(command.name.as_deref(), &opened.dataset.name, &to_toml(&config)?)?;
    carry_out(&config, &opened, &mut run, &device, command.display, &interrupt)
}

/// Trainings of fewer steps than this teach a network little.
const FEW_STEPS: usize = 100;

/// What to say of a training on so few images that its epochs are over after a few steps. The preset `smoke` is meant to be short,
/// and so is an epoch that was shortened.
fn few_steps(config: &TrainConfig, images: usize) -> Option<String> {
    let per_epoch = images.div_ceil(config.batch_size);
    let steps = per_epoch * config.epochs;
    if steps >= FEW_STEPS || config.preset == "smoke" || config.max_steps_per_epoch != Auto::Auto {
        return None;
    }
    let batch = config.batch_size.min(16);
    let epochs = (3 * FEW_STEPS).div_ceil(images.div_ceil(batch).max(1)).max(config.epochs);
    Some(format!(
        "{images} training images in batches of {} are {per_epoch} steps per epoch, and {steps} in all, which teach little; \
         try --batch-size {batch} --epochs {epochs}",
        config.batch_size
    ))
}

/// The images of another run, and where they are now.
fn open_of(run: &Path, config: &TrainConfig, display: Display) -> anyhow::Result<(Opened, String)> {
    let damaged = Damaged { skip_damaged: config.skip_damaged };
    let opened = images::open_for_run(run, (&config.data, None), config.image_size, damaged, display.quiet);
    opened.map_err(|error| match error.downcast_ref::<LocateError>() {
        Some(LocateError::Run(RunError::OtherImages { name, .. })) => Usage(format!(
            "the images at {name} are not those that {} worked on; `--data {}` trains on them as they are",
            run.display(),
            shell::path(Path::new(name)),
        ))
        .into(),
        _ => error,
    })
}

/// The configuration, and the run whose images are trained on, if they are a run's.
fn config(command: &Train) -> anyhow::Result<(TrainConfig, Option<PathBuf>)> {
    let mut layers = Vec::new();
    let mut source = None;
    if let Some(given) = &command.genotype {
        let (layer, run) = start(&command.runs, given, command.flags.space())?;
        layers.extend(layer);
        source = run;
    }
    let from_run = layers.len();
    if let Some(path) = &command.config {
        layers.push(flags::file(path)?);
    }
    layers.push(Layer::flags(&command.flags)?);
    if command.genotype.is_none() && !layers.iter().any(|layer| layer.has("genotype")) {
        let message = "which genotype? Name a search, a published cell or a file, as in `gdas train digits-1`";
        return Err(Usage(message.to_string()).into());
    }
    // Images of another size have another digest than those that the run recorded.
    let other = |layer: &Layer| ["data", "image_size", "skip_damaged"].into_iter().any(|key| layer.has(key));
    if layers[from_run..].iter().any(other) {
        source = None;
    }
    let config: TrainConfig = resolve(&layers)?;
    if config.data == UNKNOWN_DATA {
        let message = "the network was imported, and what it was trained on is not known; name images with --data";
        return Err(Usage(message.to_string()).into());
    }
    Ok((config, source))
}

/// The genotype that was named; if by a run, with that run's data and its directory.
fn start(runs: &RunsDir, given: &str, space: Option<&str>) -> anyhow::Result<(Vec<Layer>, Option<PathBuf>)> {
    let space = SpaceFlag { space: space.map(str::to_owned) };
    let (genotype, data, run) = match runs.resolve(given, &space)? {
        Named::Genotype(genotype) => (genotype, None, None),
        Named::Run(run) => {
            let data =
                flags::of_run(&run.path, &read_config(&run.path)?)?.only(&["data", "image_size", "skip_damaged"]);
            (run.genotype(&space)?, Some(data), Some(run.path))
        }
    };
    let genotype = Layer::flags(&json!({ "genotype": genotype.to_string(), "space": *genotype.space }))?;
    Ok(([genotype].into_iter().chain(data).collect(), run))
}

/// Trains, or goes on training, and tells what came of it.
pub(crate) fn carry_out(
    config: &TrainConfig,
    opened: &Opened,
    run: &mut RunDir,
    device: &Device,
    display: Display,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(display).with_tensorboard(config.tensorboard.then(|| run.path()));
    opened.warn(&mut progress, run)?;
    let outcome = train(config, &opened.dataset, run, &mut progress, interrupt, device)?;
    drop(progress);
    match outcome {
        Outcome::Finished(result) => present(&result, run.path(), display),
        Outcome::Interrupted { .. } => Err(Preempted(format!("gdas resume {}", shell::path(run.path()))).into()),
    }
}

/// Accuracy and loss on the test images in words.
pub(crate) fn test_accuracy(result: &TrainResult) -> String {
    let Some(accuracy) = result.test_accuracy else { return "no test images".to_string() };
    let loss = result.test_loss.map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
    let accuracy =
        result.test_interval.map_or_else(|| percent(accuracy), |interval| per_class::accuracy(accuracy, interval));
    accuracy + &loss
}

/// Prints what came of a training.
pub(crate) fn present(result: &TrainResult, run: &Path, display: Display) -> anyhow::Result<()> {
    if display.json {
        let mut value = serde_json::to_value(result)?;
        value["event"] = json!("result");
        value["run"] = json!(run);
        return output::json(&value);
    }
    let mut rows = vec![("genotype", result.genotype.clone())];
    rows.push(("test accuracy", test_accuracy(result)));
    if let (Some(top5), true) = (result.test_top5, result.classes.len() > 5) {
        rows.push(("top-5", percent(top5)));
    }
    if let Some(worst) = result.test_classes.as_deref().and_then(per_class::worst) {
        rows.push(("worst class", worst));
    }
    if let (Some(accuracy), Some(epoch)) = (result.validation_accuracy, result.chosen_epoch) {
        rows.push((
            "weights",
            format!("of epoch {}, chosen by its validation accuracy of {}", epoch + 1, percent(accuracy)),
        ));
    }
    let size =
        format!("{} parameters, {} multiply-adds", cost::readable(result.params), cost::readable(result.multiply_adds));
    rows.push(("network", size));
    rows.push(("digest", result.digest.clone()));
    rows.push(("files in", run.display().to_string()));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    let run = shell::path(run);
    Ok(output::line(format_args!("\nnext: gdas predict {run} IMAGES...\n      gdas export {run} --to network.onnx"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trainings_of_few_steps_are_said() {
        let config = |keys: serde_json::Value| {
            resolve::<TrainConfig>(&[Layer::flags(&keys).expect("flags")]).expect("a configuration")
        };
        let photos = config(json!({ "data": "photos", "preset": "quick" }));
        let said = few_steps(&photos, 36).unwrap_or_default();
        assert!(said.contains("36 training images in batches of 128 are 1 steps per epoch, and 8 in all"), "{said}");
        assert!(said.ends_with("--batch-size 16 --epochs 100"), "{said}");
        assert_eq!(few_steps(&photos, 5000), None);
        assert_eq!(few_steps(&config(json!({ "data": "photos", "preset": "smoke" })), 36), None);
    }
}
