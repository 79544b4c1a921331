//! What the NAS-Bench-201 table knows of the cells that alpha pointed to, epoch by epoch.

use maud::{Markup, html};

use super::figures::{file_name, trajectory_charts};
use super::parts::figure;
use crate::run_data::RunData;
use gdas_nasbench::Table;

/// Accuracy and rank of alpha's cell over the epochs; nothing where the table knows none of the cells.
pub(super) fn section(run: &RunData, table: &Table) -> Markup {
    let charts = trajectory_charts(run, table);
    if charts.is_empty() {
        return Markup::default();
    }
    html! {
        section {
            h2 { "Alpha's cell in the NAS-Bench-201 table, epoch by epoch" }
            div.charts {
                @for (name, chart) in &charts {
                    (figure(&chart.to_svg_fragment(), &format!("{}-{name}", file_name(&run.info.name))))
                }
            }
        }
    }
}
