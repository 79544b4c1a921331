//! Images in, trained network out: search, derive, train, test, export, within a budget of time.
//!
//! A directory of an automatic run holds two ordinary runs, `search` and `train`, and the exported network. The
//! budget is turned into numbers of epochs once, by timing a few steps; those stand in the two runs' configurations,
//! so that the whole resumes exactly.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::json;

use gdas::Error;
use gdas::config::{Auto, Config, Layer, SearchConfig, Selection, TrainConfig, resolve, seed, to_toml};
use gdas::data::{Dataset, Sampling};
use gdas::device::{DeviceName, Precision};
use gdas::run::{Interrupt, Observer, RunDir, read_result};
use gdas::search::{self, SearchResult};
use gdas::space::Space;
use gdas::train::{self, TrainResult, TrainedModel};
use gdas_exchange::export::{PixelInput, metadata, model_to_onnx, to_pytorch, to_safetensors};
use gdas_report::write_cells;

/// Share of the budget that the search gets; most of the rest is training. What is left covers tests and files.
const SEARCH_SHARE: f64 = 0.35;
const TRAIN_SHARE: f64 = 0.6;
/// Share of the search that may go into judging candidates.
const JUDGING_SHARE: f64 = 0.25;
/// More epochs than these gain little.
const SEARCH_EPOCHS: usize = 50;
const TRAIN_EPOCHS: usize = 200;
/// With fewer epochs than this there is no schedule to speak of: epochs are shortened instead.
const FEWEST_EPOCHS: usize = 5;

/// The largest class may have this many times the images of the smallest before epochs are balanced.
const IMBALANCE: f64 = 3.0;

/// What an automatic run is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoConfig {
    /// Always `auto`; tells this file from those of other tasks.
    pub task: String,
    /// A known data set's name, or a path to images.
    pub data: String,
    /// Images are brought to this many pixels in height and width; `auto`: the data's own size.
    pub image_size: Auto<usize>,
    /// Whether image files that cannot be used are left out, and named, instead of ending the run.
    #[serde(default)]
    pub skip_damaged: bool,
    /// Search space.
    #[serde(with = "gdas::space::shared")]
    pub space: Arc<Space>,
    /// Seconds that the whole may take on this machine; 0: as long as the presets take.
    pub budget_seconds: f64,
    /// Seed of all randomness.
    #[serde(with = "gdas::config::seed")]
    pub seed: u64,
    /// Threads; `auto`: one per core.
    pub threads: Auto<usize>,
    /// Where the tensors live and the steps run.
    #[serde(default)]
    pub device: DeviceName,
    /// How a graphics device stores the values between operations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether the scalars of search and training are also written as event files for TensorBoard.
    #[serde(default)]
    pub tensorboard: bool,
}

/// What an automatic run leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoResult {
    /// What the search found.
    pub search: SearchResult,
    /// What the training made of it.
    pub train: TrainResult,
    /// Files of the exported network, relative to the run's directory.
    pub exported: Vec<PathBuf>,
}

/// How an automatic run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is complete; `result.json` is written.
    Finished(Box<AutoResult>),
    /// It was asked to stop; everything done is durable.
    Interrupted,
}

