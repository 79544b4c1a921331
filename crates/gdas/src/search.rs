//! The search loop (algorithm section 3): alternate a weight step on the training half with an
//! architecture step on the held-out half, one fresh draw each.
//!
//! Read [`search`] top to bottom; [`Searcher::weight_step`] and [`Searcher::alpha_step`] are the two
//! halves of a step. Everything random is a function of (seed, purpose, step), so the state of a search is
//! what `search/state.rs` saves and nothing else.

mod batches;
mod bounds;
mod collapse;
mod events;
mod parallel;
mod result;
mod state;

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use gdas_kernels::Mode;
use gdas_kernels::graph::Shape;

use crate::Error;
use crate::algorithms::{self, Judge, Own};
use crate::budget::Bound;
use crate::config::{Algorithm, EdgeOutput, SearchConfig, Selection, Undrawn};
use crate::data::{Batch, BatchSource, Dataset, EvaluationBatches, OnDevice, Position, Prefetch, SearchBatch, Subset};
use crate::device::{self, Work};
use crate::loss::{Measured, Metrics, cross_entropy, measure};
use crate::network::{NetworkConfig, Stem};
use crate::optim::{Adam, AdamConfig, Norm, Sgd, SgdConfig, cosine, tau};
use crate::rng::{Rng, Stream};
use crate::run::{Cadence, Event, Interrupt, Observer, RunDir, RunError, phase, read_checkpoint};
use crate::sampler::{self, Draw, DrawError, Table};
use crate::space::Genotype;
use crate::supernet::{SubNetwork, Supernet};
use crate::unread::{self, Numbers, Unread};

use events::{per_second, step_event};
pub use result::SearchResult;

/// How a call of [`search`] ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The search is complete; `result.json` is written.
    Finished(Box<SearchResult>),
    /// It was asked to stop; a checkpoint of this very step is durable.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

