//! Several runs beside each other.

use maud::{Markup, html};

use super::facts::standing;
use super::figures::{Figure, file_name};
use super::parts::{dash, figure, percent, table};
use crate::chart::Chart;
use crate::csv::line;
use crate::epoch::Epoch;
use crate::run_data::RunData;
use gdas::cost::{self, readable};
use gdas_nasbench::Table;

const COLUMNS: [&str; 12] = [
    "run",
    "state",
    "task",
    "algorithm",
    "space",
    "data",
    "seed",
    "epochs",
    "accuracy",
    "parameter-free",
    "parameters",
    "multiply-adds",
];

/// A table of the runs, their ranks in the benchmark's table, and charts with a line per run.
pub(super) fn section(runs: &[RunData], known: Option<&Table>) -> Markup {
    html! {
        section {
            (table(&COLUMNS, &rows(runs)))
            @if let Some(known) = known { (ranks(runs, known)) }
            div.charts {
                @for chart in charts(runs) {
                    (figure(&chart.to_svg_fragment(), &name(&chart)))
                }
            }
        }
    }
}

/// The figures of a comparison of several runs, as files; none for a single run.
pub fn figures(runs: &[RunData]) -> Vec<Figure> {
    if runs.len() < 2 {
        return vec![];
    }
    charts(runs).into_iter().map(|chart| Figure { name: name(&chart), svg: chart.to_svg() }).collect()
}

/// The table of a comparison, as comma-separated values.
pub fn csv(runs: &[RunData]) -> String {
    line(COLUMNS) + &rows(runs).into_iter().map(line).collect::<String>()
}

fn name(chart: &Chart) -> String {
    format!("comparison-{}", file_name(&chart.title))
}

fn rows(runs: &[RunData]) -> Vec<Vec<String>> {
    let row = |run: &RunData| {
        let info = &run.info;
        let cost = run.network().map(|n| cost::network(&n.graph));
        vec![
            info.name.clone(),
            info.status.to_owned(),
            info.task.clone(),
            run.setting("algorithm").unwrap_or_else(dash),
            info.space.clone(),
            info.data.clone(),
            run.setting("seed").unwrap_or_else(dash),
            format!("{}/{}", info.epochs_done, info.epochs),
            info.accuracy.map_or_else(dash, percent),
            run.genotype().map_or_else(dash, |g| percent(g.parameter_free_share())),
            cost.map_or_else(dash, |c| readable(c.params)),
            cost.map_or_else(dash, |c| readable(c.multiply_adds)),
        ]
    };
    runs.iter().map(row).collect()
}

/// One line per run.
fn charts(runs: &[RunData]) -> Vec<Chart> {
    let over = |title: &str, value: fn(&Epoch) -> Option<f64>| {
        // Runs without such points stay in their places: a run has the same colour in every chart.
        Chart::new(title, "epoch", runs.iter().map(|run| run.series(&run.info.name, value)).collect())
    };
    let mut charts = vec![
        over("Held-out, validation or test accuracy", Epoch::other_accuracy).percent().between(Some(0.0), None),
        over("Held-out, validation or test loss", Epoch::other_loss),
        over("Training accuracy", |e| Some(e.train_accuracy())).percent().between(Some(0.0), None),
        over("Edges without parameters", Epoch::parameter_free).percent().between(Some(0.0), Some(1.0)),
    ];
    charts.retain(|chart| !chart.is_empty());
    charts
}

/// One line per run, with its accuracy and rank in each setting of the table.
fn ranks(runs: &[RunData], known: &Table) -> Markup {
    let standings: Vec<_> = runs.iter().map(|run| standing(run, known)).collect();
    let Some(first) = standings.iter().find(|rows| !rows.is_empty()) else { return Markup::default() };
    let settings: Vec<&[String]> = first.iter().map(|row| &row[..2]).collect();
    let head = settings.iter().map(|setting| format!("{}, {} epochs", setting[0], setting[1]));
    let head: Vec<String> = std::iter::once("run".to_owned()).chain(head).collect();
    let rows = runs.iter().zip(&standings).filter(|(_, rows)| !rows.is_empty()).map(|(run, rows)| {
        let cells = settings.iter().map(|setting| {
            let row = rows.iter().find(|row| row[..2] == **setting);
            row.map_or_else(dash, |row| format!("{}, rank {}", row[2], row[3]))
        });
        std::iter::once(run.info.name.clone()).chain(cells).collect()
    });
    html! {
        h3 { "In the NAS-Bench-201 table" }
        (table(&head, &rows.collect::<Vec<_>>()))
    }
}
