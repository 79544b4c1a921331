//! Operations available to the step of an algorithm, built-in or custom.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::estimators::{Draw, Estimator};
use super::pass::{GradTargets, PassOutput};
use super::picks;
use super::progress::{Half, Progress};
use super::regularise::{Regulariser, skip_masks};
use super::searcher::Searcher;
use crate::Error;
use crate::alpha::Alpha;
use crate::config::{EdgeOutput, SearchConfig, Undrawn, WeightDraws};
use crate::data::{Batch, Position};
use crate::deferred::{Deferred, Pending, read_all};
use crate::loss::Metrics;
use crate::rng::{Rng, Stream};
use crate::run::phase;
use crate::space::Space;
use crate::supernet::{SubNetwork, Supernet};

/// Context of one step: its two batches, the values of the schedules, weights and alpha.
///
/// All randomness is from [`rng`](Self::rng), so that a resumed search repeats a step bit for bit.
#[derive(Debug)]
pub struct StepContext<'a> {
    searcher: &'a mut Searcher,
    training: &'a Batch,
    held_out: &'a Batch,
    progress: Progress,
}

/// Report of a step, for the log and the means of the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Metrics of the training batch, if the weights were updated.
    pub training: Option<Metrics>,
    /// Metrics of the held-out batch, if it was used.
    pub held_out: Option<Metrics>,
    /// Operation per searched cell and edge of the network whose weights were updated; empty if it was not a single network.
    pub picks: Vec<Vec<usize>>,
    /// Draws repeated because they were not finite.
    pub redraws: u64,
}

/// The operations that a weight step trains.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightDraw {
    /// Operation per searched cell and edge.
    pub picks: Vec<Vec<usize>>,
    /// Draws repeated because they were not finite.
    pub redraws: u64,
}

/// Result of a weight step: metrics and gradient norm. On the CPU both are known and finite; on a GPU they are checked
/// when they are read.
#[derive(Debug)]
pub struct PendingWeightStep {
    metrics: Deferred<Metrics>,
    /// Norm of the gradient before clipping.
    norm: Deferred<f64>,
    at: Position,
}

impl PendingWeightStep {
    /// Metrics of the training batch, read from the device if necessary.
    ///
    /// # Errors
    /// If the loss or the gradient is not finite.
    pub fn finish(self) -> Result<Metrics, Error> {
        self.finish_with_norm().map(|(metrics, _)| metrics)
    }

    /// As [`finish`](Self::finish), with the norm of the gradient before clipping.
    pub fn finish_with_norm(mut self) -> Result<(Metrics, f64), Error> {
        read_all(&mut self.pending());
        let (metrics, norm) = (self.metrics.get(), self.norm.get());
        Error::finite(metrics.loss, "the training loss", self.at)?;
        Error::finite(norm, "the gradient of the weights", self.at)?;
        Ok((metrics, norm))
    }

    fn pending(&mut self) -> [&mut dyn Pending; 2] {
        [&mut self.metrics, &mut self.norm]
    }
}

/// Result of a pass of the held-out batch.
#[derive(Clone, Debug)]
pub struct HeldOutPass {
    /// Metrics of the held-out batch.
    pub metrics: Metrics,
    /// Metrics of the weight step that was read together with it.
    pub training: Option<Metrics>,
    /// Gradient with respect to the gates; `None` for a forward pass only.
    pub gate_gradient: Option<Vec<f32>>,
}

impl<'a> StepContext<'a> {
    /// The context of a step on these two batches; an unused one may be empty.
    pub fn new(searcher: &'a mut Searcher, training: &'a Batch, held_out: &'a Batch, progress: Progress) -> Self {
        Self { searcher, training, held_out, progress }
    }
}

/// State of the search.
impl StepContext<'_> {
    /// Position of this step and values of the schedules.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The search's configuration.
    pub fn config(&self) -> &SearchConfig {
        &self.searcher.config
    }

    /// The search space.
    pub fn space(&self) -> &Space {
        &self.searcher.supernet.space
    }

    /// The supernet with the shared weights.
    pub fn supernet(&self) -> &Supernet {
        &self.searcher.supernet
    }

    /// Logits `[edges, operations]`, one matrix per searched cell.
    pub fn alpha(&self) -> &[Alpha] {
        &self.searcher.alpha
    }

    /// Alpha, for algorithms that set it for the log instead of updating it by a gradient.
    pub fn alpha_mut(&mut self) -> &mut [Alpha] {
        &mut self.searcher.alpha
    }

    /// Whether alpha is not updated yet (`alpha_warmup_epochs`).
    pub fn alpha_rests(&self) -> bool {
        self.progress.at.epoch < self.searcher.config.alpha_warmup_epochs as u64
    }

    /// The estimator.
    pub fn estimator(&self) -> Arc<dyn Estimator> {
        Arc::clone(&self.searcher.estimator)
    }

    /// One of the two batches. The training batch is empty in an algorithm's
    /// [further steps](super::Algorithm::further_steps).
    pub fn batch(&self, half: Half) -> &Batch {
        match half {
            Half::Training => self.training,
            Half::HeldOut => self.held_out,
        }
    }

    /// Random numbers for this step and purpose; a repeated step has the same ones. [`Stream::Algorithm`] is reserved for
    /// custom algorithms.
    pub fn rng(&self, stream: Stream) -> Rng {
        Rng::new(self.searcher.config.seed, stream, self.progress.step)
    }

    /// Checks that a value is finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the name of the value and this step.
    pub fn check_finite(&self, value: f64, what: &str) -> Result<(), Error> {
        Error::finite(value, what, self.progress.at)
    }
}

