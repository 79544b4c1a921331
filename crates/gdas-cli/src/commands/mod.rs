//! One file per subcommand, each with its flags and a `run`.

pub(crate) mod auto;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod genotype;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod train;
pub(crate) mod watch;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    Auto(auto::AutoCommand),
    Search(Box<search::Search>),
    Resume(resume::Resume),
    Train(Box<train::Train>),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Export(export::Export),
    Import(import::Import),
    #[command(subcommand)]
    Runs(runs::Runs),
    #[command(subcommand)]
    Data(data::Data),
    #[command(subcommand)]
    Genotype(genotype::GenotypeCommand),
    Cost(cost::CostCommand),
    Score(score::Score),
    #[command(subcommand)]
    Bench(bench::Bench),
    Reproduce(Box<reproduce::Reproduce>),
    Report(report::Report),
    Devices(devices::Devices),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
    Watch(watch::Watch),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Reads the arguments of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The description of all commands and their flags.
pub(crate) fn command() -> clap::Command {
    with_negative_numbers(Cli::command())
}

/// Takes `-1` behind a flag for its value, so that the flag can say what is wrong with it, rather than for another flag.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let takes_values = argument.get_action().takes_values();
        argument.allow_negative_numbers(takes_values)
    });
    command.mut_subcommands(with_negative_numbers)
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Auto(command) => auto::run(&command),
        Command::Search(command) => search::run(&command),
        Command::Resume(command) => resume::run(&command),
        Command::Runs(command) => runs::run(command),
        Command::Data(command) => data::run(&command),
        Command::Genotype(command) => genotype::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Reproduce(command) => reproduce::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Train(command) => train::run(&command),
        Command::Evaluate(command) => evaluate::run(&command),
        Command::Predict(command) => predict::run(&command),
        Command::Export(command) => export::run(&command),
        Command::Import(command) => import::run(&command),
        Command::Cost(command) => cost::run(&command),
        Command::Score(command) => score::run(&command),
        Command::Devices(command) => devices::run(&command),
        Command::Doctor(command) => doctor::run(&command),
        Command::Serve(command) => serve::run(&command),
        Command::Watch(command) => watch::run(&command),
        Command::Completions(command) => completions::run(&command),
        Command::Man(command) => man::run(&command),
    }
}
