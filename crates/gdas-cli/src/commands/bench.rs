mod correlate;
mod effects;
mod trajectory;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gdas_nasbench::algorithms::{BUDGET_SECONDS, TableAlgorithm};
use gdas_nasbench::reproduce;
use gdas_nasbench::{Budget, Dataset, Limits, Quantity, Seeds, Setting, Table, canonical, genotype_of};
use serde_json::json;

use crate::cli::RunsDir;
use crate::commands::genotype::SpaceFlag;
use crate::exit::Usage;
use crate::output::{self, line, table};

/// Ask NAS-Bench-201's table instead of training
#[derive(Subcommand)]
#[command(
    after_help = "A table is a CSV file, a file converted before (.safetensors), or one of the benchmark's official files.

Examples:
  gdas bench convert NAS-Bench-201-v1_1-096897.pth nb201.safetensors
  gdas bench query 6111 --table nb201.safetensors
  gdas bench best --dataset cifar100 --table nb201.safetensors
  gdas bench simulate --algorithm evolution --seeds 500 --table nb201.safetensors
  gdas bench correlate cifar10-1 --table nb201.safetensors
  gdas bench trajectory cifar10-1 --table nb201.safetensors
  gdas bench effects cifar10-1 --table nb201.safetensors"
)]
pub(crate) enum Bench {
    Query(Query),
    Best(Best),
    Rank(RankCommand),
    Stats(Stats),
    Convert(Convert),
    Simulate(Simulate),
    Correlate(correlate::Correlate),
    Trajectory(trajectory::Trajectory),
    Effects(effects::Effects),
}

#[derive(Args)]
struct TableFlags {
    /// The table: .csv, .safetensors, .pth, .pickle.pbz2, or NATS-Bench's folder of per-architecture files
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SettingFlags {
    /// cifar10-valid, cifar10, cifar100 or ImageNet16-120
    #[arg(long, value_name = "NAME", default_value = "cifar10", value_parser = parse::<Dataset>)]
    dataset: Dataset,
    /// Length of the training
    #[arg(long, value_name = "12|200", default_value = "200")]
    epochs: u16,
}

impl SettingFlags {
    fn setting(&self) -> Setting {
        Setting::new(self.dataset, self.epochs)
    }
}

/// A value by the library's own reading, with its error text.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// What the table knows of a cell
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench query 6111 --table nb201.safetensors
  gdas bench query '|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|' --table nb201.csv
  gdas bench query 6111 --seed 888 --json --table nb201.safetensors")]
pub(crate) struct Query {
    /// The cell: its index, its text, a file (text, JSON or result.json), or a run
    cell: String,
    #[command(flatten)]
    runs: RunsDir,
    /// Only the run with this seed [default: the mean over the runs]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    #[command(flatten)]
    table: TableFlags,
}

/// The cell with the best result
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench best --table nb201.safetensors
  gdas bench best --dataset ImageNet16-120 --by valid_accuracy --max-parameters 0.5 --table nb201.safetensors")]
pub(crate) struct Best {
    #[command(flatten)]
    setting: SettingFlags,
    /// What is compared
    #[arg(long, value_name = "QUANTITY", default_value = "test_accuracy", value_parser = parse::<Quantity>)]
    by: Quantity,
    /// Largest number of parameters, in millions
    #[arg(long, value_name = "M")]
    max_parameters: Option<f64>,
    /// Largest number of multiply-adds, in millions
    #[arg(long, value_name = "M")]
    max_flops: Option<f64>,
    /// Largest latency: seconds for 256 images on the benchmark's machine
    #[arg(long, value_name = "SECONDS")]
    max_latency: Option<f64>,
    #[command(flatten)]
    table: TableFlags,
}

/// Where a cell stands among all
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench rank 6111 --table nb201.safetensors
  gdas bench rank 6111 --dataset cifar100 --by valid_accuracy --epochs 12 --table nb201.csv")]
pub(crate) struct RankCommand {
    /// The cell: its index, its text, a file (text, JSON or result.json), or a run
    cell: String,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    setting: SettingFlags,
    /// What is compared
    #[arg(long, value_name = "QUANTITY", default_value = "test_accuracy", value_parser = parse::<Quantity>)]
    by: Quantity,
    #[command(flatten)]
    table: TableFlags,
}

/// What is in a table, and how it is spread
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench stats --table nb201.safetensors")]
pub(crate) struct Stats {
    #[command(flatten)]
    table: TableFlags,
}

/// Which learning curves a converted table keeps.
#[derive(Clone, Copy, ValueEnum)]
enum Curves {
    /// None
    None,
    /// Those of the 12-epoch trainings
    Short,
    /// All (a large file)
    All,
}

impl From<Curves> for gdas_nasbench::Curves {
    fn from(curves: Curves) -> Self {
        match curves {
            Curves::None => Self::None,
            Curves::Short => Self::Short,
            Curves::All => Self::All,
        }
    }
}

/// Convert a table: official files to a compact one, or any to CSV
#[derive(Args)]
#[command(after_help = "An official file is read as plain data; nothing in it is executed.

Examples:
  gdas bench convert NATS-tss-v1_0-3ffb9.pickle.pbz2 nb201.safetensors
  gdas bench convert NATS-tss-v1_0-3ffb9-simple/ nb201.safetensors --curves all
  gdas bench convert nb201.safetensors nb201.csv")]
pub(crate) struct Convert {
    /// The table
    from: PathBuf,
    /// The file to write: CSV if its name ends in .csv, otherwise safetensors
    to: PathBuf,
    /// Learning curves to keep
    #[arg(long, value_enum, default_value = "short")]
    curves: Curves,
}

/// Run search algorithms on the table, many seeds each, beside the published results
#[derive(Args)]
#[command(
    after_help = "A search \"trains\" cells for 12 epochs by looking them up, and pays the time that the table has for that.

Examples:
  gdas bench simulate --table nb201.csv
  gdas bench simulate --algorithm evolution --algorithm random --seeds 100 --queries 200 --table nb201.csv"
)]
pub(crate) struct Simulate {
    /// random, evolution, reinforce, bohb or local; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_parser = parse::<TableAlgorithm>)]
    algorithm: Vec<TableAlgorithm>,
    /// Data set to search on
    #[arg(long, value_name = "NAME", default_value = "cifar10", value_parser = parse::<Dataset>)]
    dataset: Dataset,
    /// Searches with seeds 0, 1, ...
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Simulated seconds of a search
    #[arg(long, value_name = "N", default_value_t = BUDGET_SECONDS, conflicts_with = "queries")]
    seconds: f64,
    /// Trainings of a search, instead of a time
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    #[command(flatten)]
    table: TableFlags,
}

