//! Optimisers, as defined by PyTorch: SGD with momentum for weights, Adam for alpha.

use burn::tensor::Tensor;
use gdas_kernels::sgd;

use crate::alpha::Alpha;
use crate::arrays::Array;
use crate::deferred::Deferred;
use crate::weights::{Weights, flat, host};

/// Settings of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Decay rate of the momentum.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Added to the gradient, times the weight.
    pub weight_decay: f64,
}

/// Stochastic gradient descent with momentum. A parameter without a gradient in a step keeps its value and momentum.
#[derive(Clone, Debug)]
pub struct Sgd {
    config: SgdConfig,
    /// Momentum of each parameter; `None` before its first gradient.
    pub momentum: Vec<Option<Tensor<1>>>,
}

impl Sgd {
    /// An optimiser of this number of parameters.
    pub fn new(config: SgdConfig, arrays: usize) -> Self {
        Self { config, momentum: vec![None; arrays] }
    }

    /// Updates the parameters at `indices` with their gradients, clipped to a global norm of `clip_norm` (0: no clipping).
    /// Returns the norm before clipping; if it is not finite, nothing is updated.
    pub fn apply(
        &mut self,
        weights: &mut Weights,
        indices: &[usize],
        gradients: Vec<Option<Tensor<1>>>,
        clip_norm: f64,
        rate: f64,
    ) -> Deferred<f64> {
        let mut norm_of_all = Deferred::new(0.0);
        self.move_arrays(weights, indices, gradients, rate, |rule, arrays| {
            let arrays = match sgd::clipped_step(rule, clip_norm, arrays) {
                Ok(clipped) => {
                    norm_of_all = Deferred::on_device(clipped.norm, |numbers| {
                        numbers.first().map_or(f64::NAN, |&norm| f64::from(norm))
                    });
                    return clipped.updated;
                }
                Err(arrays) => arrays,
            };
            let gradients = arrays.iter().filter_map(|array| array.gradient.as_ref());
            let (scale, norm) = clip_factor(gradients, clip_norm);
            norm_of_all = Deferred::new(norm);
            if norm.is_finite() {
                return sgd::step(&sgd::Rule { scale, ..*rule }, arrays);
            }
            arrays.into_iter().map(|array| (array.weight, array.momentum)).collect()
        });
        norm_of_all
    }

    /// Updates the parameters at `indices` with zero gradients: only weight decay and momentum act.
    pub fn coast(&mut self, weights: &mut Weights, indices: &[usize], rate: f64) {
        self.move_arrays(weights, indices, vec![None; indices.len()], rate, sgd::step);
    }

    /// Sets the momentum of the parameters at `indices` that have none to zero, so that [`coast`](Self::coast) updates them.
    pub fn begin_momentum(&mut self, weights: &Weights, indices: &[usize]) {
        for &index in indices {
            self.momentum[index].get_or_insert_with(|| weights.values[index].zeros_like());
        }
    }

    /// Replaces values and momenta of the parameters at `indices` by the results of `step`.
    fn move_arrays(
        &mut self,
        weights: &mut Weights,
        indices: &[usize],
        gradients: Vec<Option<Tensor<1>>>,
        rate: f64,
        step: impl FnOnce(&sgd::Rule, Vec<sgd::Parameter>) -> Vec<(Tensor<1>, Option<Tensor<1>>)>,
    ) {
        let SgdConfig { momentum, nesterov, weight_decay } = self.config;
        let rule = sgd::Rule { rate, scale: 1.0, momentum, nesterov, weight_decay };
        // Taken out, so that the tensors are unshared and updated in place.
        let mut values: Vec<_> = std::mem::take(&mut weights.values).into_iter().map(Some).collect();
        let arrays = indices.iter().zip(gradients).map(|(&index, gradient)| {
            let weight = values[index].take().expect("each array is moved once");
            sgd::Parameter { weight, gradient, momentum: self.momentum[index].take() }
        });
        let moved = step(&rule, arrays.collect());
        for (&index, (weight, momentum)) in indices.iter().zip(moved) {
            values[index] = Some(weight);
            self.momentum[index] = momentum;
        }
        weights.values = values.into_iter().flatten().collect();
    }

    /// The existing momenta as arrays named `momentum/{name}`.
    pub fn to_arrays<'a>(&'a self, weights: &'a Weights) -> impl Iterator<Item = (String, Array)> + 'a {
        weights.specs.iter().zip(&self.momentum).filter_map(|(spec, momentum)| {
            let values = host(momentum.as_ref()?);
            Some((format!("momentum/{}", spec.name), Array::f32(&spec.shape, values)))
        })
    }

    /// Restores the momenta; `take` returns the array of a name and a shape, if there is one.
    ///
    /// # Errors
    /// Errors of `take`.
    pub fn set_arrays<E>(
        &mut self,
        weights: &Weights,
        mut take: impl FnMut(&str, &[usize]) -> Result<Option<Vec<f32>>, E>,
    ) -> Result<(), E> {
        for (spec, momentum) in weights.specs.iter().zip(&mut self.momentum) {
            let values = take(&format!("momentum/{}", spec.name), &spec.shape)?;
            *momentum = values.map(|values| flat(values, weights.device()));
        }
        Ok(())
    }
}

