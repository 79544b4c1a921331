//! A self-contained HTML page about one or several runs; works offline, with light and dark scheme.
//!
//! Each section of the page is a function that returns [`Markup`], in the file named after it. Maud escapes all text.

mod cell;
mod classes;
mod comparison;
mod cost;
mod curves;
mod document;
mod facts;
mod figures;
mod history;
mod parts;
mod tested;
mod trajectory;
mod tried;

use maud::{Markup, html};

use super::run_data::RunData;
use gdas_nasbench::Table;

pub use comparison::{csv as comparison_csv, figures as comparison_figures};
pub use document::Live;
pub(crate) use figures::file_name;
pub use figures::{Figure, figures};

/// Values of alpha, over all epochs of all runs, up to which a page of several runs has heat maps: about a megabyte of them.
const MOST_ALPHAS: usize = 250_000;

/// The page about `runs`. With a `table`, it includes the cells' accuracies and ranks on NAS-Bench-201.
pub fn page(runs: &[RunData], table: Option<&Table>) -> String {
    let title = match runs {
        [run] => title(run),
        _ => format!("{} runs compared", runs.len()),
    };
    let alphas: usize = runs.iter().flat_map(RunData::parts).map(RunData::alpha_count).sum();
    let heat_maps = alphas <= MOST_ALPHAS;
    let body = html! {
        h1 { (title) }
        @if let [run] = runs {
            (report(run, table, Shown { state: true, alone: true, heat_maps: true }))
        } @else {
            (comparison::section(runs, table))
            @for run in runs {
                details.run {
                    summary { h2 { (run.info.name) } }
                    (report(run, table, Shown { state: true, alone: false, heat_maps }))
                }
            }
        }
    };
    document::document(&title, &body, None)
}

/// A live page about one run; `top` is inserted below the heading.
pub fn live_run(run: &RunData, top: &Markup, live: &Live) -> String {
    let title = title(run);
    let body = html! {
        p { a href="../" { "all runs" } }
        h1 { (title) }
        (top)
        (report(run, None, Shown { state: false, alone: true, heat_maps: true }))
    };
    document::document(&title, &body, Some(live))
}

/// A live page with any content.
pub fn live(title: &str, body: &Markup, live: &Live) -> String {
    document::document(title, body, Some(live))
}

fn title(run: &RunData) -> String {
    let task = if run.info.task == "auto" { "automatic run" } else { &run.info.task };
    format!("{task}: {}", run.info.name)
}

/// Which parts of a report are shown.
#[derive(Clone, Copy)]
struct Shown {
    /// Its state, which a live page has above.
    state: bool,
    /// What is large and would be too much beside other runs: test images, tables to be downloaded.
    alone: bool,
    /// What each edge prefers, epoch by epoch.
    heat_maps: bool,
}

/// All that is said of one run.
fn report(run: &RunData, table: Option<&Table>, shown: Shown) -> Markup {
    html! {
        (facts::alarms(run))
        (facts::section(run, table, shown.state))
        @if run.info.task == "auto" {
            (tried::section(run))
            (stages(run, table, shown))
        } @else {
            (cell::section(run))
            (cell::judgement(run))
            (classes::section(run))
            (tested::section(run, shown.alone))
            (curves::section(run, shown.alone))
            @if let Some(table) = table {
                (trajectory::section(run, table))
            }
            (curves::alphas(run, shown))
            (cell::on_the_way(run))
            (cost::section(run))
            (history::section(run))
            (history::repeat(run))
        }
    }
}

/// The stages of an automatic run.
fn stages(run: &RunData, table: Option<&Table>, shown: Shown) -> Markup {
    html! {
        @for stage in &run.stages {
            details.run open {
                summary { h2 { @if stage.info.task == "train" { "Training" } @else { "Search" } } }
                (report(stage, table, Shown { state: true, ..shown }))
            }
        }
        @if run.stages.is_empty() {
            p { "No stage has begun yet." }
        }
    }
}
