//! The differentiable draw (paper, equations 3 to 6; algorithm section 2).
//!
//! One operation per edge is drawn with Gumbel noise; its gate is a one-hot in value and the soft
//! probabilities in gradient (straight-through). Everything here is a few hundred numbers, so it is
//! plain `f64` arithmetic on the host, with its gradient written out.

use crate::rng::Rng;

/// Logits of one cell, `[edges][operations]`.
pub type Table = Vec<Vec<f64>>;

/// How often a draw that is not finite is repeated before it is an error.
const MAX_REDRAWS: u64 = 1000;

/// No finite draw came: alpha itself is not finite, or tau is absurdly small.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("no finite draw in {MAX_REDRAWS} tries at tau {tau}: {reason}")]
pub struct DrawError {
    /// Temperature of the draw.
    pub tau: f64,
    /// What was not finite.
    pub reason: &'static str,
}

/// One operation per edge of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The drawn operation of each edge.
    pub picks: Vec<usize>,
    /// The relaxed probabilities `p`, `[edges][operations]`; the gradient flows through them.
    pub probabilities: Table,
    /// The temperature.
    pub tau: f64,
    /// Draws that had to be repeated because they were not finite.
    pub redraws: u64,
}

/// Draws one operation per edge: `z = (log_softmax(alpha) + gumbel) / tau`, `p = softmax(z)`, pick `argmax p`.
///
/// ```
/// use gdas::rng::{Rng, Stream};
/// let alpha = vec![vec![0.0, 3.0], vec![0.5, 0.5]];
/// let draw = gdas::sampler::draw(&alpha, 1.0, &mut Rng::new(0, Stream::DrawWeights, 0)).unwrap();
/// assert_eq!(draw.picks.len(), 2);
/// ```
pub fn draw(alpha: &Table, tau: f64, rng: &mut Rng) -> Result<Draw, DrawError> {
    if alpha.iter().flatten().any(|a| !a.is_finite()) {
        return Err(DrawError { tau, reason: "alpha holds a value that is not finite" });
    }
    for redraws in 0..MAX_REDRAWS {
        let noise: Table = alpha.iter().map(|row| row.iter().map(|_| rng.gumbel()).collect()).collect();
        if let Some(draw) = draw_with_noise(alpha, &noise, tau) {
            return Ok(Draw { redraws, ..draw });
        }
    }
    Err(DrawError { tau, reason: "the probabilities were not finite" })
}

/// The draw that this Gumbel noise gives, both `[edges][operations]`. `None` if the noise or a probability is not finite.
pub fn draw_with_noise(alpha: &Table, noise: &Table, tau: f64) -> Option<Draw> {
    let probabilities: Table = alpha.iter().zip(noise).map(|(row, noise)| relaxed(row, noise, tau)).collect();
    let finite = probabilities.iter().chain(noise).flatten().all(|x| x.is_finite());
    let picks = probabilities.iter().map(|row| argmax(row)).collect();
    finite.then_some(Draw { picks, probabilities, tau, redraws: 0 })
}

fn relaxed(alpha: &[f64], noise: &[f64], tau: f64) -> Vec<f64> {
    let z: Vec<f64> = log_softmax(alpha).iter().zip(noise).map(|(a, g)| (a + g) / tau).collect();
    softmax(&z)
}

/// The index of the largest value; the first of equals.
pub fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

/// `exp(x) / sum exp(x)`, computed so that it cannot overflow.
pub fn softmax(x: &[f64]) -> Vec<f64> {
    log_softmax(x).into_iter().map(f64::exp).collect()
}

fn log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    x.iter().map(|x| x - max - log_total).collect()
}

/// The gradient that reaches alpha from the gradient `gates` of the gates `h`, both `[edges][operations]`.
///
/// Straight-through: `dp = dh`. Softmax: `dz_k = p_k (dp_k - sum_j p_j dp_j)`. Then `1 / tau` and
/// `log_softmax`, whose correction `softmax(alpha) * sum_k dz_k` is nothing, since the `dz` of a row sum to zero.
pub fn alpha_gradient(draw: &Draw, gates: &Table) -> Table {
    draw.probabilities
        .iter()
        .zip(gates)
        .map(|(p, dh)| {
            let mean: f64 = p.iter().zip(dh).map(|(p, dh)| p * dh).sum();
            p.iter().zip(dh).map(|(p, dh)| p * (dh - mean) / draw.tau).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// `<coefficients, p>` is what the straight-through gate differentiates.
    #[test]
    fn gradient_is_that_of_finite_differences() {
        let alpha = vec![vec![0.3, -1.2, 0.8], vec![2.0, 0.1, -0.4]];
        let coefficients = [vec![1.5, -0.7, 0.2], vec![-2.0, 0.3, 1.1]];
        for tau in [10.0, 1.0, 0.4] {
            // The same noise for every evaluation.
            let loss = |alpha: &Table| -> f64 {
                let draw = draw(alpha, tau, &mut Rng::new(5, Stream::DrawAlpha, 9)).expect("finite");
                draw.probabilities.iter().flatten().zip(coefficients.iter().flatten()).map(|(p, c)| p * c).sum()
            };
            let draw = draw(&alpha, tau, &mut Rng::new(5, Stream::DrawAlpha, 9)).expect("finite");
            let gradient = alpha_gradient(&draw, &coefficients.to_vec());
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
        let alpha = vec![vec![0.0, 1.0, -1.0, 0.5, 2.0]];
        let expected = softmax(&alpha[0]);
        let n = 50_000;
        for tau in [10.0, 0.1] {
            let mut counts = [0usize; 5];
            let mut rng = Rng::new(3, Stream::DrawWeights, 0);
            for _ in 0..n {
                counts[draw(&alpha, tau, &mut rng).expect("finite").picks[0]] += 1;
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
        assert!(draw(&vec![vec![f64::NAN, 0.0]], 1.0, rng).is_err());
        let error = draw(&vec![vec![0.0, 0.0]], 0.0, rng).unwrap_err();
        assert_eq!(error.reason, "the probabilities were not finite");
    }
}
