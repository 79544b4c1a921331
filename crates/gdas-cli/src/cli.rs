//! The command line: names of commands and what they share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use gdas::run::{RunDir, RunError};

use crate::commands;
use crate::exit::Usage;

/// Finds a network architecture for your images, by gradient descent (GDAS)
#[derive(Parser)]
#[command(
    name = "gdas",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Examples:
  gdas search                            search on the built-in handwritten digits, in a minute or two
  gdas search --data cifar10             search on CIFAR-10
  gdas auto --data photos/               your own images: search, train, export (photos/train/<class>/*.jpg)
  gdas resume digits-1                   go on with an interrupted run
  gdas train digits-1                    train the network that a search found
  gdas runs list                         what has been run here
  gdas report digits-1                   a page about a run
  gdas watch digits-1                    a run at work, in the terminal

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 stopped by a signal and resumable."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Auto(commands::auto::AutoCommand),
    Search(Box<commands::search::Search>),
    Resume(commands::resume::Resume),
    Train(Box<commands::train::Train>),
    Evaluate(commands::evaluate::Evaluate),
    Predict(commands::predict::Predict),
    Export(commands::export::Export),
    Import(commands::import::Import),
    #[command(subcommand)]
    Runs(commands::runs::Runs),
    #[command(subcommand)]
    Data(commands::data::Data),
    #[command(subcommand)]
    Genotype(commands::genotype::GenotypeCommand),
    Cost(commands::cost::CostCommand),
    Score(commands::score::Score),
    #[command(subcommand)]
    Bench(commands::bench::Bench),
    Reproduce(Box<commands::reproduce::Reproduce>),
    Report(commands::report::Report),
    Devices(commands::devices::Devices),
    Doctor(commands::doctor::Doctor),
    Serve(commands::serve::Serve),
    Watch(commands::watch::Watch),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

/// Reads the arguments of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = with_negative_numbers(Cli::command());
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Takes `-1` behind a flag for its value, so that the flag can say what is wrong with it, rather than for another flag.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let takes_values = argument.get_action().takes_values();
        argument.allow_negative_numbers(takes_values)
    });
    command.mut_subcommands(with_negative_numbers)
}

/// How much to say, and to whom.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub(crate) struct Display {
    /// Write events and results to standard output as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Where runs are kept.
#[derive(Args, Clone)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunsDir {
    /// Directory that holds all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

impl RunsDir {
    /// A new run under the name that the user gave, or under the data's name and a number.
    pub(crate) fn create(&self, name: Option<&str>, data: &str, config: &str) -> anyhow::Result<RunDir> {
        match name {
            Some(name) => Ok(RunDir::create(self.runs.join(checked_name(name)?), config)?),
            None => Ok(create_numbered(&self.runs, data, config)?),
        }
    }
}

/// A name that stays within the directory of runs.
fn checked_name(name: &str) -> Result<&str, Usage> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']);
    if plain {
        Ok(name)
    } else {
        Err(Usage(format!("`{name}` cannot be the name of a run; --runs says where runs go")))
    }
}

/// Takes the first free name of `digits-1`, `digits-2`, ...
fn create_numbered(runs: &Path, data: &str, config: &str) -> Result<RunDir, RunError> {
    let stem: String = data
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    let stem = if stem.is_empty() { "run" } else { &stem };
    let mut number = 1;
    loop {
        match RunDir::create(runs.join(format!("{stem}-{number}")), config) {
            Err(RunError::Exists(_) | RunError::Locked { .. }) => number += 1,
            other => return other,
        }
    }
}
