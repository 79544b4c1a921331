use std::path::{Path, PathBuf};

use clap::Args;
use gdas::Device;
use gdas::config::{Layer, SearchConfig, TrainConfig, resolve, task_of, to_toml};
use gdas::cost;
use gdas::data::Dataset;
use gdas::run::{Interrupt, RunDir, read_config};
use gdas::train::{Outcome, TrainResult, train};
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::{devices, genotype, search};
use crate::exit::{Preempted, Usage};
use crate::flags::{self, TrainFlags};
use crate::output::{self, percent, table};
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
    /// A finished search, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file with the text in it, or the text
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
    let mut config = config(command)?;
    if command.print_config {
        return Ok(output::line(to_toml(&config)?.trim_end())?);
    }
    let device = devices::open(config.device, config.precision)?;
    let interrupt = signals::install()?;
    let dataset = search::open(&config.data, config.image_size, config.threads)?;
    config.data = flags::lasting(&config.data);
    let mut run = command.runs.create(command.name.as_deref(), &dataset.name, &to_toml(&config)?)?;
    carry_out(&config, &dataset, &mut run, &device, command.display, &interrupt)
}

fn config(command: &Train) -> anyhow::Result<TrainConfig> {
    let mut layers = Vec::new();
    if let Some(given) = &command.genotype {
        layers.push(start(&command.runs.find(given), given, command.flags.space())?);
    }
    if let Some(path) = &command.config {
        layers.push(flags::file(path)?);
    }
    layers.push(Layer::flags(&command.flags)?);
    if command.genotype.is_none() && !layers.iter().any(|layer| layer.has("genotype")) {
        let message = "which genotype? Name a search, a published cell or a file, as in `gdas train digits-1`";
        return Err(Usage(message.to_string()).into());
    }
    Ok(resolve(&layers)?)
}

/// The genotype that was named; if by a search, with that search's data.
fn start(run: &Path, given: &str, space: Option<&str>) -> anyhow::Result<Layer> {
    let genotype = genotype::read(run, given, space)?;
    let mut keys = json!({ "genotype": genotype.to_string(), "space": *genotype.space });
    // Else the genotype was named in another way.
    let text = if run.join("config.toml").is_file() { read_config(run)? } else { String::new() };
    if task_of(&text).as_deref() == Some("search") {
        let search: SearchConfig = resolve(&[flags::of_run(run, &text)?])?;
        keys["data"] = json!(search.data);
        keys["image_size"] = json!(search.image_size);
    }
    Ok(Layer::flags(&keys)?)
}

/// Trains, or goes on training, and tells what came of it.
pub(crate) fn carry_out(
    config: &TrainConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    device: &Device,
    display: Display,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(display).with_tensorboard(config.tensorboard.then(|| run.path()));
    progress.remarks(dataset);
    let outcome = train(config, dataset, run, &mut progress, interrupt, device)?;
    drop(progress);
    match outcome {
        Outcome::Finished(result) => present(&result, run.path(), display),
        Outcome::Interrupted { .. } => Err(Preempted(format!("gdas resume {}", run.path().display())).into()),
    }
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
    if let Some(accuracy) = result.test_accuracy {
        let loss = result.test_loss.map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
        rows.push(("test accuracy", format!("{}{loss} after the last epoch", percent(accuracy))));
    }
    if let (Some(top5), true) = (result.test_top5, result.classes.len() > 5) {
        rows.push(("top-5", percent(top5)));
    }
    if let (Some(accuracy), Some(epoch)) = (result.best_accuracy, result.best_epoch) {
        rows.push(("best epoch", format!("{} ({}; chosen on the test images)", epoch + 1, percent(accuracy))));
    }
    let size =
        format!("{} parameters, {} multiply-adds", cost::readable(result.params), cost::readable(result.multiply_adds));
    rows.push(("network", size));
    rows.push(("digest", result.digest.clone()));
    rows.push(("files in", run.display().to_string()));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    output::line(format_args!("\nnext: gdas predict {} IMAGES...", run.display()))?;
    Ok(output::line(format_args!("      gdas export {} --to network.onnx", run.display()))?)
}