/// Searches, or goes on with the search that `run` holds.
///
/// Work is spread over the current rayon thread pool; the result does not depend on its size.
pub fn search(
    config: &SearchConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Outcome, Error> {
    search_on(config, dataset, run, observer, interrupt, std::slice::from_ref(device))
}

/// As [`search()`], on several devices that share every batch (experimental): as many as the configuration says. The
/// first holds the weights.
pub fn search_on(
    config: &SearchConfig,
    dataset: &Dataset,
    run: &mut RunDir,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
    devices: &[Device],
) -> Result<Outcome, Error> {
    let (asked, given) = (config.devices, devices.len());
    let first = devices.first().filter(|_| given == asked).ok_or_else(|| {
        Error::Unsuitable(format!("the configuration says `devices = {asked}`, and the search was given {given}"))
    })?;
    let split = batches::split(config, dataset)?;
    let mut searcher = Searcher::new(config, dataset, first)?.on_devices(devices);
    let source = batches::Source::new(config, dataset, &split, &searcher.on_device);
    let steps = source.steps();
    let weight_steps = source.weight_steps();
    let epochs = config.epochs as u64;

    let timed_now = searcher.set_bounds(run)?;
    let resumed = searcher.resume(run, observer, dataset)?;
    if timed_now && resumed.is_some() {
        let what =
            "latency.json is missing from the run directory; with other times the search would go on differently";
        return Err(Error::Unsuitable(what.into()));
    }
    let mut progress = resumed.unwrap_or_default();
    let mut tell = |run: &mut RunDir, event: Event| -> Result<(), RunError> {
        observer.event(&event);
        run.log(&event)
    };
    tell(run, searcher.started(dataset, &split, steps, progress.step(steps)))?;

    let interrupt = &interrupt.heeding(run.path())?;
    let started = Instant::now();
    let mut cadence = Cadence::new(config.checkpoint_seconds);
    let mut epoch_clock = (Instant::now(), progress.at.step);
    let mut log_clock = (Instant::now(), progress.step(steps));
    let mut prefetch = Prefetch::start(source, progress.at, epochs)?;
    while progress.at.epoch < epochs && progress.watch.stopped.is_none() {
        let epoch = progress.at.epoch;
        let tau = tau(config.tau_max, config.tau_min, epoch as usize, config.epochs);
        let rate = config.learning_rate_factor()
            * learning_rate(config, epoch * weight_steps + progress.at.step.min(weight_steps), weight_steps);
        let (at, pair) = prefetch.next().ok_or_else(|| Error::Unsuitable("the batches ended early".into()))??;
        debug_assert_eq!(at, progress.at);

        let now = Now { at, step: progress.step(steps), tau, rate };
        let taken = algorithms::step(&mut searcher, &pair, now)?;
        prefetch.recycle(pair);

        progress.sums.add(&taken);
        progress.at = at.next(steps);
        let done = progress.step(steps);
        if config.log_interval > 0 && done.is_multiple_of(config.log_interval as u64) {
            let speed = per_second(log_clock.0, done - log_clock.1);
            log_clock = (Instant::now(), done);
            tell(run, step_event(at, done, &taken, &progress.sums, tau, rate, speed))?;
        }
        if progress.at.step == 0 {
            let speed = per_second(epoch_clock.0, steps - epoch_clock.1);
            epoch_clock = (Instant::now(), 0);
            let event = searcher.end_epoch(&mut progress, epoch, steps, tau, rate, speed);
            tell(run, event)?;
            if let Some(event) = searcher.early_stop(&mut progress, epoch, done) {
                tell(run, event)?;
            }
        }
        let (stop, pause) = (interrupt.is_requested(), interrupt.is_paused());
        let last = progress.at.epoch == epochs || progress.watch.stopped.is_some();
        if stop || pause || last || cadence.is_due() {
            let began = Instant::now();
            let event = searcher.save(run, &progress, steps)?;
            cadence.saved(began);
            tell(run, event)?;
        }
        if pause {
            let waited = interrupt.wait(done, |event| tell(run, event))?;
            (log_clock.0, epoch_clock.0) = (log_clock.0 + waited, epoch_clock.0 + waited);
        }
        if interrupt.is_requested() && (stop || pause) {
            tell(run, Event::Interrupted { step: done })?;
            return Ok(Outcome::Interrupted { step: done });
        }
    }
    drop(prefetch);

    // The cell, and its accuracy with the shared weights on the held-out half.
    let judge = Judge::new(config, dataset, &split.alpha).on_device(&searcher.on_device);
    let step = progress.step(steps);
    // Whatever ends a search early has also said which cell is its result.
    let judges = searcher.judges() && progress.watch.stopped.is_none();
    let mut told = |done, candidates| tell(run, Event::Judging { step, candidates, done });
    let found = match algorithms::conclude(&searcher, &judge, judges, interrupt, &mut told)? {
        Some((found, judged)) => {
            let found = progress.watch.reported(found);
            let accuracy = searcher.evaluate(&found, dataset, &split.alpha, interrupt)?;
            accuracy.map(|accuracy| (accuracy, found, judged))
        }
        None => None,
    };
    let Some((accuracy, genotype, judged)) = found else {
        tell(run, Event::Interrupted { step })?;
        return Ok(Outcome::Interrupted { step });
    };
    if let Some(judged) = judged {
        tell(
            run,
            Event::Judged { step, genotype: genotype.to_string(), loss: judged.loss, own_loss: judged.own_loss },
        )?;
    }
    Error::finite(accuracy, "a class score of the cell found", progress.at)?;
    if let Some(warning) = bounds::exceeded(&searcher.standings(&genotype)) {
        tell(run, warning)?;
    }
    let result = SearchResult::new(&searcher, &progress, dataset, &genotype, accuracy)?;
    run.write_result(&result)?;
    let seconds = started.elapsed().as_secs_f64();
    tell(run, Event::Finished { step, genotype: result.genotype.clone(), accuracy: Some(accuracy), seconds })?;
    Ok(Outcome::Finished(Box::new(result)))
}

/// The learning rate of the weights after so many weight steps of the search.
fn learning_rate(config: &SearchConfig, done: u64, steps_per_epoch: u64) -> f64 {
    let (mut done, mut total) = (done, config.epochs as u64 * steps_per_epoch);
    if config.algorithm == Algorithm::Enas {
        // Down and up again, over and over.
        total = total.min(algorithms::enas::HALF_PERIOD * steps_per_epoch);
        done %= 2 * total;
        done = done.min(2 * total - done);
    }
    cosine(config.learning_rate, config.learning_rate_min, done as f64, total as f64)
}

/// When a step is taken, and the schedules' values there.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Its place.
    pub at: Position,
    /// Its number in the whole search, from 0.
    pub step: u64,
    /// Temperature of the draw.
    pub tau: f64,
    /// Learning rate of the weights.
    pub rate: f64,
}

