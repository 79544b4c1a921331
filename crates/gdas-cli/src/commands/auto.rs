use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use gdas::Device;
use gdas::config::Auto;
use gdas::cost;
use gdas::device::{DeviceName, Precision};
use gdas::run::{Interrupt, RunDir};
use gdas::shell;
use gdas::train::TrainedModel;
use gdas_auto::{AutoConfig, AutoResult, Outcome, auto};
use gdas_exchange::export::PixelInput;
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::{devices, export, genotype, search, train};
use crate::exit::Preempted;
use crate::flags;
use crate::images::{self, Damaged, Opened};
use crate::output::{self, table};
use crate::per_class;
use crate::progress::Progress;
use crate::signals;

/// Images in, trained network out: search, train, test and export
///
/// The budget is turned into numbers of epochs by timing a few steps at the start of the search and of the training;
/// they stand in the two runs' config.toml. Reading the images, tests and files come on top of it.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas auto                                the built-in digits, in about three minutes
  gdas auto --data photos/ --budget 2h     your own images
  gdas auto --data photos.zip --image-size 64 --budget 30m --name photos
  gdas resume photos                       go on after an interruption")]
pub(crate) struct AutoCommand {
    /// A known data set's name, or a path to images
    #[arg(long, value_name = "NAME|PATH", default_value = "digits")]
    data: String,
    /// Bring images to this many pixels in height and width
    #[arg(long, value_name = "PIXELS|auto", default_value = "auto")]
    image_size: Auto<usize>,
    #[command(flatten)]
    damaged: Damaged,
    /// Time for search and training together, as in 90s, 30m or 2h [default: 3m for digits, otherwise 1h]
    #[arg(long, value_name = "TIME", value_parser = budget, allow_hyphen_values = true)]
    budget: Option<Duration>,
    /// Search space
    #[arg(long, value_name = "NAME", default_value = "nas-bench-201")]
    space: String,
    /// Seed of all randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: Auto<usize>,
    /// Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas devices
    #[arg(long, value_name = "NAME", default_value_t)]
    device: DeviceName,
    /// How a graphics device stores values between operations: float32, or half of it: float16 or bfloat16
    #[arg(long, value_name = "TYPE", default_value_t)]
    precision: Precision,
    /// Also write event files for TensorBoard, to `tensorboard` in the directories of search and training
    #[arg(long)]
    tensorboard: bool,
    /// Name of the run [default: the data's name and a number]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

fn budget(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number and a unit, as in 90s, 30m or 2h".to_string()),
    };
    let seconds = number.parse::<f64>().map_err(|_| format!("`{number}` is not a number"))? * unit;
    if !(10.0..=30.0 * 86400.0).contains(&seconds) {
        return Err("must be between 10 seconds and 30 days".to_string());
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(crate) fn run(command: &AutoCommand) -> anyhow::Result<()> {
    let space = genotype::space(&command.space)?;
    let device = devices::open(command.device, command.precision)?;
    let interrupt = signals::install()?;
    let usual = if command.data == "digits" { 180.0 } else { 3600.0 };
    let mut config = AutoConfig {
        task: "auto".to_string(),
        data: command.data.clone(),
        image_size: command.image_size,
        skip_damaged: command.damaged.skip_damaged,
        space,
        budget_seconds: command.budget.map_or(usual, |budget| budget.as_secs_f64()),
        seed: command.seed,
        threads: command.threads,
        device: command.device,
        precision: command.precision,
        tensorboard: command.tensorboard,
    };
    let opened = open(&config, command.display)?;
    config.data = flags::lasting(&command.data);
    let mut run = command.runs.create(command.name.as_deref(), &opened.dataset.name, &toml::to_string(&config)?)?;
    carry_out(&config, &opened, &mut run, &device, command.display, &interrupt)
}

/// The data of an automatic run.
pub(crate) fn open(config: &AutoConfig, display: Display) -> anyhow::Result<Opened> {
    search::use_threads(config.threads)?;
    let damaged = Damaged { skip_damaged: config.skip_damaged };
    images::open(&config.data, config.image_size, damaged, display.quiet)
}

/// Does the whole, or what is left of it.
pub(crate) fn carry_out(
    config: &AutoConfig,
    opened: &Opened,
    run: &mut RunDir,
    device: &Device,
    display: Display,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(display).with_tensorboard_per_stage(config.tensorboard.then(|| run.path()));
    opened.warn(&mut progress, run)?;
    let outcome = auto(config, &opened.dataset, run, &mut progress, interrupt, device)?;
    drop(progress);
    match outcome {
        Outcome::Finished(result) => present(&result, run.path(), display),
        Outcome::Interrupted => Err(Preempted(format!("gdas resume {}", shell::path(run.path()))).into()),
    }
}

/// The configuration of an automatic run.
pub(crate) fn read(text: &str, path: &Path) -> anyhow::Result<AutoConfig> {
    toml::from_str(text).with_context(|| format!("{} is damaged", path.join("config.toml").display()))
}

/// Prints what came of it.
pub(crate) fn present(result: &AutoResult, run: &Path, display: Display) -> anyhow::Result<()> {
    if display.json {
        let mut value = serde_json::to_value(result)?;
        value["event"] = json!("result");
        value["run"] = json!(run);
        return output::json(&value);
    }
    let trained = &result.train;
    let mut rows = vec![("genotype", trained.genotype.clone())];
    rows.push(("test accuracy", train::test_accuracy(trained)));
    let size = format!(
        "{} parameters, {} multiply-adds",
        cost::readable(trained.params),
        cost::readable(trained.multiply_adds)
    );
    if let Some(worst) = trained.test_classes.as_deref().and_then(per_class::worst) {
        rows.push(("worst class", worst));
    }
    rows.push(("network", size));
    for file in &result.exported {
        rows.push(("exported", run.join(file).display().to_string()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    if let Some(file) = result.exported.iter().find(|file| file.extension().is_some_and(|ending| ending == "onnx")) {
        let model = TrainedModel::open_path(&run.join("train"), &Device::flex())?;
        let input = PixelInput { flip: model.test_flip, ..PixelInput::default() };
        output::line(export::usage(&run.join(file), &model, input))?;
    }
    let run = shell::path(run);
    Ok(output::line(format_args!("next: gdas predict {run} IMAGES...\n      gdas report {run}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        assert_eq!(budget("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(budget("1.5h"), Ok(Duration::from_mins(90)));
        for wrong in ["", "30", "5x", "1s", "-3m", "nanm", "1e9h"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }
}
