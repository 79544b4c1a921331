//! Section about the short trainings by which an automatic run chose its network.

use maud::{Markup, html};
use serde_json::Value;

use super::parts;
use crate::run_data::RunData;
use crate::trials::Trial;

const HEAD: [&str; 8] = ["network", "C", "N", "parameters", "round", "steps", "time", "validation accuracy"];

const HEAD_SO_FAR: [&str; 5] = ["network", "round", "state", "epochs", "validation accuracy"];

/// Table of the networks tried so far, with duration and accuracy.
pub(super) fn section(run: &RunData) -> Markup {
    let rows = run.result.as_deref().map(rows).unwrap_or_default();
    html! {
        @if run.result.is_none() && !run.trials.is_empty() {
            section {
                h2 { "Networks tried so far" }
                (parts::table(&HEAD_SO_FAR, &run.trials.iter().map(so_far).collect::<Vec<_>>()))
            }
        }
        @if !rows.is_empty() {
            section {
                h2 { "Networks tried" }
                p { "Short trainings on a part of the training images; the better half of a round went on to the next." }
                (parts::table(&HEAD, &rows))
            }
        }
    }
}

fn so_far(trial: &Trial) -> Vec<String> {
    // The directory name consists of round and network, as in `tried/1-2`.
    let round = trial.run.rsplit('/').next().and_then(|name| name.split('-').next()).unwrap_or_default();
    let (done, all) = trial.epochs;
    let accuracy = trial.validation_accuracy.map_or_else(parts::dash, parts::percent);
    vec![trial.network.clone(), round.to_owned(), trial.status.to_owned(), format!("{done} of {all}"), accuracy]
}

/// The rows of the result's field `tried`.
fn rows(result: &str) -> Vec<Vec<String>> {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    let tried = result["tried"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |trial: &Value| {
        let count = |key: &str| trial[key].as_u64().map_or_else(parts::dash, |count| count.to_string());
        let name = trial["name"].as_str().unwrap_or_default().to_owned();
        let time = trial["seconds"].as_f64().map_or_else(parts::dash, parts::seconds);
        let accuracy = trial["validation_accuracy"].as_f64().map_or_else(parts::dash, parts::percent);
        let [channels, cells, params] = ["channels", "cells", "params"].map(count);
        vec![name, channels, cells, params, count("round"), count("steps"), time, accuracy]
    };
    tried.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_at_work_is_a_row() {
        let trial = Trial {
            run: "tried/2-1".into(),
            network: "residual, C = 16, N = 1".into(),
            status: "running",
            epochs: (1, 3),
            validation_accuracy: None,
        };
        assert_eq!(so_far(&trial), ["residual, C = 16, N = 1", "2", "running", "1 of 3", "\u{2013}"]);
    }

    #[test]
    fn each_trial_is_a_row() {
        let result = r#"{"tried": [{"name": "residual", "channels": 16, "cells": 1, "params": 73000, "round": 1, "steps": 200,
            "seconds": 12.5, "validation_accuracy": 0.4512}, {}]}"#;
        let rows = rows(result);
        assert_eq!(rows[0], ["residual", "16", "1", "73000", "1", "200", "12.50 s", "45.12 %"]);
        assert_eq!(rows[1].len(), HEAD.len());
        assert!(super::rows("{}").is_empty() && super::rows("no JSON").is_empty());
    }
}
