//! Comparison of several runs.

use maud::{Markup, PreEscaped, html};

use super::facts::standing;
use super::figures::{Figure, file_name};
use super::parts::{self, dash, percent, table};
use crate::chart::Chart;
use crate::compare::{Difference, differences, groups};
use crate::csv::line;
use crate::epoch::Epoch;
use crate::parallel::{Axis, Parallel};
use crate::run_data::RunData;
use gdas::cost::{self, readable};
use gdas_nasbench::Table;

/// Columns of every comparison, before those of the differing configuration keys.
const COLUMNS: [&str; 10] =
    ["run", "state", "task", "data", "seed", "epochs", "accuracy", "parameter-free", "parameters", "multiply-adds"];

/// A value of a run: as text, and as a number if it is one.
struct Value {
    number: Option<f64>,
    text: String,
}

impl Value {
    fn text(text: impl Into<String>) -> Self {
        Self { number: None, text: text.into() }
    }

    fn number(number: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        Self { number, text: number.map_or_else(dash, show) }
    }
}

/// A table of the runs that can be sorted and filtered, what they differ in, means over seeds, their ranks in the
/// benchmark's table, and charts with a line per run.
pub(super) fn section(runs: &[RunData], known: Option<&Table>) -> Markup {
    let differences = differences(runs);
    html! {
        section {
            (all(runs, &differences))
            p.note {
                "Parameters and multiply-adds: of a training, those of its network; of a search, those of the network of \
                 published size that its cell is meant for."
            }
            (over_seeds(runs, &differences))
            @if let Some(parallel) = parallel(runs, &differences) {
                h2 { "Settings against accuracy" }
                div.scroll tabindex="0" role="group" aria-label="parallel coordinates" { (PreEscaped(parallel.to_svg_fragment())) }
            }
            @if let Some(known) = known { (ranks(runs, known)) }
            h2 { "Curves" }
            div.charts {
                @for chart in charts(runs) {
                    (parts::chart(&chart, &name(&chart), "comparison"))
                }
            }
        }
    }
}

/// One row per run.
fn all(runs: &[RunData], differences: &[Difference]) -> Markup {
    let head = COLUMNS.into_iter().chain(differences.iter().map(|difference| difference.key.as_str()));
    html! {
        div.scroll tabindex="0" role="group" aria-label="table of runs" {
            table.sortable {
                thead { tr { @for cell in head { th { (cell) } } } }
                tbody {
                    @for (index, run) in runs.iter().enumerate() {
                        tr data-index=(index) {
                            @for value in values(run) { td data-value=[value.number] { (value.text) } }
                            @for difference in differences {
                                td { (difference.values[index].clone().unwrap_or_else(dash)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Mean and deviation of runs that differ only in their seed; empty if there are no such runs.
fn over_seeds(runs: &[RunData], differences: &[Difference]) -> Markup {
    let groups = groups(runs);
    if groups.iter().all(|group| group.runs.len() < 2) {
        return Markup::default();
    }
    let head = ["runs", "seeds", "accuracy, mean", "standard deviation"];
    let head: Vec<&str> = head.into_iter().chain(differences.iter().map(|d| d.key.as_str())).collect();
    let rows = groups.iter().map(|group| {
        let seed = |&run: &usize| runs[run].setting("seed").unwrap_or_else(dash);
        let seeds: Vec<String> = group.runs.iter().map(seed).collect();
        let (mean, deviation) = group.accuracy.map_or((None, None), |(mean, deviation)| (Some(mean), deviation));
        let mut row = vec![group.runs.len().to_string(), seeds.join(", ")];
        row.extend([mean, deviation].map(|value| value.map_or_else(dash, percent)));
        row.extend(differences.iter().map(|d| d.values[group.runs[0]].clone().unwrap_or_else(dash)));
        row
    });
    html! {
        h2 { "Over seeds" }
        (table(&head, &rows.collect::<Vec<_>>()))
    }
}

/// Parallel coordinates of the differing keys and the accuracy; `None` if there is no difference or no accuracy.
fn parallel(runs: &[RunData], differences: &[Difference]) -> Option<Parallel> {
    if differences.is_empty() || runs.iter().all(|run| run.info.accuracy.is_none()) {
        return None;
    }
    let of = |difference: &Difference| Axis { name: difference.key.clone(), values: difference.values.clone() };
    let accuracy = runs.iter().map(|run| run.info.accuracy.map(|accuracy| format!("{:.2}", 100.0 * accuracy)));
    let mut axes: Vec<Axis> = differences.iter().map(of).collect();
    axes.push(Axis { name: "accuracy (%)".to_owned(), values: accuracy.collect() });
    Some(Parallel { runs: runs.iter().map(|run| run.info.name.clone()).collect(), axes })
}

/// The figures of a comparison as files; empty for a single run.
pub fn figures(runs: &[RunData]) -> Vec<Figure> {
    if runs.len() < 2 {
        return vec![];
    }
    charts(runs).into_iter().map(|chart| Figure { name: name(&chart), svg: chart.to_svg() }).collect()
}

/// The table of a comparison as CSV: plain numbers, accuracies and shares as fractions.
pub fn csv(runs: &[RunData]) -> String {
    let differences = differences(runs);
    let head = COLUMNS.into_iter().chain(differences.iter().map(|difference| difference.key.as_str()));
    let rows = runs.iter().enumerate().map(|(index, run)| {
        let own = values(run).into_iter().map(|value| match value.number {
            Some(number) => number.to_string(),
            None if value.text == dash() => String::new(),
            None => value.text,
        });
        line(own.chain(differences.iter().map(|difference| difference.values[index].clone().unwrap_or_default())))
    });
    line(head) + &rows.collect::<String>()
}

fn name(chart: &Chart) -> String {
    format!("comparison-{}", file_name(&chart.title))
}

/// The values of [`COLUMNS`].
fn values(run: &RunData) -> Vec<Value> {
    let info = &run.info;
    let cost = run.network().map(|n| cost::network(&n.graph));
    let count = |count: Option<u64>| Value::number(count.map(|count| count as f64), |count| readable(count as u64));
    vec![
        Value::text(&info.name),
        Value::text(info.status),
        Value::text(&info.task),
        Value::text(&info.data),
        Value::text(run.setting("seed").unwrap_or_else(dash)),
        Value { number: Some(info.epochs_done as f64), text: format!("{}/{}", info.epochs_done, info.epochs) },
        Value::number(info.accuracy, percent),
        Value::number(run.genotype().map(|g| g.parameter_free_share()), percent),
        count(cost.map(|c| c.params)),
        count(cost.map(|c| c.multiply_adds)),
    ]
}

/// Charts with one line per run.
fn charts(runs: &[RunData]) -> Vec<Chart> {
    let over = |title: &str, value: fn(&Epoch) -> Option<f64>| {
        // Runs without points are kept, so that a run has the same colour in every chart.
        Chart::new(title, "epoch", runs.iter().map(|run| run.series(&run.info.name, value)).collect())
    };
    let mut charts = vec![
        over("Held-out, validation or test accuracy", Epoch::other_accuracy).percent().between(Some(0.0), None),
        over("Held-out, validation or test loss", Epoch::other_loss).logarithmic(),
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
        h2 { "In the NAS-Bench-201 table" }
        (table(&head, &rows.collect::<Vec<_>>()))
    }
}
