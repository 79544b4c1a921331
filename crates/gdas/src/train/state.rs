//! What a training saves so that it goes on exactly, and what it leaves at its end.

use burn::tensor::Device;
use gdas_kernels::graph::Graph;
use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::Error;
use crate::config::TrainConfig;
use crate::cost;
use crate::data::{Dataset, Position, Statistics};
use crate::device;
use crate::loss::Metrics;
use crate::run::{Checkpoint, Event, Observer, RunDir};
use crate::space::Genotype;
use crate::weights::{PlainWeights, Weights, flat, host};

/// How far a training has come.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The next step to do.
    pub(super) at: Position,
    /// An epoch whose steps are done and whose test is not.
    pub(super) untested: Option<u64>,
    /// The last test, if the last epoch had one.
    pub(super) tested: Option<Metrics>,
    pub(super) best: Option<Best>,
    /// Images, loss and hits of the epoch so far.
    sums: [f64; 3],
    rate: f64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { at: Position::START, untested: None, tested: None, best: None, sums: [0.0; 3], rate: 0.0 }
    }
}

/// The epoch that was tested best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) epoch: u64,
    pub(super) accuracy: f64,
}

impl Progress {
    /// Steps done in the whole training.
    pub(super) fn step(&self, steps_per_epoch: u64) -> u64 {
        self.at.epoch * steps_per_epoch + self.at.step
    }

    pub(super) fn add(&mut self, metrics: &Metrics, rate: f64) {
        let n = metrics.images as f64;
        let [images, loss, hits] = self.sums;
        self.sums = [images + n, loss + n * metrics.loss, hits + n * metrics.accuracy];
        self.rate = rate;
    }

