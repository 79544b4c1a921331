//! Training of a genotype from scratch (algorithm section 6).
//!
//! It uses the same loop as searches (`run/run_loop.rs`). The tested network has the same weights, no auxiliary head and
//! no drop-path, and uses running statistics.

mod builder;
mod model;
mod pace;
mod state;
mod task;

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use gdas_kernels::graph::{Graph, Shape};
use gdas_kernels::{Inputs, Mode};

use crate::Error;
use crate::config::TrainConfig;
use crate::data::{
    Augmentation, Batch, BatchOptions, BatchSource, Dataset, OnDevice, Position, Subset, TrainBatches, TrainSplit,
};
use crate::deferred::read_all;
use crate::loss::{Metrics, measure};
use crate::network::{self, NetworkConfig};
use crate::optim::{Sgd, SgdConfig, cosine};
use crate::rng::{Rng, Stream};
use crate::run::{Event, Interrupt, Journal, Observer, RunDir, Task, phase, run_loop};
use crate::space::Genotype;
use crate::weights::Weights;

pub use crate::run::Outcome;
pub use builder::{Train, Trained, Training};
pub use model::{Evaluation, TrainedModel, WeightChoice, WeightOrigin, score};
use pace::Pace;
pub use state::TrainResult;
pub use state::adopt;
use state::{ChosenEpoch, TrainState};
use task::TrainTask;
pub use task::{Replan, StepCount};

