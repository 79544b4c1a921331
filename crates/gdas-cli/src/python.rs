//! The functions of the Python module, written from the description of the commands: a flag is a parameter.

use std::any::TypeId;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction};
use gdas::config::{Auto, Config, Layer, SearchConfig, TrainConfig, resolve};
use serde_json::json;

use crate::commands;
use crate::embed::{key, value_name};

/// A function of the module.
struct Function {
    /// The command, and the function's name.
    command: &'static str,
    /// The parameters that stand first, may be given without their names and have meanings of Python's own.
    first: &'static [Parameter],
    /// What it returns: type and description.
    returns: (&'static str, &'static str),
}

/// A parameter that Python reads in its own way.
struct Parameter {
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    text: &'static str,
}

const DATA: Parameter = Parameter {
    name: "data",
    kind: "DataLike",
    default: None,
    text: "Images: the name of a data set, a path, or images in memory (see `gdas.Data`).",
};
const OTHER_DATA: Parameter = Parameter {
    name: "data",
    kind: "Optional[DataLike]",
    default: Some("None"),
    text: "Other images than those of the run, or the same ones at another place: a path, or images in memory (see \
           `gdas.Data`).",
};
const RUN: Parameter = Parameter {
    name: "run",
    kind: "RunLike",
    default: None,
    text: "A run: its result, its directory, or its name in `runs/`.",
};
const GENOTYPE: Parameter = Parameter {
    name: "genotype",
    kind: "GenotypeLike",
    default: None,
    text: "A genotype, its text, a published name such as `GDAS_V1`, a file with one, or a run that found one.",
};

/// Parameters of every function that makes a run, after its own.
const NEW_RUN: [Parameter; 2] = [
    Parameter {
        name: "run",
        kind: "Optional[PathLike]",
        default: Some("None"),
        text: "Directory of the new run. By default the first free one of `runs/NAME-1`, `runs/NAME-2`, ..., NAME being that \
               of the data.",
    },
    Parameter {
        name: "overwrite",
        kind: "bool",
        default: Some("False"),
        text: "Whether a run that is in `run` already is deleted first. Anything else there is never touched.",
    },
];

/// Parameters of every function that works in a run.
const WATCHED: [Parameter; 4] = [
    Parameter {
        name: "progress",
        kind: "bool",
        default: Some("True"),
        text: "Whether progress is shown: a bar of tqdm where that is installed, lines elsewhere.",
    },
    Parameter {
        name: "on_event",
        kind: "OnEvent",
        default: Some("None"),
        text: "Called with every event of the run, a dictionary. If it returns False the run stops in good order; an \
               exception stops it, too, and goes on to the caller.",
    },
    Parameter {
        name: "on_epoch",
        kind: "OnEvent",
        default: Some("None"),
        text: "As `on_event`, for the ends of epochs alone.",
    },
    Parameter {
        name: "on_step",
        kind: "OnEvent",
        default: Some("None"),
        text: "As `on_event`, for the steps of a search alone; a search reports every step where this is given and \
               `log_interval` is not.",
    },
];

const JUDGE: Parameter = Parameter {
    name: "judge",
    kind: "Optional[Judge]",
    default: Some("None"),
    text: "Chooses the cell in the end: called with each of `candidates` genotypes, returns a score; the largest wins.",
};

