//! The command line: names of commands and what they share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

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
  gdas search --data photos/             search on your own images (photos/train/<class>/*.jpg)
  gdas resume digits-1                   go on with an interrupted run
  gdas runs list                         what has been run here
  gdas report digits-1                   a page about a run

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 stopped by a signal and resumable."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Search(Box<commands::search::Search>),
    Resume(commands::resume::Resume),
    #[command(subcommand)]
    Runs(commands::runs::Runs),
    #[command(subcommand)]
    Genotype(commands::genotype::GenotypeCommand),
    #[command(subcommand)]
    Bench(commands::bench::Bench),
    Reproduce(Box<commands::reproduce::Reproduce>),
    Report(commands::report::Report),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
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
    /// The directory of a run that the user named: by path, or by name in the runs directory.
    pub(crate) fn find(&self, run: &str) -> PathBuf {
        let path = PathBuf::from(run);
        if path.join("config.toml").is_file() { path } else { self.runs.join(run) }
    }
}
