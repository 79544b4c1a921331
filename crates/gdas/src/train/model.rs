//! A trained network, for predictions and tests.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::{Graph, Shape};
use gdas_kernels::{Inputs, Mode};

use super::state::{self, TrainState};
use crate::config::{Layer, TrainConfig, resolve};
use crate::data::{Batch, Dataset, EvaluationBatches, Images, Statistics, Subset};
use crate::loss::{Metrics, cross_entropy};
use crate::network::{self, NetworkConfig};
use crate::run::{Event, Interrupt, RunDir, TestFacts, TestRecord, phase, read_checkpoint, read_config};
use crate::space::Genotype;
use crate::weights::{PlainWeights, Weights};
use crate::{Answers, Confusion, Error, cost};

/// Time spent on measuring the latency of one image.
const LATENCY_BUDGET: Duration = Duration::from_millis(100);
/// Below this many images per second, latency is not measured.
const MIN_SPEED: f64 = 10.0;

/// Number of characters kept of the name of an image's file.
const MAX_NAME: usize = 300;

/// Choice among the weights of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightChoice {
    /// The weights of the last epoch, or their moving average if enabled.
    Last,
    /// The weights of the epoch with the highest validation accuracy.
    Best,
}

/// Origin of a network's weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightOrigin {
    /// The weights after the last step.
    Last,
    /// Their moving average.
    Average,
    /// The weights of a chosen epoch.
    Chosen {
        /// The epoch, from 0.
        epoch: u64,
        /// Accuracy on the validation images, in 0..=1.
        accuracy: f64,
    },
}

impl fmt::Display for WeightOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("the last"),
            Self::Average => f.write_str("the moving average, the last"),
            Self::Chosen { epoch, accuracy } => {
                write!(f, "of epoch {}, chosen by its validation accuracy of {:.2} %", epoch + 1, accuracy * 100.0)
            }
        }
    }
}

/// Result of evaluating a network on images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Loss and accuracy.
    pub metrics: Metrics,
    /// Confusion matrix.
    pub confusion: Confusion,
    /// Answers per image.
    pub answers: Answers,
}

/// The network of a finished or running training.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// The genotype.
    pub genotype: Genotype,
    /// The network, without auxiliary head and drop-path.
    pub graph: Arc<Graph>,
    /// Weights and running statistics.
    pub weights: Weights,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Mean and standard deviation for normalising pixels.
    pub statistics: Statistics,
    /// Size of the images.
    pub image: Shape,
    /// Origin of the weights.
    pub origin: WeightOrigin,
    /// Whether the training averaged its tests over mirror images.
    pub test_flip: bool,
    /// [`Dataset::digest`] of the training images; empty if unknown.
    pub data_digest: String,
    /// Batch size of tests.
    pub(super) test_batch: usize,
}

impl TrainedModel {
    /// Reads the network of a training run, with the weights of the chosen epoch if there is one, otherwise the last.
    pub fn open(run: &RunDir, device: &Device) -> Result<Self, Error> {
        Self::open_path(run.path(), device)
    }

    /// As [`open`](Self::open), but without locking the run at `path`.
    pub fn open_path(path: &Path, device: &Device) -> Result<Self, Error> {
        Self::open_weights(path, None, device)
    }