/// Trains a network, or resumes the training in `run`.
///
/// Work is spread over the current rayon thread pool; the result does not depend on its size.
///
/// # Errors
/// If the configuration does not fit the data or the run, a file cannot be read or written, or a number is not finite.
pub fn train(
    config: &TrainConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome<TrainResult>, Error> {
    let outcome = train_network(config, dataset, Some(run), None, observer, interrupt, device)?;
    Ok(outcome.map(|trained| trained.result))
}

/// As [`train()`], but `replan` is called after every step and may change the number of steps. A change is saved in a
/// checkpoint at once, so a resumed run follows it.
///
/// # Errors
/// As [`train()`].
pub fn train_with_plan(
    config: &TrainConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    replan: &mut Replan<'_>,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome<TrainResult>, Error> {
    let outcome = train_network(config, dataset, Some(run), Some(replan), observer, interrupt, device)?;
    Ok(outcome.map(|trained| trained.result))
}

/// As [`train()`]; without a run directory nothing is written, and an interrupted training is lost.
pub(crate) fn train_network(
    config: &TrainConfig,
    dataset: &Dataset,
    run: Option<&mut RunDir>,
    replan: Option<&mut Replan<'_>>,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome<Trained>, Error> {
    let place = run.as_ref().map(|run| run.path().to_path_buf());
    train_in(config, dataset, run, replan, observer, interrupt, device).map_err(|error| error.in_run(place.as_deref()))
}

fn train_in(
    config: &TrainConfig,
    dataset: &Dataset,
    run: Option<&mut RunDir>,
    replan: Option<&mut Replan<'_>>,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome<Trained>, Error> {
    let started = Instant::now();
    let mut trainer = Trainer::new(config, dataset, device)?;
    trainer.data_digest = dataset.digest();
    let source = TrainSource::new(config, dataset, &trainer.split.training, device);
    let may_change = replan.is_some();
    let mut task = TrainTask::new(trainer, dataset, source.steps(), replan);
    let interrupt = &match &run {
        Some(run) => interrupt.watching(run.path())?,
        None => interrupt.clone(),
    };
    let mut journal = Journal::new(run, observer);
    task.resume(&mut journal)?;
    if let Some(run) = journal.run() {
        run.begin_with(&config.data, &dataset.name, &task.trainer.data_digest)?;
    }
    journal.report(task.trainer.started(dataset, task.steps, task.steps_done()))?;
    if let Some(message) = task.trainer.split.warning() {
        journal.report(Event::Warning { message })?;
    }
    // If the plan may change, the last epoch is not known in advance.
    let epochs = if may_change || task.state.pace.is_some() { u64::MAX } else { config.epochs as u64 };
    let finished = run_loop(&mut task, source, epochs, config.checkpoint_seconds, &mut journal, interrupt)?;
    let step = task.steps_done();
    let TrainTask { trainer, mut state, .. } = task;
    if !finished {
        return Ok(Outcome::Interrupted { step });
    }
    if !trainer.test_chosen(&mut state, dataset, interrupt)? {
        journal.report(Event::Interrupted { step })?;
        return Ok(Outcome::Interrupted { step });
    }
    let result = TrainResult::new(&trainer, &state, dataset);
    let answers = state.answers.take();
    let network = trainer.into_model(&state, dataset);
    let mut tested = None;
    if let Some(run) = journal.run() {
        if let Some(test) = dataset.test_images() {
            // The answers are not in checkpoints: after a kill following the last test, they are computed again.
            let Some((answers, seconds)) = answers.or_else(|| network.answers(&test, interrupt)) else {
                journal.report(Event::Interrupted { step })?;
                return Ok(Outcome::Interrupted { step });
            };
            let record = network.record(dataset, network.test_flip, answers);
            run.write_test(&record)?;
            tested = Some(network.tested(step, &record.answers, network.test_flip, seconds));
        }
        run.write_result(&result)?;
    }
    tested.map_or(Ok(()), |event| journal.report(event))?;
    let seconds = started.elapsed().as_secs_f64();
    let (genotype, accuracy) = (result.genotype.clone(), result.test_accuracy);
    journal.report(Event::Finished { step, genotype, accuracy, seconds })?;
    Ok(Outcome::Finished(Box::new(Trained { network, result })))
}

/// Duration of a step on this machine, measured for this many seconds: at least one step, after a first one that is not
/// counted. For planning only, never for results. `None` if interrupted.
pub fn seconds_per_step(
    config: &TrainConfig,
    dataset: &Dataset,
    seconds: f64,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Option<f64>, Error> {
    let mut trainer = Trainer::new(config, dataset, device)?;
    let source = TrainSource::new(config, dataset, &trainer.split.training, device);
    let pace = trainer.pace(source.steps());
    let mut batch = Batch::default();
    crate::timing::measure_for(seconds, interrupt, |step| {
        source.fill(&mut batch, 0, step % source.steps());
        let step = step % pace.total;
        trainer.step(&batch, Position::START, step, pace, config.learning_rate).map(|_| ())
    })
}

/// The networks and their trained state.
struct Trainer<'a> {
    config: &'a TrainConfig,
    genotype: Genotype,
    /// With auxiliary head and drop-path.
    graph: Arc<Graph>,
    /// Indices of the graph's parameters among the weights.
    params: Vec<usize>,
    /// Without auxiliary head and drop-path.
    test_graph: Arc<Graph>,
    weights: Weights,
    sgd: Sgd,
    /// Moving average of the weights, if enabled.
    average: Option<Weights>,
    /// Images that train the weights, and images that choose the epoch.
    split: TrainSplit,
    /// The weights of the epoch chosen so far.
    chosen: Option<Weights>,
    /// Digest of the images, checked on resume; empty if only time is measured.
    data_digest: String,
}

impl<'a> Trainer<'a> {
    fn new(config: &'a TrainConfig, dataset: &Dataset, device: &Device) -> Result<Self, Error> {
        let genotype = Genotype::parse(&config.genotype, &config.space)?;
        let network = network_config(config, dataset);
        let blocks = genotype.space.derived_blocks(config.cells);
        let graph = network::derive(&blocks, &network, &genotype)?;
        let plain = NetworkConfig { auxiliary: false, drop_path: false, ..network };
        let test_graph = network::derive(&blocks, &plain, &genotype)?;
        let mut weights = Weights::new(config.seed, device);
        weights.compute_in(config.precision)?;
        weights.declare(&graph);
        let sgd = SgdConfig { momentum: config.momentum, nesterov: config.nesterov, weight_decay: config.weight_decay };
        Ok(Self {
            config,
            params: weights.locate(&graph),
            graph: Arc::new(graph),
            test_graph: Arc::new(test_graph),
            sgd: Sgd::new(sgd, weights.values.len()),
            average: (config.ema_decay > 0.0).then(|| weights.clone()),
            weights,
            genotype,
            split: TrainSplit::new(dataset, config.validation)?,
            chosen: None,
            data_digest: String::new(),
        })
    }

    /// The plan of the configuration, with this many steps per epoch.
    fn pace(&self, steps_per_epoch: u64) -> Pace {
        let all = self.config.epochs as u64 * steps_per_epoch;
        Pace::new(self.config.max_steps.or(usize::MAX) as u64).shortened_to(all)
    }

    /// Learning rate at a position on the schedule: linear warm-up, then a cosine over the rest.
    fn rate(&self, position: f64, planned: u64, steps_per_epoch: u64) -> f64 {
        let config = self.config;
        let warmup = config.warmup_epochs * steps_per_epoch as f64;
        if position < warmup {
            return config.learning_rate * ((position + 1.0) / warmup).min(1.0);
        }
        let total = planned as f64 - warmup;
        cosine(config.learning_rate, config.learning_rate_min, position - warmup, total)
    }

    fn step(&mut self, batch: &Batch, at: Position, step: u64, pace: Pace, rate: f64) -> Result<Metrics, Error> {
        phase::enter("training step");
        let config = self.config;
        let device = self.weights.device().clone();
        let leaves: Vec<_> =
            self.params.iter().map(|&i| self.weights.values[i].clone().autodiff().require_grad()).collect();
        let dropped = config.drop_path * pace.position(step) / pace.planned() as f64;
        let inputs = Inputs {
            image: batch.tensor(&device),
            params: leaves.clone(),
            gates: None,
            masks: self.masks(step, batch.len(), dropped, &device),
            running: vec![],
            precision: self.weights.precision(),
        };
        let outcome = gdas_kernels::run(&self.graph, Mode::Train, inputs);
        let (mut loss, mut metrics) = measure(&outcome.outputs[0], &batch.labels, config.label_smoothing);
        if let Some(auxiliary) = outcome.outputs.get(1) {
            loss = loss + measure(auxiliary, &batch.labels, config.label_smoothing).0 * config.auxiliary_weight;
        }
        if let Some(metrics) = metrics.known() {
            Error::finite(metrics.loss, "the training loss", at)?;
        }
        let gradients = loss.backward();
        let gradients = leaves.iter().map(|leaf| leaf.grad(&gradients)).collect();
        drop(leaves);
        let mut norm = self.sgd.apply(&mut self.weights, &self.params, gradients, config.clip_norm, rate);
        if let Some(&norm) = norm.known() {
            Error::finite(norm, "the gradient of the weights", at)?;
        }
        self.weights.update_running(&self.graph, &outcome.stats, batch.len());
        if let Some(average) = &mut self.average {
            // A smaller decay in the first steps, so that the average soon forgets the random start.
            let decay = config.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64));
            average.approach(&self.weights, 1.0 - decay);
        }
        // On a GPU, all results are read here, once the whole step has been queued.
        read_all(&mut [&mut metrics, &mut norm]);
        let metrics = metrics.get();
        Error::finite(metrics.loss, "the training loss", at)?;
        Error::finite(norm.get(), "the gradient of the weights", at)?;
        Ok(metrics)
    }

    /// Factors per path and image: zero for a dropped path, otherwise the inverse of the kept fraction.
    fn masks(&self, step: u64, batch: usize, dropped: f64, device: &Device) -> Option<Tensor<2>> {
        let paths = self.graph.masks;
        if paths == 0 {
            return None;
        }
        let mut rng = Rng::new(self.config.seed, Stream::DropPath, step);
        let mut factor = || if rng.uniform() < dropped { 0.0 } else { (1.0 / (1.0 - dropped)) as f32 };
        let factors = (0..paths * batch).map(|_| factor()).collect();
        Some(Tensor::from_data(TensorData::new::<f32, _>(factors, [paths, batch]), device))
    }

    /// The weights for evaluation: the moving average if enabled, otherwise the weights themselves.
    fn evaluated(&self) -> &Weights {
        self.average.as_ref().unwrap_or(&self.weights)
    }

    /// Evaluates weights on images. `None` if interrupted.
    fn score(
        &self,
        weights: &Weights,
        subset: &Subset,
        dataset: &Dataset,
        interrupt: &Interrupt,
    ) -> Option<Evaluation> {
        let options = (test_batch(self.config), self.config.test_flip);
        score(&self.test_graph, weights, &dataset.statistics, subset, options, interrupt)
    }

    /// Validates or tests the network if due. If an epoch is chosen by validation, the test images are used only at the end.
    /// False if interrupted.
    fn end_epoch(
        &mut self,
        state: &mut TrainState,
        (epoch, last): (u64, bool),
        dataset: &Dataset,
        interrupt: &Interrupt,
    ) -> Result<bool, Error> {
        (state.tested, state.confusion, state.answers, state.validated) = (None, None, None, None);
        if last || (epoch + 1).is_multiple_of(self.config.test_interval as u64) {
            if let Some(validation) = &self.split.validation {
                let Some(Evaluation { metrics, .. }) = self.score(self.evaluated(), validation, dataset, interrupt)
                else {
                    return Ok(false);
                };
                Error::finite_after(metrics.loss, "the validation loss", epoch)?;
                state.validated = Some(metrics);
                // On a tie the later epoch wins: it is trained longer.
                if state.chosen.is_none_or(|chosen| metrics.accuracy >= chosen.accuracy) {
                    state.chosen = Some(ChosenEpoch { epoch, accuracy: metrics.accuracy, loss: metrics.loss });
                    self.chosen = Some(self.evaluated().clone());
                }
            } else if let Some(test) = dataset.test_images()
                && !self.test(self.evaluated(), (&test, epoch), state, dataset, interrupt)?
            {
                return Ok(false);
            }
        }
        state.untested = None;
        Ok(true)
    }

    /// Tests the weights of the chosen epoch, if any, once. False if interrupted.
    fn test_chosen(&self, state: &mut TrainState, dataset: &Dataset, interrupt: &Interrupt) -> Result<bool, Error> {
        if let (Some(chosen), Some(test)) = (&self.chosen, dataset.test_images()) {
            return self.test(chosen, (&test, state.at.epoch.saturating_sub(1)), state, dataset, interrupt);
        }
        Ok(true)
    }

    /// Tests the weights of an epoch. False if interrupted.
    fn test(
        &self,
        weights: &Weights,
        (test, epoch): (&Subset, u64),
        state: &mut TrainState,
        dataset: &Dataset,
        interrupt: &Interrupt,
    ) -> Result<bool, Error> {
        let began = Instant::now();
        let Some(Evaluation { metrics, confusion, answers }) = self.score(weights, test, dataset, interrupt) else {
            return Ok(false);
        };
        Error::finite_after(metrics.loss, "the test loss", epoch)?;
        (state.tested, state.confusion) = (Some(metrics), Some(confusion));
        state.answers = Some((answers, began.elapsed().as_secs_f64()));
        Ok(true)
    }

    /// The trained network, with the weights of the chosen epoch or the last ones.
    fn into_model(self, state: &TrainState, dataset: &Dataset) -> TrainedModel {
        let origin = match (state.chosen, &self.average) {
            (Some(ChosenEpoch { epoch, accuracy, .. }), _) => WeightOrigin::Chosen { epoch, accuracy },
            (None, Some(_)) => WeightOrigin::Average,
            (None, None) => WeightOrigin::Last,
        };
        TrainedModel {
            genotype: self.genotype,
            image: self.test_graph.shape(0),
            graph: self.test_graph,
            weights: self.chosen.or(self.average).unwrap_or(self.weights),
            classes: dataset.classes.clone(),
            statistics: dataset.statistics.clone(),
            origin,
            test_flip: self.config.test_flip,
            data_digest: self.data_digest,
            test_batch: test_batch(self.config),
        }
    }

    fn started(&self, dataset: &Dataset, steps: u64, step: u64) -> Event {
        Event::Started {
            task: "train".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            algorithm: "sgd".to_owned(),
            space: self.genotype.space.name.clone(),
            data: dataset.name.clone(),
            classes: dataset.classes.len(),
            train_images: self.split.training.len(),
            validation_images: self.split.validation.as_ref().map_or(0, Subset::len),
            held_out_images: dataset.test_images().map_or(0, |test| test.len()),
            epochs: self.config.epochs,
            steps_per_epoch: steps as usize,
            parameters: self.weights.count(),
            seed: self.config.seed,
            threads: rayon::current_num_threads(),
            step,
        }
    }
}