/// What a pass is differentiated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Nothing: forward only.
    Nothing,
    /// The weights.
    Weights,
    /// The gates.
    Gates,
    /// Weights and gates.
    Both,
}

/// What a pass through a network reads, all on one device.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    /// `[n, height, width, channels]`.
    image: Tensor<4>,
    /// Classes, `[n]`.
    labels: &'a [u32],
    /// Weights in the network's order.
    params: Vec<Tensor<1>>,
    gates: Tensor<1>,
    /// Factors of skip connections, `[skips, n]`.
    masks: Option<Tensor<2>>,
}

/// What a pass through a network gave.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Loss and accuracy.
    pub(crate) metrics: Measured,
    /// What the normalisations used.
    pub(crate) stats: Vec<Tensor<2>>,
    /// Gradients of the weights, in the network's order, if asked for.
    pub(crate) weights: Vec<Option<Tensor<1>>>,
    /// Gradient of the gates; zeros if not asked for.
    pub(crate) gates: Numbers,
}

/// What it came to that weights have learned. On the processor it is known to be finite; on a graphics processor that is
/// seen when it is read.
#[derive(Debug)]
pub(crate) struct Learned {
    metrics: Measured,
    /// Of the gradient, before clipping.
    norm: Norm,
}

impl Learned {
    /// Loss and accuracy on the training batch of the step at this place; read now, if they were not before.
    pub(crate) fn metrics(mut self, at: Position) -> Result<Metrics, Error> {
        unread::read(&mut self.unread());
        let metrics = self.metrics.get();
        Error::finite(metrics.loss, "the training loss", at)?;
        Error::finite(self.norm.get(), "the gradient of the weights", at)?;
        Ok(metrics)
    }

    /// What may have to be read.
    fn unread(&mut self) -> [&mut dyn Unread; 2] {
        [&mut self.metrics, &mut self.norm]
    }
}

/// Everything that learns.
#[derive(Clone, Debug)]
pub struct Searcher<'a> {
    /// How it learns.
    pub config: &'a SearchConfig,
    /// Shared weights.
    pub supernet: Supernet,
    /// One table of logits per searched cell.
    pub alpha: Vec<Table>,
    pub(crate) sgd: Sgd,
    adam: Adam,
    /// What the network may cost.
    bounds: Vec<Bound>,
    /// What the algorithm keeps besides alpha.
    pub(crate) own: Own,
    /// Of the images, so that a resumed search is sure to go on with the same.
    data_digest: String,
    /// Images that the device makes batches of.
    on_device: OnDevice,
    /// Devices that share every batch that is learned from. The first holds all the rest.
    devices: Vec<Device>,
}

