//! Proxies computed from the gradient of the cross-entropy on one batch in training mode, as defined by Abdelfattah et al.
//! (2021), over the weights of convolutions and classifier.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Graph;
use gdas_kernels::{Inputs, Mode};

use super::kernels;
use crate::data::Batch;
use crate::loss::cross_entropy;
use crate::weights::host;

/// Snip (Lee, Ajanthan and Torr, "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019): the
/// sum of `|weight * dL/dweight|`.
pub fn snip(graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> f64 {
    layers(graph, params, batch)
        .map(|(weights, gradient)| {
            let products = weights.iter().zip(gradient).map(|(&w, g)| (f64::from(w) * f64::from(g)).abs());
            products.sum::<f64>()
        })
        .sum()
}

/// Grad norm: the sum over the layers of the Euclidean norm of `dL/dweight`.
pub fn grad_norm(graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> f64 {
    let lengths = layers(graph, params, batch)
        .map(|(_, gradient)| gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt());
    lengths.sum()
}

/// Iterator over weights and gradient of each layer that has a gradient.
fn layers(graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> impl Iterator<Item = (Vec<f32>, Vec<f32>)> {
    let params: Vec<_> = params.iter().map(|param| param.clone().autodiff().require_grad()).collect();
    let image = batch.tensor(&Device::flex());
    let outcome = gdas_kernels::run(&Arc::new(graph.clone()), Mode::Train, Inputs::new(image, params.clone()));
    let (loss, _) = cross_entropy(&outcome.outputs[0], &batch.labels, 0.0);
    let gradients = loss.backward();
    kernels(graph).filter_map(move |weight| {
        Some((host(&params[weight].clone().inner()), host(&params[weight].grad(&gradients)?)))
    })
}
