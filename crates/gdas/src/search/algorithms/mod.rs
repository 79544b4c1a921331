//! Search algorithms that share a supernet's weights, one file each.
//!
//! They differ in how a step is taken and in how the cell is chosen in the end; data, optimisers, checkpoints and events
//! are those of the [search](crate::search). Settings are those that the benchmark's authors published with their code
//! (AutoDL-Projects, commit f46486e); each file names its source and says where it differs.

mod darts;
mod enas;
mod gdas;
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
pub use rsps::Rsps;
pub use setn::Setn;

/// A search algorithm: what it does in a step, and which cell it stands for.
///
/// The weights, alpha and their optimisers belong to the [`Searcher`] that every step is given by way of its
/// [`StepContext`]; an algorithm keeps what it needs besides, and saves and loads that.
///
/// # Example
/// Uniform draws; the cell of the smallest held-out loss of the last epoch wins.
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
    /// Its name, which a run records: going on with it needs an algorithm of the same name. A run tells a user's own
    /// algorithm from a built-in one of the same name.
    fn name(&self) -> &str;

    /// Prepares for a search, before its first step and before [`load`](Self::load).
    ///
    /// # Errors
    /// The algorithm cannot search this space with this configuration.
    fn begin(&mut self, config: &SearchConfig, space: &Space) -> Result<(), Error> {
        let (_, _) = (config, space);
        Ok(())
    }

    /// Takes one step: draws, lets weights and alpha learn.
    ///
    /// # Errors
    /// Whatever ends the search; its last checkpoint stays.
    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error>;

    /// The cell that it stands for now: the operations of largest alpha, unless it says otherwise.
    fn genotype(&self, searcher: &Searcher) -> Genotype {
        searcher.genotype()
    }

    /// Cells to choose among in the end, by their accuracy on one held-out batch each. `None` leaves the choice to the
    /// configured [selection](super::Selection), which begins with [`genotype`](Self::genotype).
    fn candidates(&self, searcher: &Searcher) -> Option<Vec<Vec<Vec<usize>>>> {
        let _ = searcher;
        None
    }

    /// Whether it moves alpha by a gradient. Where it does not, alpha starts at zero.
    fn learns_alpha(&self) -> bool {
        true
    }

    /// Steps of an epoch that come after those in which weights learn; they have a held-out batch only.
    fn further_steps(&self, config: &SearchConfig) -> u64 {
        let _ = config;
        0
    }

    /// Learning rate of the weights after `done` weight steps, given the number of them in an epoch: a cosine over the
    /// whole search.
    fn learning_rate(&self, config: &SearchConfig, done: u64, steps_per_epoch: u64) -> f64 {
        let total = config.epochs as u64 * steps_per_epoch;
        cosine(config.learning_rate, config.learning_rate_min, done as f64, total as f64)
    }

    /// Adds what it keeps to a checkpoint, as arrays under names of its own.
    fn save(&self, state: &mut Checkpoint) {
        let _ = state;
    }

    /// Takes back what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The checkpoint holds something else.
    fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        let (_, _) = (searcher, state);
        Ok(())
    }
}

/// What a configuration calls an algorithm: by its type, so that a user's own is not taken for a built-in one of the same
/// name.
pub(super) fn identity(algorithm: &dyn Algorithm) -> config::Algorithm {
    let any: &dyn Any = algorithm;
    if any.is::<Gdas>() || any.is::<Darts>() || any.is::<Setn>() || any.is::<Enas>() || any.is::<Rsps>() {
        config::Algorithm::named(algorithm.name())
    } else {
        config::Algorithm::Own(algorithm.name().to_owned())
    }
}

/// The built-in algorithm of a configuration.
///
/// # Errors
/// It is one of the user's own, which only the program that defines it can give.
pub(super) fn built_in(name: &config::Algorithm) -> Result<Box<dyn Algorithm>, Error> {
    Ok(match name {
        config::Algorithm::Gdas => Box::new(Gdas),
        config::Algorithm::DartsV1 => Box::new(Darts::first_order()),
        config::Algorithm::DartsV2 => Box::new(Darts::second_order()),
        config::Algorithm::Setn => Box::new(Setn),
        config::Algorithm::Enas => Box::new(Enas::default()),
        config::Algorithm::Rsps => Box::new(Rsps::default()),
        config::Algorithm::Own(name) => {
            return Err(Error::Unsuitable(format!(
                "this run searches with `{name}`, which is not built in: only a program that has it can go on with it \
                 (`Search::resume(path).algorithm(..)`)"
            )));
        }
    })
}