impl<'a> Searcher<'a> {
    /// Fresh weights, alpha near zero.
    pub fn new(config: &'a SearchConfig, dataset: &Dataset, device: &Device) -> Result<Self, Error> {
        let space = config.space.clone();
        let images = &dataset.train;
        let network = NetworkConfig {
            image: Shape::new(images.height, images.width, images.channels),
            classes: dataset.classes.len(),
            channels: config.channels,
            stem: Stem::for_size(images.height.max(images.width)),
            affine: config.affine,
            track: config.track_running_stats,
            auxiliary: false,
            drop_path: false,
        };
        // Two algorithms do not learn alpha: to them it is what they tell of their choice.
        let deviation = if config.algorithm.learns_alpha() { config.alpha_init_std } else { 0.0 };
        let mut alpha = Vec::new();
        for (index, cell) in space.cells.iter().enumerate() {
            let mut rng = Rng::new(config.seed, Stream::Alpha, index as u64);
            let mut row = || (0..cell.width()).map(|_| deviation * rng.normal()).collect::<Vec<f64>>();
            alpha.push(cell.edges().iter().map(|_| row()).collect());
        }
        let mut supernet = Supernet::new(space, config.cells, network, config.seed, device)?;
        supernet.drop_skips = config.skip_dropout > 0.0;
        supernet.weights.compute_in(config.precision)?;
        let sgd = SgdConfig { momentum: config.momentum, nesterov: config.nesterov, weight_decay: config.weight_decay };
        let sgd = Sgd::new(sgd, supernet.weights.values.len());
        let adam = AdamConfig {
            rate: config.alpha_learning_rate,
            betas: config.alpha_betas,
            epsilon: config.alpha_epsilon,
            weight_decay: config.alpha_weight_decay,
        };
        let adam = Adam::new(adam, &alpha);
        let own = Own::new(config, &supernet.space);
        let on_device = batches::on_device(config, dataset, device);
        let (bounds, data_digest, devices) = (vec![], dataset.digest(), vec![device.clone()]);
        Ok(Self { config, supernet, alpha, sgd, adam, bounds, own, data_digest, on_device, devices })
    }

    /// Lets several devices share every batch. The first must be the one that the searcher was made on.
    #[must_use]
    pub fn on_devices(self, devices: &[Device]) -> Self {
        Self { devices: devices.to_vec(), ..self }
    }

    /// As the newest checkpoint of the run at `path` has it, and the number of that checkpoint. The run, which may be at
    /// work, is only read.
    pub fn of_run(
        config: &'a SearchConfig,
        path: &Path,
        dataset: &Dataset,
        device: &Device,
    ) -> Result<(Self, u64), Error> {
        let mut searcher = Self::new(config, dataset, device)?;
        let loaded = read_checkpoint(path)?;
        let loaded = loaded.ok_or_else(|| Error::Unsuitable(format!("{} has no checkpoint yet", path.display())))?;
        searcher.restore(loaded.checkpoint, dataset)?;
        Ok((searcher, loaded.generation))
    }

    pub(crate) fn draw(&self, stream: Stream, step: u64, tau: f64) -> Result<Vec<Draw>, DrawError> {
        let mut rng = Rng::new(self.config.seed, stream, step);
        self.alpha.iter().map(|table| sampler::draw(table, tau, &mut rng)).collect()
    }

    /// Weights of a fresh draw learn from a training batch: cross-entropy, clipped gradient, SGD.
    pub fn weight_step(
        &mut self,
        batch: &Batch,
        at: Position,
        step: u64,
        tau: f64,
        rate: f64,
    ) -> Result<(Metrics, Vec<Draw>), Error> {
        let (learned, draws) = self.begin_step(batch, Now { at, step, tau, rate })?;
        Ok((learned.metrics(at)?, draws))
    }

    /// As [`weight_step`](Self::weight_step), but nothing is read yet.
    pub(crate) fn begin_step(&mut self, batch: &Batch, now: Now) -> Result<(Learned, Vec<Draw>), Error> {
        phase::enter("weight step");
        let draws = self.draw(Stream::DrawWeights, now.step, now.tau)?;
        let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
        Ok((self.learn_drawn(&picks, batch, now)?, draws))
    }

    /// The weights of one drawn sub-network learn from a training batch.
    pub(crate) fn learn_drawn(&mut self, picks: &[Vec<usize>], batch: &Batch, now: Now) -> Result<Learned, Error> {
        // The gates are constants here, so both published forms give the same weights.
        let net = self.supernet.sub_network(picks, EdgeOutput::PickedGate);
        self.learn(&net, self.supernet.gates(), batch, now)
    }

