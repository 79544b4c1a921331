use clap::Args;
use gdas::config::Auto;
use gdas::data::Dataset;
use gdas::proxies::{self, Proxy};
use serde_json::json;

use crate::cli::RunsDir;
use crate::commands::bench::parse;
use crate::commands::{genotype, search};
use crate::exit::{Preempted, Usage};
use crate::images::{self, Damaged};
use crate::output::{self, table};
use crate::{show, signals};

/// Score cells without training, by zero-cost proxies, and rank them
///
/// Every cell becomes a network with fresh weights, which is shown one batch of images. A higher score promises a better
/// network; scores compare between cells on the same data only. `gdas bench correlate` says how far to trust each.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas score digits-1 --data digits
  gdas score GDAS_V1 DARTS_V1 DARTS_V2 --proxy synflow --proxy naswot --data digits")]
pub(crate) struct Score {
    /// Runs, published names (GDAS_V1, DARTS_V1, DARTS_V2), files (text, JSON or result.json), or the text
    #[arg(required = true, value_name = "GENOTYPE")]
    genotypes: Vec<String>,
    #[command(flatten)]
    space: genotype::SpaceFlag,
    /// synflow, snip, grad-norm, naswot or jacob-cov; may be given several times, the first one ranks [default: all]
    #[arg(long, value_name = "NAME", value_parser = parse::<Proxy>)]
    proxy: Vec<Proxy>,
    /// The images
    #[arg(long, value_name = "NAME|PATH", default_value = "cifar10")]
    data: String,
    /// Images that a proxy looks at [default: as published, 64 or 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch_size: Option<u16>,
    /// Channels of the first stage (C) [default: 16 in NAS-Bench-201, else 36]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    channels: Option<u16>,
    /// Cells per stage (N) [default: 5 in NAS-Bench-201, else 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    cells: Option<u16>,
    /// Of the start values
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: Auto<usize>,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON, one object per cell
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Score) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    let genotypes = command
        .genotypes
        .iter()
        .map(|given| command.runs.genotype(given, &command.space))
        .collect::<anyhow::Result<Vec<_>>>()?;
    search::use_threads(command.threads)?;
    let dataset = images::open(&command.data, Auto::Auto, command.damaged, false)?.noted();
    let proxies = if command.proxy.is_empty() { Proxy::ALL.to_vec() } else { command.proxy.clone() };
    let mut rows = Vec::new();
    for (given, genotype) in command.genotypes.iter().zip(&genotypes) {
        let published = show::Size::published(&genotype.space);
        let wanted = show::Size {
            channels: command.channels.map_or(published.channels, usize::from),
            cells: command.cells.map_or(published.cells, usize::from),
            ..published
        };
        let graph = show::network(genotype, size(&dataset, wanted)?)?;
        let mut scores = Vec::new();
        for &proxy in &proxies {
            if interrupt.is_requested() {
                return Err(Preempted("the same command".to_owned()).into());
            }
            let batch = proxies::images(&dataset, command.batch_size.map_or(proxy.batch_size(), usize::from));
            scores.push(proxy.score(&graph, &batch, command.seed));
        }
        rows.push((given, genotype, scores));
    }
    // The best first by the first proxy; equals as they were given.
    rows.sort_by(|a, b| b.2[0].total_cmp(&a.2[0]));
    if command.json {
        for (given, genotype, scores) in rows {
            let scores: serde_json::Map<_, _> =
                proxies.iter().zip(scores).map(|(proxy, score)| (proxy.name().to_owned(), json!(score))).collect();
            output::json(&json!({ "given": given, "genotype": genotype.to_string(), "scores": scores }))?;
        }
        return Ok(());
    }
    let mut text =
        vec![std::iter::once("cell").chain(proxies.iter().map(|proxy| proxy.name())).map(String::from).collect()];
    for (given, _, scores) in rows {
        text.push(
            std::iter::once(given.clone()).chain(scores.iter().map(|score| readable(*score))).collect::<Vec<_>>(),
        );
    }
    Ok(output::line(table(&text))?)
}

/// The size of a network for these images.
pub(crate) fn size(dataset: &Dataset, size: show::Size) -> anyhow::Result<show::Size> {
    let images = &dataset.train;
    if images.height != images.width {
        return Err(Usage(format!("the images of {} are not square", dataset.name)).into());
    }
    Ok(show::Size { pixels: images.height, image_channels: images.channels, classes: dataset.classes.len(), ..size })
}

/// Scores may be of any magnitude.
fn readable(score: f64) -> String {
    if score == 0.0 || (1e-3..1e6).contains(&score.abs()) { format!("{score:.4}") } else { format!("{score:.4e}") }
}
