use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use gdas::Device;
use gdas::config::{Auto, Layer, SearchConfig, resolve, to_toml};
use gdas::cost;
use gdas::run::{Interrupt, RunDir};
use gdas::search::{Outcome, Parts, SearchResult, search_with};
use gdas::shell;
use gdas::space::Genotype;
use serde_json::json;

use crate::cli::{Display, RunsDir};
use crate::commands::devices;
use crate::exit::Preempted;
use crate::flags::{self, SearchFlags};
use crate::images::{self, Damaged, Opened};
use crate::output::{self, percent, table};
use crate::progress::Progress;
use crate::{host, show, signals};

/// Search for the best cell
///
/// Values come from the preset, then from the file given with --config, then from flags; later ones win. Every flag
/// is also a key of the file (--batch-size is batch_size). What a run used stands in its config.toml.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas search                                         the built-in digits, in a minute or two
  gdas search --data cifar10                          CIFAR-10, preset quick
  gdas search --data cifar10 --preset paper --seed 1  as published: 250 epochs
  gdas search --data photos/ --image-size 32          your own images
  gdas search --config my.toml --epochs 50            a file, and a flag that wins over it
  gdas search --preset paper --print-config           all keys and their values")]
pub(crate) struct Search {
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
    flags: SearchFlags,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Search) -> anyhow::Result<()> {
    let mut config = config(command)?;
    if command.print_config {
        return Ok(output::line(to_toml(&config)?.trim_end())?);
    }
    let devices = devices::open_several(config.device, config.devices, config.precision)?;
    let interrupt = signals::install()?;
    let opened = open(&config, command.display)?;
    config.data = flags::lasting(&config.data);
    let mut run = command.runs.create(command.name.as_deref(), &opened.dataset.name, &to_toml(&config)?)?;
    carry_out(&config, &opened, &mut run, &devices, command.display, &interrupt)
}

fn config(command: &Search) -> anyhow::Result<SearchConfig> {
    let mut layers = Vec::new();
    if let Some(path) = &command.config {
        layers.push(flags::file(path)?);
    }
    layers.push(Layer::flags(&command.flags)?);
    Ok(resolve(&layers)?)
}

/// The data of a search.
pub(crate) fn open(config: &SearchConfig, display: Display) -> anyhow::Result<Opened> {
    use_threads(config.threads)?;
    let damaged = Damaged { skip_damaged: config.skip_damaged };
    images::open(&config.data, config.image_size, damaged, display.quiet)
}

/// Searches, or goes on searching, and tells what came of it.
pub(crate) fn carry_out(
    config: &SearchConfig,
    opened: &Opened,
    run: &mut RunDir,
    devices: &[Device],
    display: Display,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut progress = Progress::new(display).with_tensorboard(config.tensorboard.then(|| run.path()));
    opened.warn(&mut progress, run)?;
    let mut parts = Parts::of(config)?;
    if let Some(selection) = host::selection() {
        parts.selection = selection;
    }
    let outcome = search_with(parts, config, &opened.dataset, Some(run), &mut progress, interrupt, devices)?;
    drop(progress);
    match outcome {
        Outcome::Finished(result) => finish(&result, run, display),
        Outcome::Interrupted { .. } => Err(Preempted(format!("gdas resume {}", shell::path(run.path()))).into()),
    }
}

/// Draws and prints what a search found.
pub(crate) fn finish(result: &SearchResult, run: &RunDir, display: Display) -> anyhow::Result<()> {
    gdas_report::write_cells(run, &result.cells)?;
    present(result, run.path(), display)
}

/// Starts the worker threads, on which images are decoded, too.
pub(crate) fn use_threads(threads: Auto<usize>) -> anyhow::Result<()> {
    if host::is_set() {
        // The command runs on a pool of its own already.
        return Ok(());
    }
    let builder = rayon::ThreadPoolBuilder::new();
    let builder = match threads {
        Auto::Auto => builder,
        Auto::Is(threads) => builder.num_threads(threads),
    };
    builder.build_global().context("cannot start the worker threads")
}

/// Prints what a search found.
fn present(result: &SearchResult, run: &Path, display: Display) -> anyhow::Result<()> {
    if display.json {
        let mut value = serde_json::to_value(result)?;
        value["event"] = json!("result");
        value["run"] = json!(run);
        return output::json(&value);
    }
    let genotype: &Genotype = &result.cells;
    output::line(&result.genotype)?;
    output::line(format_args!("\n{}\n", show::drawing(genotype)?))?;
    let mut rows = vec![
        ("accuracy", format!("{} of the held-out images, with the shared weights", percent(result.held_out_accuracy))),
        ("network searched with", costs(result.params, result.multiply_adds)),
    ];
    let size = show::Size::published(&genotype.space);
    let cost = show::network_cost(genotype, size)?;
    let network = format!("{} (C = {}, N = {})", costs(cost.params, cost.multiply_adds), size.channels, size.cells);
    rows.push(("at published size", network));
    rows.push(("parameter-free edges", percent(result.parameter_free)));
    if let Some(judgement) = &result.judged {
        rows.push(("why this cell", format!("best sum of places among {}", judgement.places())));
    }
    for cost in &result.costs {
        let [found, limit] = [cost.genotype, cost.limit].map(|value| cost.measure.readable(value));
        rows.push(("bound", format!("{} {found} of at most {limit}", cost.measure.name())));
    }
    if let Some(reason) = &result.early_stop {
        rows.push(("ended early", reason.clone()));
    }
    rows.push(("digest", result.digest.clone()));
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    output::line(format_args!("\nfiles in {}", run.display()))?;
    output::line(table(&files(run, genotype)))?;
    let run = shell::path(run);
    Ok(output::line(format_args!("\nnext: gdas train {run}\n      gdas report {run}"))?)
}

fn costs(params: u64, multiply_adds: u64) -> String {
    format!("{} parameters, {} multiply-adds", cost::readable(params), cost::readable(multiply_adds))
}

/// The files of a run that exist, and what they are for.
fn files(run: &Path, genotype: &Genotype) -> Vec<Vec<String>> {
    let picture = |name: &String| match name.as_str() {
        "cell" => ("cell.svg".to_owned(), "a picture of the cell".to_owned()),
        name => (format!("{name}.svg"), format!("a picture of the {name} cell")),
    };
    let owned = |(name, what): (&str, &str)| (name.to_owned(), what.to_owned());
    std::iter::once(owned(("result.json", "the result, for programs")))
        .chain(genotype.space.cells.iter().map(|cell| picture(&cell.name)))
        .chain([owned(("events.jsonl", "losses, accuracies, alphas of every epoch"))])
        .chain([owned(("config.toml", "how to repeat it: gdas search --config"))])
        .filter(|(name, _)| run.join(name).is_file())
        .map(|(name, what)| vec![format!("  {name}"), what])
        .collect()
}
