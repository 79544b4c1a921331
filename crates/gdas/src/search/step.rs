//! One step of GDAS, top to bottom (Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR
//! 2019; algorithm section 3).
//!
//! A cell is a graph whose edges each offer a few operations, with a logit (alpha) for each of them. A step draws one
//! operation per edge twice: the weights of the first sub-network learn from a training batch, then alpha learns from a
//! held-out batch through the second. Only drawn operations are computed, so a step costs what two networks cost.

use super::context::{PendingWeightStep, StepContext, StepReport};
use super::estimators::Draw;
use super::progress::{Half, Progress};
use super::searcher::Searcher;
use crate::Error;
use crate::config::EdgeOutput;
use crate::data::{Batch, Position};
use crate::loss::Metrics;
use crate::rng::Stream;

/// The weights learn, then alpha.
pub fn search_step(step: &mut StepContext<'_>) -> Result<StepReport, Error> {
    let (trained, drawn) = weight_step(step)?;
    let report = alpha_step(step, Some(trained))?;
    let redraws = report.redraws + drawn.iter().map(|draw| draw.redraws).sum::<u64>();
    Ok(StepReport { picks: picks(&drawn), redraws, ..report })
}

/// The weights of a fresh draw learn from the training batch.
pub fn weight_step(step: &mut StepContext<'_>) -> Result<(PendingWeightStep, Vec<Draw>), Error> {
    // One operation per edge, the largest of softmax((log softmax(alpha) + Gumbel noise) / tau). All cells of one kind
    // share a draw.
    let drawn = step.draw(Stream::DrawWeights)?;
    // The sub-network of the drawn operations. Its gates are constants here, so both published forms of an edge give
    // the same.
    let net = step.sub_network(&picks(&drawn), EdgeOutput::PickedGate)?;
    // Forward, cross-entropy, and back to the drawn weights.
    let pass = step.pass(&net, step.drawn_gates(), Half::Training)?;
    // The gradient's norm clipped to 5, then SGD with Nesterov momentum. Weights that were not drawn stay as they are.
    Ok((step.update_weights(&net, pass)?, drawn))
}

/// Alpha learns from the held-out batch through another draw. `trained` is the weight step before: on a graphics
/// processor its numbers are read together with this one's.
pub fn alpha_step(step: &mut StepContext<'_>, trained: Option<PendingWeightStep>) -> Result<StepReport, Error> {
    let drawn = step.draw(Stream::DrawAlpha)?;
    let net = step.sub_network(&picks(&drawn), step.config().edge_output)?;
    // Forward, cross-entropy, and back to the gates alone: weights are constants, and no gradient of theirs is computed.
    let held_out = step.held_out_pass(&net, step.drawn_gates(), trained)?;
    // In its first epochs, alpha may rest while the weights learn.
    if let Some(gates) = &held_out.gate_gradient {
        // The gradient in the gate of every operation, dL/dh; then on to alpha through the draw's probabilities, as if
        // the gates had been those (straight-through).
        let gates = step.supernet().gate_gradients(&picks(&drawn), gates);
        let estimator = step.estimator();
        let gradients: Vec<_> = drawn.iter().zip(&gates).map(|(draw, gates)| estimator.gradient(draw, gates)).collect();
        // The regularisers' gradients are added, then Adam moves alpha.
        step.update_alpha(&gradients)?;
    }
    let redraws = drawn.iter().map(|draw| draw.redraws).sum();
    Ok(StepReport { training: held_out.training, held_out: Some(held_out.metrics), redraws, ..StepReport::default() })
}

fn picks(drawn: &[Draw]) -> Vec<Vec<usize>> {
    drawn.iter().map(|draw| draw.picks.clone()).collect()
}

/// The two halves by themselves, for tests and experiments.
impl Searcher {
    /// The weight step of GDAS on a training batch; returns its metrics and the draw of every searched cell.
    pub fn weight_step(
        &mut self,
        batch: &Batch,
        at: Position,
        step: u64,
        tau: f64,
        learning_rate: f64,
    ) -> Result<(Metrics, Vec<Draw>), Error> {
        let progress = Progress { at, step, epochs: self.config.epochs, tau, learning_rate };
        let (trained, drawn) = weight_step(&mut StepContext::new(self, batch, &Batch::default(), progress))?;
        Ok((trained.finish()?, drawn))
    }

    /// The alpha step of GDAS on a held-out batch; returns its metrics and the number of repeated draws.
    pub fn alpha_step(&mut self, batch: &Batch, at: Position, step: u64, tau: f64) -> Result<(Metrics, u64), Error> {
        let progress = Progress { at, step, epochs: self.config.epochs, tau, learning_rate: 0.0 };
        let report = alpha_step(&mut StepContext::new(self, &Batch::default(), batch, progress), None)?;
        Ok((report.held_out.unwrap_or_default(), report.redraws))
    }
}