/// The factor that clips gradients to a global norm of `max_norm` (0: no clipping), and the norm.
pub fn clip_factor<'a>(gradients: impl Iterator<Item = &'a Tensor<1>>, max_norm: f64) -> (f64, f64) {
    let norm = sgd::squared_sums(gradients.cloned().collect()).iter().sum::<f64>().sqrt();
    let factor = if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 };
    (factor, norm)
}

/// Settings of [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Learning rate.
    pub rate: f64,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub epsilon: f64,
    /// Added to the gradient, times the value.
    pub weight_decay: f64,
}

/// Adam on alpha, in `f64` on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    config: AdamConfig,
    /// First moments, one matrix per searched cell.
    pub first: Vec<Alpha>,
    /// Second moments.
    pub second: Vec<Alpha>,
    /// Number of steps taken.
    pub steps: u64,
}

impl Adam {
    /// An optimiser for matrices of these sizes.
    pub fn new(config: AdamConfig, alpha: &[Alpha]) -> Self {
        let zeros: Vec<Alpha> = alpha.iter().map(Alpha::zeros_like).collect();
        Self { config, first: zeros.clone(), second: zeros, steps: 0 }
    }

    /// Updates every matrix with its gradient of the same shape.
    pub fn step(&mut self, alpha: &mut [Alpha], gradients: &[Alpha]) {
        self.steps += 1;
        let AdamConfig { rate, betas: [b1, b2], epsilon, weight_decay } = self.config;
        let correction1 = 1.0 - b1.powf(self.steps as f64);
        let correction2 = 1.0 - b2.powf(self.steps as f64);
        let values = alpha.iter_mut().flat_map(Alpha::values_mut);
        let first = self.first.iter_mut().flat_map(Alpha::values_mut);
        let moments = first.zip(self.second.iter_mut().flat_map(Alpha::values_mut));
        for ((value, gradient), (m, v)) in values.zip(gradients.iter().flat_map(Alpha::values)).zip(moments) {
            let gradient = gradient + weight_decay * *value;
            *m = b1 * *m + (1.0 - b1) * gradient;
            *v = b2 * *v + (1.0 - b2) * gradient * gradient;
            *value -= rate / correction1 * *m / ((*v / correction2).sqrt() + epsilon);
        }
    }
}

/// Cosine annealing from `start` at 0 steps to `end` at `total` steps; `done` is the number of steps taken.
pub fn cosine(start: f64, end: f64, done: f64, total: f64) -> f64 {
    end + 0.5 * (start - end) * (1.0 + (std::f64::consts::PI * (done / total).min(1.0)).cos())
}

/// Temperature of an epoch: linear from `max` in the first epoch to `min` in the last.
pub fn tau(max: f64, min: f64, epoch: usize, epochs: usize) -> f64 {
    if epochs < 2 { max } else { max - (max - min) * epoch as f64 / (epochs - 1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn schedules_at_their_ends() {
        assert_eq!(tau(10.0, 0.1, 0, 250), 10.0);
        assert!((tau(10.0, 0.1, 249, 250) - 0.1).abs() < 1e-12);
        assert_eq!(tau(10.0, 0.1, 0, 1), 10.0);
        assert_eq!(cosine(0.025, 0.001, 0.0, 100.0), 0.025);
        assert!((cosine(0.025, 0.001, 50.0, 100.0) - 0.013).abs() < 1e-12);
        assert!((cosine(0.025, 0.001, 100.0, 100.0) - 0.001).abs() < 1e-12);
    }

    /// Two steps of `torch.optim.Adam`; the numbers are PyTorch's.
    #[test]
    fn adam_is_pytorchs() {
        let config = AdamConfig { rate: 3e-4, betas: [0.5, 0.999], epsilon: 1e-8, weight_decay: 1e-3 };
        let mut alpha = [Alpha::from_rows(&[[0.0, 0.0, 1.0]])];
        let mut adam = Adam::new(config, &alpha);
        adam.step(&mut alpha, &[Alpha::from_rows(&[[5.0, -0.01, 0.0]])]);
        adam.step(&mut alpha, &[Alpha::from_rows(&[[1.0, 2.0, 3.0]])]);
        for (value, exact) in alpha[0].values().iter().zip([-4.941_898e-4, 1.793_817_5e-5, 0.999_417_2]) {
            assert!((value - exact).abs() < 1e-7, "{value} {exact}");
        }
    }

    #[test]
    fn clipping_scales_to_the_norm() {
        let device = Device::flex();
        let gradients = [Tensor::<1>::from_floats([3.0, 0.0], &device), Tensor::from_floats([4.0], &device)];
        let (factor, norm) = clip_factor(gradients.iter(), 1.0);
        assert!((norm - 5.0).abs() < 1e-9 && (factor - 0.2).abs() < 1e-6);
        assert_eq!(clip_factor(gradients.iter(), 0.0).0, 1.0);
        assert_eq!(clip_factor(gradients.iter(), 9.0).0, 1.0);
    }
}
