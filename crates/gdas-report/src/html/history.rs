//! Event history of a run, and how to reproduce it.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

use super::parts::{download, duration, seconds, table};
use crate::run_data::RunData;
use gdas::cost::readable_bytes;
use gdas::run::Event;

/// The derived cells by epoch, and the events other than epochs.
pub(super) fn section(run: &RunData) -> Markup {
    html! {
        (cells(run))
        (events(run))
    }
}

fn cells(run: &RunData) -> Markup {
    let history = run.genotype_history();
    if history.len() < 2 {
        return Markup::default();
    }
    let epochs = |a: usize, b: usize| if a == b { format!("{}", a + 1) } else { format!("{} to {}", a + 1, b + 1) };
    let rows: Vec<Vec<String>> =
        history.iter().rev().map(|(first, last, genotype)| vec![epochs(*first, *last), genotype.clone()]).collect();
    html! {
        section {
            h2 { "Cells on the way" }
            details {
                summary { (rows.len()) " cells" }
                (table(&["epochs", "genotype"], &rows))
            }
        }
    }
}

fn events(run: &RunData) -> Markup {
    let rows: Vec<Vec<String>> = run.events.iter().filter_map(row).collect();
    if rows.is_empty() {
        return Markup::default();
    }
    html! {
        section {
            h2 { "What happened" }
            (table(&["event", "step", "remark"], &rows))
            (checkpoints(run))
        }
    }
}

/// The row of an event in the table: name, step, remark.
fn row(event: &Event) -> Option<Vec<String>> {
    let (name, step, remark) = match event {
        Event::Started { step, threads, version, .. } => {
            let name = if *step == 0 { "started" } else { "resumed" };
            (name, Some(*step), format!("gdas {version}, {threads} thread{}", if *threads == 1 { "" } else { "s" }))
        }
        Event::Warning { message } => ("warning", None, message.clone()),
        Event::Alarm { step, message, .. } => ("alarm", Some(*step), message.clone()),
        Event::EarlyStop { step, reason, .. } => ("ended early", Some(*step), reason.clone()),
        Event::Judging { step, candidates, done: 0, .. } => {
            ("judging", Some(*step), format!("{candidates} candidates"))
        }
        Event::Judged(judgement) => ("judged", Some(judgement.step), judgement.reason()),
        Event::Paused { step } => ("paused", Some(*step), String::new()),
        Event::Continued { step } => ("continued", Some(*step), String::new()),
        Event::Interrupted { step } => ("interrupted", Some(*step), String::new()),
        Event::Finished { step, seconds, .. } => ("finished", Some(*step), format!("after {}", duration(*seconds))),
        _ => return None,
    };
    Some(vec![name.to_owned(), step.map_or_else(String::new, |step| step.to_string()), remark])
}

/// Formats JSON with one key per line and each list of numbers on one line, so that matrices are readable.
fn readable_json(text: &str) -> String {
    fn write(value: &Value, indent: usize, out: &mut String) {
        let (line, close) = (format!("\n{:1$}", "", indent + 2), format!("\n{:1$}", "", indent));
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (i, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if i == 0 { "{" } else { "," });
                    let _ = write!(out, "{line}{}: ", Value::from(key.as_str()));
                    write(value, indent + 2, out);
                }
                out.push_str(&close);
                out.push('}');
            }
            Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "[" } else { "," });
                    out.push_str(&line);
                    write(item, indent + 2, out);
                }
                out.push_str(&close);
                out.push(']');
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                let _ = write!(out, "[{}]", items.join(", "));
            }
            value => out.push_str(&value.to_string()),
        }
    }
    let Ok(value) = serde_json::from_str(text) else { return text.to_owned() };
    let mut out = String::new();
    write(&value, 0, &mut out);
    out
}

/// Time and size of the checkpoints.
fn checkpoints(run: &RunData) -> Markup {
    let saved = run.events.iter().filter_map(|event| match event {
        Event::Checkpoint { bytes, seconds, .. } => Some((*bytes, *seconds)),
        _ => None,
    });
    let saved: Vec<(u64, f64)> = saved.collect();
    let Some((bytes, _)) = saved.last() else { return Markup::default() };
    let time: f64 = saved.iter().map(|(_, seconds)| seconds).sum();
    html! {
        p {
            (saved.len()) " checkpoint" @if saved.len() > 1 { "s" }
            " of " (readable_bytes(*bytes)) " took " (seconds(time)) " together."
        }
    }
}

/// The command and its configuration, and the result of a finished run.
pub(super) fn repeat(run: &RunData) -> Markup {
    let command = if run.info.task == "train" { "train" } else { "search" };
    html! {
        section {
            h2 { "How to repeat it" }
            p { "Save the configuration as " code { "config.toml" } ", then:" }
            pre tabindex="0" { code { "gdas " (command) " --config config.toml" } }
            p {
                "The same configuration and seed give the same result, bit for bit, on a CPU with any number of \
                 threads."
            }
            details {
                summary { "Configuration" }
                pre tabindex="0" { code { (run.config) } }
                (download("config.toml", &run.config))
            }
            @if let Some(result) = &run.result {
                details {
                    summary { "Result" }
                    pre tabindex="0" { code { (readable_json(result)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::readable_json;

    #[test]
    fn a_matrix_has_a_line_per_row() {
        let text = r#"{"alphas":[[[0.5,-1.0],[2.0,3.0]]],"genotype":"a","empty":{},"none":[]}"#;
        let written = readable_json(text);
        assert!(written.contains("\n      [0.5, -1.0],\n      [2.0, 3.0]\n"), "{written}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(&written), value(text));
        assert_eq!(readable_json("no JSON"), "no JSON");
    }
}
