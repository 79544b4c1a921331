//! An algorithm, an estimator and a regulariser of one's own.

use gdas::rng::{Rng, Stream};
use gdas::run::{Array, Checkpoint};
use gdas::search::{
    Algorithm, Draw, Estimator, Progress, Regulariser, Searcher, StepContext, StepReport, StraightThrough,
};
use gdas::{Alpha, Error, Genotype};

/// Random search with shared weights: every step trains one cell that is drawn uniformly and tries another; the one with
/// the smallest held-out loss of the last epoch wins.
#[derive(Debug, Default)]
pub struct UniformBest {
    best: Option<(f64, Vec<Vec<usize>>)>,
}

impl Algorithm for UniformBest {
    fn name(&self) -> &str {
        "uniform-best"
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let picks = step.draw_uniform(Stream::DrawWeights);
        let training = step.train_picks(&picks)?.finish()?;
        let tried = step.draw_uniform(Stream::Algorithm);
        let held_out = step.accuracy(&tried)?;
        let first_of_epoch = step.progress().at.step == 0;
        if first_of_epoch || self.best.as_ref().is_none_or(|(loss, _)| held_out.loss < *loss) {
            self.best = Some((held_out.loss, tried));
        }
        Ok(StepReport { training: Some(training), held_out: Some(held_out), picks, redraws: 0 })
    }

    fn learns_alpha(&self) -> bool {
        false
    }

    fn genotype(&self, searcher: &Searcher) -> Genotype {
        match &self.best {
            Some((_, picks)) => Genotype::from_picks(&searcher.supernet.space, picks),
            None => searcher.genotype(),
        }
    }

    // A resumed search ends as an undisturbed one, bit for bit, because this is all that the algorithm keeps.
    fn save(&self, state: &mut Checkpoint) {
        let Some((loss, picks)) = &self.best else { return };
        state.insert("uniform-best/loss", Array::f64(&[1], vec![*loss]));
        for (cell, picks) in picks.iter().enumerate() {
            let picks: Vec<u64> = picks.iter().map(|&pick| pick as u64).collect();
            state.insert(format!("uniform-best/{cell}"), Array::u64(&[picks.len()], picks));
        }
    }

    fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        self.best = None;
        if state.arrays.contains_key("uniform-best/loss") {
            let loss = state.take_f64("uniform-best/loss", &[1])?[0];
            let mut picks = Vec::new();
            for (cell, alpha) in searcher.alpha.iter().enumerate() {
                let row = state.take_u64(&format!("uniform-best/{cell}"), &[alpha.edges()])?;
                picks.push(row.into_iter().map(|pick| pick as usize).collect());
            }
            self.best = Some((loss, picks));
        }
        Ok(())
    }
}

/// The published draw with a floor under its temperature: below it, the gradient of alpha would come from a few lucky draws.
#[derive(Debug)]
pub struct WarmDraw {
    /// Lowest temperature.
    pub floor: f64,
}

impl Estimator for WarmDraw {
    fn name(&self) -> &str {
        "warm-draw"
    }

    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
        StraightThrough.draw(logits, tau.max(self.floor), rng)
    }

    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
        StraightThrough.gradient(logits, draw, gates)
    }
}

/// L2 decay of alpha that grows with the epochs.
#[derive(Debug)]
pub struct GrowingDecay {
    /// Its weight in the last epoch.
    pub weight: f64,
}

impl Regulariser for GrowingDecay {
    fn name(&self) -> &str {
        "growing-decay"
    }

    fn gradient(&self, alpha: &[Alpha], at: Progress) -> Vec<Alpha> {
        let weight = self.weight * (at.at.epoch + 1) as f64 / at.epochs as f64;
        let mut gradients = alpha.to_vec();
        gradients.iter_mut().flat_map(Alpha::values_mut).for_each(|value| *value *= weight);
        gradients
    }
}