    /// As [`open_path`](Self::open_path), with a choice of the weights.
    ///
    /// # Errors
    /// If there is no training or no checkpoint, or the best weights are requested and no epoch was chosen.
    pub fn open_weights(path: &Path, choice: Option<WeightChoice>, device: &Device) -> Result<Self, Error> {
        let unsuitable = |error: &dyn std::fmt::Display| Error::Unsuitable(error.to_string());
        let text = read_config(path)?;
        let layer = Layer::file(&path.join("config.toml").display().to_string(), &text);
        let config: TrainConfig = layer.and_then(|layer| resolve(&[layer])).map_err(|error| unsuitable(&error))?;
        let Some(loaded) = read_checkpoint(path)? else {
            return Err(Error::Unsuitable(format!("{} holds no checkpoint yet", path.display())));
        };
        let mut checkpoint = loaded.checkpoint;
        let trained = state::trained(&checkpoint, choice)?;
        let [height, width, channels] = trained.image;
        let genotype = Genotype::parse(&config.genotype, &config.space)?;
        let network = NetworkConfig {
            image: Shape::new(height, width, channels),
            classes: trained.classes.len(),
            channels: config.channels,
            stem: config.stem.stem(height.max(width)),
            affine: true,
            track: true,
            auxiliary: false,
            drop_path: false,
        };
        let graph = network::derive(&genotype.space.derived_blocks(config.cells), &network, &genotype)?;
        let mut weights = Weights::new(config.seed, device);
        weights.declare(&graph);
        weights.set_arrays(trained.weights, |name, shape| checkpoint.take_f32(name, shape))?;
        Ok(Self {
            genotype,
            graph: Arc::new(graph),
            weights,
            classes: trained.classes,
            statistics: trained.statistics,
            image: network.image,
            origin: trained.origin,
            data_digest: trained.data_digest,
            test_flip: config.test_flip,
            test_batch: super::test_batch(&config),
        })
    }

    /// The network of a configuration, with the initial weights of a training.
    ///
    /// # Errors
    /// If the configuration does not fit the data.
    pub fn untrained(config: &TrainConfig, dataset: &Dataset, device: &Device) -> Result<Self, Error> {
        Ok(super::Trainer::new(config, dataset, device)?.into_model(&TrainState::default(), dataset))
    }

    /// Loss and accuracy on images, as in the tests of the training. `None` if interrupted.
    pub fn evaluate(&self, subset: &Subset, flip: bool, interrupt: &Interrupt) -> Option<Metrics> {
        self.test(subset, flip, interrupt).map(|evaluation| evaluation.metrics)
    }

    /// As [`evaluate`](Self::evaluate), with confusion matrix and answers per image.
    pub fn test(&self, subset: &Subset, flip: bool, interrupt: &Interrupt) -> Option<Evaluation> {
        score(&self.graph, &self.weights, &self.statistics, subset, (self.test_batch, flip), interrupt)
    }

    /// The answers to images, as in the tests of the training, and the duration in seconds. `None` if interrupted.
    pub(super) fn answers(&self, test: &Subset, interrupt: &Interrupt) -> Option<(Answers, f64)> {
        let began = Instant::now();
        let Evaluation { answers, .. } = self.test(test, self.test_flip, interrupt)?;
        Some((answers, began.elapsed().as_secs_f64()))
    }

    /// The record of a test with these answers, for the run directory.
    pub fn record(&self, dataset: &Dataset, flip: bool, answers: Answers) -> TestRecord {
        let cost = cost::network(&self.graph);
        let running: usize = self.graph.norms.iter().filter(|norm| norm.track).map(|norm| 2 * norm.channels).sum();
        let facts = TestFacts {
            data: dataset.name.clone(),
            digest: dataset.digest(),
            weights: self.origin.to_string(),
            flip,
            image: [self.image.height, self.image.width, self.image.channels],
            params: cost.params,
            multiply_adds: cost.multiply_adds,
            files: answers.mistakes.iter().map_while(|mistake| file_of(dataset, mistake.answer.index)).collect(),
            weight_bytes: (cost.params + running as u64) * size_of::<f32>() as u64,
        };
        TestRecord { facts, answers }
    }

    /// The event of a test that took `seconds`. Measures the latency of one image.
    pub fn tested(&self, step: u64, answers: &Answers, flip: bool, seconds: f64) -> Event {
        let images = answers.calibration.images();
        let images_per_second = images as f64 / seconds.max(1e-9);
        Event::Tested {
            step,
            images,
            calibration_error: answers.calibration.expected_error().unwrap_or(0.0),
            images_per_second,
            latency_seconds: (images_per_second > MIN_SPEED).then(|| self.latency(flip)),
        }
    }

