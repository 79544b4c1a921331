//! Parameters and running statistics of networks, by name.

mod plain;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use gdas_kernels::Precision;
use gdas_kernels::graph::{Graph, Init, NormSpec, Op, ParamSpec};
use gdas_kernels::running::{self, RunningUpdate};

use crate::Error;
use crate::arrays::Array;
use crate::device;
use crate::rng::{Rng, Stream};

pub use plain::{PlainWeights, WeightsMismatch};

/// Weight of a batch in the update of running statistics (PyTorch's default).
const RUNNING_MOMENTUM: f64 = 0.1;

/// Store of parameters and running statistics. Several graphs may use one store, each with the arrays that it names.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Descriptions of the parameters, in order of declaration.
    pub specs: Vec<ParamSpec>,
    /// Values of the parameters, flattened, without gradient.
    pub values: Vec<Tensor<1>>,
    /// Running mean and variance `[2, channels]` of each tracked normalisation.
    pub running: BTreeMap<String, Tensor<2>>,
    index: BTreeMap<String, usize>,
    seed: u64,
    device: Device,
    precision: Precision,
}

impl Weights {
    /// An empty store; parameters are initialised from this seed.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            specs: Vec::new(),
            values: Vec::new(),
            running: BTreeMap::new(),
            index: BTreeMap::new(),
            seed,
            device: device.clone(),
            precision: Precision::Float32,
        }
    }

    /// Sets the precision in which the device stores values between operations; float32 by default.
    pub fn compute_in(&mut self, precision: Precision) -> Result<(), Error> {
        device::check_precision(&self.device, precision).map_err(|error| Error::Unsuitable(error.to_string()))?;
        self.precision = precision;
        Ok(())
    }

    /// The precision of values between operations.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Adds the parameters and running statistics of a graph that are missing.
    pub fn declare(&mut self, graph: &Graph) {
        for spec in &graph.params {
            if !self.index.contains_key(&spec.name) {
                let index = self.specs.len();
                self.index.insert(spec.name.clone(), index);
                self.values.push(flat(start_value(spec, self.seed, index), &self.device));
                self.specs.push(spec.clone());
            }
        }
        for norm in graph.norms.iter().filter(|norm| norm.track) {
            self.running.entry(norm.name.clone()).or_insert_with(|| fresh_statistics(norm, &self.device));
        }
    }

    /// Indices of the graph's parameters in this store.
    ///
    /// # Panics
    /// If the graph was not declared.
    pub fn locate(&self, graph: &Graph) -> Vec<usize> {
        graph.params.iter().map(|spec| self.index[&spec.name]).collect()
    }

    /// Index of a parameter by name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The running statistics that a graph's normalisations use in evaluation.
    pub fn running_of(&self, graph: &Graph) -> Vec<Option<Tensor<2>>> {
        graph.norms.iter().map(|norm| self.running.get(&norm.name).filter(|_| norm.track).cloned()).collect()
    }

    /// Updates the running statistics with those of a batch; `stats` are in the form of [`gdas_kernels::ForwardOutput`].
    pub fn update_running(&mut self, graph: &Graph, stats: &[Tensor<2>], batch: usize) {
        let counts = graph.nodes.iter().filter_map(|node| match node.op {
            Op::Norm { norm, .. } => Some((norm, batch * node.shape.height * node.shape.width)),
            _ => None,
        });
        let (mut names, mut updates) = (vec![], vec![]);
        for (index, count) in counts {
            let norm = &graph.norms[index];
            // Taken out, so that the tensor is unshared and updated in place.
            let Some(running) = norm.track.then(|| self.running.remove(&norm.name)).flatten() else { continue };
            names.push(norm.name.clone());
            updates.push(RunningUpdate { running, batch: stats[index].clone(), count });
        }
        self.running.extend(names.into_iter().zip(running::update(RUNNING_MOMENTUM, updates)));
    }

    /// Moves every value towards that of another store by the fraction `share`, as in an exponential moving average.
    pub fn approach(&mut self, target: &Self, share: f64) {
        let blend = |old: Tensor<1>, new: &Tensor<1>| old * (1.0 - share) + new.clone() * share;
        for (value, new) in self.values.iter_mut().zip(&target.values) {
            *value = blend(value.clone(), new);
        }
        for (name, running) in &mut self.running {
            if let Some(new) = target.running.get(name) {
                *running = running.clone() * (1.0 - share) + new.clone() * share;
            }
        }
    }

    /// Total number of parameters.
    pub fn count(&self) -> usize {
        self.specs.iter().map(ParamSpec::len).sum()
    }

    /// The device of the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Host copy of a parameter.
    pub fn to_vec(&self, index: usize) -> Vec<f32> {
        host(&self.values[index])
    }

    /// Replaces the values of a parameter.
    pub fn set(&mut self, index: usize, values: Vec<f32>) {
        self.values[index] = flat(values, &self.device);
    }

    /// All arrays by name: parameters as `{prefix}/{name}`, statistics as `{prefix}.running/{name}`.
    pub fn to_arrays(&self, prefix: &str) -> impl Iterator<Item = (String, Array)> {
        let parameters = self
            .specs
            .iter()
            .zip(&self.values)
            .map(move |(spec, value)| (format!("{prefix}/{}", spec.name), Array::f32(&spec.shape, host(value))));
        let statistics = self.running.iter().map(move |(name, running)| {
            let channels = running.dims()[1];
            let values = host(&running.clone().reshape([2 * channels]));
            (format!("{prefix}.running/{name}"), Array::f32(&[2, channels], values))
        });
        parameters.chain(statistics)
    }

    /// Restores all arrays; `take` returns the values of a name and a shape.
    ///
    /// # Errors
    /// Errors of `take`.
    pub fn set_arrays<E>(
        &mut self,
        prefix: &str,
        mut take: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<(), E> {
        for (spec, value) in self.specs.iter().zip(&mut self.values) {
            *value = flat(take(&format!("{prefix}/{}", spec.name), &spec.shape)?, &self.device);
        }
        for (name, running) in &mut self.running {
            let channels = running.dims()[1];
            let values = take(&format!("{prefix}.running/{name}"), &[2, channels])?;
            *running = flat(values, &self.device).reshape([2, channels]);
        }
        Ok(())
    }
}

/// A host array as a tensor.
pub(crate) fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// A tensor as a host array.
pub(crate) fn host(tensor: &Tensor<1>) -> Vec<f32> {
    gdas_kernels::read(std::slice::from_ref(tensor)).pop().unwrap_or_default()
}

fn fresh_statistics(norm: &NormSpec, device: &Device) -> Tensor<2> {
    Tensor::cat(vec![Tensor::zeros([1, norm.channels], device), Tensor::ones([1, norm.channels], device)], 0)
}

fn start_value(spec: &ParamSpec, seed: u64, index: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Weights, index as u64);
    (0..spec.len())
        .map(|_| match spec.init {
            Init::Uniform { bound } => bound * (2.0 * rng.uniform() - 1.0) as f32,
            Init::Normal { std } => std * rng.normal() as f32,
            Init::Constant(value) => value,
        })
        .collect()
}
