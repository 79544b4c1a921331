//! The top of a run's page: where the run stands, and buttons that act on it.

use maud::{Markup, html};

use super::control;
use super::list::bar;
use crate::live::Standing;

const BUTTONS: [(&str, &str); 4] =
    [("pause", "Pause"), ("continue", "Continue"), ("stop", "Stop"), ("resume", "Resume")];

/// Where a run stands; with `control` also what can be done about it.
pub(super) fn section(standing: &Standing, control: bool) -> Markup {
    html! {
        section.now data-run aria-live="off" {
            (bar(standing))
            dl {
                @for (key, name, text) in standing.fields() {
                    div { dt { (name) } dd data-field=(key) { (text) } }
                }
            }
            @if control { (actions(standing.status)) }
        }
    }
}

/// All buttons; those that do not fit the state are hidden, and what went wrong is shown after them.
fn actions(status: &str) -> Markup {
    let possible = control::actions(status);
    html! {
        p.actions {
            @for (action, name) in BUTTONS {
                button type="button" data-action=(action) hidden[!possible.contains(&action)] { (name) }
            }
            output {}
        }
    }
}
