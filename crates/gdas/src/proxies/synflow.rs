//! Synflow (Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving
//! synaptic flow", NeurIPS 2020), as a score of a whole network by Abdelfattah et al. (2021).
//!
//! The network is made linear: every parameter becomes its absolute value, normalisations are left out, and the input is
//! one image of ones, so that no ReLU cuts anything off. The score is the sum over the weights of convolutions and
//! classifier of `weight * dR/dweight`, R being the sum of the outputs. No images are read.
//!
//! Products over all layers leave single precision, so plain Burn operations compute this in double precision, as in
//! the published code.

use burn::tensor::{DType, Device, Tensor};
use gdas_kernels::graph::{Graph, Op};
use gdas_kernels::{Inputs, Mode, reference};

use super::kernels;

/// The score; not negative.
pub fn score(graph: &Graph, params: &[Tensor<1>]) -> f64 {
    let linear = graph.without(|op| matches!(op, Op::Norm { .. }));
    let params: Vec<_> = params.iter().map(|p| p.clone().cast(DType::F64).abs().autodiff().require_grad()).collect();
    let image = graph.shape(0);
    let ones = Tensor::ones([1, image.height, image.width, image.channels], (&Device::flex(), DType::F64));
    let outcome = reference::run(&linear, Mode::Train, Inputs::new(ones, params.clone()));
    let gradients = outcome.outputs[0].clone().sum().backward();
    let flows = kernels(graph).filter_map(|weight| {
        let flow = params[weight].grad(&gradients)? * params[weight].clone().inner();
        flow.sum().to_data().iter::<f64>().next()
    });
    flows.sum()
}
