use clap::Args;
use gdas::cost::{self, readable, readable_bytes};
use serde_json::json;

use crate::cli::RunsDir;
use crate::commands::genotype;
use crate::output::{self, table};
use crate::show;

/// Count what a network costs, part by part: parameters, multiply-adds, memory
#[derive(Args)]
#[command(after_help = "Counted as NAS-Bench-201 does: one multiply-add is one unit, auxiliary heads are left out.

Examples:
  gdas cost GDAS_V1
  gdas cost digits-1 --depth 2 --batch-size 256
  gdas cost cell.txt --image-size 224 --classes 1000 --json")]
pub(crate) struct CostCommand {
    /// A finished search, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file with the text in it, or the text
    genotype: String,
    #[command(flatten)]
    network: show::NetworkFlags,
    /// Images per training step, for the memory
    #[arg(long, value_name = "N", default_value = "96", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// How far to open the parts up: 1 for stem, cells and classifier
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=8))]
    depth: u8,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &CostCommand) -> anyhow::Result<()> {
    let genotype = genotype::read(&command.runs.find(&command.genotype), &command.genotype)?;
    let space = genotype::space(genotype.space)?;
    let size = command.network.size(&space);
    let graph = show::network(&space, &genotype, size);
    let total = cost::network(&graph);
    let parts = cost::parts(&graph, command.depth.into());
    let memory = cost::training_memory(&graph, command.batch_size as usize);
    if command.json {
        return output::json(&json!({
            "genotype": genotype.to_string(), "channels": size.channels, "cells": size.cells,
            "image_size": size.pixels, "classes": size.classes,
            "total": total, "parts": parts, "training_memory": memory, "batch_size": command.batch_size,
        }));
    }
    let mut rows = vec![["part", "parameters", "multiply-adds"].map(String::from).to_vec()];
    for part in &parts {
        rows.push(vec![part.name.clone(), readable(part.cost.params), readable(part.cost.multiply_adds)]);
    }
    rows.push(vec!["all".to_string(), readable(total.params), readable(total.multiply_adds)]);
    output::line(format_args!("{genotype}\n{size}\n\n{}", table(&rows)))?;
    let text = format!(
        "\ntraining memory at batch {}: {} (weights {}, activations {}, working {})",
        command.batch_size,
        readable_bytes(memory.total()),
        readable_bytes(memory.weights),
        readable_bytes(memory.activations),
        readable_bytes(memory.working),
    );
    Ok(output::line(text)?)
}
