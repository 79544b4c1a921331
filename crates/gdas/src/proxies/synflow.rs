//! Synflow (Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving
//! synaptic flow", NeurIPS 2020), as a score of a whole network by Abdelfattah et al. (2021).
//!
//! The network is linearised: parameters are replaced by their absolute values, normalisations are omitted, and the input
//! is one image of ones, so that every ReLU is an identity. The score is the sum over the weights of convolutions and
//! classifier of `weight * dR/dweight`, where R is the sum of the outputs. No images are read.
//!
//! That sum is the derivative of R when all these weights are scaled alike, so one forward-mode pass computes it. It runs in
//! double precision like the published code, as products over all layers exceed the range of single precision.

use burn::tensor::Tensor;
use gdas_kernels::graph::Graph;

use super::forward_mode::derivative_along_weights;
use crate::weights::host;

/// The score, at least 0.
pub fn score(graph: &Graph, params: &[Tensor<1>]) -> f64 {
    let magnitudes = |param: &Tensor<1>| host(param).into_iter().map(|x| f64::from(x).abs()).collect();
    derivative_along_weights(graph, &params.iter().map(magnitudes).collect::<Vec<_>>())
}