const FUNCTIONS: [Function; 10] = [
    Function {
        command: "search",
        first: &[Parameter { default: Some("\"digits\""), ..DATA }],
        returns: ("Search", "The result: genotype, alpha, history. A mapping of all that `result.json` holds, too."),
    },
    Function {
        command: "train",
        first: &[
            GENOTYPE,
            Parameter {
                text: "Images, as in `search`. By default those of the search that found the genotype, else the digits.",
                kind: "Optional[DataLike]",
                default: Some("None"),
                ..DATA
            },
        ],
        returns: ("Network", "The trained network. A mapping of all that `result.json` holds, too."),
    },
    Function {
        command: "auto",
        first: &[Parameter { default: Some("\"digits\""), ..DATA }],
        returns: ("Auto", "The trained network, the search and the exported files."),
    },
    Function {
        command: "resume",
        first: &[
            RUN,
            Parameter {
                text: "The images of the run, where they are in memory or at another place now; others are refused.",
                ..OTHER_DATA
            },
        ],
        returns: ("Union[Search, Network, Auto]", "The result, as `search`, `train` and `auto` give it."),
    },
    Function {
        command: "evaluate",
        first: &[RUN, OTHER_DATA],
        returns: ("dict[str, Any]", "Accuracy, loss and more."),
    },
    Function {
        command: "predict",
        first: &[
            RUN,
            Parameter {
                name: "images",
                kind: "Any",
                default: None,
                text: "Image files, folders or archives (one or a list), or images in memory.",
            },
        ],
        returns: (
            "list[dict[str, Any]]",
            "Per image its name, the most likely class, its probability, and the probabilities of all classes.",
        ),
    },
    Function { command: "export", first: &[RUN], returns: ("Path", "The file that was written.") },
    Function {
        command: "score",
        first: &[
            Parameter {
                name: "genotypes",
                kind: "Union[GenotypeLike, Sequence[GenotypeLike]]",
                text: "Genotypes, or all that stands for one: text, published names, files, runs.",
                ..GENOTYPE
            },
            Parameter { default: Some("\"cifar10\""), ..DATA },
        ],
        returns: ("list[dict[str, Any]]", "Scores per genotype, the best first by the first proxy."),
    },
    Function { command: "cost", first: &[GENOTYPE], returns: ("dict[str, Any]", "Parameters, multiply-adds, memory.") },
    Function {
        command: "report",
        first: &[Parameter {
            name: "runs",
            kind: "Union[RunLike, Sequence[RunLike]]",
            text: "One run, or several to compare.",
            ..RUN
        }],
        returns: ("Path", "The page that was written."),
    },
];

/// Flags that have no place in Python: results are returned, and `run` says where a run is.
const LEFT_OUT: [&str; 8] = ["json", "quiet", "name", "print_config", "runs", "help", "version", "names"];

/// Functions that make a run.
fn makes_run(command: &str) -> bool {
    matches!(command, "search" | "train" | "auto")
}

/// The type of a flag's values, by the type that the command line reads them as.
fn kind(argument: &Arg) -> String {
    fn known<T: 'static>(argument: &Arg) -> bool {
        argument.get_value_parser().type_id() == TypeId::of::<T>()
    }
    type Test = fn(&Arg) -> bool;
    const KINDS: [(Test, &str); 12] = [
        (known::<bool>, "bool"),
        (known::<u8>, "int"),
        (known::<u16>, "int"),
        (known::<u32>, "int"),
        (known::<u64>, "int"),
        (known::<usize>, "int"),
        (known::<f64>, "float"),
        (known::<[f64; 2]>, "Sequence[float]"),
        (known::<Auto<usize>>, "Union[int, Literal[\"auto\"]]"),
        (known::<Auto<bool>>, "Union[bool, Literal[\"auto\"]]"),
        (known::<Duration>, "Union[str, float]"),
        (known::<PathBuf>, "PathLike"),
    ];
    let one = match KINDS.iter().find(|(is, _)| is(argument)) {
        _ if key(argument) == "space" => "SpaceLike",
        Some((_, kind)) => kind,
        None if ["PATH", "FILE", "DIR"].iter().any(|name| value_name(argument).contains(name)) => "PathLike",
        None => "str",
    };
    let several = argument.get_value_delimiter().is_some() || matches!(argument.get_action(), ArgAction::Append);
    if several { format!("Sequence[{one}]") } else { one.to_owned() }
}

/// The values of a preset of NAS-Bench-201.
fn preset<T: Config>(name: &str) -> toml::Table {
    let layer = Layer::flags(&json!({ "preset": name })).expect("a layer");
    toml::Table::try_from(resolve::<T>(&[layer]).expect("a preset")).expect("a table")
}

