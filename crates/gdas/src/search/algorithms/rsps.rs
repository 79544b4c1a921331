//! RSPS: random search with parameter sharing (Li and Talwalkar, "Random search and reproducibility for neural
//! architecture search", UAI 2019).
//!
//! Each step trains the weights of a uniformly sampled network. At the end, `candidates` uniformly sampled cells are
//! evaluated with the shared weights, and the best of them is the result.
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/RANDOM.config` and `exps/NAS-Bench-201-algos/RANDOM-NAS.py`
//! (250 epochs, gradients clipped to 5, 100 candidates, each judged on one batch of 512 held-out images with running
//! statistics). Difference: that choice is made once, at the end. The held-out accuracy of an epoch is that of random
//! cells, one per batch, as in the published code; its cell is the best of these.

use super::Algorithm;
use crate::Error;
use crate::rng::{Rng, Stream};
use crate::run::{Array, Checkpoint, RunError};
use crate::search::context::{StepContext, StepReport};
use crate::search::picks;
use crate::search::searcher::Searcher;
use crate::space::Genotype;

/// RSPS: random search with parameter sharing.
#[derive(Clone, Debug, Default)]
pub struct Rsps {
    /// The best cell tried in this epoch.
    best: Option<TriedCell>,
}

/// A cell and its accuracy on a held-out batch.
#[derive(Clone, Debug, PartialEq)]
struct TriedCell {
    accuracy: f64,
    picks: Vec<Vec<usize>>,
}

impl Algorithm for Rsps {
    fn name(&self) -> &'static str {
        "rsps"
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let (picks, tried) = (step.draw_uniform(Stream::DrawWeights), step.draw_uniform(Stream::DrawAlpha));
        let training = step.train_picks(&picks)?.finish()?;
        let held_out = step.accuracy(&tried)?;
        let first = step.progress().at.step == 0;
        // Of equals the first is kept.
        if first || self.best.as_ref().is_none_or(|best| held_out.accuracy > best.accuracy) {
            self.best = Some(TriedCell { accuracy: held_out.accuracy, picks: tried });
        }
        Ok(StepReport { training: Some(training), held_out: Some(held_out), picks, redraws: 0 })
    }

    fn genotype(&self, searcher: &Searcher) -> Genotype {
        match &self.best {
            Some(best) => Genotype::from_picks(&searcher.supernet.space, &best.picks),
            None => searcher.genotype(),
        }
    }

    /// Uniformly sampled cells.
    fn candidates(&self, searcher: &Searcher) -> Option<Vec<Vec<Vec<usize>>>> {
        let seed = searcher.config.seed;
        let draw = |i| picks::uniform(&searcher.supernet.space, &mut Rng::new(seed, Stream::Architectures, i));
        Some((0..searcher.config.candidates as u64).map(draw).collect())
    }

    fn learns_alpha(&self) -> bool {
        false
    }

    fn save(&self, state: &mut Checkpoint) {
        let Some(best) = &self.best else { return };
        state.insert("best/accuracy", Array::f64(&[1], vec![best.accuracy]));
        for (cell, picks) in best.picks.iter().enumerate() {
            let picks: Vec<u64> = picks.iter().map(|&pick| pick as u64).collect();
            state.insert(format!("best/{cell}"), Array::u64(&[picks.len()], picks));
        }
    }

    fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        self.best = None;
        if !state.arrays.contains_key("best/accuracy") {
            return Ok(());
        }
        let accuracy = state.take_f64("best/accuracy", &[1])?[0];
        let mut picks = Vec::new();
        for (cell, alpha) in searcher.alpha.iter().enumerate() {
            let row = state.take_u64(&format!("best/{cell}"), &[alpha.edges()])?;
            if row.iter().any(|&pick| pick >= alpha.operations() as u64) {
                let what = format!("best/{cell} names an operation that the space lacks");
                return Err(RunError::Content(what).into());
            }
            picks.push(row.into_iter().map(|pick| pick as usize).collect());
        }
        self.best = Some(TriedCell { accuracy, picks });
        Ok(())
    }
}
