use clap::{Args, ValueEnum};
use gdas::run::{self, RunInfo};
use serde_json::json;

use crate::cli::RunsDir;
use crate::output::{self, percent, table};

/// List the runs of a directory, with what came out of each
///
/// Of an automatic run, epochs and accuracy are those of its stage at work, or of the last one.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas runs list
  gdas runs list --sort accuracy --task search
  gdas runs list --state stopped --match photos
  gdas runs list --runs /data/runs --json")]
pub(crate) struct List {
    /// Order: by name, time of the last event (the newest first) or accuracy (the best first)
    #[arg(long, value_name = "KEY", value_enum, default_value_t)]
    sort: Key,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    /// Only runs of this task
    #[arg(long, value_name = "TASK", value_parser = ["search", "train", "auto", "import"])]
    task: Option<String>,
    /// Only runs in this state
    #[arg(long, value_name = "STATE", value_parser = ["running", "paused", "finished", "stopped"])]
    state: Option<String>,
    /// Only runs with this text in their name, data or space
    #[arg(long = "match", value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    directory: RunsDir,
    /// One JSON object per run
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Key {
    #[default]
    Name,
    Time,
    Accuracy,
}

pub(super) fn run(command: &List) -> anyhow::Result<()> {
    let found = run::list(&command.directory.runs)?;
    let empty = found.is_empty();
    let mut runs = Vec::new();
    for run in found {
        match run {
            Ok(info) => runs.push(info),
            Err(error) if command.json => output::json(&json!({ "error": error.to_string() }))?,
            Err(error) => output::note(format_args!("warning: {error}")),
        }
    }
    runs.retain(|info| command.wants(info));
    command.order(&mut runs);
    if command.json {
        return runs.iter().try_for_each(output::json);
    }
    if runs.is_empty() {
        let directory = command.directory.runs.display();
        output::note(if empty {
            format!("no runs in {directory}; `gdas search` starts one, --runs looks elsewhere")
        } else {
            format!("no such runs in {directory}")
        });
        return Ok(());
    }
    let head = ["run", "state", "task", "data", "space", "epochs", "accuracy", "genotype"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(runs.into_iter().map(row));
    Ok(output::line(table(&rows))?)
}

impl List {
    fn wants(&self, info: &RunInfo) -> bool {
        self.task.as_ref().is_none_or(|task| *task == info.task)
            && self.state.as_ref().is_none_or(|state| state == info.status)
            && self.text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                [&info.name, &info.data, &info.space].iter().any(|field| field.to_lowercase().contains(&text))
            })
    }

    fn order(&self, runs: &mut [RunInfo]) {
        match self.sort {
            Key::Name => runs.sort_by_cached_key(|info| natural(&info.name)),
            // What has no time or no accuracy comes last.
            Key::Time => runs.sort_by(|a, b| descending(a.updated, b.updated)),
            Key::Accuracy => runs.sort_by(|a, b| descending(a.accuracy, b.accuracy)),
        }
        if self.reverse {
            runs.reverse();
        }
    }
}

fn descending(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    let value = |x: Option<f64>| x.unwrap_or(f64::NEG_INFINITY);
    value(b).total_cmp(&value(a))
}

/// A key by which `digits-2` comes before `digits-10`: digits as numbers, all else as text.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (before, after) = rest.split_at(text);
        let (number, after) = after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
        parts.push((0, before.to_owned()));
        if !number.is_empty() {
            parts.push((number.parse().unwrap_or(u64::MAX), String::new()));
        }
        rest = after;
    }
    parts
}

fn row(info: RunInfo) -> Vec<String> {
    let dash = || "-".to_owned();
    let epochs = format!("{}/{}", info.epochs_done, info.epochs);
    vec![
        info.name,
        info.status.to_owned(),
        info.task,
        info.data,
        info.space,
        info.stage.map_or(epochs.clone(), |stage| format!("{stage} {epochs}")),
        info.accuracy.map_or_else(dash, percent),
        info.genotype.unwrap_or_else(dash),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_as_numbers() {
        let mut names = ["digits-10", "digits-2", "cats", "digits", "digits-2b", "2-a", "10-a"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["2-a", "10-a", "cats", "digits", "digits-2", "digits-2b", "digits-10"]);
    }
}
