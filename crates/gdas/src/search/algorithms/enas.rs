//! ENAS (Pham, Guan, Zoph, Le and Dean, "Efficient neural architecture search via parameter sharing", ICML 2018).
//!
//! A controller, an LSTM, generates a cell operation by operation. In an epoch, the weights of sampled cells are trained on
//! all training images; then the controller is trained by REINFORCE with the accuracy of sampled cells on held-out images
//! as reward. At the end it samples candidates, and the best of them is the result.
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/ENAS.config`, `exps/NAS-Bench-201-algos/ENAS.py` and
//! `xautodl/models/cell_searchs/search_model_enas_utils.py`. Differences: held-out images are drawn at random instead of in
//! shuffled order, and candidates are evaluated on images without augmentation.

mod controller;

use self::controller::Controller;
use super::Algorithm;
use crate::Error;
use crate::alpha::Alpha;
use crate::config::SearchConfig;
use crate::optim::cosine;
use crate::rng::{Rng, Stream};
use crate::run::Checkpoint;
use crate::search::context::{StepContext, StepReport};
use crate::search::progress::Half;
use crate::search::searcher::Searcher;
use crate::space::Space;

/// Half period in epochs of the cosine schedule of the weights' learning rate (`T_max` in the published configuration,
/// whose scheduler does not restart).
const HALF_PERIOD: u64 = 10;
/// ENAS: a controller trained by REINFORCE on the accuracy of cells with shared weights.
#[derive(Clone, Debug, Default)]
pub struct Enas {
    /// Created when the search begins, as its size depends on the space.
    controller: Option<Box<Controller>>,
}

impl Enas {
    fn controller(&mut self) -> Result<&mut Controller, Error> {
        let controller = self.controller.as_deref_mut();
        controller.ok_or_else(|| Error::Unsuitable("`begin` was not called: ENAS has no controller".to_owned()))
    }

    fn weight_step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let controller = self.controller()?;
        let picks = controller.picks(&controller.sample(&mut step.rng(Stream::DrawWeights)));
        let training = step.train_picks(&picks)?.finish()?;
        Ok(StepReport { training: Some(training), picks, ..StepReport::default() })
    }

    fn controller_step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let controller = self.controller()?;
        let sample = controller.sample(&mut step.rng(Stream::DrawAlpha));
        let picks = controller.picks(&sample);
        let held_out = step.accuracy(&picks)?;
        if !step.alpha_rests()
            && let Some(policy) = controller.reinforce(&sample, held_out.accuracy)
        {
            let mut rows = policy.into_iter();
            for alpha in step.alpha_mut() {
                *alpha = alpha.map_rows(|_| rows.next().unwrap_or_default());
            }
        }
        let sum = step.alpha().iter().flat_map(Alpha::values).sum();
        step.check_finite(sum, "the policy of the controller")?;
        Ok(StepReport { held_out: Some(held_out), picks, ..StepReport::default() })
    }
}

impl Algorithm for Enas {
    fn name(&self) -> &'static str {
        "enas"
    }

    fn begin(&mut self, config: &SearchConfig, space: &Space) -> Result<(), Error> {
        self.controller = Some(Box::new(Controller::new(config, space)));
        Ok(())
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        if step.batch(Half::Training).is_empty() { self.controller_step(step) } else { self.weight_step(step) }
    }

    /// Cells sampled by the controller.
    fn candidates(&self, searcher: &Searcher) -> Option<Vec<Vec<Vec<usize>>>> {
        let controller = self.controller.as_ref()?;
        let seed = searcher.config.seed;
        let draw = |i| controller.picks(&controller.sample(&mut Rng::new(seed, Stream::Architectures, i)));
        Some((0..searcher.config.candidates as u64).map(draw).collect())
    }

    fn learns_alpha(&self) -> bool {
        false
    }

    fn further_steps(&self, config: &SearchConfig) -> u64 {
        (config.controller_steps * config.controller_samples) as u64
    }

    /// A cosine that falls and rises periodically.
    fn learning_rate(&self, config: &SearchConfig, done: u64, steps_per_epoch: u64) -> f64 {
        let total = (config.epochs as u64 * steps_per_epoch).min(HALF_PERIOD * steps_per_epoch);
        let done = done % (2 * total);
        let done = done.min(2 * total - done);
        cosine(config.learning_rate, config.learning_rate_min, done as f64, total as f64)
    }

    fn save(&self, state: &mut Checkpoint) {
        if let Some(controller) = &self.controller {
            controller.save(state);
        }
    }

    fn load(&mut self, _: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        Ok(self.controller()?.load(state)?)
    }
}
