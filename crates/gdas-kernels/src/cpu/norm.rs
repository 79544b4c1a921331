//! Batch normalisation in the forward pass: batch statistics, and the resulting affine map per channel.

use super::Inputs;
use super::plan::Plan;
use super::simd::{Level, kernel};
use crate::graph::NORM_EPSILON;

/// A normalisation as an affine map. All arrays have the padded number of channels.
#[derive(Clone, Debug, Default)]
pub(crate) struct NormState {
    pub(crate) mean: Vec<f32>,
    /// Biased variance.
    pub(crate) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(crate) inverse: Vec<f32>,
    /// Gamma, or ones.
    pub(crate) gamma: Vec<f32>,
    /// Beta, or zeros.
    pub(crate) beta: Vec<f32>,
    /// `gamma * inverse`.
    pub(crate) scale: Vec<f32>,
    /// `beta - mean * scale`.
    pub(crate) shift: Vec<f32>,
}

impl NormState {
    /// Normalisation `n` before the pass: complete with running statistics, otherwise only gamma and beta.
    pub(crate) fn new(plan: &Plan, n: usize, inputs: &Inputs) -> Self {
        let norm = &plan.norms[n];
        let (real, padded) = (plan.graph.norms[n].channels, plan.channels[norm.node]);
        let pad = |values: Option<&[f32]>, otherwise: f32| -> Vec<f32> {
            let mut out = vec![0.0; padded];
            match values {
                Some(v) => out[..real].copy_from_slice(v),
                None => out[..real].fill(otherwise),
            }
            out
        };
        let mut state = Self {
            gamma: pad(norm.scale.map(|p| inputs.params[p]), 1.0),
            beta: pad(norm.shift.map(|p| inputs.params[p]), 0.0),
            mean: vec![0.0; padded],
            variance: vec![0.0; padded],
            ..Self::default()
        };
        if !norm.batch_stats {
            let running = inputs.running[n];
            state.mean[..real].copy_from_slice(&running[..real]);
            state.variance[..real].copy_from_slice(&running[real..2 * real]);
        }
        state.derive();
        state
    }

    /// The affine map from the statistics.
    fn derive(&mut self) {
        self.inverse = self.variance.iter().map(|v| 1.0 / (v + NORM_EPSILON).sqrt()).collect();
        self.scale = self.gamma.iter().zip(&self.inverse).map(|(g, i)| g * i).collect();
        self.shift = (0..self.mean.len()).map(|c| self.beta[c] - self.mean[c] * self.scale[c]).collect();
    }

    /// Sets the batch's statistics from the moments of its images, combined in order and in `f64` (Chan, Golub and LeVeque,
    /// 1983). `x` is the batch, `per_image` floats each; `sums` and `squares` are `[image, channels]`, taken around each
    /// image's first pixel.
    pub(crate) fn combine(
        &mut self,
        level: Level,
        batch: usize,
        per_image: usize,
        x: &[f32],
        sums: &[f32],
        squares: &[f32],
    ) {
        let c = self.mean.len();
        let pixels = (per_image / c) as f64;
        let (mut count, mut mean, mut spread) = (0.0f64, vec![0.0f64; c], vec![0.0f64; c]);
        for n in 0..batch {
            let first = &x[n * per_image..][..c];
            add_image(level, &mut mean, &mut spread, first, &sums[n * c..][..c], &squares[n * c..][..c], count, pixels);
            count += pixels;
        }
        for ((to, mean), (variance, spread)) in
            self.mean.iter_mut().zip(&mean).zip(self.variance.iter_mut().zip(&spread))
        {
            *to = *mean as f32;
            // Not `max`, which would drop a NaN.
            let biased = spread / count.max(1.0);
            *variance = if biased < 0.0 { 0.0 } else { biased as f32 };
        }
        self.derive();
    }
}

kernel! {
    /// Adds an image's moments to the mean and the sum of squared differences of `count` numbers per channel.
    fn add_image<S>(
        mean: &mut [f64], spread: &mut [f64], first: &[f32], sums: &[f32], squares: &[f32], count: f64, pixels: f64,
    ) {
        let c = mean.len();
        let (spread, first, sums, squares) = (&mut spread[..c], &first[..c], &sums[..c], &squares[..c]);
        let total = count + pixels;
        for j in 0..c {
            let sum = f64::from(sums[j]);
            let own = f64::from(first[j]) + sum / pixels;
            let own_spread = f64::from(squares[j]) - sum * sum / pixels;
            let delta = own - mean[j];
            mean[j] += delta * pixels / total;
            spread[j] += own_spread + delta * delta * count * pixels / total;
        }
    }
}
