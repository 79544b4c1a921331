//! Score-function search (REINFORCE; Williams, 1992): alpha is updated by the held-out loss of the sampled network instead
//! of its gradient.
//!
//! The gradient of the expected loss is the mean of `(L - baseline) (onehot - softmax(alpha))`, for any baseline that does
//! not depend on the sample. It is based on the loss with an operation instead of another, while straight-through is based
//! on the derivative with respect to the operation's gate. TuNAS (Bender et al., "Can weight sharing outperform random
//! architecture search?", CVPR 2020) uses it with an exponential mean of earlier losses as baseline, and a warm-up of the
//! weights by uniform sampling (`weight_draws`, `alpha_warmup_epochs`).
//!
//! With `score_cells` above 1, several cells are sampled per step and compared on the same held-out batch: the baseline of
//! each is the mean loss of the others (Kool et al., "Buy 4 REINFORCE samples, get a baseline for free!", 2019), which
//! removes the effect of the batch. These passes are forward only.

use super::Algorithm;
use crate::Error;
use crate::alpha::{Alpha, softmax};
use crate::loss::Metrics;
use crate::rng::Stream;
use crate::run::{Array, Checkpoint, RunError};
use crate::search::context::{StepContext, StepReport};
use crate::search::estimators::Draw;
use crate::search::pass::GradTargets;
use crate::search::searcher::Searcher;
use crate::search::step::{picks, weight_step};

/// Decay of the baseline, an exponential mean of losses.
const BASELINE_DECAY: f64 = 0.95;

/// The score-function estimator, alone or averaged with straight-through.
#[derive(Clone, Debug)]
pub struct Reinforce {
    name: &'static str,
    /// Weight of the configured estimator in the gradient.
    straight_through: f64,
    /// Exponential mean of the held-out losses; `None` before the first.
    baseline: Option<f64>,
}

impl Reinforce {
    /// Only the score function, without a backward pass of the held-out batch.
    pub fn alone() -> Self {
        Self { name: "reinforce", straight_through: 0.0, baseline: None }
    }

    /// The mean of the score function and the configured estimator.
    pub fn with_straight_through() -> Self {
        Self { name: "gdas-reinforce", straight_through: 0.5, baseline: None }
    }
}

impl Reinforce {
    /// Difference of the loss of each cell to its baseline: the mean loss of the other cells, or of earlier steps for a single
    /// cell.
    fn advantages(&mut self, losses: &[f64]) -> Vec<f64> {
        if let [loss] = *losses {
            let baseline = self.baseline.unwrap_or(loss);
            self.baseline = Some(self.baseline.map_or(loss, |b| BASELINE_DECAY * b + (1.0 - BASELINE_DECAY) * loss));
            return vec![loss - baseline];
        }
        let (sum, others) = (losses.iter().sum::<f64>(), (losses.len() - 1) as f64);
        losses.iter().map(|loss| loss - (sum - loss) / others).collect()
    }
}

impl Algorithm for Reinforce {
    fn name(&self) -> &str {
        self.name
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let drawn = step.draw_for_weights()?;
        let trained = weight_step(step, &drawn.picks)?;
        let cells = if step.alpha_rests() { 1 } else { step.config().score_cells };
        let redrawn = step.draw_several(Stream::DrawAlpha, cells)?;
        let mut trained = Some(trained);
        let mut passes = Vec::with_capacity(cells);
        for (cell, draws) in redrawn.iter().enumerate() {
            let net = step.sub_network(&picks(draws), step.config().edge_output)?;
            // The score needs only the loss; straight-through uses the first cell.
            let slopes_count = self.straight_through > 0.0 && cell == 0 && !step.alpha_rests();
            let targets = if slopes_count { GradTargets::Gates } else { GradTargets::Nothing };
            passes.push(step.held_out_pass_with(&net, step.drawn_gates(), trained.take(), targets)?);
        }
        if !step.alpha_rests() {
            let losses: Vec<f64> = passes.iter().map(|pass| pass.metrics.loss).collect();
            let mut gradients: Vec<Alpha> = step.alpha().iter().map(Alpha::zeros_like).collect();
            for (draws, advantage) in redrawn.iter().zip(self.advantages(&losses)) {
                let weight = advantage * (1.0 - self.straight_through) / cells as f64;
                let scores = step.alpha().iter().zip(draws).map(|(alpha, draw)| score(alpha, draw, weight));
                gradients.iter_mut().zip(scores).for_each(|(gradient, score)| add(gradient, 1.0, &score));
            }
            if let Some(gates) = &passes[0].gate_gradient {
                let draws = &redrawn[0];
                let gates = step.supernet().gate_gradients(&picks(draws), gates);
                let estimator = step.estimator();
                for (cell, gradient) in gradients.iter_mut().enumerate() {
                    let slope = estimator.gradient(&step.alpha()[cell], &draws[cell], &gates[cell]);
                    add(gradient, self.straight_through, &slope);
                }
            }
            step.update_alpha(&gradients)?;
        }
        let redraws = drawn.redraws + redrawn.iter().flatten().map(|draw| draw.redraws).sum::<u64>();
        let training = passes[0].training;
        let metrics: Vec<Metrics> = passes.iter().map(|pass| pass.metrics).collect();
        // The mean over cells, all on the same images.
        let held_out = Metrics { images: metrics[0].images, ..Metrics::over(&metrics) };
        Ok(StepReport { training, held_out: Some(held_out), picks: drawn.picks, redraws })
    }

