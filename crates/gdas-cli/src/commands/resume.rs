use anyhow::bail;
use clap::Args;
use gdas::config::{Auto, Layer, SearchConfig, TrainConfig, resolve, task_of};
use gdas::run::{RunDir, read_result};
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::{auto, devices, search, train};
use crate::flags;
use crate::output::note;
use crate::signals;

/// Go on with an interrupted run, exactly where it was
///
/// The result is the same, bit for bit, as that of a run that was never interrupted.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas resume digits-1
  gdas resume runs/digits-1 --threads 1 --json")]
pub(crate) struct Resume {
    /// Name of the run, or path to its directory
    run: String,
    /// Threads; the result does not depend on it [default: as the run was started]
    #[arg(long, value_name = "N|auto")]
    threads: Option<Auto<usize>>,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Resume) -> anyhow::Result<()> {
    let mut run = RunDir::open(command.runs.find(&command.run))?;
    let text = run.config()?;
    if task_of(&text).as_deref() == Some("auto") {
        return go_on_with_auto(&text, &mut run, command);
    }
    let mut layers = vec![flags::of_run(run.path(), &text)?];
    if let Some(threads) = command.threads {
        layers.push(Layer::flags(&json!({ "threads": threads }))?);
    }
    let finished = run.is_finished();
    if finished {
        note(format_args!("{} is finished already; this is its result", run.path().display()));
    }
    let interrupt = signals::install()?;
    match task_of(&text).as_deref() {
        Some("search") if finished => search::finish(&read_result(run.path())?, &run, command.display),
        Some("train") if finished => train::present(&read_result(run.path())?, run.path(), command.display),
        Some("search") => {
            let config: SearchConfig = resolve(&layers)?;
            let devices = devices::open_several(config.device, config.devices, config.precision)?;
            let dataset = search::open(&config.data, config.image_size, config.threads)?;
            search::carry_out(&config, &dataset, &mut run, &devices, command.display, &interrupt)
        }
        Some("train") => {
            let config: TrainConfig = resolve(&layers)?;
            let device = devices::open(config.device, config.precision)?;
            let dataset = search::open(&config.data, config.image_size, config.threads)?;
            train::carry_out(&config, &dataset, &mut run, &device, command.display, &interrupt)
        }
        Some(other) => bail!("{}: this gdas knows no task `{other}`", run.path().join("config.toml").display()),
        None => bail!("{} does not say its task (`task = \"search\"`)", run.path().join("config.toml").display()),
    }
}

fn go_on_with_auto(text: &str, run: &mut RunDir, command: &Resume) -> anyhow::Result<()> {
    let mut config = auto::read(text, run.path())?;
    if run.is_finished() {
        note(format_args!("{} is finished already; this is its result", run.path().display()));
        return auto::present(&read_result(run.path())?, run.path(), command.display);
    }
    config.threads = command.threads.unwrap_or(config.threads);
    let device = devices::open(config.device, config.precision)?;
    let interrupt = signals::install()?;
    let dataset = search::open(&config.data, config.image_size, config.threads)?;
    auto::carry_out(&config, &dataset, run, &device, command.display, &interrupt)
}
