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
mod result;
mod state;

use std::time::Instant;

use burn::tensor::Device;
use gdas_kernels::Mode;
use gdas_kernels::graph::Shape;

use crate::Error;
use crate::budget::Bound;
use crate::config::{EdgeOutput, SearchConfig, Undrawn};
use crate::data::{Batch, BatchSource, Dataset, EvaluationBatches, Position, Prefetch, SearchBatch, Subset};
use crate::loss::{Metrics, cross_entropy};
use crate::network::{NetworkConfig, Stem};
use crate::optim::{Adam, AdamConfig, Sgd, SgdConfig, cosine, tau};
use crate::rng::{Rng, Stream};
use crate::run::{Cadence, Event, Interrupt, Observer, RunDir, RunError, phase};
use crate::sampler::{self, Draw, DrawError, Table};
use crate::space::{Genotype, Space};
use crate::supernet::Supernet;
use crate::train::image;

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
    let split = batches::split(config, dataset)?;
    let source = batches::Source::new(config, dataset, &split);
    let steps = source.steps();
    let epochs = config.epochs as u64;

    let mut searcher = Searcher::new(config, dataset, device)?;
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
        let rate = cosine(
            config.learning_rate,
            config.learning_rate_min,
            progress.step(steps) as f64,
            (epochs * steps) as f64,
        );
        let (at, pair) = prefetch.next().ok_or_else(|| Error::Unsuitable("the batches ended early".into()))??;
        debug_assert_eq!(at, progress.at);

        let (train, draws) = searcher.weight_step(&pair.weights, at, progress.step(steps), tau, rate)?;
        let (held_out, redraws) = searcher.alpha_step(&pair.alpha, at, progress.step(steps), tau)?;
        prefetch.recycle(pair);

        progress.sums.add(&train, &held_out, redraws + draws.iter().map(|d| d.redraws).sum::<u64>());
        progress.at = at.next(steps);
        let done = progress.step(steps);
        if config.log_interval > 0 && done.is_multiple_of(config.log_interval as u64) {
            let speed = per_second(log_clock.0, done - log_clock.1);
            log_clock = (Instant::now(), done);
            tell(run, step_event(at, done, &train, &held_out, tau, rate, &draws, speed))?;
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

    // The reported genotype is the last epoch's; it is judged with the shared weights on the held-out half.
    let genotype = progress.watch.reported(searcher.genotype());
    let Some(accuracy) = searcher.evaluate(&genotype, dataset, &split.alpha, interrupt) else {
        let step = progress.step(steps);
        tell(run, Event::Interrupted { step })?;
        return Ok(Outcome::Interrupted { step });
    };
    Error::finite(accuracy, "a class score of the cell found", progress.at)?;
    if let Some(warning) = bounds::exceeded(&searcher.standings(&genotype)) {
        tell(run, warning)?;
    }
    let result = SearchResult::new(&searcher, &progress, dataset, &genotype, accuracy);
    result.write(run, &genotype)?;
    let seconds = started.elapsed().as_secs_f64();
    let step = progress.step(steps);
    tell(run, Event::Finished { step, genotype: result.genotype.clone(), accuracy: Some(accuracy), seconds })?;
    Ok(Outcome::Finished(Box::new(result)))
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
    sgd: Sgd,
    adam: Adam,
    /// What the network may cost.
    bounds: Vec<Bound>,
    /// Of the images, so that a resumed search is sure to go on with the same.
    data_digest: String,
}

impl<'a> Searcher<'a> {
    /// Fresh weights, alpha near zero.
    pub fn new(config: &'a SearchConfig, dataset: &Dataset, device: &Device) -> Result<Self, Error> {
        let space = Space::find(&config.space)
            .ok_or_else(|| Error::Unsuitable(format!("there is no search space `{}`", config.space)))?;
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
        let mut alpha = Vec::new();
        for (index, cell) in space.cells.iter().enumerate() {
            let mut rng = Rng::new(config.seed, Stream::Alpha, index as u64);
            let mut row = || (0..cell.width()).map(|_| config.alpha_init_std * rng.normal()).collect::<Vec<f64>>();
            alpha.push(cell.edges().iter().map(|_| row()).collect());
        }
        let mut supernet = Supernet::new(space, config.cells, network, config.seed, device);
        supernet.drop_skips = config.skip_dropout > 0.0;
        let sgd = SgdConfig { momentum: config.momentum, nesterov: config.nesterov, weight_decay: config.weight_decay };
        let sgd = Sgd::new(sgd, supernet.weights.values.len());
        let adam = AdamConfig {
            rate: config.alpha_learning_rate,
            betas: config.alpha_betas,
            epsilon: config.alpha_epsilon,
            weight_decay: config.alpha_weight_decay,
        };
        let adam = Adam::new(adam, &alpha);
        Ok(Self { config, supernet, alpha, sgd, adam, bounds: vec![], data_digest: dataset.digest() })
    }

