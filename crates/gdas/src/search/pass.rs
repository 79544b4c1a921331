//! One pass of a batch through a network: forward, cross-entropy, and backward for the requested gradients.

use burn::tensor::Tensor;
use gdas_kernels::Mode;

use crate::deferred::Deferred;
use crate::loss::{Metrics, measure};
use crate::supernet::{SubNetwork, Supernet};

/// The gradients that a pass computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradTargets {
    /// None: forward only.
    Nothing,
    /// With respect to the weights.
    Weights,
    /// With respect to the gates.
    Gates,
    /// With respect to weights and gates.
    Both,
}

impl GradTargets {
    fn weights(self) -> bool {
        matches!(self, Self::Weights | Self::Both)
    }

    fn gates(self) -> bool {
        matches!(self, Self::Gates | Self::Both)
    }
}

/// Inputs of a pass, all on one device.
#[derive(Clone, Debug)]
pub(super) struct PassInputs<'a> {
    /// Images `[n, height, width, channels]`.
    pub(super) image: Tensor<4>,
    /// Labels `[n]`.
    pub(super) labels: &'a [u32],
    /// Weights in the order of the network's parameters.
    pub(super) weights: Vec<Tensor<1>>,
    /// Gates of the network `[gates]`.
    pub(super) gates: Tensor<1>,
    /// Factors of skip connections, `[skips, n]`.
    pub(super) masks: Option<Tensor<2>>,
}

/// Result of a pass.
#[derive(Debug)]
pub struct PassOutput {
    /// Metrics of the batch.
    pub metrics: Deferred<Metrics>,
    /// Mean and variance `[2, channels]` used by each normalisation.
    pub statistics: Vec<Tensor<2>>,
    /// Gradient of each parameter, in the network's order; `None` for one that does not affect the loss. Empty if not
    /// requested.
    pub weight_gradients: Vec<Option<Tensor<1>>>,
    /// Gradient of the gates; zeros if not requested.
    pub gate_gradient: Deferred<Vec<f32>>,
}

/// Runs a network in training mode on the device of the inputs. If the loss is known not to be finite, no gradient is
/// computed.
pub(super) fn pass(supernet: &Supernet, net: &SubNetwork, inputs: PassInputs, targets: GradTargets) -> PassOutput {
    let PassInputs { image, labels, weights, gates, masks } = inputs;
    let track = |x: Tensor<1>, wanted: bool| if wanted { x.autodiff().require_grad() } else { x };
    let weights: Vec<_> = weights.into_iter().map(|weight| track(weight, targets.weights())).collect();
    let zeros = vec![0.0; gates.dims()[0]];
    let gates = track(gates, targets.gates());
    let outcome = supernet.run_masked(net, Mode::Train, image, weights.clone(), gates.clone(), masks);
    let (loss, metrics) = measure(&outcome.outputs[0], labels, 0.0);
    let finite = metrics.known().is_none_or(|metrics| metrics.loss.is_finite());
    let mut output = PassOutput {
        metrics,
        statistics: outcome.stats,
        weight_gradients: Vec::new(),
        gate_gradient: Deferred::new(zeros),
    };
    if finite && targets != GradTargets::Nothing {
        let gradients = loss.backward();
        if targets.weights() {
            output.weight_gradients = weights.iter().map(|weight| weight.grad(&gradients)).collect();
        }
        if let Some(gradient) = gates.grad(&gradients).filter(|_| targets.gates()) {
            output.gate_gradient = Deferred::on_device(gradient, |numbers| numbers);
        }
    }
    output
}
