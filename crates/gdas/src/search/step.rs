//! One step of GDAS, top to bottom (Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR
//! 2019; algorithm section 3).
//!
//! A cell is a graph whose edges have several candidate operations, with a logit (alpha) for each. A step samples one
//! operation per edge twice: it updates the weights of the first sub-network on a training batch, then alpha through the
//! second on a held-out batch. Only sampled operations are computed, so a step costs as much as training two networks.

use super::context::{HeldOutPass, PendingWeightStep, StepContext, StepReport};
use super::estimators::Draw;
use super::progress::{Half, Progress};
use super::searcher::Searcher;
use crate::Error;
use crate::config::EdgeOutput;
use crate::data::{Batch, Position};
use crate::loss::Metrics;
use crate::rng::Stream;

/// A weight step followed by an alpha step.
pub fn search_step(step: &mut StepContext<'_>) -> Result<StepReport, Error> {
    // One operation per edge: the argmax of softmax((log softmax(alpha) + Gumbel noise) / tau). All cells of one alpha
    // table share a sample.
    let drawn = step.draw_for_weights()?;
    let trained = weight_step(step, &drawn.picks)?;
    let redrawn = step.draw(Stream::DrawAlpha)?;
    let held_out = alpha_step(step, &redrawn, Some(trained))?;
    let redraws = drawn.redraws + redrawn.iter().map(|draw| draw.redraws).sum::<u64>();
    Ok(StepReport { training: held_out.training, held_out: Some(held_out.metrics), picks: drawn.picks, redraws })
}

/// Updates the weights of the operations `picks`, one per searched cell and edge, on the training batch.
pub fn weight_step(step: &mut StepContext<'_>, picks: &[Vec<usize>]) -> Result<PendingWeightStep, Error> {
    // The sub-network of the sampled operations. Its gates are constants here, so both published forms of an edge are
    // equivalent.
    let net = step.sub_network(picks, EdgeOutput::PickedGate)?;
    // Forward, cross-entropy, and backward to the sampled weights.
    let pass = step.pass(&net, step.drawn_gates(), Half::Training)?;
    // Gradient clipping, then SGD with Nesterov momentum. Weights that were not sampled are unchanged, or updated by
    // momentum and weight decay (`undrawn`).
    step.update_weights(&net, pass)
}

/// Updates alpha on the held-out batch through another sample. `trained` is the preceding weight step, whose values are read
/// from a GPU together with those of this step.
pub fn alpha_step(
    step: &mut StepContext<'_>,
    drawn: &[Draw],
    trained: Option<PendingWeightStep>,
) -> Result<HeldOutPass, Error> {
    let net = step.sub_network(&picks(drawn), step.config().edge_output)?;
    // Forward, cross-entropy, and backward to the gates; no gradient of the weights is computed.
    let held_out = step.held_out_pass(&net, step.drawn_gates(), trained)?;
    // Alpha is not updated in the warm-up epochs.
    if let Some(gates) = &held_out.gate_gradient {
        // The gradient with respect to the gate of every operation, dL/dh, then with respect to alpha by the sample's
        // probabilities, as if these were the gates (straight-through).
        let gates = step.supernet().gate_gradients(&picks(drawn), gates);
        let estimator = step.estimator();
        let of_cells = step.alpha().iter().zip(drawn.iter().zip(&gates));
        let gradients: Vec<_> = of_cells.map(|(alpha, (draw, gates))| estimator.gradient(alpha, draw, gates)).collect();
        // The regularisers' gradients are added, then Adam updates alpha.
        step.update_alpha(&gradients)?;
    }
    Ok(held_out)
}

/// The sampled operations by searched cell and edge.
pub(super) fn picks(drawn: &[Draw]) -> Vec<Vec<usize>> {
    drawn.iter().map(|draw| draw.picks.clone()).collect()
}

/// The two halves of a step separately, for tests and experiments.
impl Searcher {
    /// The weight step of GDAS on a training batch; returns its metrics and the sample of every searched cell.
    pub fn weight_step(
        &mut self,
        batch: &Batch,
        at: Position,
        step: u64,
        tau: f64,
        learning_rate: f64,
    ) -> Result<(Metrics, Vec<Draw>), Error> {
        let progress = Progress { at, step, epochs: self.config.epochs, tau, learning_rate };
        let unused = Batch::default();
        let mut step = StepContext::new(self, batch, &unused, progress);
        let drawn = step.draw(Stream::DrawWeights)?;
        Ok((weight_step(&mut step, &picks(&drawn))?.finish()?, drawn))
    }

    /// The alpha step of GDAS on a held-out batch; returns its metrics and the number of repeated samples.
    pub fn alpha_step(&mut self, batch: &Batch, at: Position, step: u64, tau: f64) -> Result<(Metrics, u64), Error> {
        let progress = Progress { at, step, epochs: self.config.epochs, tau, learning_rate: 0.0 };
        let unused = Batch::default();
        let mut step = StepContext::new(self, &unused, batch, progress);
        let drawn = step.draw(Stream::DrawAlpha)?;
        let metrics = alpha_step(&mut step, &drawn, None)?.metrics;
        Ok((metrics, drawn.iter().map(|draw| draw.redraws).sum()))
    }
}
