//! Jacobian covariance: the score of the first version of "Neural architecture search without training" (Mellor et al.,
//! arXiv 2006.04647, version 1), in the form of Abdelfattah et al. (2021).
//!
//! The rows of the Jacobian are the gradients of the sum of all outputs with respect to each image; `v` are the eigenvalues
//! of their correlation matrix `C`. The score is `-sum(log(v + k) + 1 / (v + k))` with `k = 1e-5`: high if the rows are
//! dissimilar. The sums are computed as the log-determinant of `C + k` and the trace of its inverse.
//!
//! The gradient is computed by plain Burn operations: the correlation matrix is nearly singular, which would amplify the
//! rounding of the fused engine's Winograd convolutions so that it changes the ranking of cells.

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Graph;
use gdas_kernels::{Inputs, Mode, reference};

use super::matrix::Cholesky;
use crate::data::Batch;

/// Constant added to every eigenvalue.
const K: f64 = 1e-5;

/// The score; NaN if an image has no gradient.
pub fn score(graph: &Graph, params: Vec<Tensor<1>>, batch: &Batch) -> f64 {
    let image = batch.tensor(&Device::flex()).autodiff().require_grad();
    let outcome = reference::run(graph, Mode::Train, Inputs::new(image.clone(), params));
    // The second term makes the images part of the graph even if the network does not use them.
    let gradients = (outcome.outputs[0].clone().sum() + image.clone().sum() * 0.0).backward();
    let Some(gradient) = image.grad(&gradients) else { return f64::NAN };
    of_rows(&gradient.to_data().iter::<f64>().collect::<Vec<_>>(), batch.len())
}

/// The score of a Jacobian `[images, values per image]`.
fn of_rows(values: &[f64], images: usize) -> f64 {
    let directions: Vec<Vec<f64>> = values.chunks_exact(values.len() / images.max(1)).map(direction).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut matrix: Vec<f64> = directions.iter().flat_map(|a| directions.iter().map(|b| dot(a, b))).collect();
    (0..images).for_each(|i| matrix[i * images + i] += K);
    Cholesky::new(&matrix, images).map_or(f64::NAN, |root| -root.log_determinant() - root.trace_of_inverse())
}

/// The row minus its mean, normalised: the scalar product of two results is the correlation of the rows.
fn direction(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let length = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
    row.iter().map(|x| (x - mean) / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_images_by_hand() {
        // Correlation 0.5: the eigenvalues are 0.5 and 1.5.
        let rows = [1.0, 0.0, -1.0, 1.0, -1.0, 0.0];
        let expected = -[0.5 + K, 1.5 + K].iter().map(|v| f64::ln(*v) + 1.0 / v).sum::<f64>();
        assert!((of_rows(&rows, 2) - expected).abs() < 1e-9);
        assert!(of_rows(&[1.0, 1.0, 1.0, 1.0, -1.0, 0.0], 2).is_nan(), "an image without a gradient");
    }
}
