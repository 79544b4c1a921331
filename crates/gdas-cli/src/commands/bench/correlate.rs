use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use gdas::config::{Auto, SearchConfig, resolve};
use gdas::data::{Batch, Dataset, Subset};
use gdas::proxies::{self, Proxy};
use gdas::run::{Interrupt, read_config};
use gdas::search::{Searcher, held_out};
use gdas::space::{Genotype, spaces};
use gdas_nasbench::{Correlation, Pair, PairFile, Quantity, Table, best_first, genotype_of};
use gdas_report::{Chart, Series};
use serde_json::json;

use super::{SettingFlags, TableFlags, parse};
use crate::cli::RunsDir;
use crate::commands::{score, search};
use crate::exit::{Preempted, Usage};
use crate::images::{self, Damaged};
use crate::output::{self, table};
use crate::progress::Count;
use crate::{flags, show, signals};

/// Number of top-ranked cells that are printed.
const FIRST: usize = 10;

/// How well a ranking of cells agrees with the table: Kendall's tau and Spearman's rho
///
/// Cells drawn from the table are ranked by their accuracy with the shared weights of a run, or by a zero-cost proxy, and
/// compared with what the table says of them. A run is only read. With --pairs the work may be stopped at any time; the
/// same command goes on with it.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas bench correlate cifar10-1 --table nb201.csv --pairs pairs.csv
  gdas bench correlate cifar10-1 --cells 50 --images 500 --table nb201.csv --json
  gdas bench correlate --ranker synflow --data cifar10 --table nb201.csv --svg synflow.svg")]
pub(crate) struct Correlate {
    /// A search, finished or at work: name of its run, or path to its directory
    #[arg(value_name = "RUN")]
    search: Option<String>,
    /// shared-weights, synflow, snip, grad-norm, naswot or jacob-cov
    #[arg(long, value_name = "NAME", default_value = SHARED, value_parser = parse::<Ranker>)]
    ranker: Ranker,
    /// Cells to rank
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    cells: u32,
    /// Decides which cells, and a proxy's start values
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Held-out images to judge cells on with shared weights
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Images that a proxy looks at [default: as published, 64 or 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch_size: Option<u16>,
    /// The images [default: those of the run; cifar10 for a proxy]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    setting: SettingFlags,
    /// What the table is asked for
    #[arg(long, value_name = "QUANTITY", default_value = "test_accuracy", value_parser = parse::<Quantity>)]
    by: Quantity,
    /// Write every cell's score and accuracy to this CSV file, and go on with what it holds
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Draw accuracy against rank as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Threads; the result does not depend on it
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    threads: Auto<usize>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    table: TableFlags,
}

const SHARED: &str = "shared-weights";

/// What cells are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ranker {
    SharedWeights,
    Proxy(Proxy),
}

impl FromStr for Ranker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == SHARED { Ok(Self::SharedWeights) } else { text.parse().map(Self::Proxy) }
    }
}

pub(crate) fn run(command: &Correlate) -> anyhow::Result<()> {
    let interrupt = signals::install()?;
    let opened = Table::open(&command.table.table)?;
    let setting = command.setting.setting();
    let sample = opened.sample(setting, command.by, command.cells as usize, command.seed)?;
    search::use_threads(command.threads)?;
    match command.ranker {
        Ranker::SharedWeights => {
            let given = command.search.as_deref().ok_or_else(|| {
                Usage("shared weights are those of a search: name its RUN, or a proxy with --ranker".to_owned())
            })?;
            let supernet = supernet(given, &command.runs, command.data.as_deref(), command.damaged)?;
            let Supernet { searcher, checkpoint, dataset } = supernet;
            let images = held_out(&searcher.config, &dataset)?.mixed().first(command.images as usize);
            let ranking = format!("{SHARED}; {given} checkpoint {checkpoint}; {} images", images.len());
            let shared = Shared { searcher, dataset: &dataset, images, interrupt: &interrupt };
            command.compare(&opened, &sample, &ranking, &|genotype| shared.score(genotype))
        }
        Ranker::Proxy(proxy) => {
            let data = command.data.as_deref().unwrap_or("cifar10");
            let dataset = images::open(data, Auto::Auto, command.damaged, false)?.noted();
            let space = spaces::nas_bench_201();
            let size = score::size(&dataset, show::Size::published(&space))?;
            let batch = proxies::images(&dataset, command.batch_size.map_or(proxy.batch_size(), usize::from));
            let ranking = format!("{proxy}; seed {}; {} images of {}; {size}", command.seed, batch.len(), dataset.name);
            let fresh = Fresh { proxy, size, batch, seed: command.seed, interrupt: &interrupt };
            command.compare(&opened, &sample, &ranking, &|genotype| fresh.score(genotype))
        }
    }
}

/// The shared weights of a search, and its images.
pub(super) struct Supernet {
    pub(super) searcher: Searcher,
    /// Which checkpoint the weights are from.
    pub(super) checkpoint: u64,
    pub(super) dataset: Dataset,
}

/// Reads the supernet of a search in NAS-Bench-201; `data` says where its images are now.
pub(super) fn supernet(run: &str, runs: &RunsDir, data: Option<&str>, damaged: Damaged) -> anyhow::Result<Supernet> {
    let path = runs.run(run)?.search()?;
    let mut config: SearchConfig = resolve(&[flags::of_run(&path, &read_config(&path)?)?])?;
    if config.space != spaces::nas_bench_201() {
        return Err(Usage(format!("{run} searches in {}, which the table does not hold", config.space.name)).into());
    }
    let damaged = Damaged { skip_damaged: config.skip_damaged || damaged.skip_damaged };
    let (read, place) = images::open_for_run(&path, (&config.data, data), config.image_size, damaged, false)?;
    config.data = place;
    let dataset = read.noted();
    let (searcher, checkpoint) = Searcher::of_run(&config, &path, &dataset, &gdas::Device::flex())?;
    Ok(Supernet { searcher, checkpoint, dataset })
}

