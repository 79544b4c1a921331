use std::sync::Arc;

use clap::{Args, Subcommand};
use gdas::cost;
use gdas::space::Space;
use serde_json::json;

use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::output;
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
    /// The text, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file (text, a log, JSON or result.json; FILE:NAME where
    /// it holds several by name), or a run
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
    /// The text, a published name, a file (text, JSON or result.json), or a run
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
    /// The text, a published name, a file (text, JSON or result.json), or a run
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
    let genotype = command.runs.genotype(&command.genotype, &command.space)?;
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
            let genotype = command.runs.genotype(&command.genotype, &command.space)?;
            if command.json {
                return output::json(&json!({ "text": genotype.to_string(), "genotype": genotype }));
            }
            Ok(output::line(genotype)?)
        }
        GenotypeCommand::Validate(command) => {
            let genotype = command.runs.genotype(&command.genotype, &command.space)?;
            Ok(output::line(format_args!("a genotype of {}", genotype.space.name))?)
        }
        GenotypeCommand::Describe(command) => describe(&command),
    }
}

/// The space that a genotype is read for.
#[derive(Args, Default)]
pub(crate) struct SpaceFlag {
    /// Space of the genotype: a built-in name or a TOML file [default: the run's, else as the genotype's form says]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) space: Option<String>,
}

/// A space by name or from a TOML file.
pub(crate) fn space(given: &str) -> anyhow::Result<Arc<Space>> {
    Space::named_or_file(given).map_err(|error| Usage(error.to_string()).into())
}
