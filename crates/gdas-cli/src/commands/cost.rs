use std::time::Duration;

use clap::Args;
use gdas::budget::milliseconds_alone;
use gdas::cost::{self, Cost, Latency, readable, readable_bytes};
use gdas::graph::{Graph, Shape};
use gdas::network::{NetworkError, Stem, operation_alone};
use gdas::space::Space;
use serde::Serialize;
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
  gdas cost GDAS_V1 --latency
  gdas cost cell.txt --image-size 224 --classes 1000 --json")]
pub(crate) struct CostCommand {
    /// A run, a published name (GDAS_V1, DARTS_V1, DARTS_V2), a file (text, JSON or result.json), or the text
    genotype: String,
    #[command(flatten)]
    space: genotype::SpaceFlag,
    #[command(flatten)]
    network: show::NetworkFlags,
    /// Images per training step, for the memory
    #[arg(long, value_name = "N", default_value = "96", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// How far to open the parts up: 1 for stem, cells and classifier
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=8))]
    depth: u8,
    /// Measure the time on this machine, of the network and of every candidate operation alone
    #[arg(long)]
    latency: bool,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &CostCommand) -> anyhow::Result<()> {
    let genotype = command.runs.genotype(&command.genotype, &command.space)?;
    let size = command.network.size(&genotype.space);
    let graph = show::network(&genotype, size)?;
    let total = cost::network(&graph);
    let parts = cost::parts(&graph, command.depth.into());
    let memory = cost::training_memory(&graph, command.batch_size as usize);
    let measured = command.latency.then(|| Measured::new(&genotype.space, &graph, size)).transpose()?;
    if command.json {
        let mut value = json!({
            "genotype": genotype.to_string(), "channels": size.channels, "cells": size.cells,
            "image_size": size.pixels, "classes": size.classes,
            "total": total, "parts": parts, "training_memory": memory, "batch_size": command.batch_size,
        });
        if let Some(measured) = measured {
            value["latency"] = serde_json::to_value(measured)?;
        }
        return output::json(&value);
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
    output::line(text)?;
    match measured {
        Some(measured) => measured.print(),
        None => Ok(()),
    }
}

/// Times on this machine, for one image at a time.
#[derive(Serialize)]
struct Measured {
    network: Latency,
    operations: Vec<Row>,
}

/// One candidate operation, at one of the sizes that the network's cells have, with stride 1.
#[derive(Serialize)]
struct Row {
    operation: String,
    input: [usize; 3],
    cost: Cost,
    milliseconds: f64,
}

impl Measured {
    fn new(space: &Space, graph: &Graph, size: show::Size) -> Result<Self, NetworkError> {
        let network = cost::cpu_latency(graph, 1, Duration::from_secs(1));
        let halvings = if Stem::for_size(size.pixels) == Stem::ImageNet { 3 } else { 0 };
        let pixels = (0..halvings).fold(size.pixels, |pixels: usize, _| pixels.div_ceil(2));
        let shapes = space.skeleton.widths.iter().scan(pixels, |pixels, width| {
            let shape = Shape::new(*pixels, *pixels, size.channels * width);
            *pixels = pixels.div_ceil(2);
            Some(shape)
        });
        let mut operations = Vec::new();
        for shape in shapes {
            for operation in space.cells[0].operations.iter().filter(|op| op.computes(1)) {
                operations.push(Row {
                    operation: operation.name.clone(),
                    input: [shape.height, shape.width, shape.channels],
                    cost: cost::network(&operation_alone(Some(operation), shape, 1)?),
                    milliseconds: milliseconds_alone(operation, shape, 1, Duration::from_millis(50))?,
                });
            }
        }
        Ok(Self { network, operations })
    }

    fn print(&self) -> anyhow::Result<()> {
        let Latency { median, best, worst, calls } = self.network;
        let [median, best, worst] = [median, best, worst].map(|seconds| seconds * 1e3);
        output::line(format_args!(
            "\nlatency here, one image at a time: {median:.3} ms (best {best:.3}, worst {worst:.3}, {calls} times)\n"
        ))?;
        let mut rows = vec![["operation", "input", "parameters", "multiply-adds", "ms"].map(String::from).to_vec()];
        for row in &self.operations {
            let [height, width, channels] = row.input;
            rows.push(vec![
                row.operation.clone(),
                format!("{height}x{width}x{channels}"),
                readable(row.cost.params),
                readable(row.cost.multiply_adds),
                format!("{:.3}", row.milliseconds),
            ]);
        }
        Ok(output::line(table(&rows))?)
    }
}
