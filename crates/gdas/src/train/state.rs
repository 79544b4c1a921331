//! Checkpoints and results of a training.

use burn::tensor::Device;
use gdas_kernels::graph::Graph;
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::{Trainer, WeightChoice, WeightOrigin};
use crate::config::TrainConfig;
use crate::cost;
use crate::data::{Dataset, Position, Statistics};
use crate::device;
use crate::loss::Metrics;
use crate::run::{Checkpoint, Event, RunDir, TrainEpochMetrics, TrainStepMetrics};
use crate::space::Genotype;
use crate::stats::wilson;
use crate::weights::{PlainWeights, Weights, flat, host};
use crate::{Answers, ClassResult, Confusion, Error};

/// Progress and measurements of a training: its state except for weights and optimizer.
#[derive(Clone, Debug)]
pub(super) struct TrainState {
    /// Position of the next step.
    pub(super) at: Position,
    /// An epoch that has ended but was not tested yet.
    pub(super) untested: Option<u64>,
    /// Metrics on the test images: of the last epoch if it was tested; at the end, of the final weights.
    pub(super) tested: Option<Metrics>,
    /// Confusion matrix of that test.
    pub(super) confusion: Option<Confusion>,
    /// Answers of that test and its duration in seconds. Not in checkpoints; computed again if missing.
    pub(super) answers: Option<(Answers, f64)>,
    /// Metrics on the validation images, if the last epoch was validated.
    pub(super) validated: Option<Metrics>,
    /// The epoch with the best validation accuracy so far.
    pub(super) chosen: Option<ChosenEpoch>,
    /// The latest change of the plan; `None` for the plan of the configuration.
    pub(super) pace: Option<Pace>,
    /// Sums over the epoch so far: images, loss, correct answers.
    sums: [f64; 3],
    rate: f64,
}

impl Default for TrainState {
    fn default() -> Self {
        Self {
            at: Position::START,
            untested: None,
            tested: None,
            confusion: None,
            answers: None,
            validated: None,
            chosen: None,
            pace: None,
            sums: [0.0; 3],
            rate: 0.0,
        }
    }
}

/// The epoch with the highest accuracy on the validation images; the last one on a tie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChosenEpoch {
    pub(super) epoch: u64,
    /// Accuracy on the validation images.
    pub(super) accuracy: f64,
    /// Cross-entropy on the validation images.
    pub(super) loss: f64,
}

impl TrainState {
    pub(super) fn add(&mut self, metrics: &Metrics, rate: f64) {
        let n = metrics.images as f64;
        let [images, loss, hits] = self.sums;
        self.sums = [images + n, loss + n * metrics.loss, hits + n * metrics.accuracy];
        self.rate = rate;
    }

    /// The event of a step, with speed and time left.
    pub(super) fn step_event(&self, epoch: u64, step: u64, [steps_per_second, eta_seconds]: [f64; 2]) -> Event {
        let [images, loss, hits] = self.sums;
        let n = images.max(1.0);
        Event::TrainStep(TrainStepMetrics {
            epoch: epoch as usize,
            step,
            train_loss: loss / n,
            train_accuracy: hits / n,
            learning_rate: self.rate,
            steps_per_second,
            eta_seconds,
        })
    }

