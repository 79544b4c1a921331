//! The straight-through Gumbel-softmax estimator of GDAS (paper, equations 3 to 6; algorithm section 2).
//!
//! One operation per edge is sampled with Gumbel noise. The gates are a one-hot in the forward pass and have the gradient of
//! the soft probabilities (straight-through). As alpha has a few hundred values, this is `f64` arithmetic on the host.

use super::{Draw, Estimator};
use crate::Error;
use crate::alpha::{Alpha, log_softmax, softmax, softmax_gradient};
use crate::error::DrawError;
use crate::rng::Rng;

/// Maximum number of repetitions of a sample that is not finite.
const MAX_REDRAWS: u64 = 1000;

/// The straight-through Gumbel-softmax estimator, as published.
///
/// ```
/// use gdas::rng::{Rng, Stream};
/// use gdas::search::{Estimator, StraightThrough};
/// use gdas::Alpha;
///
/// let alpha = Alpha::from_rows(&[[0.0, 3.0], [0.5, 0.5]]);
/// let draw = StraightThrough.draw(&alpha, 1.0, &mut Rng::new(0, Stream::DrawWeights, 0))?;
/// assert_eq!(draw.picks, draw.probabilities.argmax());
/// # Ok::<(), gdas::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StraightThrough;

impl Estimator for StraightThrough {
    fn name(&self) -> &'static str {
        "straight-through"
    }

    /// `z = (log_softmax(alpha) + gumbel) / tau`, `p = softmax(z)`, pick `argmax p`.
    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
        if !logits.is_finite() {
            return Err(DrawError { tau, tries: 0, reason: "alpha holds a value that is not finite" }.into());
        }
        for redraws in 0..MAX_REDRAWS {
            let noise = Alpha::from_fn(logits.edges(), logits.operations(), |_, _| rng.gumbel());
            if let Some(draw) = Self::draw_with_noise(logits, &noise, tau) {
                return Ok(Draw { redraws, ..draw });
            }
        }
        Err(DrawError { tau, tries: MAX_REDRAWS, reason: "the probabilities were not finite" }.into())
    }

    /// Straight-through: `dp = dh`. Then the backward pass of the softmax, `1 / tau` and `log_softmax`, whose term
    /// `softmax(alpha) * sum_k dz_k` is zero, as the `dz` of a row sum to zero.
    fn gradient(&self, _: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
        softmax_gradient(&draw.probabilities, gates, draw.tau)
    }
}

impl StraightThrough {
    /// The sample for this Gumbel noise `[edges, operations]`. `None` if the noise or a probability is not finite.
    pub fn draw_with_noise(logits: &Alpha, noise: &Alpha, tau: f64) -> Option<Draw> {
        let mut noise_of_edges = noise.rows();
        let probabilities = logits.map_rows(|row| relaxed(row, noise_of_edges.next().unwrap_or_default(), tau));
        let finite = probabilities.is_finite() && noise.is_finite();
        finite.then(|| Draw { picks: probabilities.argmax(), probabilities, tau, redraws: 0 })
    }
}

fn relaxed(logits: &[f64], noise: &[f64], tau: f64) -> Vec<f64> {
    let z: Vec<f64> = log_softmax(logits).iter().zip(noise).map(|(a, g)| (a + g) / tau).collect();
    softmax(&z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// `<coefficients, p>` is what the straight-through gate differentiates.
    #[test]
    fn gradient_is_that_of_finite_differences() {
        let alpha = Alpha::from_rows(&[[0.3, -1.2, 0.8], [2.0, 0.1, -0.4]]);
        let coefficients = Alpha::from_rows(&[[1.5, -0.7, 0.2], [-2.0, 0.3, 1.1]]);
        for tau in [10.0, 1.0, 0.4] {
            // The same noise for every evaluation.
            let draw = |alpha: &Alpha| {
                StraightThrough.draw(alpha, tau, &mut Rng::new(5, Stream::DrawAlpha, 9)).expect("finite")
            };
            let loss = |alpha: &Alpha| -> f64 {
                draw(alpha).probabilities.values().iter().zip(coefficients.values()).map(|(p, c)| p * c).sum()
            };
            let gradient = StraightThrough.gradient(&alpha, &draw(&alpha), &coefficients);
            for edge in 0..2 {
                for k in 0..3 {
                    let shifted = |by: f64| {
                        let mut alpha = alpha.clone();
                        alpha[edge][k] += by;
                        loss(&alpha)
                    };
                    let numeric = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                    assert!((gradient[edge][k] - numeric).abs() < 1e-8, "tau {tau}: {} {numeric}", gradient[edge][k]);
                }
            }
        }
    }

    /// The frequency of draws is softmax(alpha), whatever tau: chi-square with 4 degrees of freedom,
    /// critical value 18.47 at 0.1 %.
    #[test]
    fn frequencies_are_those_of_softmax_alpha() {
        let alpha = Alpha::from_rows(&[[0.0, 1.0, -1.0, 0.5, 2.0]]);
        let expected = softmax(&alpha[0]);
        let n = 50_000;
        for tau in [10.0, 0.1] {
            let mut counts = [0usize; 5];
            let mut rng = Rng::new(3, Stream::DrawWeights, 0);
            for _ in 0..n {
                counts[StraightThrough.draw(&alpha, tau, &mut rng).expect("finite").picks[0]] += 1;
            }
            let chi_square: f64 = counts
                .iter()
                .zip(&expected)
                .map(|(&count, p)| (count as f64 - p * f64::from(n)).powi(2) / (p * f64::from(n)))
                .sum();
            assert!(chi_square < 18.47, "tau {tau}: {chi_square} {counts:?}");
        }
    }

    #[test]
    fn a_broken_alpha_is_an_error() {
        let rng = &mut Rng::new(0, Stream::DrawWeights, 0);
        assert!(StraightThrough.draw(&Alpha::from_rows(&[[f64::NAN, 0.0]]), 1.0, rng).is_err());
        let error = StraightThrough.draw(&Alpha::zeros(1, 2), 0.0, rng).unwrap_err().to_string();
        assert_eq!(error, "no finite draw at tau 0 in 1000 tries: the probabilities were not finite");
    }
}