    fn draw(&self, stream: Stream, step: u64, tau: f64) -> Result<Vec<Draw>, DrawError> {
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
        phase::enter("weight step");
        let draws = self.draw(Stream::DrawWeights, step, tau)?;
        let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
        // The gates are constants here, so both published forms give the same weights.
        let net = self.supernet.sub_network(&picks, EdgeOutput::PickedGate);
        let weights = &self.supernet.weights;
        let leaves: Vec<_> = net.params.iter().map(|&i| weights.values[i].clone().autodiff().require_grad()).collect();
        let (images, gates) = (image(batch, weights.device()), self.supernet.gates());
        let masks = self.skip_masks(&net, at, step, 0, batch.len());
        let outcome = self.supernet.run_masked(&net, Mode::Train, images, leaves.clone(), gates, masks);
        let (loss, metrics) = cross_entropy(&outcome.outputs[0], &batch.labels, 0.0);
        Error::finite(metrics.loss, "the training loss", at)?;
        let gradients = loss.backward();
        let gradients: Vec<_> = leaves.iter().map(|leaf| leaf.grad(&gradients)).collect();
        // The reference's norm also counts alpha's gradient, stale from the step before; ours is of the weights alone.
        drop(leaves);
        let weights = &mut self.supernet.weights;
        let norm = self.sgd.apply(weights, &net.params, gradients, self.config.clip_norm, rate);
        Error::finite(norm, "the gradient of the weights", at)?;
        if self.config.undrawn == Undrawn::Decay {
            let drawn: std::collections::BTreeSet<_> = net.params.iter().copied().collect();
            for index in (0..weights.values.len()).filter(|i| !drawn.contains(i)) {
                // Before its first gradient, a weight had none to be zeroed: PyTorch passed it over.
                if self.sgd.momentum[index].is_some() {
                    weights.values[index] = self.sgd.step(index, weights.values[index].clone(), None, 1.0, rate);
                }
            }
        }
        weights.update_running(&net.graph, &outcome.stats, batch.len());
        Ok((metrics, draws))
    }

    /// Alpha learns from a held-out batch through a fresh draw. The weights are constants: no gradient of theirs is
    /// computed. Returns the metrics and the number of repeated draws.
    pub fn alpha_step(&mut self, batch: &Batch, at: Position, step: u64, tau: f64) -> Result<(Metrics, u64), Error> {
        phase::enter("alpha step");
        let draws = self.draw(Stream::DrawAlpha, step, tau)?;
        let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
        let net = self.supernet.sub_network(&picks, self.config.edge_output);
        let weights = &self.supernet.weights;
        let params = net.params.iter().map(|&i| weights.values[i].clone()).collect();
        let gates = self.supernet.gates().autodiff().require_grad();
        let images = image(batch, weights.device());
        let masks = self.skip_masks(&net, at, step, 1, batch.len());
        let outcome = self.supernet.run_masked(&net, Mode::Train, images, params, gates.clone(), masks);
        let (loss, metrics) = cross_entropy(&outcome.outputs[0], &batch.labels, 0.0);
        Error::finite(metrics.loss, "the held-out loss", at)?;
        let redraws = draws.iter().map(|draw| draw.redraws).sum();
        if at.epoch < self.config.alpha_warmup_epochs as u64 {
            return Ok((metrics, redraws));
        }
        let gates = gates.grad(&loss.backward()).unwrap_or_else(|| self.supernet.gates() * 0.0);
        let gates = self.supernet.gate_gradients(&draws, &gates);
        let mut gradients: Vec<Table> = draws.iter().zip(&gates).map(|(d, g)| sampler::alpha_gradient(d, g)).collect();
        Error::finite(gradients.iter().flatten().flatten().sum(), "the gradient of alpha", at)?;
        self.penalise(&mut gradients);
        self.adam.step(&mut self.alpha, &gradients);
        self.supernet.weights.update_running(&net.graph, &outcome.stats, batch.len());
        Ok((metrics, redraws))
    }

    /// Accuracy of a genotype with the shared weights. Normalisation uses the batch's statistics, since running ones
    /// mix those of every draw. `None` if interrupted, NaN if a class score is not finite.
    pub fn evaluate(
        &self,
        genotype: &Genotype,
        dataset: &Dataset,
        subset: &Subset,
        interrupt: &Interrupt,
    ) -> Option<f64> {
        let Supernet { space, blocks, config, weights, .. } = &self.supernet;
        let net = self.supernet.locate(crate::network::derive(space, blocks, config, genotype));
        let params: Vec<_> = net.params.iter().map(|&i| weights.values[i].clone()).collect();
        // Data sets often come sorted by class, and a batch of one class has useless statistics: mix them.
        let mut indices = subset.indices.to_vec();
        Rng::new(0, Stream::Judge, 0).shuffle(&mut indices);
        let mixed = Subset { images: subset.images.clone(), indices: indices.into() };
        let batches = EvaluationBatches::new(&dataset.statistics, &mixed, self.config.batch_size.max(100));
        let mut correct = 0.0;
        for step in 0..batches.steps() {
            if interrupt.is_requested() {
                return None;
            }
            phase::enter("evaluation");
            let batch = batches.batch(step);
            let image = image(&batch, weights.device());
            let outcome = self.supernet.run(&net, Mode::Train, image, params.clone(), self.supernet.gates());
            let (_, metrics) = cross_entropy(&outcome.outputs[0], &batch.labels, 0.0);
            let accuracy = if metrics.loss.is_finite() { metrics.accuracy } else { f64::NAN };
            correct += accuracy * batch.len() as f64;
        }
        Some(correct / subset.len() as f64)
    }
}

/// How long a step takes here, by trying a few; for planning, never for results. `None` if interrupted.
pub(crate) fn seconds_per_step(
    config: &SearchConfig,
    dataset: &Dataset,
    interrupt: &Interrupt,
    device: &Device,
) -> Result<Option<f64>, Error> {
    let mut searcher = Searcher::new(config, dataset, device)?;
    let source = batches::Source::new(config, dataset, &batches::split(config, dataset)?);
    let mut pair = SearchBatch::default();
    crate::auto::measure(interrupt, |step| {
        source.fill(&mut pair, 0, step % source.steps());
        searcher.weight_step(&pair.weights, Position::START, step, config.tau_max, config.learning_rate)?;
        searcher.alpha_step(&pair.alpha, Position::START, step, config.tau_max)?;
        Ok(())
    })
}
