//! Mixtures sampled from a Dirichlet distribution (Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet neural architecture
//! search", ICLR 2021).
//!
//! The weights of an edge's operations are `p ~ Dir(elu(alpha) + 1)`. The gradient goes through the sample by implicit
//! reparameterisation (Figurnov, Mohamed and Mnih, NeurIPS 2018), as in PyTorch's `Dirichlet.rsample`.

use super::{Draw, Estimator};
use crate::Error;
use crate::alpha::Alpha;
use crate::error::DrawError;
use crate::rng::Rng;

/// Dirichlet samples, for algorithms that compute the mixture of all operations. The temperature has no effect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dirichlet;

impl Estimator for Dirichlet {
    fn name(&self) -> &'static str {
        "dirichlet"
    }

    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
        if !logits.is_finite() {
            return Err(DrawError { tau, tries: 0, reason: "alpha holds a value that is not finite" }.into());
        }
        let probabilities = logits.map_rows(|row| {
            // Logarithms, as samples of a small concentration may underflow.
            let logs: Vec<f64> = row.iter().map(|&logit| log_gamma_sample(concentration(logit), rng)).collect();
            crate::alpha::softmax(&logs).iter().map(|p| p.clamp(SMALLEST, 1.0)).collect()
        });
        if !probabilities.is_finite() {
            return Err(DrawError { tau, tries: 1, reason: "the probabilities were not finite" }.into());
        }
        Ok(Draw { picks: probabilities.argmax(), probabilities, tau, redraws: 0 })
    }

    /// Every `p_i` is a Beta variable with parameters `a = c_i` and `b = sum of the other c`. Its derivative in `a` at a fixed
    /// quantile is `-(dF/da) / f`; the other components shrink in proportion.
    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
        Alpha::from_fn(logits.edges(), logits.operations(), |edge, k| {
            let (p, dp) = (&draw.probabilities[edge], &gates[edge]);
            let c: Vec<f64> = logits[edge].iter().map(|&logit| concentration(logit)).collect();
            let rest: f64 = c.iter().sum::<f64>() - c[k];
            if c.len() < 2 {
                return 0.0;
            }
            let mean: f64 = p.iter().zip(dp).map(|(p, dp)| p * dp).sum();
            let x = p[k].min(1.0 - SMALLEST);
            // elu'(x) is 1 above zero and exp(x) below.
            beta_slope(x, c[k], rest) * (dp[k] - mean) / (1.0 - x) * logits[edge][k].min(0.0).exp()
        })
    }
}

/// Probabilities below this are treated as zero.
const SMALLEST: f64 = 1e-12;

/// `elu(x) + 1`, which is positive for any x.
fn concentration(logit: f64) -> f64 {
    if logit > 0.0 { logit + 1.0 } else { logit.exp().max(SMALLEST) }
}

/// The logarithm of a Gamma(shape, 1) variable, by Marsaglia and Tsang's method ("A simple method for generating gamma
/// variables", 2000); for shapes below 1 that of shape + 1, times `u^(1 / shape)`.
fn log_gamma_sample(shape: f64, rng: &mut Rng) -> f64 {
    if shape < 1.0 {
        return log_gamma_sample(shape + 1.0, rng) + rng.uniform().ln() / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    // At least 95 % of attempts succeed; the limit only guards against NaN.
    for _ in 0..200 {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && rng.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln();
        }
    }
    f64::NAN
}

/// Derivative in a of a Beta(a, b) variable at a fixed quantile: `-(dF(x)/da) / f(x)`. The derivative of F is a central
/// difference of the regularised incomplete beta function, accurate to about eight digits.
fn beta_slope(x: f64, a: f64, b: f64) -> f64 {
    let step = 1e-5 * a.max(1e-3);
    let derivative = (incomplete_beta(x, a + step, b) - incomplete_beta(x, a - step, b)) / (2.0 * step);
    let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - log_beta(a, b)).exp();
    let slope = -derivative / density;
    // Far in a tail both vanish; there the variable behaves like u^(1/a) of a uniform u: dx/da = -x ln(x) / a.
    if slope.is_finite() { slope } else { -x * x.ln() / a }
}

fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun, 26.5.8),
/// evaluated by Lentz's method on the side where it converges fast.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - log_beta(a, b)).exp() / a;
    let tiny = 1e-300;
    let nonzero = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / nonzero(1.0 + term * d);
            c = nonzero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Closed forms: I_x(a, 1) = x^a, I_x(1, b) = 1 - (1 - x)^b, and a value of the tables.
    #[test]
    fn the_incomplete_beta_function_has_its_known_values() {
        for x in [0.01, 0.3, 0.7, 0.99] {
            for a in [0.2, 1.0, 3.5] {
                assert!((incomplete_beta(x, a, 1.0) - x.powf(a)).abs() < 1e-13);
                assert!((incomplete_beta(x, 1.0, a) - (1.0 - (1.0 - x).powf(a))).abs() < 1e-13);
            }
        }
        assert!((incomplete_beta(0.5, 2.0, 2.0) - 0.5).abs() < 1e-14);
    }

    /// For b = 1 the quantile function is u^(1/a), whose derivative in a is known.
    #[test]
    fn a_variable_of_fixed_quantile_moves_as_its_quantile_function() {
        for (x, a) in [(0.2, 0.5), (0.6, 1.0), (0.9, 4.0), (1e-6, 0.3)] {
            let exact: f64 = -x * f64::ln(x) / a;
            assert!((beta_slope(x, a, 1.0) / exact - 1.0).abs() < 1e-6, "{x} {a}: {} {exact}", beta_slope(x, a, 1.0));
        }
    }

    /// The mean of the gradient is that of the expectation: E[p_k] = c_k / sum c, differentiated in alpha.
    #[test]
    fn the_gradient_is_unbiased() {
        let alpha = Alpha::from_rows(&[[0.5, -0.4, 0.0]]);
        let c: Vec<f64> = alpha[0].iter().map(|&x| concentration(x)).collect();
        let total: f64 = c.iter().sum();
        let coefficients = [1.0, -0.5, 0.3];
        let weighted: f64 = c.iter().zip(coefficients).map(|(c, w)| c * w).sum();
        let mut rng = Rng::new(4, Stream::DrawAlpha, 0);
        let draws = 40_000;
        let mut mean = [0.0; 3];
        let mut value = 0.0;
        for _ in 0..draws {
            let draw = Dirichlet.draw(&alpha, 1.0, &mut rng).expect("finite");
            value += draw.probabilities[0].iter().zip(coefficients).map(|(p, w)| p * w).sum::<f64>() / f64::from(draws);
            let gradient = Dirichlet.gradient(&alpha, &draw, &Alpha::from_rows(&[coefficients]));
            mean.iter_mut().zip(&gradient[0]).for_each(|(mean, g)| *mean += g / f64::from(draws));
        }
        assert!((value - weighted / total).abs() < 5e-3, "{value}");
        for k in 0..3 {
            let exact = (coefficients[k] * total - weighted) / (total * total) * alpha[0][k].min(0.0).exp();
            assert!((mean[k] - exact).abs() < 6e-3, "{k}: {} {exact}", mean[k]);
        }
    }

    #[test]
    fn extreme_logits_give_finite_draws_and_gradients() {
        for logits in [[-40.0, 0.0, 3.0], [50.0, 50.0, -2.0], [-30.0, -30.0, -30.0]] {
            let alpha = Alpha::from_rows(&[logits]);
            for step in 0..50 {
                let draw = Dirichlet.draw(&alpha, 1.0, &mut Rng::new(0, Stream::DrawAlpha, step)).expect("finite");
                let gradient = Dirichlet.gradient(&alpha, &draw, &Alpha::from_rows(&[[1.0, -1.0, 0.5]]));
                assert!(gradient.is_finite(), "{logits:?} {draw:?} {gradient:?}");
            }
        }
        assert!(
            Dirichlet.draw(&Alpha::from_rows(&[[f64::NAN, 0.0]]), 1.0, &mut Rng::new(0, Stream::DrawAlpha, 0)).is_err()
        );
    }
}
