//! One command within another program: its flags as JSON values, its results as JSON values, its events as they happen.
//!
//! The program and the command line share everything: parsing, defaults, checks, the run directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, FromArgMatches};
use gdas::config::{Auto, ConfigError};
use gdas::run::read_config;
use serde_json::{Map, Value};

use crate::cli::RunsDir;
use crate::commands::{self, Cli};
use crate::exit::{self, Preempted, Usage};
pub use crate::host::{Callback, Host};
use crate::{host, named};

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A value is wrong, or does not go with the others.
    #[error("{0}")]
    Usage(String),
    /// It was asked to stop, with everything saved.
    #[error("{0}")]
    Interrupted(String),
    /// Everything else.
    #[error("{0}")]
    Failed(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let message = exit::message(&error);
        if error.is::<Preempted>() {
            Self::Interrupted(message)
        } else if error.is::<Usage>() || error.is::<ConfigError>() {
            Self::Usage(message)
        } else {
            Self::Failed(message)
        }
    }
}

/// Runs a command. `keys` holds its flags and arguments by name, with `_` for `-`; `null` is a flag that is not given.
/// Commands that can print JSON do. The result is what the command puts out, value by value.
///
/// The work is done on a thread pool of its own, whatever threads the program has.
///
/// # Errors
/// See [`Failure`].
pub fn run(command: &str, keys: &Map<String, Value>, host: Host) -> Result<Vec<Value>, Failure> {
    let cli = parse(command, keys).map_err(Failure::from)?;
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Auto::Is(threads) = threads(keys)? {
        pool = pool.num_threads(threads);
    }
    let pool = pool.build().map_err(|error| Failure::Failed(format!("cannot start the worker threads: {error}")))?;
    let (result, output) = pool.install(|| host::within(host, || commands::run(cli)));
    result.map_err(Failure::from)?;
    Ok(output)
}

/// Where the trained network of a run is: in the run itself, or in the training of an automatic run. `run` is a path, or a
/// name in the directory `runs`.
///
/// # Errors
/// There is no such run, or nothing in it has been trained.
pub fn trained(run: &str) -> Result<PathBuf, Failure> {
    Ok(runs().run(run)?.trained()?)
}

/// The directory of a run and its task: `search`, `train` or `auto`.
///
/// # Errors
/// There is no such run.
pub fn find(run: &str) -> Result<(PathBuf, &'static str), Failure> {
    let run = runs().run(run)?;
    let task = match run.task {
        named::Task::Search => "search",
        named::Task::Train => "train",
        named::Task::Auto => "auto",
    };
    Ok((run.path, task))
}

fn runs() -> RunsDir {
    RunsDir { runs: "runs".into() }
}

/// Reads the keys as the command line would be read.
fn parse(command: &str, keys: &Map<String, Value>) -> anyhow::Result<Cli> {
    let mut all = commands::command();
    // Gives positional arguments their places.
    all.build();
    let described = all.find_subcommand(command).cloned();
    let described = described.ok_or_else(|| Usage(format!("there is no command `{command}`")))?;
    let mut line: Vec<OsString> = vec!["gdas".into(), command.into()];
    line.extend(arguments(&described, keys)?);
    let matches = all.try_get_matches_from_mut(line).map_err(|error| Usage(complaint(&error)))?;
    Ok(Cli::from_arg_matches(&matches).map_err(|error| Usage(complaint(&error)))?)
}

/// The first paragraph of clap's complaint, which says what is wrong.
fn complaint(error: &clap::Error) -> String {
    let text = exit::plainly(&error.render().to_string());
    let first = text.split("\n\n").next().unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}

/// The keys as arguments of a command line.
fn arguments(command: &clap::Command, keys: &Map<String, Value>) -> Result<Vec<OsString>, Usage> {
    let by_name: BTreeMap<String, &Arg> = command.get_arguments().map(|argument| (key(argument), argument)).collect();
    // Positional arguments by their place.
    let (mut flags, mut positional) = (Vec::new(), BTreeMap::<Option<usize>, Vec<String>>::new());
    if by_name.contains_key("json") {
        flags.push("--json".to_owned());
    }
    for (name, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
        let argument = by_name.get(name).ok_or_else(|| Usage(format!("`{command}` has no argument `{name}`")))?;
        // A default is not given: other flags may go with given ones alone.
        let defaults = argument.get_default_values();
        if let (Some(text), [default]) = (text(argument, value), defaults)
            && default.to_str() == Some(&text)
        {
            continue;
        }
        let wrong = || Usage(format!("`{name}` cannot be {value}"));
        let flag = argument.get_long();
        match (argument.get_action(), value, flag) {
            (ArgAction::SetTrue, Value::Bool(given), Some(flag)) => flags.extend(given.then(|| format!("--{flag}"))),
            (ArgAction::SetTrue, ..) => return Err(wrong()),
            (_, Value::Array(values), None) => {
                let texts: Option<Vec<String>> = values.iter().map(|value| text(argument, value)).collect();
                positional.insert(argument.get_index(), texts.ok_or_else(wrong)?);
            }
            (_, value, None) => {
                positional.insert(argument.get_index(), vec![text(argument, value).ok_or_else(wrong)?]);
            }
            (ArgAction::Append, Value::Array(values), Some(flag)) if argument.get_value_delimiter().is_none() => {
                for value in values {
                    flags.push(format!("--{flag}={}", text(argument, value).ok_or_else(wrong)?));
                }
            }
            (_, Value::Array(values), Some(flag)) => {
                let texts: Option<Vec<String>> = values.iter().map(|value| text(argument, value)).collect();
                flags.push(format!("--{flag}={}", texts.ok_or_else(wrong)?.join(",")));
            }
            (_, value, Some(flag)) => flags.push(format!("--{flag}={}", text(argument, value).ok_or_else(wrong)?)),
        }
    }
    if !positional.is_empty() {
        // What begins with `-` is no flag behind this.
        flags.push("--".to_owned());
    }
    Ok(flags.into_iter().chain(positional.into_values().flatten()).map(OsString::from).collect())
}