/// Batch size of tests.
fn test_batch(config: &TrainConfig) -> usize {
    config.batch_size.max(100)
}

fn network_config(config: &TrainConfig, dataset: &Dataset) -> NetworkConfig {
    let images = &dataset.train;
    NetworkConfig {
        image: Shape::new(images.height, images.width, images.channels),
        classes: dataset.classes.len(),
        channels: config.channels,
        stem: config.stem.stem(images.height.max(images.width)),
        affine: true,
        track: true,
        auxiliary: config.auxiliary_weight > 0.0,
        drop_path: config.drop_path > 0.0,
    }
}

/// The training batches, at most `max_steps_per_epoch` steps per epoch.
struct TrainSource {
    batches: TrainBatches,
    steps: u64,
}

impl TrainSource {
    fn new(config: &TrainConfig, dataset: &Dataset, training: &Subset, device: &Device) -> Self {
        let standard = Augmentation::standard(dataset.train.height.min(dataset.train.width), dataset.flip);
        let augmentation = Augmentation {
            flip: config.flip.or(dataset.flip),
            crop_padding: config.crop_padding.or(standard.crop_padding),
            cutout: config.cutout,
        };
        let options =
            BatchOptions { batch_size: config.batch_size, drop_last: false, augmentation, sampling: config.sampling };
        let on_device = OnDevice::new(&[&dataset.train], &dataset.statistics, device);
        let batches = TrainBatches::new(dataset, training, &options, config.seed);
        let batches = batches.on_device(&on_device);
        let steps = (config.max_steps_per_epoch.or(usize::MAX) as u64).min(batches.steps());
        Self { batches, steps }
    }
}

impl BatchSource for TrainSource {
    type Batch = Batch;

    fn steps(&self) -> u64 {
        self.steps
    }

    fn fill(&self, batch: &mut Batch, epoch: u64, step: u64) {
        self.batches.fill(batch, epoch, step);
    }
}
