use std::time::Instant;

use clap::Args;
use gdas::config::{Auto, Layer, SearchConfig, TrainConfig, resolve};
use gdas::run::{RunDir, read_result};
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::{auto, devices, search, train};
use crate::flags;
use crate::images::{self, Damaged, Opened};
use crate::named::{NamedRun, Task};
use crate::output::note;
use crate::signals;

/// Go on with an interrupted run, exactly where it was
///
/// The result is the same, bit for bit, as that of a run that was never interrupted.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas resume digits-1
  gdas resume runs/digits-1 --threads 1 --json
  gdas resume photos-1 --data /mnt/photos        the images were moved")]
pub(crate) struct Resume {
    /// Name of the run, or path to its directory
    run: String,
    /// Where the images lie now, if not where they were; they must be the same
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Threads; the result does not depend on it [default: as the run was started]
    #[arg(long, value_name = "N|auto")]
    threads: Option<Auto<usize>>,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Resume) -> anyhow::Result<()> {
    let NamedRun { path, task } = command.runs.run(&command.run)?;
    let mut run = RunDir::open(path)?;
    let text = run.config()?;
    let mut layers = vec![flags::of_run(run.path(), &text)?];
    if let Some(threads) = command.threads {
        layers.push(Layer::flags(&json!({ "threads": threads }))?);
    }
    let finished = run.is_finished();
    if finished {
        note(format_args!("{} is finished already; this is its result", run.path().display()));
    }
    let interrupt = signals::install()?;
    match task {
        Task::Search if finished => search::finish(&read_result(run.path())?, &run, command.display),
        Task::Train if finished => train::present(&read_result(run.path())?, run.path(), command.display),
        Task::Auto if finished => auto::present(&read_result(run.path())?, run.path(), command.display),
        Task::Search => {
            let mut config: SearchConfig = resolve(&layers)?;
            let devices = devices::open_several(config.device, config.devices, config.precision)?;
            let opened =
                open(command, &run, (&mut config.data, config.image_size), config.skip_damaged, config.threads)?;
            search::carry_out(&config, &opened, &mut run, &devices, command.display, &interrupt)
        }
        Task::Train => {
            let mut config: TrainConfig = resolve(&layers)?;
            let device = devices::open(config.device, config.precision)?;
            let opened =
                open(command, &run, (&mut config.data, config.image_size), config.skip_damaged, config.threads)?;
            train::carry_out(&config, &opened, &mut run, &device, command.display, &interrupt)
        }
        Task::Auto => {
            let started = Instant::now();
            let mut config = auto::read(&text, run.path())?;
            config.threads = command.threads.unwrap_or(config.threads);
            let device = devices::open(config.device, config.precision)?;
            let opened =
                open(command, &run, (&mut config.data, config.image_size), config.skip_damaged, config.threads)?;
            auto::carry_out(&config, &opened, &mut run, &device, (command.display, started), &interrupt)
        }
    }
}

/// The images of the run, wherever they are now.
fn open(
    command: &Resume,
    run: &RunDir,
    (data, image_size): (&mut String, Auto<usize>),
    skip_damaged: bool,
    threads: Auto<usize>,
) -> anyhow::Result<Opened> {
    search::use_threads(threads)?;
    let (given, quiet) = (command.data.as_deref(), command.display.quiet);
    let (opened, place) =
        images::open_for_run(run.path(), (data.as_str(), given), image_size, Damaged { skip_damaged }, quiet)?;
    *data = place;
    Ok(opened)
}