    /// Median time for one image, in seconds.
    fn latency(&self, flip: bool) -> f64 {
        phase::enter("timing");
        let Shape { height, width, channels } = self.image;
        let pixels = vec![127; height * width * channels];
        let image = Images { pixels, labels: vec![0], ..Images::empty(height, width, channels) };
        let batch = EvaluationBatches::new(&self.statistics, &Subset::all(&Arc::new(image)), 1).batch(0);
        let measured = cost::latency::<Infallible>(LATENCY_BUDGET, || {
            std::hint::black_box(scores(&self.graph, &self.weights, &batch, flip).into_data());
            Ok(())
        });
        match measured {
            Ok(latency) => latency.median,
            Err(never) => match never {},
        }
    }

    /// Class probabilities `[images][classes]`. The images must have the size of the network's input.
    pub fn predict(&self, images: &Arc<Images>, flip: bool, interrupt: &Interrupt) -> Option<Vec<Vec<f32>>> {
        let batches = EvaluationBatches::new(&self.statistics, &Subset::all(images), 100);
        let mut probabilities = Vec::with_capacity(images.len());
        for step in 0..batches.steps() {
            if interrupt.is_requested() {
                return None;
            }
            let scores = scores(&self.graph, &self.weights, &batches.batch(step), flip);
            let values: Vec<f32> = softmax(scores, 1).into_data().iter::<f32>().collect();
            probabilities.extend(values.chunks_exact(self.classes.len()).map(<[f32]>::to_vec));
        }
        Some(probabilities)
    }

    /// The weights and running statistics as plain arrays, for export.
    pub fn export_weights(&self) -> PlainWeights {
        let params = self.weights.locate(&self.graph).into_iter().map(|index| self.weights.to_vec(index)).collect();
        let host = |running: Tensor<2>| running.into_data().iter::<f32>().collect();
        let running = self.weights.running_of(&self.graph);
        PlainWeights { params, running: running.into_iter().map(|r| r.map(host).unwrap_or_default()).collect() }
    }
}

/// File name of a test image; only its end if it is very long.
fn file_of(dataset: &Dataset, index: u64) -> Option<String> {
    let name = dataset.files.test.get(index as usize)?;
    let start = name.char_indices().rev().nth(MAX_NAME - 1).map_or(0, |(start, _)| start);
    Some(name[start..].to_owned())
}

/// Scores `[batch, classes]` with running statistics; with `flip`, averaged over each image and its mirror image.
fn scores(graph: &Arc<Graph>, weights: &Weights, batch: &Batch, flip: bool) -> Tensor<2> {
    let params: Vec<_> = weights.locate(graph).iter().map(|&i| weights.values[i].clone()).collect();
    let run = |image: Tensor<4>| {
        let running = weights.running_of(graph);
        let precision = weights.precision();
        let inputs = Inputs { image, params: params.clone(), gates: None, masks: None, running, precision };
        gdas_kernels::run(graph, Mode::Eval, inputs).outputs.swap_remove(0)
    };
    let image = batch.tensor(weights.device());
    if flip { (run(image.clone()) + run(image.flip([2]))) * 0.5 } else { run(image) }
}

/// Evaluates a network on images. `options` are batch size and test-time flip. `None` if interrupted.
pub fn score(
    graph: &Arc<Graph>,
    weights: &Weights,
    statistics: &Statistics,
    subset: &Subset,
    (batch_size, flip): (usize, bool),
    interrupt: &Interrupt,
) -> Option<Evaluation> {
    let batches = EvaluationBatches::new(statistics, subset, batch_size);
    let (mut parts, mut confusion, mut answers) = (Vec::new(), Confusion::default(), Answers::default());
    for step in 0..batches.steps() {
        if interrupt.is_requested() {
            return None;
        }
        phase::enter("test");
        let batch = batches.batch(step);
        let scores = scores(graph, weights, &batch, flip);
        parts.push(cross_entropy(&scores, &batch.labels, 0.0).1);
        confusion.add(&scores, &batch.labels);
        answers.add(&scores, &subset.images, batches.members(step));
    }
    Some(Evaluation { metrics: Metrics::over(&parts), confusion, answers })
}
