//! State of a search that is trained: weights, alpha, optimisers.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::Mode;
use gdas_kernels::graph::Shape;

use super::batches;
use super::estimators::{Estimator, StraightThrough};
use super::parallel;
use super::pass::{GradTargets, PassInputs, PassOutput, pass};
use super::regularise::{self, CostBound, Regulariser};
use crate::Error;
use crate::alpha::Alpha;
use crate::budget::Standing;
use crate::config::SearchConfig;
use crate::data::{Batch, Dataset, EvaluationBatches, OnDevice, Subset};
use crate::loss::{Metrics, cross_entropy};
use crate::network::{NetworkConfig, Stem};
use crate::optim::{Adam, AdamConfig, Sgd, SgdConfig};
use crate::rng::{Rng, Stream};
use crate::run::{Interrupt, phase};
use crate::space::Genotype;
use crate::supernet::{SubNetwork, Supernet};

/// The supernet, alpha, their optimisers, the estimator and the regularisers: the state common to all algorithms.
/// Additional state is in the [`Algorithm`](super::Algorithm).
#[derive(Clone, Debug)]
pub struct Searcher {
    /// The configuration.
    pub config: SearchConfig,
    /// The supernet with the shared weights.
    pub supernet: Supernet,
    /// Logits `[edges, operations]`, one matrix per searched cell.
    pub alpha: Vec<Alpha>,
    pub(super) sgd: Sgd,
    /// Optimiser of alpha.
    pub adam: Adam,
    pub(super) estimator: Arc<dyn Estimator>,
    pub(super) regularisers: Vec<Arc<dyn Regulariser>>,
    pub(super) bounds: Vec<CostBound>,
    /// Digest of the images, to check them when the search is resumed.
    pub(super) data_digest: String,
    /// Images stored on the device.
    pub(super) on_device: OnDevice,
    /// Devices that share every batch of a step. All other state is on the first.
    devices: Vec<Device>,
}

impl Searcher {
    /// A searcher with initial weights, alpha near zero, and the published estimator.
    ///
    /// # Errors
    /// If the space has no network of this size, or the device does not support the configured precision.
    pub fn new(config: &SearchConfig, dataset: &Dataset, device: &Device) -> Result<Self, Error> {
        let space = config.space.clone();
        space.validate()?;
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
        // An algorithm that does not update alpha by a gradient reports its policy in it.
        let deviation = if config.algorithm.learns_alpha() { config.alpha_init_std } else { 0.0 };
        let mut alpha = Vec::new();
        for (index, cell) in space.cells.iter().enumerate() {
            let mut rng = Rng::new(config.seed, Stream::Alpha, index as u64);
            alpha.push(Alpha::from_fn(cell.edges().len(), cell.width(), |_, _| deviation * rng.normal()));
        }
        let mut supernet = Supernet::new(space, config.cells, network, config.seed, device)?;
        supernet.drop_skips = config.skip_dropout > 0.0;
        supernet.weights.compute_in(config.precision)?;
        let sgd = SgdConfig { momentum: config.momentum, nesterov: config.nesterov, weight_decay: config.weight_decay };
        let adam = AdamConfig {
            rate: config.alpha_learning_rate,
            betas: config.alpha_betas,
            epsilon: config.alpha_epsilon,
            weight_decay: config.alpha_weight_decay,
        };
        Ok(Self {
            config: config.clone(),
            sgd: Sgd::new(sgd, supernet.weights.values.len()),
            adam: Adam::new(adam, &alpha),
            supernet,
            alpha,
            estimator: Arc::new(StraightThrough),
            regularisers: Vec::new(),
            bounds: Vec::new(),
            data_digest: dataset.digest(),
            on_device: batches::on_device(config, dataset, device),
            devices: vec![device.clone()],
        })
    }

    /// Shares every batch among several devices. The first must be the device of the searcher.
    #[must_use]
    pub fn on_devices(self, devices: &[Device]) -> Self {
        Self { devices: devices.to_vec(), ..self }
    }

    /// Replaces the estimator.
    #[must_use]
    pub fn with_estimator(self, estimator: Arc<dyn Estimator>) -> Self {
        Self { estimator, ..self }
    }

    /// Sets the regularisers, whose gradients are added to alpha's.
    #[must_use]
    pub fn with_regularisers(self, regularisers: Vec<Arc<dyn Regulariser>>) -> Self {
        Self { regularisers, ..self }
    }

    /// The genotype derived from alpha: the operations of largest alpha, within `max_skips`.
    pub fn genotype(&self) -> Genotype {
        self.genotype_of(&self.alpha)
    }

