use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use gdas::config::space_of;
use gdas::cost;
use gdas::space::{Genotype, GenotypeError, Space};
use serde_json::json;

use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::output::{self, note};
use crate::show;

/// Read, check and describe genotypes (cells as text)
#[derive(Subcommand)]
#[command(after_help = "Examples:
  gdas genotype parse '|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|'
  gdas genotype validate GDAS_V1 --space nasnet
  gdas genotype describe digits-1")]
pub(crate) enum GenotypeCommand {
    Parse(Parse),
    Validate(Validate),
    Describe(Describe),
}

/// Read a genotype in any known form and print it in the benchmark's form (or as JSON)
#[derive(Args)]
#[command(after_help = "Examples:
  gdas genotype parse GDAS_V1
  gdas genotype parse \"Genotype(normal=[('sep_conv_3x3', 0), ...], ...)\" --json")]
pub(crate) struct Parse {
    /// The text, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file or a log with the text in it (FILE:NAME where it
    /// holds several by name), or a run
    genotype: String,
    #[command(flatten)]
    space: SpaceFlag,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Check that a genotype belongs to a space; exit code 0 if so, 1 if not
#[derive(Args)]
#[command(after_help = "Examples:
  gdas genotype validate my-cell.txt --space nas-bench-201")]
pub(crate) struct Validate {
    /// The text, a published name, a file with the text in it, or a finished run
    genotype: String,
    #[command(flatten)]
    space: SpaceFlag,
    #[command(flatten)]
    runs: RunsDir,
}

/// Draw the cells, and count parameters and multiply-adds of the network built from them
#[derive(Args)]
#[command(after_help = "Counted as NAS-Bench-201 does: one multiply-add is one unit, auxiliary heads are left out.

Examples:
  gdas genotype describe GDAS_V1
  gdas genotype describe digits-1 --channels 16 --cells 5 --classes 100 --json")]
pub(crate) struct Describe {
    /// The text, a published name, a file with the text in it, or a finished run
    genotype: String,
    #[command(flatten)]
    space: SpaceFlag,
    #[command(flatten)]
    network: show::NetworkFlags,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn describe(command: &Describe) -> anyhow::Result<()> {
    let genotype = read(&command.runs.find(&command.genotype), &command.genotype, command.space.space.as_deref())?;
    let space = &genotype.space;
    let size = command.network.size(space);
    let cost = show::network_cost(&genotype, size)?;
    if command.json {
        return output::json(&json!({
            "text": genotype.to_string(),
            "space": space.name,
            "parameter_free": genotype.parameter_free_share(),
            "channels": size.channels,
            "cells": size.cells,
            "image_size": size.pixels,
            "classes": size.classes,
            "parameters": cost.params,
            "multiply_adds": cost.multiply_adds,
        }));
    }
    output::line(&genotype)?;
    output::line(format_args!("\n{}\n", show::drawing(&genotype)?))?;
    let rows = [
        ("space", if space.description.is_empty() { space.name.clone() } else { space.description.clone() }),
        ("parameter-free edges", output::percent(genotype.parameter_free_share())),
        ("network", size.to_string()),
        ("parameters", cost::readable(cost.params)),
        ("multiply-adds", cost::readable(cost.multiply_adds)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    Ok(output::line(output::table(&rows))?)
}

pub(crate) fn run(command: GenotypeCommand) -> anyhow::Result<()> {
    match command {
        GenotypeCommand::Parse(command) => {
            let genotype =
                read(&command.runs.find(&command.genotype), &command.genotype, command.space.space.as_deref())?;
            if command.json {
                return output::json(&json!({ "text": genotype.to_string(), "genotype": genotype }));
            }
            Ok(output::line(genotype)?)
        }
        GenotypeCommand::Validate(command) => {
            let genotype =
                read(&command.runs.find(&command.genotype), &command.genotype, command.space.space.as_deref())?;
            Ok(output::line(format_args!("a genotype of {}", genotype.space.name))?)
        }
        GenotypeCommand::Describe(command) => describe(&command),
    }
}

/// The space that a genotype is read for.
#[derive(Args)]
pub(crate) struct SpaceFlag {
    /// Space of the genotype: a built-in name or a TOML file [default: the run's, else as the genotype's form says]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) space: Option<String>,
}

/// A space by name or from a TOML file.
pub(crate) fn space(given: &str) -> anyhow::Result<Arc<Space>> {
    Space::named_or_file(given).map_err(|error| Usage(error.to_string()).into())
}

/// A genotype from whatever the user gave: a published name, a run (that would be at `run`), a file, or the text itself.
/// `space` is the one that was named with it.
pub(crate) fn read(run: &Path, given: &str, space: Option<&str>) -> anyhow::Result<Genotype> {
    let space = space.map(self::space).transpose()?;
    if let Some(genotype) = Genotype::named(given) {
        return match &space {
            Some(space) => Ok(Genotype::parse(&genotype.to_string(), space)?),
            None => Ok(genotype),
        };
    }
    if run.join("config.toml").is_file() {
        let info = gdas::run::RunInfo::read(run)?;
        let text = info.genotype.with_context(|| format!("{} has come to no genotype yet", run.display()))?;
        let space = match space {
            Some(space) => space,
            None => space_of(&gdas::run::read_config(run)?)
                .with_context(|| format!("in the configuration of {}", run.display()))?,
        };
        return Genotype::parse(&text, &space).with_context(|| format!("in the event log of {}", run.display()));
    }
    if let Some((file, name)) = file_of(given) {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        let found = Genotype::find_in(&text, name, space.as_ref()).map_err(|error| match error {
            GenotypeError::Several { .. } => anyhow::anyhow!("in {file}: {error}, as in {file}:NAME"),
            other => anyhow::Error::from(other).context(format!("in {file}")),
        })?;
        if found.of > 1 {
            note(format_args!("{file} holds {} genotypes; this is the last of them", found.of));
        }
        return Ok(found.genotype);
    }
    Ok(Genotype::find_in(given, None, space.as_ref())?.genotype)
}

/// A file that was given, and the name of the genotype in it, if one was: `FILE` or `FILE:NAME`.
fn file_of(given: &str) -> Option<(&str, Option<&str>)> {
    if Path::new(given).is_file() {
        return Some((given, None));
    }
    let (file, name) = given.rsplit_once(':')?;
    Path::new(file).is_file().then_some((file, Some(name)))
}
