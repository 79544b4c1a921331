//! Search algorithms with the shared weights of a supernet, one file each.
//!
//! They differ in their step and in the derivation of the cell; data, optimisers, checkpoints and events are those of the
//! [search](crate::search). The settings are those that the benchmark's authors published with their code (AutoDL-Projects,
//! commit f46486e); each file names its source and the differences.

mod darts;
mod enas;
mod gdas;
mod mixture;
mod reinforce;
mod rsps;
mod setn;

use std::any::Any;

use crate::Error;
use crate::config::{self, SearchConfig};
use crate::optim::cosine;
use crate::run::Checkpoint;
use crate::space::{Genotype, Space};

use super::context::{StepContext, StepReport};
use super::searcher::Searcher;

pub use darts::Darts;
pub use enas::Enas;
pub use gdas::Gdas;
pub use mixture::Mixture;
pub use reinforce::Reinforce;
pub use rsps::Rsps;
pub use setn::Setn;

/// A search algorithm: its step, and the derivation of a cell.
///
/// The weights, alpha and their optimisers belong to the [`Searcher`], which a step accesses through its [`StepContext`].
/// An algorithm saves and loads only its additional state.
///
/// # Example
/// Uniform sampling; the result is the cell with the smallest held-out loss in the last epoch.
///
/// ```
/// use gdas::Error;
/// use gdas::rng::Stream;
/// use gdas::run::{Array, Checkpoint};
/// use gdas::search::{Algorithm, Searcher, StepContext, StepReport};
/// use gdas::space::Genotype;
///
/// #[derive(Debug, Default)]
/// struct SmallestLoss {
///     best: Option<(f64, Vec<Vec<usize>>)>,
/// }
///
/// impl Algorithm for SmallestLoss {
///     fn name(&self) -> &str {
///         "smallest-loss"
///     }
///
///     fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
///         let picks = step.draw_uniform(Stream::DrawWeights);
///         let training = step.train_picks(&picks)?.finish()?;
///         let tried = step.draw_uniform(Stream::DrawAlpha);
///         let held_out = step.accuracy(&tried)?;
///         let first = step.progress().at.step == 0;
///         if first || self.best.as_ref().is_none_or(|(loss, _)| held_out.loss < *loss) {
///             self.best = Some((held_out.loss, tried));
///         }
///         Ok(StepReport { training: Some(training), held_out: Some(held_out), picks, redraws: 0 })
///     }
///
///     fn learns_alpha(&self) -> bool {
///         false
///     }
///
///     fn genotype(&self, searcher: &Searcher) -> Genotype {
///         match &self.best {
///             Some((_, picks)) => Genotype::from_picks(&searcher.supernet.space, picks),
///             None => searcher.genotype(),
///         }
///     }
///
///     fn save(&self, state: &mut Checkpoint) {
///         if let Some((loss, picks)) = &self.best {
///             state.insert("smallest-loss/loss", Array::f64(&[1], vec![*loss]));
///             for (cell, picks) in picks.iter().enumerate() {
///                 let picks: Vec<u64> = picks.iter().map(|&pick| pick as u64).collect();
///                 state.insert(format!("smallest-loss/{cell}"), Array::u64(&[picks.len()], picks));
///             }
///         }
///     }
///
///     fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
///         self.best = None;
///         if state.arrays.contains_key("smallest-loss/loss") {
///             let loss = state.take_f64("smallest-loss/loss", &[1])?[0];
///             let mut picks = Vec::new();
///             for (cell, alpha) in searcher.alpha.iter().enumerate() {
///                 let row = state.take_u64(&format!("smallest-loss/{cell}"), &[alpha.edges()])?;
///                 picks.push(row.into_iter().map(|pick| pick as usize).collect());
///             }
///             self.best = Some((loss, picks));
///         }
///         Ok(())
///     }
/// }
/// # let _: Box<dyn Algorithm> = Box::new(SmallestLoss::default());
/// ```
pub trait Algorithm: Any + std::fmt::Debug + Send {
    /// Name, recorded in the run; resuming requires an algorithm of the same name. A custom algorithm is distinguished from a
    /// built-in one of the same name.
    fn name(&self) -> &str;