    /// What the epoch came to; begins the next one.
    pub(super) fn epoch_event(&mut self, config: &TrainConfig, epoch: u64, step: u64, speed: f64, left: f64) -> Event {
        let [images, loss, hits] = std::mem::take(&mut self.sums);
        let n = images.max(1.0);
        Event::TrainEpoch {
            epoch: epoch as usize,
            epochs: config.epochs,
            step,
            train_loss: loss / n,
            train_accuracy: hits / n,
            test_loss: self.tested.map(|m| m.loss),
            test_accuracy: self.tested.map(|m| m.accuracy),
            test_top5: self.tested.map(|m| m.top5),
            learning_rate: self.rate,
            drop_path: config.drop_path * (epoch + 1) as f64 / config.epochs as f64,
            steps_per_second: speed,
            eta_seconds: left,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    epoch: u64,
    step: u64,
    untested: Option<u64>,
    tested: Option<[f64; 3]>,
    sums: [f64; 3],
    rate: f64,
    best: Option<Best>,
    data_digest: String,
    classes: Vec<String>,
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Height, width and channels.
    image: [usize; 3],
    /// What computed it; empty in checkpoints of early builds.
    #[serde(default)]
    arithmetic: String,
}

/// What [`super::TrainedModel`] needs beside the weights.
pub(super) struct Trained {
    pub(super) classes: Vec<String>,
    pub(super) statistics: Statistics,
    pub(super) image: [usize; 3],
    /// The prefix of the arrays to use: the best tested, else the last.
    pub(super) weights: &'static str,
}

pub(super) fn trained(checkpoint: &Checkpoint) -> Result<Trained, Error> {
    let saved: Saved = checkpoint.state()?;
    let has = |prefix: &str| checkpoint.arrays.iter().any(|(name, _)| name.starts_with(prefix));
    let weights = if has("best/") {
        "best"
    } else if has("average/") {
        "average"
    } else {
        "weights"
    };
    let statistics = Statistics { mean: saved.mean, std: saved.std, published: false };
    Ok(Trained { classes: saved.classes, statistics, image: saved.image, weights })
}

impl Trainer<'_> {
    /// Saves a checkpoint and returns the event that says so.
    pub(super) fn save(
        &self,
        run: &mut RunDir,
        progress: &Progress,
        dataset: &Dataset,
        steps_per_epoch: u64,
    ) -> Result<Event, Error> {
        let images = &dataset.train;
        let mut checkpoint = Checkpoint::new(&Saved {
            epoch: progress.at.epoch,
            step: progress.at.step,
            untested: progress.untested,
            tested: progress.tested.map(|m| [m.loss, m.accuracy, m.top5]),
            sums: progress.sums,
            rate: progress.rate,
            best: progress.best.clone(),
            data_digest: self.data_digest.clone(),
            classes: dataset.classes.clone(),
            mean: dataset.statistics.mean.clone(),
            std: dataset.statistics.std.clone(),
            image: [images.height, images.width, images.channels],
            arithmetic: device::arithmetic(self.weights.device()),
        })?;
        self.weights.save(&mut checkpoint, "weights");
        self.sgd.save(&self.weights, &mut checkpoint);
        for (prefix, weights) in [("average", &self.average), ("best", &self.best)] {
            if let Some(weights) = weights {
                weights.save(&mut checkpoint, prefix);
            }
        }
        Error::finite_state(&checkpoint, progress.at)?;
        Ok(run.save(&checkpoint)?.event(progress.at.epoch as usize, progress.step(steps_per_epoch)))
    }

    /// Takes up the newest checkpoint of the run, if it has one.
    pub(super) fn resume(
        &mut self,
        run: &mut RunDir,
        observer: &mut dyn Observer,
        dataset: &Dataset,
    ) -> Result<Option<Progress>, Error> {
        let Some(mut checkpoint) = run.take_up(observer)? else { return Ok(None) };
        let saved: Saved = checkpoint.state()?;
        Error::same_data(&saved.data_digest, &self.data_digest, &dataset.name)?;
        if let Some(message) = device::other_arithmetic(&saved.arithmetic, self.weights.device()) {
            run.warn(observer, message)?;
        }
        self.weights.load(&mut checkpoint, "weights")?;
        self.sgd.load(&self.weights, &mut checkpoint)?;
        if let Some(average) = &mut self.average {
            average.load(&mut checkpoint, "average")?;
        }
        if saved.best.is_some() {
            let mut best = self.weights.clone();
            best.load(&mut checkpoint, "best")?;
            self.best = Some(best);
        }
        let tested = saved.tested.map(|[loss, accuracy, top5]| Metrics { loss, accuracy, top5, images: 0 });
        let at = Position { epoch: saved.epoch, step: saved.step };
        let (untested, best, sums, rate) = (saved.untested, saved.best, saved.sums, saved.rate);
        Ok(Some(Progress { at, untested, tested, best, sums, rate }))
    }
}

/// Makes a new run hold a network that was trained elsewhere, as if it had been trained here: `graph` must be that of
/// the configuration's genotype, `plain` its weights. `classes` names the classes, `statistics` are what pixels are
/// normalised with.
///
/// # Errors
/// The weights are those of another network, the genotype cannot be read, or the directory cannot be written.
pub fn adopt(
    run: &mut RunDir,
    config: &TrainConfig,
    (graph, plain): (&Graph, &PlainWeights),
    classes: &[String],
    statistics: &Statistics,
    device: &Device,
) -> Result<TrainResult, Error> {
    plain.check(graph).map_err(|error| Error::Unsuitable(error.to_string()))?;
    let mut weights = Weights::new(config.seed, device);
    weights.declare(graph);
    for (index, values) in weights.locate(graph).into_iter().zip(&plain.params) {
        weights.set(index, values.clone());
    }
    for (norm, values) in graph.norms.iter().zip(&plain.running).filter(|(norm, _)| norm.track) {
        let statistics = flat(values.clone(), device).reshape([2, norm.channels]);
        weights.running.insert(norm.name.clone(), statistics);
    }
    let image = graph.shape(0);
    let mut checkpoint = Checkpoint::new(&Saved {
        epoch: config.epochs as u64,
        step: 0,
        untested: None,
        tested: None,
        sums: [0.0; 3],
        rate: 0.0,
        best: None,
        // Of no images: nothing was learned from any here.
        data_digest: String::new(),
        classes: classes.to_vec(),
        mean: statistics.mean.clone(),
        std: statistics.std.clone(),
        image: [image.height, image.width, image.channels],
        arithmetic: String::new(),
    })?;
    weights.save(&mut checkpoint, "weights");
    let cost = cost::network(graph);
    let genotype = Genotype::parse(&config.genotype, &config.space)?;
    let result = TrainResult {
        space: genotype.space.name.clone(),
        genotype: genotype.to_string(),
        data: config.data.clone(),
        classes: classes.to_vec(),
        seed: config.seed,
        epochs: 0,
        test_accuracy: None,
        test_top5: None,
        test_loss: None,
        best_accuracy: None,
        best_epoch: None,
        params: cost.params,
        multiply_adds: cost.multiply_adds,
        digest: digest(&weights),
    };
    run.log(&Event::Started {
        task: "import".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        algorithm: "none".to_owned(),
        space: result.space.clone(),
        data: result.data.clone(),
        classes: classes.len(),
        train_images: 0,
        held_out_images: 0,
        epochs: 0,
        steps_per_epoch: 0,
        parameters: weights.count(),
        seed: config.seed,
        threads: rayon::current_num_threads(),
        step: 0,
    })?;
    let event = run.save(&checkpoint)?.event(0, 0);
    run.log(&event)?;
    run.write_result(&result)?;
    run.log(&Event::Finished { step: 0, genotype: result.genotype.clone(), accuracy: None, seconds: 0.0 })?;
    Ok(result)
}

/// BLAKE3 of all weights.
fn digest(weights: &Weights) -> String {
    let mut hasher = blake3::Hasher::new();
    for value in &weights.values {
        for x in host(value) {
            hasher.update(&x.to_le_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// The outcome of a training. Holds nothing that depends on the clock or the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainResult {
    /// Space of the genotype.
    pub space: String,
    /// The genotype, in text form.
    pub genotype: String,
    /// Data.
    pub data: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// Epochs.
    pub epochs: usize,
    /// Top-1 accuracy on the test images after the last epoch, in 0..=1.
    pub test_accuracy: Option<f64>,
    /// Top-5 accuracy likewise.
    pub test_top5: Option<f64>,
    /// Cross-entropy likewise.
    pub test_loss: Option<f64>,
    /// The highest top-1 accuracy of any epoch (chosen on the test images, so an optimistic number).
    pub best_accuracy: Option<f64>,
    /// That epoch.
    pub best_epoch: Option<u64>,
    /// Trainable values without the auxiliary head.
    pub params: u64,
    /// Multiply-adds per image without it.
    pub multiply_adds: u64,
    /// BLAKE3 of the final weights: equal runs have equal digests.
    pub digest: String,
}

impl TrainResult {
    pub(super) fn new(trainer: &Trainer, progress: &Progress, dataset: &Dataset) -> Self {
        let cost = cost::network(&trainer.test_graph);
        Self {
            space: trainer.genotype.space.name.clone(),
            genotype: trainer.genotype.to_string(),
            data: dataset.name.clone(),
            classes: dataset.classes.clone(),
            seed: trainer.config.seed,
            epochs: trainer.config.epochs,
            test_accuracy: progress.tested.map(|m| m.accuracy),
            test_top5: progress.tested.map(|m| m.top5),
            test_loss: progress.tested.map(|m| m.loss),
            best_accuracy: progress.best.as_ref().map(|best| best.accuracy),
            best_epoch: progress.best.as_ref().map(|best| best.epoch),
            params: cost.params,
            multiply_adds: cost.multiply_adds,
            digest: digest(&trainer.weights),
        }
    }
}