/// Sampling of operations, and networks.
impl StepContext<'_> {
    /// Samples one operation per edge of every searched cell with the estimator, at this step's temperature.
    ///
    /// # Errors
    /// If the estimator fails, or its result does not fit the space.
    pub fn draw(&self, stream: Stream) -> Result<Vec<Draw>, Error> {
        self.draw_with(&*self.searcher.estimator, stream)
    }

    /// As [`draw`](Self::draw), with another estimator.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn draw_with(&self, estimator: &dyn Estimator, stream: Stream) -> Result<Vec<Draw>, Error> {
        self.draw_from(estimator, &mut self.rng(stream))
    }

    /// Several samples of the estimator, in sequence from one stream of random numbers.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn draw_several(&self, stream: Stream, count: usize) -> Result<Vec<Vec<Draw>>, Error> {
        let mut rng = self.rng(stream);
        (0..count).map(|_| self.draw_from(&*self.searcher.estimator, &mut rng)).collect()
    }

    fn draw_from(&self, estimator: &dyn Estimator, rng: &mut Rng) -> Result<Vec<Draw>, Error> {
        let mut drawn = Vec::with_capacity(self.searcher.alpha.len());
        for alpha in &self.searcher.alpha {
            drawn.push(estimator.draw(alpha, self.progress.tau, rng)?);
        }
        for (cell, draw) in drawn.iter().enumerate() {
            if draw.probabilities.shape() != self.searcher.alpha[cell].shape() {
                return Err(Error::Unsuitable(format!(
                    "estimator `{}` gave probabilities of shape {:?} for alpha of shape {:?}",
                    estimator.name(),
                    draw.probabilities.shape(),
                    self.searcher.alpha[cell].shape(),
                )));
            }
        }
        Ok(drawn)
    }

    /// Samples the operations of the weight step according to `weight_draws`: by alpha, uniformly, or fairly.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn draw_for_weights(&self) -> Result<WeightDraw, Error> {
        let picks = match self.config().weight_draws {
            WeightDraws::Alpha => {
                let drawn = self.draw(Stream::DrawWeights)?;
                let redraws = drawn.iter().map(|draw| draw.redraws).sum();
                return Ok(WeightDraw { picks: drawn.into_iter().map(|draw| draw.picks).collect(), redraws });
            }
            WeightDraws::Uniform => self.draw_uniform(Stream::DrawWeights),
            WeightDraws::Fair => picks::in_turn(self.space(), self.config().seed, self.progress.step),
        };
        Ok(WeightDraw { picks, redraws: 0 })
    }

    /// Samples one operation per searched cell and edge uniformly.
    pub fn draw_uniform(&self, stream: Stream) -> Vec<Vec<usize>> {
        picks::uniform(self.space(), &mut self.rng(stream))
    }

    /// The sub-network that computes operation `picks[cell][edge]` on every edge.
    ///
    /// # Errors
    /// If the space has no such cells, edges or operations.
    pub fn sub_network(&self, picks: &[Vec<usize>], form: EdgeOutput) -> Result<SubNetwork, Error> {
        picks::check(self.space(), picks)?;
        Ok(self.supernet().sub_network(picks, form))
    }

    /// The gates of a sub-network: 1 for every sampled operation, 0 for the others of its edge.
    pub fn drawn_gates(&self) -> Tensor<1> {
        self.supernet().gates()
    }

    /// The weights of a network, in the order of its parameters.
    pub fn weights_of(&self, net: &SubNetwork) -> Vec<Tensor<1>> {
        self.searcher.weights_of(net)
    }

    /// SGD's momentum of these weights; `None` for a parameter without a gradient so far.
    pub fn momentum_of(&self, net: &SubNetwork) -> Vec<Option<Tensor<1>>> {
        net.params.iter().map(|&i| self.searcher.sgd.momentum[i].clone()).collect()
    }

    /// Metrics of the cell with these picks on the held-out batch in evaluation mode, forward only.
    ///
    /// # Errors
    /// If the space has no such picks, or the loss is not finite.
    pub fn accuracy(&self, picks: &[Vec<usize>]) -> Result<Metrics, Error> {
        picks::check(self.space(), picks)?;
        let metrics = self.searcher.accuracy(picks, self.held_out)?;
        self.check_finite(metrics.loss, "the held-out loss")?;
        Ok(metrics)
    }
}

