use clap::Args;
use gdas::space::spaces;
use gdas_nasbench::{Quantity, Table};
use gdas_report::{Epoch, RunData};
use serde_json::{Value, json};

use super::{TableFlags, parse};
use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::output::{self, table};

/// The cells that a search pointed to, epoch by epoch, in the table
///
/// For every epoch of the event log: the cell that alpha points to, its accuracy on CIFAR-10, CIFAR-100 and ImageNet16-120
/// and its rank there, the share of its edges without parameters, and the entropy of alpha, which is 1 where all operations
/// are alike (the mean over edges of the entropy in nats, divided by ln K for K operations). A run is only read and may be at
/// work. `gdas report --table` draws the same.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench trajectory cifar10-1 --table nb201.csv
  gdas bench trajectory cifar10-1 --table nb201.csv --csv > trajectory.csv
  gdas bench trajectory cifar10-1 --table nb201.safetensors --by valid_accuracy --epochs 12 --json")]
pub(crate) struct Trajectory {
    /// A search, finished or at work: name of its run, or path to its directory
    #[arg(value_name = "RUN")]
    search: String,
    /// What the table is asked for
    #[arg(long, value_name = "QUANTITY", default_value = "test_accuracy", value_parser = parse::<Quantity>)]
    by: Quantity,
    /// Length of the table's trainings
    #[arg(long, value_name = "12|200", default_value = "200")]
    epochs: u16,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    table: TableFlags,
}

pub(crate) fn run(command: &Trajectory) -> anyhow::Result<()> {
    let run = RunData::read(&command.runs.run(&command.search)?.search()?)?;
    let space = &spaces::nas_bench_201().name;
    if run.info.space != *space {
        let what = format!("{} searches in {}, which the table does not hold", command.search, run.info.space);
        return Err(Usage(format!("{what}; a trajectory is that of a search in {space}")).into());
    }
    let opened = Table::open(&command.table.table)?;
    let cells: Vec<(&Epoch, &str)> = run.epochs.iter().filter_map(|e| Some((e, e.genotype()?))).collect();
    if cells.is_empty() {
        anyhow::bail!("{} has no epoch behind it yet", command.search);
    }
    let looked_up = cells.iter().map(|(row, cell)| (row.number(), *cell));
    let found = gdas_nasbench::Trajectory::new(looked_up, &opened, command.by, command.epochs);
    if found.points.iter().all(|point| point.ranks.iter().all(Option::is_none)) {
        let what = format!("{} after {} epochs of any of its cells", command.by, command.epochs);
        anyhow::bail!("{} has no {what}; --by and --epochs choose another", command.table.table.display());
    }
    let rows: Vec<(&Epoch, &gdas_nasbench::TrajectoryPoint)> =
        cells.iter().map(|(row, _)| *row).zip(&found.points).collect();
    if command.table.json {
        return command.print_json(&found, &rows);
    }
    if command.csv {
        return print_csv(&found, &rows);
    }
    command.print_text(&found, &rows)
}

impl Trajectory {
    fn print_json(
        &self,
        found: &gdas_nasbench::Trajectory,
        rows: &[(&Epoch, &gdas_nasbench::TrajectoryPoint)],
    ) -> anyhow::Result<()> {
        let epochs = rows.iter().map(|(row, point)| {
            let table: serde_json::Map<String, Value> = found
                .datasets
                .iter()
                .zip(&point.ranks)
                .map(|(dataset, rank)| (dataset.name().to_owned(), json!(rank)))
                .collect();
            json!({
                "epoch": row.number(), "cell": point.cell, "index": point.index, "table": table,
                "parameter_free": row.parameter_free(), "entropy": row.entropy(),
                "held_out_accuracy": row.other_accuracy(),
            })
        });
        output::json(&json!({
            "run": self.search, "quantity": self.by.name(), "trained_epochs": self.epochs,
            "epochs": epochs.collect::<Vec<_>>(),
        }))
    }

    fn print_text(
        &self,
        found: &gdas_nasbench::Trajectory,
        rows: &[(&Epoch, &gdas_nasbench::TrajectoryPoint)],
    ) -> anyhow::Result<()> {
        let mut head = vec!["epoch".to_owned()];
        for dataset in &found.datasets {
            head.extend([dataset.name().to_owned(), "rank".to_owned()]);
        }
        head.extend(["no parameters", "entropy", "cell"].map(str::to_owned));
        let mut lines = vec![head];
        let dash = || "\u{2013}".to_owned();
        for (row, point) in rows {
            let mut line = vec![(row.number() + 1).to_string()];
            for rank in &point.ranks {
                line.push(rank.map_or_else(dash, |rank| format!("{:.2}", rank.value)));
                line.push(rank.map_or_else(dash, |rank| rank.rank.to_string()));
            }
            line.push(row.parameter_free().map_or_else(dash, |share| format!("{:.0} %", 100.0 * share)));
            line.push(row.entropy().map_or_else(dash, |entropy| format!("{entropy:.4}")));
            line.push(point.cell.clone());
            lines.push(line);
        }
        output::line(table(&lines))?;
        Ok(output::line(format_args!(
            "\n{} ({}) after trainings of {} epochs, and the rank among all cells",
            self.by,
            self.by.unit(),
            self.epochs
        ))?)
    }
}

fn print_csv(
    found: &gdas_nasbench::Trajectory,
    rows: &[(&Epoch, &gdas_nasbench::TrajectoryPoint)],
) -> anyhow::Result<()> {
    let mut head: Vec<String> = ["epoch", "cell", "index"].map(str::to_owned).into();
    for dataset in &found.datasets {
        let name = dataset.name().to_lowercase().replace('-', "_");
        head.extend([name.clone(), format!("{name}_rank")]);
    }
    head.extend(["parameter_free", "entropy", "held_out_accuracy"].map(str::to_owned));
    output::line(head.join(","))?;
    // What is not known is an empty field.
    fn field<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    for (row, point) in rows {
        let mut line = vec![row.number().to_string(), point.cell.clone(), field(point.index)];
        for rank in &point.ranks {
            line.extend([field(rank.map(|rank| rank.value)), field(rank.map(|rank| rank.rank))]);
        }
        line.extend([row.parameter_free(), row.entropy(), row.other_accuracy()].map(field));
        output::line(line.join(","))?;
    }
    Ok(())
}