/// What a key is where it is not given, in the presets that most people use.
fn defaults(command: &str, key: &str) -> String {
    let presets = match command {
        "search" => [preset::<SearchConfig>("quick"), preset::<SearchConfig>("paper")],
        "train" => [preset::<TrainConfig>("quick"), preset::<TrainConfig>("paper")],
        _ => return String::new(),
    };
    if matches!(key, "preset" | "space" | "seed" | "data") {
        return String::new();
    }
    match presets.each_ref().map(|preset| preset.get(key).map(ToString::to_string)) {
        [Some(quick), Some(paper)] if quick == paper => format!(" Default: {quick}."),
        [Some(quick), Some(paper)] => format!(" Default: by preset (quick: {quick}, paper: {paper})."),
        _ => String::new(),
    }
}

/// The value that a flag has where it is not given, as Python writes it; `None` where the program decides.
fn default(argument: &Arg, kind: &str) -> String {
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return "False".to_owned();
    }
    let values: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    match values.as_slice() {
        [value] if kind.contains("int") && value.parse::<u64>().is_ok() => value.clone(),
        [value] if kind.contains("float") && value.parse::<f64>().is_ok() => value.clone(),
        [value] => format!("\"{value}\""),
        _ => "None".to_owned(),
    }
}

/// Words wrapped to lines of at most 96 characters after `indent` spaces.
fn wrapped(text: &str, indent: usize, out: &mut String) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + word.chars().count() >= 96 {
            let _ = writeln!(out, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}

/// A sentence: with a capital as it is, and a full stop.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\\\").replace("\"\"\"", "'''");
    let text = match text.split_once(" [default: ").map(|(text, default)| (text, default.trim_end_matches([']', '.'])))
    {
        Some((text, default)) => format!("{text}. By default {default}"),
        None => text,
    };
    let text = as_parameters(&text);
    if text.ends_with('.') { text } else { text + "." }
}

/// Flags outside of code are parameters here: `--batch-size` is `batch_size`.
fn as_parameters(text: &str) -> String {
    let in_code = |code: bool, word: &str| code != (word.matches('`').count() % 2 == 1);
    let mut code = false;
    let words = text.split(' ').map(|word| {
        let was_code = code;
        code = in_code(code, word);
        let start = word.find("--").filter(|_| !was_code && !word.contains('`'));
        let Some(start) = start else { return word.to_owned() };
        let (before, flag) = word.split_at(start);
        let name = flag[2..].trim_end_matches(|c: char| !c.is_alphanumeric());
        format!("{before}`{}`{}", name.replace('-', "_"), &flag[2 + name.len()..])
    });
    words.collect::<Vec<_>>().join(" ")
}