/// Forward and backward passes, and updates.
impl StepContext<'_> {
    /// Forward and backward pass of a network with the shared weights: of the training batch with respect to the weights, or
    /// of the held-out batch with respect to the gates (during alpha's warm-up forward only).
    ///
    /// # Errors
    /// As [`pass_with`](Self::pass_with).
    pub fn pass(&self, net: &SubNetwork, gates: Tensor<1>, half: Half) -> Result<PassOutput, Error> {
        self.pass_with(net, self.weights_of(net), gates, half, self.targets(half))
    }

    /// Variables that a batch of this half is differentiated with respect to.
    fn targets(&self, half: Half) -> GradTargets {
        match half {
            Half::Training => GradTargets::Weights,
            Half::HeldOut if self.alpha_rests() => GradTargets::Nothing,
            Half::HeldOut => GradTargets::Gates,
        }
    }

    /// Forward pass of a network with any weights in training mode, and backward pass for the requested gradients. Skip
    /// connections have dropout according to `skip_dropout`.
    ///
    /// # Errors
    /// If the step has no such batch, or the numbers of weights and gates do not match the network.
    pub fn pass_with(
        &self,
        net: &SubNetwork,
        weights: Vec<Tensor<1>>,
        gates: Tensor<1>,
        half: Half,
        targets: GradTargets,
    ) -> Result<PassOutput, Error> {
        let batch = self.batch(half);
        let unsuitable = |what: String| Err(Error::Unsuitable(what));
        if batch.is_empty() {
            return unsuitable(format!("step {} has no {half:?} batch to learn from", self.progress.step));
        }
        let (given, needed) = ((weights.len(), gates.dims()[0]), (net.params.len(), net.graph.gates));
        if given != needed {
            return unsuitable(format!("{given:?} weight arrays and gates for a network that has {needed:?}"));
        }
        let device = self.supernet().weights.device();
        let masks = skip_masks(self.config(), net, &self.progress, half, batch.len(), device);
        Ok(self.searcher.pass(net, weights, gates, masks, batch, targets))
    }

    /// A weight step of a network with constant gates on the training batch: a pass and an [update](Self::update_weights).
    pub fn train(&mut self, net: &SubNetwork, gates: Tensor<1>) -> Result<PendingWeightStep, Error> {
        let pass = self.pass(net, gates, Half::Training)?;
        self.update_weights(net, pass)
    }

    /// A weight step of the sub-network with these picks on the training batch.
    pub fn train_picks(&mut self, picks: &[Vec<usize>]) -> Result<PendingWeightStep, Error> {
        let net = self.sub_network(picks, EdgeOutput::PickedGate)?;
        self.train(&net, self.drawn_gates())
    }

    /// Updates the weights by SGD with the gradients of a training pass, clipped to a global norm of `clip_norm`, and the
    /// running statistics. If a gradient is not finite, nothing is updated.
    ///
    /// # Errors
    /// If the loss or the gradient is known not to be finite.
    pub fn update_weights(&mut self, net: &SubNetwork, pass: PassOutput) -> Result<PendingWeightStep, Error> {
        phase::enter("weight step");
        let (at, learning_rate) = (self.progress.at, self.progress.learning_rate);
        if let Some(metrics) = pass.metrics.known() {
            Error::finite(metrics.loss, "the training loss", at)?;
        }
        if pass.weight_gradients.len() != net.params.len() {
            let what = "a weight step needs a pass of the same network that was differentiated in the weights";
            return Err(Error::Unsuitable(what.into()));
        }
        let Searcher { config, supernet, sgd, .. } = &mut *self.searcher;
        let weights = &mut supernet.weights;
        // The reference's norm also includes alpha's gradient of the previous step; this one is of the weights only.
        let norm = sgd.apply(weights, &net.params, pass.weight_gradients, config.clip_norm, learning_rate);
        if let Some(&norm) = norm.known() {
            Error::finite(norm, "the gradient of the weights", at)?;
        }
        if config.undrawn == Undrawn::Decay {
            let drawn: BTreeSet<_> = net.params.iter().copied().collect();
            // PyTorch skips a parameter until its first gradient, in a weight or alpha step.
            let undrawn = |i: &usize| !drawn.contains(i) && sgd.momentum[*i].is_some();
            let undrawn: Vec<usize> = (0..weights.values.len()).filter(undrawn).collect();
            sgd.coast(weights, &undrawn, learning_rate);
        }
        weights.update_running(&net.graph, &pass.statistics, self.training.len());
        Ok(PendingWeightStep { metrics: pass.metrics, norm, at })
    }

    /// Forward and backward pass of the held-out batch with respect to the gates, with constant weights. Updates the running
    /// statistics, except during alpha's warm-up.
    ///
    /// All values of the step on the device are read here with one transfer, as the host needs the gates' gradient for alpha.
    /// `trained`, a preceding weight step, is therefore finished here as well.
    ///
    /// # Errors
    /// If a loss or the gradient of the weights is not finite; or as [`pass_with`](Self::pass_with).
    pub fn held_out_pass(
        &mut self,
        net: &SubNetwork,
        gates: Tensor<1>,
        trained: Option<PendingWeightStep>,
    ) -> Result<HeldOutPass, Error> {
        self.held_out_pass_with(net, gates, trained, self.targets(Half::HeldOut))
    }

    /// As [`held_out_pass`](Self::held_out_pass) with other gradients: [`GradTargets::Nothing`] is a forward pass only, for
    /// algorithms that use the loss without its gradient.
    ///
    /// # Errors
    /// As [`held_out_pass`](Self::held_out_pass).
    pub fn held_out_pass_with(
        &mut self,
        net: &SubNetwork,
        gates: Tensor<1>,
        trained: Option<PendingWeightStep>,
        targets: GradTargets,
    ) -> Result<HeldOutPass, Error> {
        phase::enter("alpha step");
        let mut trained = trained;
        let mut pass = self.pass_with(net, self.weights_of(net), gates, Half::HeldOut, targets)?;
        let mut pending: Vec<&mut dyn Pending> = vec![&mut pass.metrics, &mut pass.gate_gradient];
        pending.extend(trained.iter_mut().flat_map(PendingWeightStep::pending));
        read_all(&mut pending);
        let training = trained.map(PendingWeightStep::finish).transpose()?;
        let metrics = pass.metrics.get();
        self.check_finite(metrics.loss, "the held-out loss")?;
        if !self.alpha_rests() {
            let images = self.held_out.len();
            let Searcher { config, supernet, sgd, .. } = &mut *self.searcher;
            supernet.weights.update_running(&net.graph, &pass.statistics, images);
            if config.undrawn == Undrawn::Decay {
                // The published step also computes gradients of the weights here. They are unused, but from then on weight
                // decay and momentum act on these weights in every step.
                sgd.begin_momentum(&supernet.weights, &net.params);
            }
        }
        let gate_gradient = (targets == GradTargets::Gates).then(|| pass.gate_gradient.get());
        Ok(HeldOutPass { metrics, training, gate_gradient })
    }

    /// Updates alpha by Adam with the gradient of the loss, one matrix per searched cell, plus those of cost bounds and
    /// regularisers.
    ///
    /// # Errors
    /// If a gradient is not finite or differs from alpha in shape.
    pub fn update_alpha(&mut self, gradients: &[Alpha]) -> Result<(), Error> {
        self.check_gradient(gradients, "alpha")?;
        let mut total = gradients.to_vec();
        let bounds = self.searcher.bounds.iter().map(|bound| bound as &dyn Regulariser);
        let regularisers = self.searcher.regularisers.iter().map(|regulariser| &**regulariser);
        for regulariser in bounds.chain(regularisers) {
            let added = regulariser.gradient(&self.searcher.alpha, self.progress);
            self.check_gradient(&added, &format!("regulariser `{}`", regulariser.name()))?;
            let values = total.iter_mut().flat_map(Alpha::values_mut);
            values.zip(added.iter().flat_map(Alpha::values)).for_each(|(value, added)| *value += added);
        }
        self.searcher.adam.step(&mut self.searcher.alpha, &total);
        Ok(())
    }

    fn check_gradient(&self, gradients: &[Alpha], of: &str) -> Result<(), Error> {
        let shapes = |alpha: &[Alpha]| alpha.iter().map(Alpha::shape).collect::<Vec<_>>();
        let (given, needed) = (shapes(gradients), shapes(&self.searcher.alpha));
        if given != needed {
            let what = format!("the gradient of {of} has shapes {given:?}, alpha has {needed:?}");
            return Err(Error::Unsuitable(what));
        }
        let sum = gradients.iter().flat_map(Alpha::values).sum();
        self.check_finite(sum, &format!("the gradient of {of}"))
    }
}