    fn save(&self, state: &mut Checkpoint) {
        if let Some(baseline) = self.baseline {
            state.insert("reinforce/baseline", Array::f64(&[1], vec![baseline]));
        }
    }

    fn load(&mut self, _: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        self.baseline = None;
        if state.arrays.contains_key("reinforce/baseline") {
            let baseline = state.take_f64("reinforce/baseline", &[1])?[0];
            if !baseline.is_finite() {
                return Err(RunError::Content("reinforce/baseline is not finite".into()).into());
            }
            self.baseline = Some(baseline);
        }
        Ok(())
    }
}

/// `to += weight * from`.
fn add(to: &mut Alpha, weight: f64, from: &Alpha) {
    to.values_mut().iter_mut().zip(from.values()).for_each(|(to, from)| *to += weight * from);
}

/// `advantage (onehot - softmax(alpha))`.
fn score(alpha: &Alpha, draw: &Draw, advantage: f64) -> Alpha {
    let mut picks = draw.picks.iter();
    alpha.map_rows(|row| {
        let pick = picks.next().copied().unwrap_or(0);
        let one_hot = |k| f64::from(u8::from(k == pick));
        softmax(row).iter().enumerate().map(|(k, p)| advantage * (one_hot(k) - p)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over all pairs of draws is the gradient of the expected loss, and what a batch adds to all losses is gone.
    #[test]
    fn cells_that_are_each_others_baseline_give_an_unbiased_gradient() {
        let alpha = Alpha::from_rows(&[[0.2, -1.0, 0.7]]);
        let (p, losses) = (softmax(&alpha[0]), [1.3, 0.4, 2.2]);
        let mean: f64 = p.iter().zip(losses).map(|(p, l)| p * l).sum();
        for hard in [0.0, 7.0] {
            let mut total = Alpha::zeros(1, 3);
            for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                let advantages = Reinforce::alone().advantages(&[losses[i] + hard, losses[j] + hard]);
                assert!(
                    (advantages[0] - (losses[i] - losses[j])).abs() < 1e-12
                        && (advantages[0] + advantages[1]).abs() < 1e-12
                );
                for (pick, advantage) in [i, j].into_iter().zip(advantages) {
                    let draw = Draw { picks: vec![pick], probabilities: alpha.softmax(), tau: 1.0, redraws: 0 };
                    add(&mut total, p[i] * p[j], &score(&alpha, &draw, advantage / 2.0));
                }
            }
            for k in 0..3 {
                assert!((total[(0, k)] - p[k] * (losses[k] - mean)).abs() < 1e-12, "operation {k}");
            }
        }
    }

    /// The mean over all draws of an edge is the gradient of the expected loss, whatever the baseline.
    #[test]
    fn the_score_is_unbiased_for_any_baseline() {
        let alpha = Alpha::from_rows(&[[0.2, -1.0, 0.7]]);
        let (p, losses) = (softmax(&alpha[0]), [1.3, 0.4, 2.2]);
        let mean: f64 = p.iter().zip(losses).map(|(p, l)| p * l).sum();
        for baseline in [0.0, 1.0, -5.0] {
            let mut total = [0.0; 3];
            for pick in 0..3 {
                let draw = Draw { picks: vec![pick], probabilities: alpha.softmax(), tau: 1.0, redraws: 0 };
                let gradient = score(&alpha, &draw, losses[pick] - baseline);
                total.iter_mut().zip(&gradient[0]).for_each(|(total, g)| *total += p[pick] * g);
            }
            for k in 0..3 {
                assert!((total[k] - p[k] * (losses[k] - mean)).abs() < 1e-12, "baseline {baseline}");
            }
        }
    }
}
