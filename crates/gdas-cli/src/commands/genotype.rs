use clap::{Args, Subcommand};
use gdas::cost;
use gdas::space::Space;
use serde_json::json;

use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::{output, show};

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
    /// The text, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file (text, JSON or result.json), or a run
    genotype: String,
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
    /// The space; by default the one that the text's form belongs to
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
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
    network: show::NetworkFlags,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn describe(command: &Describe) -> anyhow::Result<()> {
    let genotype = command.runs.genotype(&command.genotype)?;
    let space = space(genotype.space)?;
    let size = command.network.size(&space);
    let cost = show::network_cost(&space, &genotype, size);
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
        ("space", space.description.to_string()),
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
            let genotype = command.runs.genotype(&command.genotype)?;
            if command.json {
                return output::json(&json!({ "text": genotype.to_string(), "genotype": genotype }));
            }
            Ok(output::line(genotype)?)
        }
        GenotypeCommand::Validate(command) => {
            let genotype = command.runs.genotype(&command.genotype)?;
            let space = space(command.space.as_deref().unwrap_or(genotype.space))?;
            genotype.check(&space)?;
            Ok(output::line(format_args!("a genotype of {}", space.name))?)
        }
        GenotypeCommand::Describe(command) => describe(&command),
    }
}

/// A space by name.
pub(crate) fn space(name: &str) -> anyhow::Result<Space> {
    Space::find(name).ok_or_else(|| {
        let known: Vec<_> = gdas::space::spaces::all().iter().map(|space| space.name).collect();
        Usage(format!("unknown space `{name}`; known are {}", known.join(", "))).into()
    })
}
