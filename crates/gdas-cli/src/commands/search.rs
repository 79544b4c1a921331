use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use gdas::config::{Layer, SearchConfig, resolve, to_toml};

use crate::cli::{Display, RunsDir};
use crate::exit::Usage;
use crate::flags::SearchFlags;
use crate::output;

/// Search for the best cell
///
/// Values come from the preset, then from the file given with --config, then from flags; later ones win. Every flag
/// is also a key of the file (--batch-size is batch_size). What a run used stands in its config.toml.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas search                                         the built-in digits, in a minute or two
  gdas search --data cifar10                          CIFAR-10, preset quick
  gdas search --data cifar10 --preset paper --seed 1  as published: 250 epochs
  gdas search --data photos/ --image-size 32          your own images
  gdas search --config my.toml --epochs 50            a file, and a flag that wins over it
  gdas search --preset paper --print-config           all keys and their values")]
pub(crate) struct Search {
    /// TOML file with any of the keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of the run [default: the data's name and a number]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the resolved configuration and do nothing
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    flags: SearchFlags,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Search) -> anyhow::Result<()> {
    let config = config(command)?;
    if command.print_config {
        return Ok(output::line(to_toml(&config)?.trim_end())?);
    }
    anyhow::bail!("the search itself is not part of this build yet")
}

fn config(command: &Search) -> anyhow::Result<SearchConfig> {
    let mut layers = Vec::new();
    if let Some(path) = &command.config {
        let text = std::fs::read_to_string(path)
            .with_context(|| Usage(format!("cannot read the configuration {}", path.display())))?;
        layers.push(Layer::file(&path.display().to_string(), &text)?);
    }
    layers.push(Layer::flags(&command.flags)?);
    Ok(resolve(&layers)?)
}
