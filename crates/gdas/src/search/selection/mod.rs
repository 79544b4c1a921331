//! Selections: choice of the final cell after the last step.

mod accuracy;
mod argmax;
mod judged;
mod side_by_side;

use super::algorithms::Algorithm;
use super::searcher::Searcher;
use crate::Error;
use crate::config::{self, SearchConfig};
use crate::data::{Batch, Dataset, EvaluationBatches, OnDevice, Subset};
use crate::proxies;
use crate::run::{Interrupt, Judgement, phase};
use crate::space::Genotype;

pub use argmax::Argmax;
pub use judged::Judged;

pub(super) use accuracy::most_accurate;
pub(super) use judged::seconds_per_candidate;

/// Number of images for proxies; fewer than published, so that they take no longer than the losses.
const SHOWN: usize = 32;

/// Choice of the final cell, for [algorithms](super::Algorithm) without candidates.
///
/// # Example
/// The cell with the smallest held-out loss among that derived from alpha and nine cells sampled uniformly.
///
/// ```
/// use gdas::Error;
/// use gdas::rng::{Rng, Stream};
/// use gdas::search::{Selected, Selection, SelectionContext};
/// use gdas::space::Genotype;
///
/// #[derive(Debug)]
/// struct SmallestLoss;
///
/// impl Selection for SmallestLoss {
///     fn name(&self) -> &str {
///         "smallest-loss"
///     }
///
///     fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error> {
///         let mut candidates = vec![choice.proposal()];
///         for i in 0..9 {
///             let mut rng = Rng::new(choice.config().seed, Stream::Architectures, i);
///             let space = &choice.searcher().supernet.space;
///             let cells = space.cells.iter();
///             let picks: Vec<Vec<usize>> = cells
///                 .map(|cell| cell.edges().iter().map(|_| rng.below(cell.width())).collect())
///                 .collect();
///             candidates.push(Genotype::from_picks(space, &picks));
///         }
///         let batches = choice.batches(2);
///         let mut best: Option<(f64, &Genotype)> = None;
///         for (done, genotype) in candidates.iter().enumerate() {
///             if !choice.proceed(done, candidates.len())? {
///                 return Ok(None);
///             }
///             let loss = choice.searcher().loss(genotype, &batches)?;
///             if best.is_none_or(|(smallest, _)| loss < smallest) {
///                 best = Some((loss, genotype));
///             }
///         }
///         Ok(best.map(|(_, genotype)| Selected::new(genotype.clone())))
///     }
/// }
/// # let _: Box<dyn Selection> = Box::new(SmallestLoss);
/// ```
pub trait Selection: std::fmt::Debug + Send + Sync {
    /// Name, recorded in the run; resuming requires a selection of the same name.
    fn name(&self) -> &str;

    /// Chooses a cell; `None` if interrupted.
    ///
    /// # Errors
    /// Any error ends the search.
    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error>;
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// The cell chosen.
    pub genotype: Genotype,
    /// Comparison with the algorithm's genotype, if there was one.
    pub judgement: Option<Judgement>,
}

impl Selected {
    /// A cell without a comparison.
    pub fn new(genotype: Genotype) -> Self {
        Self { genotype, judgement: None }
    }
}

/// Context of a selection.
pub struct SelectionContext<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) algorithm: &'a dyn Algorithm,
    pub(super) judge: &'a Judge,
    pub(super) interrupt: &'a Interrupt,
    /// Number of steps done in the whole run.
    pub(super) step: u64,
    /// Receives the number of judged candidates and their total; blocks while the search is paused.
    pub(super) report: &'a mut dyn FnMut(usize, usize) -> Result<(), Error>,
}

impl SelectionContext<'_> {
    /// Final weights and alpha; [`Searcher::loss`] and [`Searcher::accuracy`] evaluate cells with them.
    pub fn searcher(&self) -> &Searcher {
        self.searcher
    }

    /// The search's configuration.
    pub fn config(&self) -> &SearchConfig {
        &self.searcher.config
    }

    /// The algorithm's genotype.
    pub fn proposal(&self) -> Genotype {
        self.algorithm.genotype(self.searcher)
    }

    /// The candidates of a judged selection: the algorithm's genotype, then alternately cells sampled from alpha and uniformly,
    /// without repetition and within the cost bounds; `candidates` of them if the space has as many.
    pub fn candidates(&self) -> Vec<Genotype> {
        judged::candidates(self.searcher, self.proposal())
    }

    /// Number of steps done in the whole run.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The first batches of held-out images, at most `count`: in a fixed shuffled order, not augmented, of
    /// `candidate_batch_size` images.
    pub fn batches(&self, count: u64) -> Vec<Batch> {
        (0..self.judge.steps().min(count)).map(|i| self.judge.batch(i)).collect()
    }

    /// Training images for zero-cost proxies.
    pub fn proxy_batch(&self) -> &Batch {
        &self.judge.shown
    }

    /// Reports that `done` of `total` candidates are done. Returns false if a stop is requested; the selection must then return
    /// `None`.
    ///
    /// # Errors
    /// If the event cannot be logged.
    pub fn proceed(&mut self, done: usize, total: usize) -> Result<bool, Error> {
        // Blocks during a pause, which may end with a stop.
        (self.report)(done, total)?;
        phase::enter("judging");
        Ok(!self.interrupt.is_requested())
    }
}

/// Images for judging cells: fixed batches of held-out images in shuffled order without augmentation, and the batch for
/// zero-cost proxies.
#[derive(Debug)]
pub(super) struct Judge {
    batches: EvaluationBatches,
    shown: Batch,
}

impl Judge {
    /// Batches of `candidate_batch_size` images.
    pub(super) fn new(config: &SearchConfig, dataset: &Dataset, held_out: &Subset, on_device: &OnDevice) -> Self {
        let batches = EvaluationBatches::new(&dataset.statistics, &held_out.mixed(), config.candidate_batch_size);
        Self { batches: batches.on_device(on_device), shown: proxies::images(dataset, SHOWN) }
    }

    /// Number of batches.
    fn steps(&self) -> u64 {
        self.batches.steps()
    }

    /// Batch `step`, cyclically.
    fn batch(&self, step: u64) -> Batch {
        self.batches.batch(step % self.batches.steps().max(1))
    }
}

/// The selection of a configuration.
pub(super) fn built_in(name: config::Selection) -> Box<dyn Selection> {
    match name {
        config::Selection::Argmax => Box::new(Argmax),
        config::Selection::Judged => Box::new(Judged),
    }
}
