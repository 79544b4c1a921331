use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gdas::data::Format;
use gdas::run::Interrupt;
use gdas::shell;
use gdas_data::fetch::{FetchOptions, fetch};
use gdas_data::{Options, Status, Summary};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::exit::Preempted;
use crate::images::{self, Damaged};
use crate::output::{self, note, table};
use crate::signals;

/// List known data sets, fetch one, or look into one
#[derive(Subcommand)]
#[command(after_help = "Examples:
  gdas data list
  gdas data fetch cifar10
  gdas data inspect photos/

A data set is a name, or a path: a folder or archive (.tar, .tar.gz, .tar.xz, .zip) of images in
train/<class>/ and test/<class>/ or in <class>/, such archives side by side (train.zip, test.zip),
NumPy arrays (.npz), or one of CIFAR's, MNIST's or MedMNIST's own files.")]
pub(crate) enum Data {
    List(List),
    Fetch(Fetch),
    Inspect(Inspect),
}

/// Where known data sets lie.
#[derive(Args)]
struct Directory {
    /// Where known data sets lie [default: $GDAS_DATA, or ~/.local/share/gdas]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Directory {
    fn path(&self) -> anyhow::Result<PathBuf> {
        Ok(self.directory.clone().map_or_else(gdas_data::data_directory, Ok)?)
    }
}

/// List the data sets that are known by name, and which of them are here
#[derive(Args)]
#[command(after_help = "Examples:
  gdas data list
  gdas data list --json")]
pub(crate) struct List {
    #[command(flatten)]
    directory: Directory,
    /// One JSON object per data set
    #[arg(long)]
    json: bool,
}

/// Download a data set from its official address, with its checksum checked
///
/// An interrupted download goes on where it broke off.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas data fetch cifar10
  gdas data fetch mnist --directory /data
  gdas data fetch cifar100 --mirror https://mirror.example.org/cifar/")]
pub(crate) struct Fetch {
    /// Name of the data set, as in `gdas data list`
    name: String,
    #[command(flatten)]
    directory: Directory,
    /// Fetch from this address followed by the file's name, instead of the official one
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Count a data set's images and classes, and look for what commonly spoils results
#[derive(Args)]
#[command(after_help = "Examples:
  gdas data inspect digits
  gdas data inspect photos/ --image-size 64
  gdas data inspect cifar10 --json | jq .digest")]
pub(crate) struct Inspect {
    /// Name of a known data set, or a path
    data: String,
    /// Side length that image files are brought to [default: the most common among them]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(8..=224))]
    image_size: Option<u16>,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    directory: Directory,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Data) -> anyhow::Result<()> {
    match command {
        Data::List(command) => list(command),
        Data::Fetch(command) => run_fetch(command),
        Data::Inspect(command) => inspect(command),
    }
}

fn list(command: &List) -> anyhow::Result<()> {
    let directory = command.directory.path()?;
    let sets = gdas_data::list(&directory);
    if command.json {
        return sets.iter().try_for_each(output::json);
    }
    let mut rows = vec![["name", "here", "what", "terms"].map(String::from).to_vec()];
    for set in sets {
        let here = match set.status {
            Status::Embedded | Status::Present(_) => "yes",
            Status::Missing => "no",
            Status::ByHand => "by hand",
        };
        rows.push(vec![set.name, here.to_string(), set.about, set.licence]);
    }
    output::line(table(&rows))?;
    note(format_args!("in {}; `gdas data fetch NAME` gets one", directory.display()));
    Ok(())
}

fn run_fetch(command: &Fetch) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    let directory = command.directory.path()?;
    let options = FetchOptions { mirror: command.mirror.clone(), ..FetchOptions::default() };
    let mut bar = Bar::new(command.quiet);
    let fetched = fetch(&command.name, &directory, &options, &mut |progress| bar.show(progress, &interrupt));
    bar.clear();
    let path = fetched.map_err(|error| match error {
        stopped @ gdas_data::DataError::Stopped { .. } => {
            let command = format!("gdas data fetch {}", shell::word(&command.name));
            anyhow::Error::new(Preempted(command)).context(stopped.to_string())
        }
        error => error.into(),
    })?;
    Ok(output::line(path.display())?)
}

/// A bar on a terminal, a line per file elsewhere.
struct Bar {
    drawn: Option<ProgressBar>,
    quiet: bool,
    file: String,
}

impl Bar {
    fn new(quiet: bool) -> Self {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            let style = "{prefix} [{bar:20}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { drawn: bar, quiet, file: String::new() }
    }

    fn show(&mut self, progress: gdas_data::fetch::FetchProgress, interrupt: &Interrupt) -> ControlFlow<()> {
        let new = self.file != progress.file;
        if new {
            self.file = progress.file.to_string();
        }
        if let Some(bar) = &self.drawn {
            if new {
                bar.set_prefix(self.file.clone());
                bar.reset();
            }
            bar.set_length(progress.total.unwrap_or(progress.received));
            bar.set_position(progress.received);
        } else if new && !self.quiet {
            note(format_args!("fetching {}", self.file));
        }
        if interrupt.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn clear(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

fn inspect(command: &Inspect) -> anyhow::Result<()> {
    let options = Options {
        image_size: command.image_size.map(usize::from),
        skip_damaged: command.damaged.skip_damaged,
        directory: command.directory.directory.clone(),
        observer: images::reading(false),
        ..Options::default()
    };
    let dataset = gdas_data::open_with(&command.data, &options)?;
    // Takes the bar away.
    drop(options);
    let summary = gdas_data::inspect(&dataset);
    if command.json {
        return output::json(&summary);
    }
    output::line(table(&facts(&summary)))?;
    let mut rows = vec![["class", "train", "test"].map(String::from).to_vec()];
    rows.extend(summary.classes.iter().map(|c| vec![c.name.clone(), c.train.to_string(), c.test.to_string()]));
    output::line(format_args!("\n{}", table(&rows)))?;
    for warning in &summary.warnings {
        output::line(format_args!("\nwarning: {warning}"))?;
    }
    Ok(())
}

fn facts(summary: &Summary) -> Vec<Vec<String>> {
    let numbers = |values: &[f32]| values.iter().map(|x| format!("{x:.2}")).collect::<Vec<_>>().join(" ");
    let statistics = &summary.statistics;
    let source = if statistics.published { "published" } else { "computed" };
    let format = json!(summary.format).as_str().map_or_else(String::new, str::to_string);
    let held_out = if summary.held_out { ", held out of the training images" } else { "" };
    let embedded = if summary.format == Format::Digits { " (inside the program)" } else { "" };
    [
        ("data", format!("{}{embedded}", summary.name)),
        ("format", format),
        ("images", format!("{} train, {} test{held_out}", summary.train, summary.test)),
        ("size", format!("{}x{} pixels, {} channels", summary.height, summary.width, summary.channels)),
        ("classes", summary.classes.len().to_string()),
        ("mean", format!("{} ({source}, of 0..255)", numbers(&statistics.mean))),
        ("deviation", numbers(&statistics.std)),
        ("mirrored in training", if summary.flip { "yes" } else { "no" }.to_string()),
        ("memory", gdas::cost::readable_bytes(summary.memory)),
        ("digest", summary.digest.clone()),
    ]
    .into_iter()
    .map(|(key, value)| vec![key.to_string(), value])
    .collect()
}
