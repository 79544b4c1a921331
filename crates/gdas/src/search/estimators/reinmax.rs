//! ReinMax (Liu, Dong, Liu, Yu and Gao, "Bridging discrete and backpropagation: straight-through and beyond", NeurIPS
//! 2023; algorithm 2).
//!
//! The straight-through estimator corresponds to Euler's method and is accurate to first order in the difference of the
//! discrete choices. ReinMax corresponds to Heun's method and is accurate to second order: twice the straight-through
//! gradient at the mean of the probabilities and the sampled one-hot, minus half of that at the probabilities.

use super::{Draw, Estimator, StraightThrough};
use crate::Error;
use crate::alpha::{Alpha, softmax, softmax_gradient};
use crate::rng::Rng;

/// The second-order straight-through estimator. Operations are sampled from `softmax(alpha)` as in GDAS; the temperature
/// affects only the gradient (in the paper, 1 and more are best).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReinMax;

impl Estimator for ReinMax {
    fn name(&self) -> &'static str {
        "reinmax"
    }

    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
        // The same sample as in GDAS: its frequencies are softmax(alpha) at any temperature.
        let draw = StraightThrough.draw(logits, tau, rng)?;
        let probabilities = logits.map_rows(|row| softmax(&row.iter().map(|logit| logit / tau).collect::<Vec<_>>()));
        Ok(Draw { probabilities, ..draw })
    }

    /// With D the one-hot draw, `p0 = softmax(alpha)` and `p1 = (D + softmax(alpha / tau)) / 2`:
    /// `2 J(p1) dh - 1/2 J(p0) dh`, where `J(p) = diag(p) - p p^T` is the derivative of the softmax.
    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
        let mut mean = draw.probabilities.clone();
        mean.values_mut().iter_mut().for_each(|p| *p *= 0.5);
        for (edge, &pick) in draw.picks.iter().enumerate() {
            mean[(edge, pick)] += 0.5;
        }
        let mut gradient = softmax_gradient(&mean, gates, 1.0);
        let first_order = softmax_gradient(&logits.softmax(), gates, 1.0);
        for (value, first_order) in gradient.values_mut().iter_mut().zip(first_order.values()) {
            *value = 2.0 * *value - 0.5 * first_order;
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Expectation over all draws of one edge of the gradient that an estimator gives for a smooth loss of the gates.
    fn expected(estimator: &dyn Estimator, logits: &[f64], slope: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let alpha = Alpha::from_rows(&[logits]);
        let p = softmax(logits);
        let mut mean = vec![0.0; logits.len()];
        for pick in 0..logits.len() {
            let one_hot: Vec<f64> = (0..logits.len()).map(|k| f64::from(u8::from(k == pick))).collect();
            let draw = Draw { picks: vec![pick], probabilities: alpha.softmax(), tau: 1.0, redraws: 0 };
            let gradient = estimator.gradient(&alpha, &draw, &Alpha::from_rows(&[slope(&one_hot)]));
            mean.iter_mut().zip(&gradient[0]).for_each(|(mean, g)| *mean += p[pick] * g);
        }
        mean
    }

    /// For a loss that is quadratic in the gates, the gradient of the expected loss is met exactly; straight-through
    /// misses it.
    #[test]
    fn it_is_exact_for_quadratic_losses_where_straight_through_is_not() {
        let logits = [0.4, -0.3, 1.1, 0.0];
        let curvature = [[2.0, 0.3, -0.5, 0.1], [0.3, 1.0, 0.2, 0.0], [-0.5, 0.2, 3.0, 0.7], [0.1, 0.0, 0.7, 0.5]];
        let linear = [0.2, -1.0, 0.5, 0.9];
        let loss = |h: &[f64]| -> f64 {
            let quadratic: f64 = (0..4).map(|i| (0..4).map(|j| 0.5 * h[i] * curvature[i][j] * h[j]).sum::<f64>()).sum();
            quadratic + h.iter().zip(linear).map(|(h, l)| h * l).sum::<f64>()
        };
        let slope = |h: &[f64]| -> Vec<f64> {
            (0..4).map(|i| linear[i] + (0..4).map(|j| curvature[i][j] * h[j]).sum::<f64>()).collect()
        };
        let p = softmax(&logits);
        let losses: Vec<f64> =
            (0..4).map(|k| loss(&(0..4).map(|j| f64::from(u8::from(j == k))).collect::<Vec<_>>())).collect();
        let mean: f64 = p.iter().zip(&losses).map(|(p, l)| p * l).sum();
        let exact: Vec<f64> = p.iter().zip(&losses).map(|(p, l)| p * (l - mean)).collect();
        let error = |estimator: &dyn Estimator| {
            let found = expected(estimator, &logits, slope);
            found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(error(&ReinMax) < 1e-12, "{}", error(&ReinMax));
        assert!(error(&StraightThrough) > 1e-2, "{}", error(&StraightThrough));
    }

    #[test]
    fn it_draws_as_published() {
        let alpha = Alpha::from_rows(&[[0.0, 1.0, -1.0], [2.0, 0.5, 0.5]]);
        for step in 0..20 {
            let draw = |estimator: &dyn Estimator| {
                estimator.draw(&alpha, 0.7, &mut Rng::new(1, Stream::DrawAlpha, step)).expect("finite")
            };
            assert_eq!(draw(&ReinMax).picks, draw(&StraightThrough).picks);
        }
    }
}
