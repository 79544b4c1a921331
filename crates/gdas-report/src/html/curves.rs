//! Charts of a run: its metrics, and the probabilities of the operations of each edge.

use maud::{Markup, html};

use super::figures::file_name;
use super::{Shown, parts};
use crate::chart;
use crate::heat::HeatMap;
use crate::run_data::RunData;

/// Losses, accuracies and schedules, epoch by epoch.
pub(super) fn section(run: &RunData, alone: bool) -> Markup {
    let curves = run.curves();
    html! {
        section {
            h2 { "Curves" }
            @if curves.is_empty() {
                p { "No epoch is over yet." }
            }
            div.charts {
                @for (name, chart) in &curves {
                    (parts::chart(chart, &format!("{}-{name}", file_name(&run.info.name)), &run.info.name))
                }
            }
            (parts::table_download("epochs.csv", run.epochs.len(), alone, || run.epochs_csv()))
        }
    }
}

/// A heat map per alpha table: what each edge prefers, epoch by epoch.
pub(super) fn alphas(run: &RunData, shown: Shown) -> Markup {
    let maps = run.heat_maps();
    if maps.is_empty() {
        return Markup::default();
    }
    html! {
        section {
            h2 { "What each edge prefers" }
            @if shown.heat_maps {
                (heat(run, &maps))
            } @else {
                p { "Too much for a page of so many runs: the page of this run alone shows it." }
            }
            (parts::table_download("alphas.csv", run.alpha_count(), shown.alone, || run.alphas_csv()))
        }
    }
}

fn heat(run: &RunData, maps: &[HeatMap]) -> Markup {
    html! {
        p {
            "The operation of largest softmax(alpha) per edge and epoch. The stronger the colour, the larger its \
             probability; the faintest is an even draw. At the right, the last epoch."
        }
        @for (index, map) in maps.iter().enumerate() {
            (legend(&run.operation_names(index)))
            (parts::heat_map(map, &format!("{}-alpha-{}", file_name(&run.info.name), file_name(&map.title))))
        }
    }
}

fn legend(operations: &[String]) -> Markup {
    html! {
        ul.legend {
            @for (i, operation) in operations.iter().enumerate() {
                li {
                    svg.chart.heat width="14" height="14" aria-hidden="true" {
                        rect class={ "h" (i % chart::SERIES_COLOURS.len()) } width="14" height="14" {}
                    }
                    " " (operation)
                }
            }
        }
    }
}