    /// Prepares for a search, before the first step and before [`load`](Self::load).
    ///
    /// # Errors
    /// If the algorithm does not support the space or the configuration.
    fn begin(&mut self, config: &SearchConfig, space: &Space) -> Result<(), Error> {
        let (_, _) = (config, space);
        Ok(())
    }

    /// Performs one step: samples operations, updates weights and alpha.
    ///
    /// # Errors
    /// Any error ends the search; its last checkpoint remains.
    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error>;

    /// Derives the current cell, by default the operations of largest alpha.
    fn genotype(&self, searcher: &Searcher) -> Genotype {
        searcher.genotype()
    }

    /// Candidates for the final cell, evaluated on one held-out batch each. `None` for the configured
    /// [selection](super::Selection), which starts from [`genotype`](Self::genotype).
    fn candidates(&self, searcher: &Searcher) -> Option<Vec<Vec<Vec<usize>>>> {
        let _ = searcher;
        None
    }

    /// Whether it updates alpha by a gradient. If not, alpha is initialised to zero.
    fn learns_alpha(&self) -> bool {
        true
    }

    /// Number of additional steps per epoch after the weight steps, with a held-out batch only.
    fn further_steps(&self, config: &SearchConfig) -> u64 {
        let _ = config;
        0
    }

    /// Learning rate of the weights after `done` weight steps; by default cosine annealing over the whole search.
    fn learning_rate(&self, config: &SearchConfig, done: u64, steps_per_epoch: u64) -> f64 {
        let total = config.epochs as u64 * steps_per_epoch;
        cosine(config.learning_rate, config.learning_rate_min, done as f64, total as f64)
    }

    /// Adds its state to a checkpoint, as arrays with unique names.
    fn save(&self, state: &mut Checkpoint) {
        let _ = state;
    }

    /// Restores the state saved by [`save`](Self::save).
    ///
    /// # Errors
    /// If the checkpoint's content is not as expected.
    fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        let (_, _) = (searcher, state);
        Ok(())
    }
}

/// The configuration value of an algorithm, by its type, so that a custom one differs from a built-in one of the same name.
pub(super) fn identity(algorithm: &dyn Algorithm) -> config::Algorithm {
    let any: &dyn Any = algorithm;
    let built_in = any.is::<Gdas>()
        || any.is::<Darts>()
        || any.is::<Setn>()
        || any.is::<Enas>()
        || any.is::<Rsps>()
        || any.is::<Mixture>()
        || any.is::<Reinforce>();
    if built_in {
        config::Algorithm::named(algorithm.name())
    } else {
        config::Algorithm::Own(algorithm.name().to_owned())
    }
}

/// The built-in algorithm of a configuration.
///
/// # Errors
/// If it is a custom one, which only the program that defines it can provide.
pub(super) fn built_in(name: &config::Algorithm) -> Result<Box<dyn Algorithm>, Error> {
    Ok(match name {
        config::Algorithm::Gdas => Box::new(Gdas),
        config::Algorithm::DartsV1 => Box::new(Darts::first_order()),
        config::Algorithm::DartsV2 => Box::new(Darts::second_order()),
        config::Algorithm::Setn => Box::new(Setn),
        config::Algorithm::Enas => Box::new(Enas::default()),
        config::Algorithm::Rsps => Box::new(Rsps::default()),
        config::Algorithm::Snas => Box::new(Mixture::snas()),
        config::Algorithm::Drnas => Box::new(Mixture::drnas()),
        config::Algorithm::Reinforce => Box::new(Reinforce::alone()),
        config::Algorithm::GdasReinforce => Box::new(Reinforce::with_straight_through()),
        config::Algorithm::Own(name) => {
            return Err(Error::Unsuitable(format!(
                "this run searches with `{name}`, which is not built in: only a program that has it can go on with it \
                 (`Search::resume(path).algorithm(..)`)"
            )));
        }
    })
}
