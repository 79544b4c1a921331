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

use crate::cli::{Cli, Command};

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