    /// The weights of a network learn from a training batch, its gates being constants.
    pub(crate) fn learn(
        &mut self,
        net: &SubNetwork,
        gates: Tensor<1>,
        batch: &Batch,
        now: Now,
    ) -> Result<Learned, Error> {
        let Now { at, step, rate, .. } = now;
        let masks = self.skip_masks(net, at, step, 0, batch.len());
        let pass = self.differentiate(net, self.values(net), gates, masks, batch, Of::Weights);
        if let Some(metrics) = pass.metrics.known() {
            Error::finite(metrics.loss, "the training loss", at)?;
        }
        // The reference's norm also counts alpha's gradient, stale from the step before; ours is of the weights alone.
        let weights = &mut self.supernet.weights;
        let norm = self.sgd.apply(weights, &net.params, pass.weights, self.config.clip_norm, rate);
        if let Some(norm) = norm.known() {
            Error::finite(norm, "the gradient of the weights", at)?;
        }
        if self.config.undrawn == Undrawn::Decay {
            let drawn: std::collections::BTreeSet<_> = net.params.iter().copied().collect();
            // Before its first gradient, a weight had none to be zeroed: PyTorch passed it over.
            let undrawn = |i: &usize| !drawn.contains(i) && self.sgd.momentum[*i].is_some();
            let undrawn: Vec<usize> = (0..weights.values.len()).filter(undrawn).collect();
            self.sgd.coast(weights, &undrawn, rate);
        }
        weights.update_running(&net.graph, &pass.stats, batch.len());
        Ok(Learned { metrics: pass.metrics, norm })
    }

    /// Alpha learns from a held-out batch through a fresh draw. The weights are constants: no gradient of theirs is
    /// computed. Returns the metrics and the number of repeated draws.
    pub fn alpha_step(&mut self, batch: &Batch, at: Position, step: u64, tau: f64) -> Result<(Metrics, u64), Error> {
        // The learning rate is the weights' own.
        let (_, metrics, redraws) = self.end_step(None, batch, Now { at, step, tau, rate: 0.0 })?;
        Ok((metrics, redraws))
    }

    /// As [`alpha_step`](Self::alpha_step); what the weight step before it has left is read with its own numbers, and
    /// comes first.
    pub(crate) fn end_step(
        &mut self,
        learned: Option<Learned>,
        batch: &Batch,
        now: Now,
    ) -> Result<(Option<Metrics>, Metrics, u64), Error> {
        phase::enter("alpha step");
        let draws = self.draw(Stream::DrawAlpha, now.step, now.tau)?;
        let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
        let net = self.supernet.sub_network(&picks, self.config.edge_output);
        let gradient = |supernet: &Supernet, gates: &[f32]| -> Vec<Table> {
            let gates = supernet.gate_gradients(&draws, gates);
            draws.iter().zip(&gates).map(|(d, g)| sampler::alpha_gradient(d, g)).collect()
        };
        let (train, held_out) = self.move_alpha(&net, self.supernet.gates(), batch, now, learned, gradient)?;
        Ok((train, held_out, draws.iter().map(|draw| draw.redraws).sum()))
    }

    /// Alpha learns from a held-out batch; `gradient` takes the gradient of the network's gates to alpha. Whatever the
    /// step has left on the device is read here, with the one thing that has to be: the host needs that gradient for the
    /// next draw.
    pub(crate) fn move_alpha(
        &mut self,
        net: &SubNetwork,
        gates: Tensor<1>,
        batch: &Batch,
        now: Now,
        mut learned: Option<Learned>,
        gradient: impl Fn(&Supernet, &[f32]) -> Vec<Table>,
    ) -> Result<(Option<Metrics>, Metrics), Error> {
        let Now { at, step, .. } = now;
        let resting = self.alpha_rests(at);
        let of = if resting { Of::Nothing } else { Of::Gates };
        let masks = self.skip_masks(net, at, step, 1, batch.len());
        let mut pass = self.differentiate(net, self.values(net), gates, masks, batch, of);
        let mut left: Vec<&mut dyn Unread> = vec![&mut pass.metrics, &mut pass.gates];
        left.extend(learned.iter_mut().flat_map(Learned::unread));
        unread::read(&mut left);
        let train = learned.map(|learned| learned.metrics(at)).transpose()?;
        let metrics = pass.metrics.get();
        Error::finite(metrics.loss, "the held-out loss", at)?;
        if !resting {
            self.descend(&gradient(&self.supernet, &pass.gates.get()), at)?;
            self.supernet.weights.update_running(&net.graph, &pass.stats, batch.len());
        }
        Ok((train, metrics))
    }

