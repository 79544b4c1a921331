use anyhow::Context;
use clap::{Args, Subcommand};
use gdas::cost;
use gdas::space::{Genotype, Space};
use serde_json::json;

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
    /// The text, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file with the text in it, or a finished run
    genotype: String,
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
    /// The space; by default the one that the text's form belongs to
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
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
    /// Channels of the first stage [default: 16 in NAS-Bench-201, else 36]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    channels: Option<u16>,
    /// Cells per stage [default: 5 in NAS-Bench-201, else 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    cells: Option<u16>,
    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", default_value = "32", value_parser = clap::value_parser!(u16).range(8..=224))]
    image_size: u16,
    /// Number of classes
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    classes: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn describe(command: &Describe) -> anyhow::Result<()> {
    let genotype = read(&command.genotype)?;
    let space = space(genotype.space)?;
    let published = show::Size::published(&space);
    let size = show::Size {
        channels: command.channels.map_or(published.channels, usize::from),
        cells: command.cells.map_or(published.cells, usize::from),
        image_size: command.image_size.into(),
        classes: command.classes as usize,
        ..published
    };
    let cost = show::network_cost(&space, &genotype, size);
    if command.json {
        return output::json(&json!({
            "text": genotype.to_string(),
            "space": space.name,
            "parameter_free": genotype.parameter_free_share(),
            "channels": size.channels,
            "cells": size.cells,
            "image_size": size.image_size,
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
        (
            "network",
            format!(
                "C = {}, N = {}, {} classes, {}x{} pixels",
                size.channels, size.cells, size.classes, size.image_size, size.image_size
            ),
        ),
        ("parameters", cost::readable(cost.params)),
        ("multiply-adds", cost::readable(cost.multiply_adds)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    Ok(output::line(output::table(&rows))?)
}

pub(crate) fn run(command: GenotypeCommand) -> anyhow::Result<()> {
    match command {
        GenotypeCommand::Parse(command) => {
            let genotype = read(&command.genotype)?;
            if command.json {
                return output::json(&json!({ "text": genotype.to_string(), "genotype": genotype }));
            }
            Ok(output::line(genotype)?)
        }
        GenotypeCommand::Validate(command) => {
            let genotype = read(&command.genotype)?;
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

/// A genotype from whatever the user gave: a name, a run, a file, or the text itself.
pub(crate) fn read(given: &str) -> anyhow::Result<Genotype> {
    if let Some(genotype) = Genotype::named(given) {
        return Ok(genotype);
    }
    for run in [std::path::Path::new(given), &std::path::Path::new("runs").join(given)] {
        if run.join("config.toml").is_file() {
            let info = gdas::run::RunInfo::read(run)?;
            let text = info.genotype.with_context(|| format!("{} has come to no genotype yet", run.display()))?;
            return text.parse().with_context(|| format!("in the event log of {}", run.display()));
        }
    }
    if std::path::Path::new(given).is_file() {
        let text = std::fs::read_to_string(given).with_context(|| format!("cannot read {given}"))?;
        return text.parse().with_context(|| format!("in {given}"));
    }
    Ok(given.parse()?)
}