    /// The genotype derived from logits, within `max_skips`.
    pub(super) fn genotype_of(&self, alpha: &[Alpha]) -> Genotype {
        regularise::genotype_of(&self.config, &self.supernet.space, alpha)
    }

    /// For each cost bound, the expected cost under alpha and the cost of the genotype.
    pub fn standings(&self, genotype: &Genotype) -> Vec<Standing> {
        self.bounds.iter().map(|bound| bound.standing(&self.alpha, genotype)).collect()
    }

    /// Whether a genotype is within all cost bounds.
    pub fn affords(&self, genotype: &Genotype) -> bool {
        self.standings(genotype).iter().all(|standing| standing.genotype <= standing.limit)
    }

    /// The weights of a network, in the order of its parameters.
    pub fn weights_of(&self, net: &SubNetwork) -> Vec<Tensor<1>> {
        net.params.iter().map(|&i| self.supernet.weights.values[i].clone()).collect()
    }

    /// The network of a genotype with the shared weights.
    fn derived(&self, genotype: &Genotype) -> Result<SubNetwork, Error> {
        Ok(self.supernet.derived(genotype)?)
    }

    /// Forward pass of a network in training mode, and backward pass for the requested gradients, with the batch shared among
    /// the devices.
    pub(super) fn pass(
        &self,
        net: &SubNetwork,
        weights: Vec<Tensor<1>>,
        gates: Tensor<1>,
        masks: Option<Tensor<2>>,
        batch: &Batch,
        targets: GradTargets,
    ) -> PassOutput {
        let image = batch.tensor(self.supernet.weights.device());
        let inputs = PassInputs { image, labels: &batch.labels, weights, gates, masks };
        parallel::shared(&self.devices, inputs, |inputs| pass(&self.supernet, net, inputs, targets))
    }

    /// Metrics of the sub-network with these picks on a batch, as in the published selections: with running statistics if there
    /// are any, else with those of the batch.
    ///
    /// # Errors
    /// If the picks do not fit the space.
    pub fn accuracy(&self, picks: &[Vec<usize>], batch: &Batch) -> Result<Metrics, Error> {
        let net = self.derived(&Genotype::from_picks(&self.supernet.space, picks))?;
        Ok(self.measure(&net, self.weights_of(&net), Mode::Eval, batch))
    }

    /// Metrics of a derived network on a batch, forward only.
    fn measure(&self, net: &SubNetwork, weights: Vec<Tensor<1>>, mode: Mode, batch: &Batch) -> Metrics {
        let image = batch.tensor(self.supernet.weights.device());
        let outcome = self.supernet.run(net, mode, image, weights, self.supernet.gates());
        cross_entropy(&outcome.outputs[0], &batch.labels, 0.0).1
    }

    /// Mean loss of a genotype with the shared weights over some batches, normalised by batch statistics.
    ///
    /// # Errors
    /// If the genotype does not fit the space.
    pub fn loss(&self, genotype: &Genotype, batches: &[Batch]) -> Result<f64, Error> {
        let net = self.derived(genotype)?;
        let weights = self.weights_of(&net);
        let losses = batches.iter().map(|batch| self.measure(&net, weights.clone(), Mode::Train, batch).loss);
        Ok(losses.sum::<f64>() / batches.len().max(1) as f64)
    }

    /// Accuracy of a genotype with the shared weights on a subset, in 0..=1. Normalisation uses batch statistics, as running
    /// ones are averages over all sampled networks. `None` if interrupted, NaN if a class score is not finite.
    ///
    /// # Errors
    /// If the genotype does not fit the space.
    pub fn evaluate(
        &self,
        genotype: &Genotype,
        dataset: &Dataset,
        subset: &Subset,
        interrupt: &Interrupt,
    ) -> Result<Option<f64>, Error> {
        let net = self.derived(genotype)?;
        let weights = self.weights_of(&net);
        let batches = EvaluationBatches::new(&dataset.statistics, &subset.mixed(), self.config.batch_size.max(100));
        let batches = batches.on_device(&self.on_device);
        let mut correct = 0.0;
        for step in 0..batches.steps() {
            if interrupt.is_requested() {
                return Ok(None);
            }
            phase::enter("evaluation");
            let batch = batches.batch(step);
            let metrics = self.measure(&net, weights.clone(), Mode::Train, &batch);
            let accuracy = if metrics.loss.is_finite() { metrics.accuracy } else { f64::NAN };
            correct += accuracy * batch.len() as f64;
        }
        Ok(Some(correct / subset.len() as f64))
    }
}
