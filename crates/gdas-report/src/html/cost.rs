//! Cost of a run's network.

use maud::{Markup, html};

use super::parts::table;
use crate::run_data::RunData;
use gdas::cost::{self, Cost, readable, readable_bytes};

/// Parameters, multiply-adds and memory, in total and by layer.
pub(super) fn section(run: &RunData) -> Markup {
    let Some(network) = run.network() else { return Markup::default() };
    let total = cost::network(&network.graph);
    let memory = cost::training_memory(&network.graph, 64);
    let share = |part: u64, of: u64| format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64);
    let row = |name: &str, cost: Cost| {
        vec![
            name.to_owned(),
            readable(cost.params),
            share(cost.params, total.params),
            readable(cost.multiply_adds),
            share(cost.multiply_adds, total.multiply_adds),
        ]
    };
    let mut rows: Vec<Vec<String>> =
        cost::parts(&network.graph, 2).iter().map(|part| row(&part.name, part.cost)).collect();
    rows.push(row("together", total));
    html! {
        section {
            h2 { "Cost" }
            p {
                (if run.info.task == "train" { "The network trained, with C = " } else { "The network of published size with this cell, C = " }) (network.channels) ", N = " (network.cells) ", for "
                (network.image) "x" (network.image) " colour images and " (network.classes) " classes: "
                b { (readable(total.params)) } " parameters, " b { (readable(total.multiply_adds)) }
                " multiply-adds per image, about " (readable_bytes(memory.total()))
                " of memory to train it with batches of 64."
            }
            details {
                summary { "Layer by layer" }
                (table(&["part", "parameters", "share", "multiply-adds", "share"], &rows))
            }
        }
    }
}
