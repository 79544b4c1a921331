//! Searches with a random mixture of all operations: SNAS and DrNAS. Like DARTS they compute all operations in every step,
//! but with sampled weights of the mixture.

use std::sync::Arc;

use super::Algorithm;
use crate::Error;
use crate::rng::Stream;
use crate::search::context::{StepContext, StepReport};
use crate::search::estimators::{Dirichlet, Draw, Estimator, StraightThrough};

/// A weight step, then an alpha step, each through a mixture with weights sampled from a distribution.
#[derive(Clone, Debug)]
pub struct Mixture {
    name: &'static str,
    distribution: Arc<dyn Estimator>,
}

impl Mixture {
    /// SNAS (Xie, Zheng, Liu and Lin, "SNAS: stochastic neural architecture search", ICLR 2019): Gumbel-softmax samples at
    /// temperature tau, not rounded to a choice.
    pub fn snas() -> Self {
        Self { name: "snas", distribution: Arc::new(StraightThrough) }
    }

    /// DrNAS (Chen et al., ICLR 2021): Dirichlet samples, without its partial channels and progressive schedule.
    pub fn drnas() -> Self {
        Self { name: "drnas", distribution: Arc::new(Dirichlet) }
    }
}

impl Algorithm for Mixture {
    fn name(&self) -> &str {
        self.name
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let net = step.supernet().mixture();
        let gates = |step: &StepContext<'_>, drawn: &[Draw]| {
            let weights: Vec<_> = drawn.iter().map(|draw| draw.probabilities.clone()).collect();
            step.supernet().mixture_gates(&weights)
        };
        let drawn = step.draw_with(&*self.distribution, Stream::DrawWeights)?;
        let trained = step.train(&net, gates(step, &drawn))?;
        let redrawn = step.draw_with(&*self.distribution, Stream::DrawAlpha)?;
        let held_out = step.held_out_pass(&net, gates(step, &redrawn), Some(trained))?;
        if let Some(gradient) = &held_out.gate_gradient {
            let gates = step.supernet().mixture_gradients(gradient);
            let of_cells = step.alpha().iter().zip(redrawn.iter().zip(&gates));
            let gradients: Vec<_> =
                of_cells.map(|(alpha, (draw, gates))| self.distribution.gradient(alpha, draw, gates)).collect();
            step.update_alpha(&gradients)?;
        }
        let redraws = drawn.iter().chain(&redrawn).map(|draw| draw.redraws).sum();
        Ok(StepReport {
            training: held_out.training,
            held_out: Some(held_out.metrics),
            redraws,
            ..StepReport::default()
        })
    }
}