    /// Whether it is too early for alpha to learn.
    pub(crate) fn alpha_rests(&self, at: Position) -> bool {
        at.epoch < self.config.alpha_warmup_epochs as u64
    }

    /// Adam moves alpha along a gradient, to which the penalties add theirs.
    pub(crate) fn descend(&mut self, gradients: &[Table], at: Position) -> Result<(), Error> {
        Error::finite(gradients.iter().flatten().flatten().sum(), "the gradient of alpha", at)?;
        let mut gradients = gradients.to_vec();
        self.penalise(&mut gradients);
        self.adam.step(&mut self.alpha, &gradients);
        Ok(())
    }

    /// The weights of a network, in its own order.
    pub(crate) fn values(&self, net: &SubNetwork) -> Vec<Tensor<1>> {
        net.params.iter().map(|&i| self.supernet.weights.values[i].clone()).collect()
    }

    /// The network of a genotype, over the shared weights.
    fn derived(&self, genotype: &Genotype) -> Result<SubNetwork, Error> {
        Ok(self.supernet.derived(genotype)?)
    }

    /// One pass through a network in training mode, and back as far as gradients are asked for; the devices share the
    /// batch.
    pub(crate) fn differentiate(
        &self,
        net: &SubNetwork,
        params: Vec<Tensor<1>>,
        gates: Tensor<1>,
        masks: Option<Tensor<2>>,
        batch: &Batch,
        of: Of,
    ) -> Pass {
        let image = batch.tensor(self.supernet.weights.device());
        let given = Given { image, labels: &batch.labels, params, gates, masks };
        parallel::shared(&self.devices, given, |given| self.pass(net, given, of))
    }

    /// As [`differentiate`](Self::differentiate), on the one device that holds what is given.
    fn pass(&self, net: &SubNetwork, given: Given, of: Of) -> Pass {
        let Given { image, labels, params, gates, masks } = given;
        let of_weights = matches!(of, Of::Weights | Of::Both);
        let of_gates = matches!(of, Of::Gates | Of::Both);
        let lift = |x: Tensor<1>, wanted: bool| if wanted { x.autodiff().require_grad() } else { x };
        let params: Vec<_> = params.into_iter().map(|param| lift(param, of_weights)).collect();
        let zeros = vec![0.0; gates.dims()[0]];
        let gates = lift(gates, of_gates);
        let outcome = self.supernet.run_masked(net, Mode::Train, image, params.clone(), gates.clone(), masks);
        let (loss, metrics) = measure(&outcome.outputs[0], labels, 0.0);
        let worth_it = metrics.known().is_none_or(|metrics| metrics.loss.is_finite());
        let mut pass = Pass { metrics, stats: outcome.stats, weights: vec![], gates: Numbers::Known(zeros) };
        if worth_it && (of_weights || of_gates) {
            let gradients = loss.backward();
            if of_weights {
                pass.weights = params.iter().map(|param| param.grad(&gradients)).collect();
            }
            if let Some(gradient) = gates.grad(&gradients).filter(|_| of_gates) {
                pass.gates = Numbers::Unread(gradient);
            }
        }
        pass
    }

    /// Accuracy of a drawn sub-network on a batch as the published selections measure it: with running statistics
    /// where they are kept, the batch's own elsewhere.
    pub(crate) fn accuracy(&self, picks: &[Vec<usize>], batch: &Batch) -> Result<Metrics, Error> {
        let net = self.derived(&Genotype::from_picks(&self.supernet.space, picks))?;
        Ok(self.measure(&net, self.values(&net), Mode::Eval, batch))
    }