fn write(function: &Function, out: &mut String) {
    let Function { command, first, returns } = function;
    let all = commands::command();
    let described = all.find_subcommand(command).expect("a command");
    let positional: Vec<String> = described.get_positionals().map(key).collect();
    let takes_events = makes_run(command) || *command == "resume";
    let judges = matches!(*command, "search" | "resume");
    let mut named: Vec<(&str, String, String, String)> = Vec::new();
    let own = |p: &Parameter| (p.name, p.kind.to_owned(), p.default.unwrap_or("None").to_owned(), p.text.to_owned());
    if makes_run(command) {
        named.extend(NEW_RUN.iter().map(own));
    }
    if takes_events {
        let steps = matches!(*command, "search" | "resume");
        named.extend(WATCHED.iter().filter(|p| steps || p.name != "on_step").map(own));
    }
    if judges {
        named.push(own(&JUDGE));
    }
    let special: Vec<&str> = first.iter().map(|p| p.name).chain(named.iter().map(|p| p.0)).collect();
    let flags: Vec<(String, String, String, String)> = described
        .get_arguments()
        .filter(|argument| {
            let key = key(argument);
            let known = special.contains(&key.as_str()) || positional.contains(&key);
            !known && !LEFT_OUT.contains(&key.as_str())
        })
        .map(|argument| {
            let (key, kind) = (key(argument), kind(argument));
            let default = default(argument, &kind);
            let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
            let text = sentence(&help.unwrap_or_default()) + &defaults(command, &key);
            let required = argument.is_required_set();
            let kind = if default == "None" && !required { format!("Optional[{kind}]") } else { kind };
            (key, kind, if required { String::new() } else { default }, text)
        })
        .collect();
    let _ = writeln!(out, "\n\ndef {command}(");
    for p in *first {
        let default = p.default.map_or_else(String::new, |default| format!(" = {default}"));
        let _ = writeln!(out, "    {}: {}{default},", p.name, p.kind);
    }
    out.push_str("    *,\n");
    for (name, kind, default, _) in &named {
        let _ = writeln!(out, "    {name}: {kind} = {default},");
    }
    for (name, kind, default, _) in &flags {
        let default = if default.is_empty() { String::new() } else { format!(" = {default}") };
        let _ = writeln!(out, "    {name}: {kind}{default},");
    }
    let about = sentence(&described.get_about().map(ToString::to_string).unwrap_or_default());
    let _ = writeln!(out, ") -> {}:\n    \"\"\"{about}\n", returns.0);
    if let Some(long) = described.get_long_about() {
        let long = long.to_string();
        if let Some((_, more)) = long.split_once("\n\n") {
            wrapped(&sentence(more), 4, out);
            out.push('\n');
        }
    }
    out.push_str("    Parameters\n    ----------\n");
    for p in *first {
        let optional = if p.default.is_some() { ", optional" } else { "" };
        let _ = writeln!(out, "    {} : {}{optional}", p.name, p.kind);
        wrapped(p.text, 8, out);
    }
    let all = named.iter().map(|(name, kind, default, text)| (*name, kind, default, text));
    for (name, kind, default, text) in all.chain(flags.iter().map(|(n, k, d, t)| (n.as_str(), k, d, t))) {
        let optional = if default.is_empty() { "" } else { ", optional" };
        let kind = kind.strip_prefix("Optional[").and_then(|kind| kind.strip_suffix(']')).unwrap_or(kind);
        let _ = writeln!(out, "    {name} : {kind}{optional}");
        wrapped(text, 8, out);
    }
    let _ = writeln!(out, "\n    Returns\n    -------\n    {}", returns.0);
    wrapped(returns.1, 8, out);
    out.push_str("\n    Raises\n    ------\n    ValueError\n        An argument is wrong.\n    GdasError\n");
    out.push_str("        Anything else went wrong.\n");
    if takes_events {
        out.push_str("    KeyboardInterrupt\n        Ctrl-C was pressed; everything is saved, and `resume` goes on.\n");
    }
    out.push_str("    \"\"\"\n");
    let _ = write!(out, "    return _calls.{command}(");
    for p in *first {
        let _ = write!(out, "{}, ", p.name);
    }
    for (name, ..) in &named {
        let _ = write!(out, "{name}={name}, ");
    }
    out.push_str("keys=dict(\n");
    for (name, ..) in &flags {
        let _ = writeln!(out, "        {name}={name},");
    }
    out.push_str("    ))\n");
}

const HEAD: &str = r#""""The commands of `gdas` as functions.

Written from the description of the commands' flags by a test; after a change of flags:

    INSTA_UPDATE=always cargo test --release -p gdas-cli --lib the_python_module
"""

# ruff: noqa
# fmt: off
from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Optional, Sequence, Union

from . import _calls
from .types import DataLike, GenotypeLike, Judge, OnEvent, PathLike, RunLike, SpaceLike
from ._results import Auto, Network, Search

"#;

#[test]
fn the_python_module_is_up_to_date() {
    let names: Vec<String> = FUNCTIONS.iter().map(|function| format!("\"{}\"", function.command)).collect();
    let mut text = format!("{HEAD}__all__ = [{}]\n", names.join(", "));
    for function in &FUNCTIONS {
        write(function, &mut text);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdas-python/python/gdas/_commands.py");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&path, &text).expect("write");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(known == text, "crates/gdas-python/python/gdas/_commands.py is stale; its head says how to write it anew");
}
