//! The keys of configurations as flags. What is not given is left to the file and the preset.

mod search;
mod train;

use std::path::Path;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gdas::config::Layer;
use gdas::train::WeightChoice;
use serde::Serializer;

pub(crate) use search::SearchFlags;
pub(crate) use train::TrainFlags;

use crate::exit::Usage;

/// Which weights of a training a command uses.
#[derive(Args, Clone, Copy)]
pub(crate) struct WeightsFlag {
    /// Weights of the last epoch, or of the best on the validation images, where `gdas train --validation` held some out
    /// [default: best where an epoch was chosen, else last]
    #[arg(long, value_name = "WHICH")]
    weights: Option<Weights>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    Last,
    Best,
}

impl WeightsFlag {
    pub(crate) fn choice(self) -> Option<WeightChoice> {
        self.weights.map(|weights| match weights {
            Weights::Last => WeightChoice::Last,
            Weights::Best => WeightChoice::Best,
        })
    }
}

/// A seed as a value of a configuration's key.
#[allow(clippy::ref_option)] // what serde calls
fn seed<S: Serializer>(seed: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match seed {
        Some(seed) => gdas::config::seed::serialize(seed, serializer),
        None => serializer.serialize_none(),
    }
}

/// The values of a configuration file.
pub(crate) fn file(path: &Path) -> anyhow::Result<Layer> {
    let text = std::fs::read_to_string(path)
        .with_context(|| Usage(format!("cannot read the configuration {}", path.display())))?;
    Ok(Layer::file(&path.display().to_string(), &text)?)
}

/// Where images come from is written down as an absolute path, so that a run can be resumed from any directory.
pub(crate) fn lasting(data: &str) -> String {
    let known = data == "digits" || gdas_data::find_known(data).is_some();
    match Path::new(data).canonicalize() {
        Ok(path) if !known => path.display().to_string(),
        _ => data.to_string(),
    }
}

/// The layer of a configuration file of a run.
pub(crate) fn of_run(path: &Path, text: &str) -> Result<Layer, gdas::config::ConfigError> {
    Layer::file(&path.join("config.toml").display().to_string(), text)
}

/// The keys of a configuration, for the test that each has a flag.
#[cfg(test)]
fn keys<T: gdas::config::Config>() -> Vec<String> {
    let config: T = gdas::config::resolve(&[]).expect("defaults");
    let table = toml::Table::try_from(&config).expect("a table");
    let mut keys: Vec<String> = table.keys().map(|key| key.replace('_', "-")).collect();
    keys.sort();
    keys
}

/// The flags of a command.
#[cfg(test)]
fn flags(command: &clap::Command) -> Vec<String> {
    let mut flags: Vec<String> = command.get_arguments().filter_map(|a| a.get_long()).map(String::from).collect();
    flags.retain(|flag| flag != "help");
    flags.sort();
    flags
}
