//! The page with all runs.

use gdas_report::html::{self, Live};
use maud::{Markup, html};

use super::address;
use super::news::Snapshot;
use crate::live::Standing;

/// The whole page. `style` and `script` make it follow the runs.
pub(super) fn page(snapshot: &Snapshot, style: &str, script: &str) -> String {
    let body = html! {
        h1 { "Runs" }
        @if snapshot.runs.is_empty() {
            p { "No runs yet. " code { "gdas search" } " starts one." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="table of runs" {
                table.runs {
                    thead {
                        tr {
                            @for name in ["run", "state", "task", "data", "progress", "epoch", "accuracy", "time left"] {
                                th { (name) }
                            }
                        }
                    }
                    tbody {
                        @for (name, seen) in &snapshot.runs {
                            tr data-run=(name) {
                                td { a href={ "runs/" (address::segment(name)) } { (name) } }
                                @match &seen.standing {
                                    Ok(standing) => (row(standing)),
                                    Err(error) => td colspan="7" { (error) },
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    html::live("Runs", &body, &Live { events: "events", revision: snapshot.revision, style, script })
}

/// Where a run stands, in cells; the script of the page renews those with `data-field`.
fn row(standing: &Standing) -> Markup {
    let fields = standing.fields();
    let field = |key: &str| {
        let text = fields.iter().find(|f| f.0 == key).map_or("\u{2013}", |f| f.2.as_str());
        html! { td data-field=(key) { (text) } }
    };
    html! {
        (field("status"))
        td { (standing.task) @if let Some(stage) = &standing.stage { ": " (stage) } }
        td { (standing.data) }
        td { (bar(standing)) }
        (field("epoch"))
        (field("other_accuracy"))
        (field("eta"))
    }
}

/// How much of a run is done.
pub(super) fn bar(standing: &Standing) -> Markup {
    html! { progress max="1" value=(format!("{:.4}", standing.share())) aria-label="share done" {} }
}