/// Cells with the weights of a search.
struct Shared<'a> {
    searcher: Searcher,
    dataset: &'a Dataset,
    images: Subset,
    interrupt: &'a Interrupt,
}

impl Shared<'_> {
    /// `None` if interrupted.
    fn score(&self, genotype: &Genotype) -> anyhow::Result<Option<f64>> {
        Ok(self.searcher.evaluate(genotype, self.dataset, &self.images, self.interrupt)?)
    }
}

/// Cells with weights of their own, as they start.
struct Fresh<'a> {
    proxy: Proxy,
    size: show::Size,
    batch: Batch,
    seed: u64,
    interrupt: &'a Interrupt,
}

impl Fresh<'_> {
    /// `None` if interrupted.
    fn score(&self, genotype: &Genotype) -> anyhow::Result<Option<f64>> {
        let graph = show::network(genotype, self.size)?;
        Ok((!self.interrupt.is_requested()).then(|| self.proxy.score(&graph, &self.batch, self.seed)))
    }
}

impl Correlate {
    /// Scores the cells that have no score yet, and tells how the scores agree with the table.
    fn compare(
        &self,
        opened: &Table,
        sample: &[(usize, f64)],
        ranking: &str,
        score: &dyn Fn(&Genotype) -> anyhow::Result<Option<f64>>,
    ) -> anyhow::Result<()> {
        // The last column of the file: no commas.
        let ranking = ranking.replace([',', '\n', '\r'], "");
        let (mut file, mut pairs) = match &self.pairs {
            Some(path) => PairFile::open(path, &ranking).map(|(file, pairs)| (Some(file), pairs))?,
            None => (None, vec![]),
        };
        pairs.retain(|pair| sample.iter().any(|(index, _)| *index == pair.index));
        let count = Count::new("cells", sample.len(), pairs.len(), self.quiet || self.table.json);
        let left: Vec<_> = sample.iter().filter(|(index, _)| !pairs.iter().any(|pair| pair.index == *index)).collect();
        for &&(index, accuracy) in &left {
            let genotype = genotype_of(opened.cell(index)?);
            let Some(score) = score(&genotype)? else {
                return Err(match &self.pairs {
                    Some(_) => Preempted("the same command".to_owned()).into(),
                    None => anyhow::anyhow!("stopped; with --pairs FILE it could be gone on with"),
                });
            };
            let score = if score.is_nan() { f64::NEG_INFINITY } else { score };
            let pair = Pair { index, cell: genotype.to_string(), score, accuracy };
            if let Some(file) = &mut file {
                file.push(&pair)?;
            }
            pairs.push(pair);
            count.at(pairs.len());
        }
        drop(count);
        self.present(&ranking, pairs)
    }

    fn present(&self, ranking: &str, mut pairs: Vec<Pair>) -> anyhow::Result<()> {
        let found = Correlation::of(&pairs);
        best_first(&mut pairs);
        if let Some(path) = &self.svg {
            std::fs::write(path, self.scatter(ranking, &pairs, &found))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let setting = self.setting.setting();
        if self.table.json {
            return output::json(&json!({
                "ranking": ranking, "dataset": setting.dataset, "epochs": setting.epochs, "quantity": self.by.name(),
                "cells": found.cells, "kendall_tau": found.kendall_tau, "spearman": found.spearman, "pairs": pairs,
            }));
        }
        let mean = |pairs: &[Pair]| pairs.iter().map(|pair| pair.accuracy).sum::<f64>() / pairs.len() as f64;
        let best = |pairs: &[Pair]| pairs.iter().map(|pair| pair.accuracy).fold(f64::NEG_INFINITY, f64::max);
        let coefficient =
            |value: Option<f64>| value.map_or("undefined: all values are equal".to_owned(), |v| format!("{v:.3}"));
        let spread = |pairs: &[Pair]| format!("mean {:.2}, best {:.2} {}", mean(pairs), best(pairs), self.by.unit());
        let first = &pairs[..FIRST.min(pairs.len())];
        let rows = [
            ("ranked by", ranking.to_owned()),
            ("against", format!("{}, {setting}", self.by)),
            ("cells", format!("{}, drawn with seed {}", found.cells, self.seed)),
            ("Kendall's tau-b", coefficient(found.kendall_tau)),
            ("Spearman's rho", coefficient(found.spearman)),
            ("all cells", spread(&pairs)),
            ("ranked first", format!("{} cells: {}", first.len(), spread(first))),
        ];
        let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
        Ok(output::line(table(&rows))?)
    }

    /// Accuracy against the rank by score.
    fn scatter(&self, ranking: &str, pairs: &[Pair], found: &Correlation) -> String {
        let scores: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
        let points =
            gdas::stats::ranks(&scores).into_iter().zip(pairs).map(|(rank, pair)| (rank, pair.accuracy)).collect();
        let name = ranking.split(';').next().unwrap_or_default();
        let tau = found.kendall_tau.map_or_else(String::new, |tau| format!(" (Kendall's tau {tau:.2})"));
        let title = format!("{}, {}{tau}", self.by, self.setting.setting());
        let mut chart = Chart::new(
            &title,
            &format!("rank by {name}, the worst first"),
            vec![Series { name: String::new(), points }],
        );
        chart.size = (460.0, 300.0);
        chart.scattered().to_svg()
    }
}
