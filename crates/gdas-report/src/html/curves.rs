//! Curves of a run: its metrics, and the probabilities of each edge.

use maud::{Markup, html};

use super::figures::file_name;
use super::parts::{download, figure};
use crate::chart;
use crate::run_data::RunData;

/// Losses, accuracies and schedules, epoch by epoch.
pub(super) fn section(run: &RunData) -> Markup {
    let curves = run.curves();
    html! {
        section {
            h2 { "Curves" }
            @if curves.is_empty() {
                p { "No epoch is over yet." }
            }
            div.charts {
                @for (name, chart) in &curves {
                    (figure(&chart.to_svg_fragment(), &format!("{}-{name}", file_name(&run.info.name))))
                }
            }
            (download("epochs.csv", &run.epochs_csv()))
        }
    }
}

/// One small chart per edge, with one legend per alpha table.
pub(super) fn alphas(run: &RunData) -> Markup {
    let tables = run.alpha_charts();
    if tables.is_empty() {
        return Markup::default();
    }
    html! {
        section {
            h2 { "What each edge prefers" }
            p { "softmax(alpha) per edge, epoch by epoch." }
            @for (index, (name, charts)) in tables.iter().enumerate() {
                @if tables.len() > 1 { h3 { (name) } }
                (legend(&run.operation_names(index)))
                div.charts.small {
                    @for (edge, chart) in charts.iter().enumerate() {
                        (figure(
                            &chart.to_svg_fragment(),
                            &format!("{}-alpha-{}-{edge:02}", file_name(&run.info.name), file_name(name)),
                        ))
                    }
                }
            }
            (download("alphas.csv", &run.alphas_csv()))
        }
    }
}

fn legend(operations: &[String]) -> Markup {
    html! {
        ul.legend {
            @for (i, operation) in operations.iter().enumerate() {
                li {
                    svg.chart width="24" height="10" aria-hidden="true" {
                        path class={ "s" (i % chart::SERIES_COLOURS.len()) } d="M0 5H24" {}
                    }
                    " " (operation)
                }
            }
        }
    }
}
