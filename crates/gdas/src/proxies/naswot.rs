//! NASWOT (Mellor, Turner, Storkey and Crowley, "Neural architecture search without training", ICML 2021): the
//! dissimilarity of the images' ReLU activation patterns in the untrained network.
//!
//! The binary code of an image tells which units of all ReLUs are active. `K[i][j]` is the number of units on which images
//! i and j agree; the score is `log |det K|` (section 3 of the paper). Normalisation uses the statistics of the batch.

use burn::tensor::Tensor;
use gdas_kernels::graph::Graph;

use super::matrix::Cholesky;
use super::pass::Pass;
use crate::data::Batch;

/// The score; minus infinity if two images have the same code.
pub fn score(graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> f64 {
    let Some(tape) = Pass::new(graph, params, batch).forward().tape else { return f64::NAN };
    let kernel: Vec<f64> = tape.relu_agreement().into_iter().map(|units| units as f64).collect();
    Cholesky::new(&kernel, batch.len()).map_or(f64::NEG_INFINITY, |root| root.log_determinant())
}
