//! README and book against the command line: the reference is generated, and every command that is shown parses.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::commands::Cli;

#[path = "../tests/command/book.rs"]
mod book;

/// Help of the command and of all below it, as sections.
fn reference(command: &mut clap::Command, out: &mut String) {
    let path = command.get_bin_name().unwrap_or("gdas").to_owned();
    let help = command.clone().term_width(100).render_long_help().to_string();
    let level = "#".repeat(1 + path.split(' ').count());
    let trimmed: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(out, "\n{level} {path}\n\n```text\n{}\n```\n", trimmed.join("\n"));
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        reference(inner, out);
    }
}

#[test]
fn the_command_reference_is_up_to_date() {
    let mut command = Cli::command();
    command.build();
    let mut text = String::from(
        "# Command reference\n\nWhat the program says of itself with `--help`, written by a test. After a change of flags:\n\n```sh\n\
         INSTA_UPDATE=always cargo test --release -p gdas-cli --lib command_reference\n```\n",
    );
    reference(&mut command, &mut text);
    let path = book::root().join("docs/commands.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&path, &text).expect("write");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(known == text, "docs/commands.md is stale; its head says how to write it anew");
}

/// Those within sentences may be parts of commands and hold placeholders; what they name must exist.
#[test]
fn every_command_shown_parses() {
    let shown = book::shown();
    assert!(shown.iter().filter(|shown| !shown.inline).count() > 30, "the pages are not found");
    let mut wrong = Vec::new();
    for shown in shown {
        let words = std::iter::once("gdas").chain(shown.words.iter().map(String::as_str));
        let Err(error) = Cli::try_parse_from(words) else { continue };
        let kind = error.kind();
        let partial = matches!(
            kind,
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                | ErrorKind::InvalidValue
                | ErrorKind::ValueValidation
        );
        if !(matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) || shown.inline && partial) {
            wrong.push(format!("{}: {}\n{error}", shown.place, shown.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Why a command that is shown outside of the blocks that are run is not run: the first text that it contains decides.
const NOT_RUN: &[(&str, &str)] = &[
    ("data fetch", "needs the network"),
    ("cifar", "needs CIFAR"),
    ("CIFAR", "needs CIFAR"),
    ("cell-7", "stands for weights of one's own"),
    ("import weights.safetensors", "the first chapter runs it"),
    ("photos", "stands for images of one's own; the chapter about them runs with small ones"),
    ("cat.jpg", "stands for an image of one's own"),
    ("nasbench201", "needs the benchmark's table, which is not part of the project"),
    ("NAS-Bench", "needs the benchmark's table, which is not part of the project"),
    ("wide.toml", "a space of one's own; the tests of spaces run such commands"),
    ("gdas train digits-1", "the first chapter runs it"),
    (" RUN", "RUN stands for any run"),
    ("COMMAND", "COMMAND stands for any command"),
    ("gdas serve", "runs until it is stopped"),
    ("gdas watch", "runs until it is stopped"),
    ("--preset paper", "takes days"),
    ("--budget", "takes as long as it says; the chapter about images runs it with seconds"),
    ("gdas search", "the first chapter runs it"),
    ("gdas devices", "times every device of the machine"),
    ("gdas bench", "needs the benchmark's table, which is not part of the project"),
    ("gdas reproduce", "needs the benchmark's table, which is not part of the project"),
];

#[test]
fn every_command_shown_is_run_or_says_why_not() {
    let without: Vec<String> = book::shown()
        .into_iter()
        .filter(|shown| !shown.run && !shown.inline && !NOT_RUN.iter().any(|(part, _)| shown.text.contains(part)))
        .map(|shown| format!("{}: {}", shown.place, shown.text))
        .collect();
    assert!(without.is_empty(), "put these in a block that is run, or say why not:\n{}", without.join("\n"));
}

/// Links between pages lead somewhere, every page is in the summary, and paths into the source exist.
#[test]
fn the_book_hangs_together() {
    let root = book::root();
    let pages = book::pages();
    let mut wrong = Vec::new();
    for (page, text) in &pages {
        let folder = if page == "README.md" { root.clone() } else { root.join("docs") };
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !link.contains("://") && !folder.join(file).exists() {
                wrong.push(format!("{page}: the link to {link} leads nowhere"));
            }
        }
        for span in text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|span| span.starts_with("crates/") && !span.contains(['<', '*', ' ']))
        {
            let (file, function) =
                span.split_once("::").map_or((span, None), |(file, function)| (file, Some(function)));
            let content = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            let known = function.is_none_or(|name| {
                content.contains(&format!("fn {name}(")) || content.contains(&format!("fn {name}<"))
            });
            if !root.join(file).exists() || !known {
                wrong.push(format!("{page}: there is no {span}"));
            }
        }
    }
    let summary = &pages.iter().find(|(name, _)| name == "SUMMARY.md").expect("a summary").1;
    let listed: BTreeSet<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for (page, _) in pages.iter().filter(|(name, _)| name != "SUMMARY.md" && name != "README.md") {
        if !listed.contains(page.as_str()) {
            wrong.push(format!("SUMMARY.md does not list {page}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
