use clap::Args;
use gdas::Alpha;
use gdas::search::{EdgeEffects, held_out};
use gdas::space::spaces;
use gdas_nasbench::{Quantity, Seeds, Table, genotype_of, kendall_tau};
use serde_json::{Value, json};

use super::correlate::{Supernet, supernet};
use super::{SettingFlags, TableFlags};
use crate::cli::RunsDir;
use crate::commands::search;
use crate::exit::Preempted;
use crate::images::Damaged;
use crate::output::{self, table};
use crate::progress::Count;
use crate::signals;

/// What each operation does on each edge: slope of the gate, held-out loss, and the table
///
/// GDAS moves alpha against the slope of the held-out loss in the gate of a drawn operation. Here that slope stands beside
/// the loss with the operation exchanged, all with the shared weights of a run and as the mean over uniformly drawn cells,
/// and beside the table's mean accuracy of the cells with that operation there. At the end: the cell that each of the three
/// would choose, edge by edge, and what the table knows of it. The run is only read.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench effects cifar10-1 --table nb201.csv
  gdas bench effects cifar10-1 --cells 128 --table nb201.csv --json")]
pub(crate) struct Effects {
    /// A search, finished or at work: name of its run, or path to its directory
    #[arg(value_name = "RUN")]
    search: String,
    /// Drawn cells; each is tried with every operation on every edge
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    cells: u16,
    /// The images [default: those of the run]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    setting: SettingFlags,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: gdas::config::Auto<usize>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    table: TableFlags,
}

/// Higher is better in each, `[edges, operations]`.
struct Signals {
    /// The slope, negative.
    slope: Alpha,
    /// The loss with the operation there, negative.
    loss: Alpha,
    /// Mean test accuracy in the table.
    table: Alpha,
}

pub(crate) fn run(command: &Effects) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    let opened = Table::open(&command.table.table)?;
    search::use_threads(command.threads)?;
    let supernet = supernet(&command.search, &command.runs, command.data.as_deref(), command.damaged)?;
    let Supernet { searcher, checkpoint, dataset } = &supernet;
    let images = held_out(&searcher.config, dataset)?;
    let cells = usize::from(command.cells);
    let count = Count::new("cells", cells, 0, command.quiet || command.table.json);
    let effects = searcher.edge_effects(cells, dataset, &images, &interrupt, |done| count.at(done))?;
    drop(count);
    let Some(EdgeEffects { slope, loss, balance }) = effects else {
        return Err(Preempted("the same command".to_owned()).into());
    };
    let negative = |of: &Alpha| of.map_rows(|row| row.iter().map(|x| -x).collect());
    let means = opened.operation_means(command.setting.setting(), Quantity::TestAccuracy);
    let signals = Signals { slope: negative(&slope[0]), loss: negative(&loss[0]), table: Alpha::from_rows(&means) };
    if command.table.json {
        return command.print_json(&signals, &balance[0], *checkpoint, &opened);
    }
    command.print_text(&signals, &balance[0], *checkpoint, &opened)
}

impl Effects {
    /// The cell with the best operation by some signal on every edge, and its accuracy in the table.
    fn choice(&self, signal: &Alpha, opened: &Table) -> (String, Option<f64>) {
        let mut picks = [0; 6];
        picks.iter_mut().zip(signal.argmax()).for_each(|(pick, best)| *pick = best as u8);
        let index = opened.index_of(picks);
        let accuracy = index
            .and_then(|i| opened.get(i, self.setting.setting(), Seeds::Mean, Quantity::TestAccuracy).ok().flatten());
        (genotype_of(picks).to_string(), accuracy)
    }

    fn print_text(&self, signals: &Signals, balance: &[f64], checkpoint: u64, opened: &Table) -> anyhow::Result<()> {
        let space = spaces::nas_bench_201();
        let cell = &space.cells[0];
        let mut lines = vec![["edge", "operation", "slope", "loss", "table"].map(str::to_owned).to_vec()];
        for (edge, ends) in cell.edges().iter().enumerate() {
            let mean = signals.loss[edge].iter().sum::<f64>() / cell.width() as f64;
            for (k, operation) in cell.operations.iter().enumerate() {
                lines.push(vec![
                    if k == 0 { format!("{} to {}", ends.from, ends.to) } else { String::new() },
                    operation.name.clone(),
                    format!("{:+.4}", -signals.slope[(edge, k)]),
                    format!("{:+.4}", mean - signals.loss[(edge, k)]),
                    format!("{:.2}", signals.table[(edge, k)]),
                ]);
            }
        }
        output::line(table(&lines))?;
        output::line(format_args!(
            "\nslope: of the held-out loss in the gate (GDAS favours the lowest); loss: with this operation, less the mean of \
             the edge;\ntable: mean accuracy of the cells with it, {}. {} cells, checkpoint {checkpoint}.\n",
            self.setting.setting(),
            self.cells
        ))?;
        let mut rows = vec![["chosen by", "agreement with the table", "accuracy", "cell"].map(str::to_owned).to_vec()];
        for (name, signal) in [("slope", &signals.slope), ("loss", &signals.loss), ("table", &signals.table)] {
            let (cell, accuracy) = self.choice(signal, opened);
            let accuracy = accuracy.map_or_else(String::new, |accuracy| format!("{accuracy:.2}"));
            rows.push(vec![name.to_owned(), format!("{:.2}", agreement(signal, &signals.table)), accuracy, cell]);
        }
        output::line(table(&rows))?;
        let nodes: Vec<String> = balance.iter().map(|value| format!("{value:+.2}")).collect();
        Ok(output::line(format_args!(
            "\nagreement: Kendall's tau of the operations of an edge, mean of all edges; between slope and loss {:.2}.\nsum of \
             the slopes that end in a node over the sum of their sizes: {}",
            agreement(&signals.slope, &signals.loss),
            nodes.join(", ")
        ))?)
    }

    fn print_json(&self, signals: &Signals, balance: &[f64], checkpoint: u64, opened: &Table) -> anyhow::Result<()> {
        let choice = |signal: &Alpha| -> Value {
            let (cell, accuracy) = self.choice(signal, opened);
            json!({ "cell": cell, "accuracy": accuracy, "agreement_with_table": agreement(signal, &signals.table) })
        };
        let negative = |of: &Alpha| of.map_rows(|row| row.iter().map(|x| -x).collect());
        output::json(&json!({
            "run": self.search, "checkpoint": checkpoint, "cells": self.cells,
            "operations": spaces::nas_bench_201().cells[0].operations.iter().map(|o| o.name.clone()).collect::<Vec<_>>(),
            "slope": negative(&signals.slope), "loss": negative(&signals.loss), "table": signals.table,
            "balance": balance, "agreement_of_slope_and_loss": agreement(&signals.slope, &signals.loss),
            "chosen": { "slope": choice(&signals.slope), "loss": choice(&signals.loss), "table": choice(&signals.table) },
        }))
    }
}

/// Kendall's tau of two rankings of the operations of an edge, mean of all edges.
fn agreement(a: &Alpha, b: &Alpha) -> f64 {
    let taus = a.rows().zip(b.rows()).map(|(a, b)| kendall_tau(a, b).unwrap_or(0.0));
    taus.sum::<f64>() / a.edges().max(1) as f64
}
