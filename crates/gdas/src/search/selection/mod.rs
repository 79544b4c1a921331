//! Selections: which cell is the result, once the steps are done.

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

/// Images that proxies are shown: fewer than published, to spend no more time on them than on the losses.
const SHOWN: usize = 32;

/// How the cell is chosen in the end, where the [algorithm](super::Algorithm) leaves that open.
///
/// # Example
/// Of alpha's own choice and nine cells drawn uniformly, the one with the smallest held-out loss.
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
    /// Its name, which a run records: going on with it needs a selection of the same name.
    fn name(&self) -> &str;

    /// Chooses a cell; `None` if it was interrupted.
    ///
    /// # Errors
    /// Whatever keeps it from choosing.
    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error>;
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// The cell chosen.
    pub genotype: Genotype,
    /// How it compares with the algorithm's own choice, if they were compared.
    pub judgement: Option<Judgement>,
}

impl Selected {
    /// A cell that was not compared with the algorithm's own choice.
    pub fn new(genotype: Genotype) -> Self {
        Self { genotype, judgement: None }
    }
}

/// What a selection chooses with.
pub struct SelectionContext<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) algorithm: &'a dyn Algorithm,
    pub(super) judge: &'a Judge,
    pub(super) interrupt: &'a Interrupt,
    /// Steps done in the whole run.
    pub(super) step: u64,
    /// Receives the number of candidates judged and their total; waits while the search is paused.
    pub(super) report: &'a mut dyn FnMut(usize, usize) -> Result<(), Error>,
}

impl SelectionContext<'_> {
    /// Weights and alpha as they are in the end; [`Searcher::loss`] and [`Searcher::accuracy`] try cells with them.
    pub fn searcher(&self) -> &Searcher {
        self.searcher
    }

    /// The search's configuration.
    pub fn config(&self) -> &SearchConfig {
        &self.searcher.config
    }

    /// The algorithm's own choice.
    pub fn proposal(&self) -> Genotype {
        self.algorithm.genotype(self.searcher)
    }

    /// The cells that a judged selection compares: the algorithm's own choice, then cells drawn from alpha and uniformly by
    /// turns, without repetition and within the bounds on cost; `candidates` of them where the space holds as many.
    pub fn candidates(&self) -> Vec<Genotype> {
        judged::candidates(self.searcher, self.proposal())
    }

    /// Steps done in the whole run.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The first batches of held-out images, at most `count`: mixed once for all, not augmented,
    /// `candidate_batch_size` images each.
    pub fn batches(&self, count: u64) -> Vec<Batch> {
        (0..self.judge.steps().min(count)).map(|i| self.judge.batch(i)).collect()
    }

    /// Training images for zero-cost proxies.
    pub fn proxy_batch(&self) -> &Batch {
        &self.judge.shown
    }

    /// Reports that `done` of `total` candidates are done. False if the search was asked to stop: then give `None`.
    ///
    /// # Errors
    /// The event cannot be logged.
    pub fn proceed(&mut self, done: usize, total: usize) -> Result<bool, Error> {
        // A pause is waited for here, and may end in a stop.
        (self.report)(done, total)?;
        phase::enter("judging");
        Ok(!self.interrupt.is_requested())
    }
}

/// Images to judge cells with: fixed batches of held-out images, mixed once for all, without augmentation, and what
/// zero-cost proxies look at.
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

    /// Batch `step`; after the last comes the first again.
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
