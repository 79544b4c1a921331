//! Synflow (Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving
//! synaptic flow", NeurIPS 2020), as a score of a whole network by Abdelfattah et al. (2021).
//!
//! The network is made linear: every parameter becomes its absolute value, normalisations are left out, and the input is
//! one image of ones, so that no ReLU cuts anything off. The score is the sum over the weights of convolutions and
//! classifier of `weight * dR/dweight`, R being the sum of the outputs. No images are read.
//!
//! That sum is the derivative of R when all those weights grow alike, so one pass forward computes it, without any
//! gradient. Products over all layers leave single precision: it runs in double precision, as the published code does.

use burn::tensor::Tensor;
use gdas_kernels::graph::Graph;

use super::forward_mode::derivative_along_weights;
use crate::weights::host;

/// The score; not negative.
pub fn score(graph: &Graph, params: &[Tensor<1>]) -> f64 {
    let magnitudes = |param: &Tensor<1>| host(param).into_iter().map(|x| f64::from(x).abs()).collect();
    derivative_along_weights(graph, &params.iter().map(magnitudes).collect::<Vec<_>>())
}
