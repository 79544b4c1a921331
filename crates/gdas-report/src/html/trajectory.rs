//! Accuracy and rank in the NAS-Bench-201 table of the cell derived in each epoch.

use maud::{Markup, html};

use super::figures::{file_name, trajectory_charts};
use super::parts;
use crate::run_data::RunData;
use gdas_nasbench::Table;

/// Accuracy and rank of the derived cell over the epochs; empty if none of the cells is in the table.
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
                    (parts::chart(chart, &format!("{}-{name}", file_name(&run.info.name)), &run.info.name))
                }
            }
        }
    }
}
