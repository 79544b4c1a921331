use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use gdas::Device;
use gdas::config::Auto;
use gdas::cost;
use gdas::device::{DeviceName, Precision};
use gdas::run::{Interrupt, RunDir};
use gdas::shell;
use gdas::train::TrainedModel;
use gdas_auto::{AutoConfig, AutoResult, Outcome, Tried, auto};
use gdas_exchange::export::PixelInput;
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::{devices, export, genotype, search, train};
use crate::exit::Preempted;
use crate::flags;
use crate::images::{self, Damaged, Opened};
use crate::output::{self, duration, percent, table};
use crate::per_class;
use crate::progress::Progress;
use crate::quantities;
use crate::signals;

/// Images in, the best network that a budget of time buys out: search, trials, training, test and export
///
/// The time of training steps is measured for networks of several sizes. Where the time is enough, a cell is searched, and it
/// and known good cells are trained briefly to compare them on a part of the training images. The winner is trained on all
/// of them for the rest of the budget, tested and exported. Reading images, test and files are part of the budget.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas auto                                the built-in digits, in about three minutes
  gdas auto --data photos/ --budget 2h     your own images
  gdas auto --data photos.zip --image-size 64 --budget 1h30 --name photos
  gdas auto --data photos/ --budget 20m --max-file-size 200kB
  gdas resume photos                       go on after an interruption

Times: 90s, 5m, 1h30m, 1h30, 2.5h, \"5 minutes\", 1:30:00, or 90 (seconds)")]
pub(crate) struct AutoCommand {
    /// A known data set's name, or a path to images
    #[arg(long, value_name = "NAME|PATH", default_value = "digits")]
    data: String,
    /// Bring images to this many pixels in height and width
    #[arg(long, value_name = "PIXELS|auto", default_value = "auto")]
    image_size: Auto<usize>,
    #[command(flatten)]
    damaged: Damaged,
    /// Time for the whole, as in 90s, 30m or 1h30 [default: 3m for digits, otherwise 1h]
    #[arg(long, value_name = "TIME", value_parser = quantities::budget, allow_hyphen_values = true)]
    budget: Option<Duration>,
    /// Most parameters of the network that comes out, as in 200k
    #[arg(long, value_name = "N", value_parser = quantities::count, allow_hyphen_values = true, help_heading = "Bounds on the network")]
    max_params: Option<f64>,
    /// Most multiply-adds of it per image, as in 20M
    #[arg(long, value_name = "N", value_parser = quantities::count, allow_hyphen_values = true, help_heading = "Bounds on the network")]
    max_flops: Option<f64>,
    /// Most milliseconds that it takes for one image on this machine's processor
    #[arg(long, value_name = "MS", value_parser = quantities::positive, allow_hyphen_values = true, help_heading = "Bounds on the network")]
    max_latency: Option<f64>,
    /// Most bytes of its ONNX file, as in 500kB or 1MiB
    #[arg(long, value_name = "BYTES", value_parser = quantities::bytes, allow_hyphen_values = true, help_heading = "Bounds on the network")]
    max_file_size: Option<f64>,
    /// Search space
    #[arg(long, value_name = "NAME", default_value = "nas-bench-201")]
    space: String,
    /// Whether a cell is searched; auto: where the time is enough, or no cell of the space is known
    #[arg(long, value_name = "BOOL|auto", default_value = "auto")]
    search: Auto<bool>,
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

pub(crate) fn run(command: &AutoCommand) -> anyhow::Result<()> {
    let started = Instant::now();
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
        search: command.search,
        max_params: command.max_params.unwrap_or(0.0),
        max_flops: command.max_flops.unwrap_or(0.0),
        max_latency: command.max_latency.unwrap_or(0.0),
        max_file_size: command.max_file_size.unwrap_or(0.0),
        seed: command.seed,
        threads: command.threads,
        device: command.device,
        precision: command.precision,
        tensorboard: command.tensorboard,
    };
    let opened = open(&config, command.display)?;
    config.data = flags::lasting(&command.data);
    let mut run = command.runs.create(command.name.as_deref(), &opened.dataset.name, &toml::to_string(&config)?)?;
    carry_out(&config, &opened, &mut run, &device, (command.display, started), &interrupt)
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
    (display, started): (Display, Instant),
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let time = gdas_auto::time(config, run, started);
    let mut progress = Progress::of_automatic_run(display, time, config.tensorboard.then(|| run.path()));
    opened.warn(&mut progress, run)?;
    let outcome = auto(config, &opened.dataset, run, started, &mut progress, interrupt, device)?;
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
    if !result.tried.is_empty() {
        output::line(tried(&result.tried))?;
        output::line("")?;
    }
    let trained = &result.train;
    let mut rows = vec![("genotype", trained.genotype.clone())];
    rows.push(("test accuracy", train::test_accuracy(trained)));
    if let Some(search) = &result.search {
        let is_it = if search.genotype == trained.genotype { "this cell" } else { "another cell" };
        rows.push(("search", format!("found {is_it} in {} epochs", search.epochs)));
    }
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

/// The networks that were tried, as a table.
fn tried(tried: &[Tried]) -> String {
    let heads = ["tried", "C", "N", "parameters", "round", "steps", "time", "validation accuracy"];
    let rows = tried.iter().map(|trial| {
        let network = &trial.network;
        vec![
            network.name.clone(),
            network.channels.to_string(),
            network.cells.to_string(),
            cost::readable(network.params),
            trial.round.to_string(),
            trial.steps.to_string(),
            duration(trial.seconds),
            percent(trial.validation_accuracy),
        ]
    });
    let head = heads.map(str::to_string).to_vec();
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