/// Does the whole, or goes on with what `run` holds.
pub fn auto(
    config: &AutoConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome, Error> {
    let interrupt = &interrupt.watching(run.path())?;
    run.begin_with(&config.data, &dataset.name, &dataset.digest())?;
    let sampling = sampling(dataset);
    if sampling == Sampling::Balanced && !run.path().join("search").exists() {
        let message = format!(
            "the largest class has {:.1} times as many training images as the smallest, so each epoch shows every class \
             equally often (`sampling = \"balanced\"`)",
            dataset.imbalance()
        );
        run.warn(observer, message)?;
    }
    let search_config: Option<SearchConfig> = stage(run.path(), "search", || {
        let keys = json!({ "data": config.data, "image_size": config.image_size,
            "skip_damaged": config.skip_damaged, "sampling": sampling, "space": *config.space,
            "seed": seed::key(config.seed), "threads": config.threads, "device": config.device, "precision": config.precision,
            "tensorboard": config.tensorboard });
        let mut plan: SearchConfig = read(&keys)?;
        let Some(cost) = search::step_cost(&plan, dataset, interrupt, device)? else { return Ok(None) };
        let images = dataset.train.len() / 2;
        let mut share = config.budget_seconds * SEARCH_SHARE;
        if config.budget_seconds > 0.0 && plan.selection == Selection::Judged {
            let seconds = search::seconds_per_candidate(&plan, dataset, device)?.max(1e-9);
            plan.candidates = ((share * JUDGING_SHARE / seconds) as usize).clamp(1, plan.candidates);
            share -= plan.candidates as f64 * seconds;
        }
        fit(
            share,
            cost.seconds,
            images.div_ceil(plan.batch_size),
            SEARCH_EPOCHS,
            &mut plan.epochs,
            &mut plan.max_steps_per_epoch,
        );
        Ok(Some(plan))
    })?;
    let Some(mut search_config) = search_config else { return Ok(Outcome::Interrupted) };
    // The images may lie elsewhere now than when the stage began.
    search_config.data.clone_from(&config.data);
    let Some(found) = finished_or(run.path(), "search", |inner| {
        Ok(match search::search(&search_config, dataset, inner, observer, interrupt, device)? {
            search::Outcome::Finished(result) => {
                write_cells(inner, &result.cells)?;
                Some(*result)
            }
            search::Outcome::Interrupted { .. } => None,
        })
    })?
    else {
        return Ok(Outcome::Interrupted);
    };

    let train_config: Option<TrainConfig> = stage(run.path(), "train", || {
        let keys = json!({ "data": config.data, "image_size": config.image_size,
            "skip_damaged": config.skip_damaged, "sampling": sampling, "space": *config.space,
            "genotype": found.genotype, "seed": seed::key(config.seed), "threads": config.threads, "device": config.device, "precision": config.precision,
            "tensorboard": config.tensorboard });
        let mut plan: TrainConfig = read(&keys)?;
        let Some(seconds) = train::seconds_per_step(&plan, dataset, interrupt, device)? else { return Ok(None) };
        let share = config.budget_seconds * TRAIN_SHARE;
        let steps = dataset.train.len().div_ceil(plan.batch_size);
        fit(share, seconds, steps, TRAIN_EPOCHS, &mut plan.epochs, &mut plan.max_steps_per_epoch);
        plan.warmup_epochs = plan.warmup_epochs.min(plan.epochs / 5);
        Ok(Some(plan))
    })?;
    let Some(mut train_config) = train_config else { return Ok(Outcome::Interrupted) };
    train_config.data.clone_from(&config.data);
    let Some(trained) = finished_or(run.path(), "train", |inner| {
        Ok(match train::train(&train_config, dataset, inner, observer, interrupt, device)? {
            train::Outcome::Finished(result) => Some(*result),
            train::Outcome::Interrupted { .. } => None,
        })
    })?
    else {
        return Ok(Outcome::Interrupted);
    };

    let exported = export(run, device)?;
    let result = AutoResult { search: found, train: trained, exported };
    run.write_result(&result)?;
    Ok(Outcome::Finished(Box::new(result)))
}

/// How often epochs show the images of each class: equally often where the classes differ much in size.
fn sampling(dataset: &Dataset) -> Sampling {
    if dataset.imbalance() > IMBALANCE { Sampling::Balanced } else { Sampling::Uniform }
}

fn unsuitable(error: impl std::fmt::Display) -> Error {
    Error::Unsuitable(error.to_string())
}

fn read<T: Config>(keys: &serde_json::Value) -> Result<T, Error> {
    let layer = Layer::flags(keys).map_err(unsuitable)?;
    resolve(&[layer]).map_err(unsuitable)
}

/// The configuration of a stage: the one it was begun with, or a new plan, which then begins it. `None`
/// if the planning was interrupted.
fn stage<T: Config>(
    run: &Path,
    name: &str,
    plan: impl FnOnce() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let path = run.join(name);
    if path.join("config.toml").is_file() {
        let text = gdas::run::read_config(&path)?;
        let file = path.join("config.toml").display().to_string();
        let layer = Layer::file(&file, &text).map_err(unsuitable)?;
        return resolve(&[layer]).map(Some).map_err(unsuitable);
    }
    let Some(config) = plan()? else { return Ok(None) };
    RunDir::create(path, &to_toml(&config).map_err(unsuitable)?)?;
    Ok(Some(config))
}

/// The result of a stage that is done, or what `work` makes of it.
fn finished_or<T: for<'de> Deserialize<'de>>(
    run: &Path,
    name: &str,
    work: impl FnOnce(&mut RunDir) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut inner = RunDir::open(run.join(name))?;
    if inner.is_finished() {
        return Ok(Some(read_result(inner.path())?));
    }
    work(&mut inner)
}

/// Chooses how many epochs fit into `budget` seconds (0: leaves everything as it is), and shortens epochs where not
/// even a few do.
fn fit(budget: f64, per_step: f64, full: usize, most: usize, epochs: &mut usize, steps: &mut Auto<usize>) {
    if budget <= 0.0 {
        return;
    }
    let total = (budget / per_step.max(1e-9)) as usize;
    if total >= FEWEST_EPOCHS * full {
        *epochs = (total / full).clamp(FEWEST_EPOCHS, most);
    } else {
        *epochs = FEWEST_EPOCHS;
        *steps = Auto::Is((total / FEWEST_EPOCHS).max(1));
    }
}

fn export(run: &RunDir, device: &Device) -> Result<Vec<PathBuf>, Error> {
    let model = TrainedModel::open_path(&run.path().join("train"), device)?;
    let weights = model.export_weights();
    let genotype = model.genotype.to_string();
    let metadata = metadata(&model);
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let input = PixelInput { flip: model.test_flip, ..PixelInput::default() };
    let files = [
        ("network.onnx", model_to_onnx(&model, input, None).map_err(unsuitable)?),
        ("network.safetensors", to_safetensors(&model.graph, &weights, &metadata).map_err(unsuitable)?),
        ("network.py", to_pytorch(&model.graph, &genotype).map_err(unsuitable)?.into_bytes()),
    ];
    for (name, bytes) in &files {
        run.write_file(name, bytes)?;
    }
    Ok(files.iter().map(|(name, _)| PathBuf::from(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_becomes_epochs() {
        let plan = |budget, per_step| {
            let (mut epochs, mut steps) = (25, Auto::Auto);
            fit(budget, per_step, 100, 50, &mut epochs, &mut steps);
            (epochs, steps)
        };
        assert_eq!(plan(0.0, 1.0), (25, Auto::Auto));
        assert_eq!(plan(1000.0, 1.0), (10, Auto::Auto));
        assert_eq!(plan(1e6, 1.0), (50, Auto::Auto));
        assert_eq!(plan(100.0, 1.0), (5, Auto::Is(20)));
        assert_eq!(plan(1.0, 1.0), (5, Auto::Is(1)));
    }
}