    /// Loss and accuracy of a derived network on a batch, forward only.
    fn measure(&self, net: &SubNetwork, params: Vec<Tensor<1>>, mode: Mode, batch: &Batch) -> Metrics {
        let image = batch.tensor(self.supernet.weights.device());
        let outcome = self.supernet.run(net, mode, image, params, self.supernet.gates());
        cross_entropy(&outcome.outputs[0], &batch.labels, 0.0).1
    }

    /// Whether alpha alone would decide, but does not.
    fn judges(&self) -> bool {
        self.config.selection == Selection::Judged && !self.config.algorithm.samples_whole_cells()
    }

    /// Mean loss of a genotype with the shared weights over some batches, normalised by each batch's statistics.
    pub(crate) fn loss(&self, genotype: &Genotype, batches: &[Batch]) -> Result<f64, Error> {
        phase::enter("judging");
        let net = self.derived(genotype)?;
        let params = self.values(&net);
        let losses = batches.iter().map(|batch| self.measure(&net, params.clone(), Mode::Train, batch).loss);
        Ok(losses.sum::<f64>() / batches.len().max(1) as f64)
    }

    /// Accuracy of a genotype with the shared weights. Normalisation uses the batch's statistics, since running ones
    /// mix those of every draw. `None` if interrupted, NaN if a class score is not finite.
    pub fn evaluate(
        &self,
        genotype: &Genotype,
        dataset: &Dataset,
        subset: &Subset,
        interrupt: &Interrupt,
    ) -> Result<Option<f64>, Error> {
        let net = self.derived(genotype)?;
        let params = self.values(&net);
        let batches = EvaluationBatches::new(&dataset.statistics, &subset.mixed(), self.config.batch_size.max(100));
        let batches = batches.on_device(&self.on_device);
        let mut correct = 0.0;
        for step in 0..batches.steps() {
            if interrupt.is_requested() {
                return Ok(None);
            }
            phase::enter("evaluation");
            let batch = batches.batch(step);
            let metrics = self.measure(&net, params.clone(), Mode::Train, &batch);
            let accuracy = if metrics.loss.is_finite() { metrics.accuracy } else { f64::NAN };
            correct += accuracy * batch.len() as f64;
        }
        Ok(Some(correct / subset.len() as f64))
    }
}

/// The images that a search holds out: those that alpha learns on.
pub fn held_out(config: &SearchConfig, dataset: &Dataset) -> Result<Subset, Error> {
    Ok(batches::split(config, dataset)?.alpha)
}

/// What a step costs on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// How long it takes.
    pub seconds: f64,
    /// The engine's work on a graphics processor; `None` on the processor.
    pub work: Option<Work>,
}

/// What a step costs here, by trying a few; for planning, never for results. `None` if interrupted.
pub fn step_cost(
    config: &SearchConfig,
    dataset: &Dataset,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Option<StepCost>, Error> {
    let mut searcher = Searcher::new(config, dataset, device)?;
    let source = batches::Source::new(config, dataset, &batches::split(config, dataset)?, &searcher.on_device);
    let mut pair = SearchBatch::default();
    let mut taken = 0;
    let (seconds, work) = device::counted(|| {
        crate::timing::measure(interrupt, |step| {
            taken += 1;
            source.fill(&mut pair, 0, step % source.steps());
            let at = Position { epoch: 0, step: step % source.steps() };
            let now = Now { at, step, tau: config.tau_max, rate: config.learning_rate };
            algorithms::step(&mut searcher, &pair, now).map(|_| ())
        })
    });
    let work = work.map(|Work { launches, bytes, reads }| Work {
        launches: launches / taken,
        bytes: bytes / taken,
        reads: reads / taken,
    });
    Ok(seconds?.map(|seconds| StepCost { seconds, work }))
}

/// How long judging one candidate takes on a device, in seconds, by trying a few; for planning, never for results.
pub fn seconds_per_candidate(config: &SearchConfig, dataset: &Dataset, device: &Device) -> Result<f64, Error> {
    let searcher = Searcher::new(config, dataset, device)?;
    let judge = Judge::new(config, dataset, &held_out(config, dataset)?).on_device(&searcher.on_device);
    algorithms::judged::seconds_per_candidate(&searcher, &judge)
}