/// The name of a flag or an argument as a key.
pub(crate) fn key(argument: &Arg) -> String {
    argument.get_long().map_or_else(|| argument.get_id().to_string(), |long| long.replace('-', "_"))
}

/// One value as a word of the command line. A number of seconds gets its unit.
fn text(argument: &Arg, value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if value_name(argument) == "TIME" => Some(format!("{number}s")),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// What help calls the value of an argument.
pub(crate) fn value_name(argument: &Arg) -> String {
    argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

/// The number of threads that the keys, the configuration file or the run to go on with ask for.
fn threads(keys: &Map<String, Value>) -> Result<Auto<usize>, Failure> {
    let given = keys.get("threads").filter(|threads| !threads.is_null()).cloned();
    let in_file = || {
        let text = |name: &str| keys.get(name).and_then(Value::as_str);
        let file = text("config").and_then(|file| std::fs::read_to_string(file).ok());
        let file = file.or_else(|| text("run").and_then(|run| read_config(Path::new(run)).ok()))?;
        let table: toml::Table = toml::from_str(&file).ok()?;
        serde_json::to_value(table.get("threads")?).ok()
    };
    let Some(threads) = given.or_else(in_file) else { return Ok(Auto::Auto) };
    serde_json::from_value(threads).map_err(|error| Failure::Usage(format!("`threads`: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn keys_become_flags() {
        let line = |command: &str, value: Value| {
            let mut all = commands::command();
            all.build();
            let described = all.find_subcommand(command).cloned().unwrap_or_default();
            arguments(&described, &keys(&value)).map(|line| line.iter().map(|w| w.to_string_lossy().into()).collect())
        };
        let given = json!({ "epochs": 3, "affine": false, "judges": ["loss", "synflow"], "alpha_betas": [0.5, 0.9], "cutout": null });
        let expected = ["--json", "--affine=false", "--alpha-betas=0.5,0.9", "--epochs=3", "--judges=loss,synflow"];
        assert_eq!(line("search", given).ok(), Some(expected.map(String::from).to_vec()));
        let expected: Vec<String> = ["--json", "--latency", "--", "-x"].map(String::from).into();
        assert_eq!(line("cost", json!({ "genotype": "-x", "latency": true })).ok(), Some(expected));
        let expected: Vec<String> = ["--json", "--", "a", "x.png", "y.png"].map(String::from).into();
        assert_eq!(line("predict", json!({ "images": ["x.png", "y.png"], "run": "a" })).ok(), Some(expected));
        let expected: Vec<String> = ["--json", "--budget=30s"].map(String::from).into();
        assert_eq!(line("auto", json!({ "budget": 30, "tensorboard": false })).ok(), Some(expected));
        let wrong: Result<Vec<String>, _> = line("search", json!({ "epoch": 3 }));
        assert!(wrong.is_err_and(|error| error.to_string().contains("no argument `epoch`")));
    }

    #[test]
    fn a_command_runs_within_a_program() {
        let folder = tempfile::tempdir().expect("a directory");
        let (sender, events) = std::sync::mpsc::channel();
        let host = Host {
            on_event: Some(Box::new(move |event: &gdas::run::Event| {
                let _ = sender.send(event.to_string());
            })),
            ..Host::default()
        };
        let given = json!({ "preset": "smoke", "runs": folder.path(), "name": "a", "threads": 1 });
        let output = run("search", &keys(&given), host).expect("a search");
        assert_eq!(output.len(), 1);
        assert_eq!(output[0]["event"], "result");
        assert!(events.iter().any(|event| event.contains("epoch 1 of")));
        let again = run("search", &keys(&given), Host::default());
        assert!(matches!(again, Err(Failure::Failed(_))), "{again:?}");
        let replaced = run("search", &keys(&given), Host { overwrite: true, ..Host::default() }).expect("a search");
        assert_eq!(replaced[0]["digest"], output[0]["digest"]);
        let wrong = run("search", &keys(&json!({ "epochs": "x" })), Host::default());
        assert!(matches!(&wrong, Err(Failure::Usage(text)) if text.contains("whole number")), "{wrong:?}");
    }
}