pub(crate) fn run(command: Bench) -> anyhow::Result<()> {
    match command {
        Bench::Query(command) => query(&command),
        Bench::Best(command) => best(&command),
        Bench::Rank(command) => rank(&command),
        Bench::Stats(command) => stats(&command),
        Bench::Convert(command) => {
            if command.from == command.to {
                return Err(Usage("a table cannot be converted onto itself".to_owned()).into());
            }
            Ok(gdas_nasbench::convert(&command.from, &command.to, command.curves.into())?)
        }
        Bench::Simulate(command) => simulate(&command),
        Bench::Correlate(command) => correlate::run(&command),
        Bench::Trajectory(command) => trajectory::run(&command),
        Bench::Effects(command) => effects::run(&command),
    }
}

/// The index of the cell that a word names.
fn index(table: &Table, word: &str, runs: &RunsDir) -> anyhow::Result<usize> {
    if word.trim().parse::<usize>().is_ok() {
        return Ok(table.find(word)?);
    }
    Ok(table.find(&runs.genotype(word, &SpaceFlag::default())?.to_string())?)
}

fn query(command: &Query) -> anyhow::Result<()> {
    let opened = Table::open(&command.table.table)?;
    let index = index(&opened, &command.cell, &command.runs)?;
    let cell = opened.cell(index)?;
    let seeds = command.seed.map_or(Seeds::Mean, Seeds::One);
    let mut known = Vec::new();
    for setting in opened.settings() {
        match opened.query(index, setting, seeds) {
            Ok(record) => known.push((setting, record)),
            Err(
                gdas_nasbench::BenchmarkError::NoResults { .. } | gdas_nasbench::BenchmarkError::UnknownSeed { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if known.is_empty() {
        anyhow::bail!("the table has no results of architecture {index} with the seeds asked for");
    }
    if command.table.json {
        let results: Vec<_> = known
            .iter()
            .map(|(setting, record)| {
                let values: serde_json::Map<_, _> =
                    record.iter().map(|(quantity, value)| (quantity.name().to_owned(), json!(value))).collect();
                json!({ "dataset": setting.dataset, "epochs": setting.epochs, "runs": record.runs, "values": values })
            })
            .collect();
        let text = genotype_of(cell).to_string();
        return output::json(&json!({ "index": index, "cell": text, "unique": canonical(cell), "results": results }));
    }
    line(format_args!("cell {index}: {}", genotype_of(cell)))?;
    for (setting, record) in known {
        let runs = match record.runs {
            0 => "a mean over seeds".to_owned(),
            1 => "1 run".to_owned(),
            runs => format!("mean of {runs} runs"),
        };
        line(format_args!("\n{setting} ({runs})"))?;
        let rows: Vec<_> = record
            .iter()
            .map(|(quantity, value)| vec![format!("  {quantity}"), format!("{value:.4} {}", quantity.unit())])
            .collect();
        line(table(&rows))?;
    }
    Ok(())
}

fn best(command: &Best) -> anyhow::Result<()> {
    let opened = Table::open(&command.table.table)?;
    let limits = Limits { parameters: command.max_parameters, flops: command.max_flops, latency: command.max_latency };
    let setting = command.setting.setting();
    let Some((index, value)) = opened.best(setting, command.by, &limits)? else {
        anyhow::bail!("no cell is within the limits; raise them");
    };
    let cell = genotype_of(opened.cell(index)?).to_string();
    if command.table.json {
        return output::json(&json!({ "index": index, "cell": cell, "quantity": command.by.name(), "value": value }));
    }
    Ok(line(format_args!("{cell}\nindex {index}: {} {value:.4} {}, {setting}", command.by, command.by.unit()))?)
}

fn rank(command: &RankCommand) -> anyhow::Result<()> {
    let opened = Table::open(&command.table.table)?;
    let index = index(&opened, &command.cell, &command.runs)?;
    let setting = command.setting.setting();
    let rank = opened.rank(index, setting, command.by)?;
    if command.table.json {
        return output::json(&json!({ "index": index, "quantity": command.by.name(), "rank": rank }));
    }
    Ok(line(format_args!(
        "cell {index} is {} of {} by {} ({:.4} {}), {setting}",
        rank.rank,
        rank.of,
        command.by,
        rank.value,
        command.by.unit()
    ))?)
}

fn stats(command: &Stats) -> anyhow::Result<()> {
    let opened = Table::open(&command.table.table)?;
    let mut unique: Vec<_> = opened.cells().iter().map(|cell| canonical(*cell)).collect();
    unique.sort_unstable();
    unique.dedup();
    let mut spreads = Vec::new();
    for setting in opened.settings() {
        for quantity in Quantity::ALL {
            match opened.spread(setting, quantity) {
                Ok(spread) => spreads.push((setting, quantity, spread)),
                Err(gdas_nasbench::BenchmarkError::NoQuantity { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if command.table.json {
        let spreads: Vec<_> = spreads
            .iter()
            .map(|(setting, quantity, spread)| {
                json!({ "dataset": setting.dataset, "epochs": setting.epochs, "quantity": quantity.name(), "spread": spread })
            })
            .collect();
        return output::json(&json!({ "cells": opened.len(), "unique": unique.len(), "quantities": spreads }));
    }
    line(format_args!("{} cells, {} of them unique (isomorphic cells counted once)\n", opened.len(), unique.len()))?;
    let head =
        ["data set", "epochs", "quantity", "cells", "mean", "deviation", "minimum", "median", "maximum", "of cell"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (setting, quantity, spread) in spreads {
        rows.push(vec![
            setting.dataset.to_string(),
            setting.epochs.to_string(),
            quantity.to_string(),
            spread.cells.to_string(),
            format!("{:.3}", spread.mean),
            format!("{:.3}", spread.deviation),
            format!("{:.3}", spread.quartiles[0]),
            format!("{:.3}", spread.quartiles[2]),
            format!("{:.3}", spread.quartiles[4]),
            spread.largest.to_string(),
        ]);
    }
    Ok(line(table(&rows))?)
}

fn simulate(command: &Simulate) -> anyhow::Result<()> {
    let opened = Table::open(&command.table.table)?;
    let budget = command.queries.map_or(Budget::Seconds(command.seconds), Budget::Queries);
    let algorithms =
        if command.algorithm.is_empty() { TableAlgorithm::ALL.to_vec() } else { command.algorithm.clone() };
    let mut plan = reproduce::Plan::default();
    for algorithm in algorithms {
        plan.add_table(algorithm, &[command.dataset], command.seeds, budget);
    }
    let results = reproduce::look_up_all(&plan, &opened)?;
    let rows = reproduce::aggregate(&results, &opened)?;
    if command.table.json {
        for row in rows {
            output::json(&row)?;
        }
        return Ok(());
    }
    Ok(line(reproduce::text(&rows).trim_end())?)
}
