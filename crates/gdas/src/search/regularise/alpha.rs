//! Penalties on alpha: beta decay, entropy, and FairDARTS's zero-one loss.

use super::Regulariser;
use crate::alpha::{Alpha, log_softmax};
use crate::config::SearchConfig;
use crate::search::progress::Progress;

/// A built-in penalty on alpha: the mean over all edges of a function of the edge's logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlphaPenalty {
    /// Beta decay (Ye et al., "Beta-DARTS", CVPR 2022): `weight * epoch / epochs * logsumexp(alpha)`. Its gradient is largest
    /// for the strongest operations, which reduces the effect of an early lead.
    BetaDecay(f64),
    /// `weight * H(softmax(alpha))`, the entropy: a positive weight favours decisions, a negative one exploration.
    Entropy(f64),
    /// FairDARTS's zero-one loss (Chu, Zhou, Zhang and Li, ECCV 2020): `-weight * (sigmoid(alpha) - 1/2)^2`, the mean over
    /// operations. It drives every sigmoid to 0 or 1.
    ZeroOne(f64),
}

impl AlphaPenalty {
    /// The penalties of a configuration.
    pub(crate) fn of(config: &SearchConfig) -> Vec<Self> {
        let penalties = [
            (config.beta_decay, Self::BetaDecay(config.beta_decay)),
            (config.entropy_weight, Self::Entropy(config.entropy_weight)),
            (config.zero_one_weight, Self::ZeroOne(config.zero_one_weight)),
        ];
        penalties.into_iter().filter(|(weight, _)| *weight != 0.0).map(|(_, penalty)| penalty).collect()
    }

    /// Gradient of the penalty of one edge with respect to its logits.
    fn of_edge(self, logits: &[f64], at: Progress) -> Vec<f64> {
        let logs = log_softmax(logits);
        match self {
            Self::BetaDecay(weight) => {
                let weight = weight * at.at.epoch as f64 / at.epochs.max(1) as f64;
                logs.iter().map(|log| weight * log.exp()).collect()
            }
            Self::Entropy(weight) => {
                let entropy: f64 = -logs.iter().map(|log| log.exp() * log).sum::<f64>();
                logs.iter().map(|log| -weight * log.exp() * (log + entropy)).collect()
            }
            Self::ZeroOne(weight) => {
                let weight = weight / logits.len() as f64;
                let slope = |logit: &f64| {
                    let sigmoid = 1.0 / (1.0 + (-logit).exp());
                    -2.0 * weight * (sigmoid - 0.5) * sigmoid * (1.0 - sigmoid)
                };
                logits.iter().map(slope).collect()
            }
        }
    }
}

impl Regulariser for AlphaPenalty {
    fn name(&self) -> &str {
        match self {
            Self::BetaDecay(_) => "beta-decay",
            Self::Entropy(_) => "entropy",
            Self::ZeroOne(_) => "zero-one",
        }
    }

    fn gradient(&self, alpha: &[Alpha], at: Progress) -> Vec<Alpha> {
        let edges: usize = alpha.iter().map(Alpha::edges).sum();
        let mean = |alpha: &Alpha| {
            alpha.map_rows(|row| self.of_edge(row, at).into_iter().map(|slope| slope / edges as f64).collect())
        };
        alpha.iter().map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alpha::softmax;
    use crate::data::Position;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let at = Progress { at: Position { epoch: 3, step: 0 }, step: 0, epochs: 12, tau: 1.0, learning_rate: 0.0 };
        let alpha =
            vec![Alpha::from_rows(&[[0.4, -1.1, 2.0], [0.0, 0.1, -0.2]]), Alpha::from_rows(&[[1.0, 0.5, -3.0]])];
        let mean = |value: &dyn Fn(&[f64]) -> f64, alpha: &[Alpha]| -> f64 {
            alpha.iter().flat_map(|alpha| alpha.rows().map(value).collect::<Vec<_>>()).sum::<f64>() / 3.0
        };
        let log_sum_exp = |row: &[f64]| row.iter().map(|x| x.exp()).sum::<f64>().ln();
        let entropy = |row: &[f64]| -softmax(row).iter().map(|p| p * p.ln()).sum::<f64>();
        let zero_one = |row: &[f64]| -row.iter().map(|x| (1.0 / (1.0 + (-x).exp()) - 0.5).powi(2)).sum::<f64>() / 3.0;
        type Value<'a> = &'a dyn Fn(&[f64]) -> f64;
        let cases: [(AlphaPenalty, f64, Value); 3] = [
            (AlphaPenalty::BetaDecay(8.0), 2.0, &log_sum_exp),
            (AlphaPenalty::Entropy(0.7), 0.7, &entropy),
            (AlphaPenalty::ZeroOne(5.0), 5.0, &zero_one),
        ];
        for (penalty, weight, value) in cases {
            let gradient = penalty.gradient(&alpha, at);
            for cell in 0..2 {
                for edge in 0..alpha[cell].edges() {
                    for k in 0..3 {
                        let shifted = |by: f64| {
                            let mut alpha = alpha.clone();
                            alpha[cell][(edge, k)] += by;
                            weight * mean(value, &alpha)
                        };
                        let numeric = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                        let given = gradient[cell][(edge, k)];
                        assert!((given - numeric).abs() < 1e-8, "{penalty:?}: {given} {numeric}");
                    }
                }
            }
        }
    }
}