    /// The event at the end of an epoch, with the total number of epochs. Resets the sums.
    pub(super) fn epoch_event(
        &mut self,
        config: &TrainConfig,
        (epoch, epochs): (u64, usize),
        step: u64,
        speed: f64,
        left: f64,
    ) -> Event {
        let [images, loss, hits] = std::mem::take(&mut self.sums);
        let n = images.max(1.0);
        Event::TrainEpoch(TrainEpochMetrics {
            epoch: epoch as usize,
            epochs,
            step,
            train_loss: loss / n,
            train_accuracy: hits / n,
            test_loss: self.tested.map(|m| m.loss),
            test_accuracy: self.tested.map(|m| m.accuracy),
            test_top5: self.tested.map(|m| m.top5),
            validation_loss: self.validated.map(|m| m.loss),
            validation_accuracy: self.validated.map(|m| m.accuracy),
            learning_rate: self.rate,
            drop_path: config.drop_path * (epoch + 1) as f64 / epochs as f64,
            steps_per_second: speed,
            eta_seconds: left,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SavedState {
    epoch: u64,
    step: u64,
    untested: Option<u64>,
    tested: Option<[f64; 3]>,
    /// Absent in checkpoints of early versions.
    #[serde(default)]
    confusion: Option<Confusion>,
    validated: Option<[f64; 3]>,
    sums: [f64; 3],
    rate: f64,
    chosen: Option<ChosenEpoch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pace: Option<Pace>,
    data_digest: String,
    classes: Vec<String>,
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Height, width and channels.
    image: [usize; 3],
    /// The backend; empty in checkpoints of early versions.
    #[serde(default)]
    arithmetic: String,
}

const NO_CHOICE: &str = "there are no best weights: an epoch is chosen only where a share of the training images is held \
                         out for that (`gdas train --validation 0.1`), once the first was validated; `--weights last` \
                         takes the last";

/// The properties of a [`super::TrainedModel`] other than the weights.
pub(super) struct Trained {
    pub(super) classes: Vec<String>,
    pub(super) statistics: Statistics,
    pub(super) image: [usize; 3],
    /// Prefix of the names of its arrays.
    pub(super) weights: &'static str,
    /// Origin of the weights.
    pub(super) origin: WeightOrigin,
    /// Digest of the training images.
    pub(super) data_digest: String,
}

/// Reads the properties from a checkpoint. Without `choice`, the weights are those of the chosen epoch if there is one,
/// otherwise the last.
///
/// # Errors
/// If the best weights are requested and no epoch was chosen.
pub(super) fn trained(checkpoint: &Checkpoint, choice: Option<WeightChoice>) -> Result<Trained, Error> {
    let saved: SavedState = checkpoint.state()?;
    let has = |prefix: &str| checkpoint.arrays.iter().any(|(name, _)| name.starts_with(prefix));
    let chosen = saved.chosen.filter(|_| choice != Some(WeightChoice::Last));
    let (weights, origin) = match chosen {
        Some(ChosenEpoch { epoch, accuracy, .. }) => ("chosen", WeightOrigin::Chosen { epoch, accuracy }),
        None if choice == Some(WeightChoice::Best) => return Err(Error::Unsuitable(NO_CHOICE.into())),
        None if has("average/") => ("average", WeightOrigin::Average),
        None => ("weights", WeightOrigin::Last),
    };
    let statistics = Statistics { mean: saved.mean, std: saved.std, published: false };
    Ok(Trained {
        classes: saved.classes,
        statistics,
        image: saved.image,
        weights,
        origin,
        data_digest: saved.data_digest,
    })
}

/// Loss, accuracy and top-5 accuracy.
fn numbers(metrics: Metrics) -> [f64; 3] {
    [metrics.loss, metrics.accuracy, metrics.top5]
}

impl Trainer<'_> {
    /// A checkpoint of the training.
    pub(super) fn checkpoint(&self, state: &TrainState, dataset: &Dataset) -> Result<Checkpoint, Error> {
        let images = &dataset.train;
        let mut checkpoint = Checkpoint::new(&SavedState {
            epoch: state.at.epoch,
            step: state.at.step,
            untested: state.untested,
            tested: state.tested.map(numbers),
            confusion: state.confusion.clone(),
            validated: state.validated.map(numbers),
            sums: state.sums,
            rate: state.rate,
            chosen: state.chosen,
            pace: state.pace,
            data_digest: self.data_digest.clone(),
            classes: dataset.classes.clone(),
            mean: dataset.statistics.mean.clone(),
            std: dataset.statistics.std.clone(),
            image: [images.height, images.width, images.channels],
            arithmetic: device::arithmetic(self.weights.device()),
        })?;
        checkpoint.arrays.extend(self.weights.to_arrays("weights"));
        checkpoint.arrays.extend(self.sgd.to_arrays(&self.weights));
        for (prefix, weights) in [("average", &self.average), ("chosen", &self.chosen)] {
            if let Some(weights) = weights {
                checkpoint.arrays.extend(weights.to_arrays(prefix));
            }
        }
        Ok(checkpoint)
    }

    /// Restores the training from a [`checkpoint`](Self::checkpoint). Returns its state, and a warning for the user if needed.
    pub(super) fn restore(
        &mut self,
        mut checkpoint: Checkpoint,
        dataset: &Dataset,
    ) -> Result<(TrainState, Option<String>), Error> {
        let saved: SavedState = checkpoint.state()?;
        Error::same_data(&saved.data_digest, &self.data_digest, &dataset.name)?;
        let warning = device::other_arithmetic(&saved.arithmetic, self.weights.device());
        self.weights.set_arrays("weights", |name, shape| checkpoint.take_f32(name, shape))?;
        self.sgd.set_arrays(&self.weights, |name, shape| checkpoint.take_f32_if_there(name, shape))?;
        if let Some(average) = &mut self.average {
            average.set_arrays("average", |name, shape| checkpoint.take_f32(name, shape))?;
        }
        if saved.chosen.is_some() {
            let mut chosen = self.weights.clone();
            chosen.set_arrays("chosen", |name, shape| checkpoint.take_f32(name, shape))?;
            self.chosen = Some(chosen);
        }
        let metrics = |[loss, accuracy, top5]: [f64; 3]| Metrics { loss, accuracy, top5, images: 0 };
        let (tested, validated) = (saved.tested.map(metrics), saved.validated.map(metrics));
        let at = Position { epoch: saved.epoch, step: saved.step };
        let (untested, chosen, pace) = (saved.untested, saved.chosen, saved.pace);
        let (sums, rate, confusion) = (saved.sums, saved.rate, saved.confusion);
        let answers = None;
        Ok((TrainState { at, untested, tested, confusion, answers, validated, chosen, pace, sums, rate }, warning))
    }
}

/// Stores a network trained elsewhere in a new run, as the result of a training. `graph` is the graph of the
/// configuration's genotype, `plain` its weights, `classes` the names of the classes; `statistics` normalise the pixels.
///
/// # Errors
/// If the weights do not fit the network, the genotype cannot be read, or the directory cannot be written.
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
    let mut checkpoint = Checkpoint::new(&SavedState {
        epoch: config.epochs as u64,
        step: 0,
        untested: None,
        tested: None,
        confusion: None,
        validated: None,
        sums: [0.0; 3],
        rate: 0.0,
        chosen: None,
        pace: None,
        // Empty: the training images are unknown.
        data_digest: String::new(),
        classes: classes.to_vec(),
        mean: statistics.mean.clone(),
        std: statistics.std.clone(),
        image: [image.height, image.width, image.channels],
        arithmetic: String::new(),
    })?;
    checkpoint.arrays.extend(weights.to_arrays("weights"));
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
        test_interval: None,
        test_classes: None,
        test_top5: None,
        test_loss: None,
        validation_accuracy: None,
        validation_loss: None,
        chosen_epoch: None,
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
        validation_images: 0,
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

/// 95 % confidence interval of the accuracy.
fn interval(classes: &[ClassResult]) -> [f64; 2] {
    wilson(classes.iter().map(|class| class.correct).sum(), classes.iter().map(|class| class.images).sum())
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

/// Result of a training. Does not depend on time or the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainResult {
    /// Name of the search space.
    pub space: String,
    /// The genotype, in text form.
    pub genotype: String,
    /// Name of the data set.
    pub data: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// Number of epochs; the last one may be shorter than the others.
    pub epochs: usize,
    /// Top-1 accuracy on the test images, in 0..=1, of the chosen epoch if there is one, otherwise of the last epoch (of the
    /// moving average of the weights, if enabled). `None` without test images.
    pub test_accuracy: Option<f64>,
    /// 95 % confidence interval of the test accuracy ([`wilson`]). Absent in results of early versions.
    #[serde(default)]
    pub test_interval: Option<[f64; 2]>,
    /// Top-5 accuracy on the test images.
    pub test_top5: Option<f64>,
    /// Cross-entropy of the test images.
    pub test_loss: Option<f64>,
    /// Accuracy and confusions per class on the test images. Absent in results of early versions.
    #[serde(default)]
    pub test_classes: Option<Vec<ClassResult>>,
    /// Top-1 accuracy of these weights on the validation images.
    pub validation_accuracy: Option<f64>,
    /// Cross-entropy likewise.
    pub validation_loss: Option<f64>,
    /// The chosen epoch, from 0; `None` for the last weights.
    pub chosen_epoch: Option<u64>,
    /// Number of parameters without the auxiliary head.
    pub params: u64,
    /// Multiply-adds per image without the auxiliary head.
    pub multiply_adds: u64,
    /// BLAKE3 of the weights of the last step: equal runs have equal digests.
    pub digest: String,
}

impl TrainResult {
    pub(super) fn new(trainer: &Trainer, state: &TrainState, dataset: &Dataset) -> Self {
        let cost = cost::network(&trainer.test_graph);
        let test_classes = state.confusion.as_ref().map(|confusion| confusion.per_class(&dataset.classes));
        Self {
            space: trainer.genotype.space.name.clone(),
            genotype: trainer.genotype.to_string(),
            data: dataset.name.clone(),
            classes: dataset.classes.clone(),
            seed: trainer.config.seed,
            epochs: state.at.epoch as usize,
            test_accuracy: state.tested.map(|m| m.accuracy),
            test_interval: test_classes.as_deref().map(interval),
            test_top5: state.tested.map(|m| m.top5),
            test_loss: state.tested.map(|m| m.loss),
            test_classes,
            validation_accuracy: state.chosen.map(|chosen| chosen.accuracy),
            validation_loss: state.chosen.map(|chosen| chosen.loss),
            chosen_epoch: state.chosen.map(|chosen| chosen.epoch),
            params: cost.params,
            multiply_adds: cost.multiply_adds,
            digest: digest(&trainer.weights),
        }
    }
}
