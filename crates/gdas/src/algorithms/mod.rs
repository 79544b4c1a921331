//! GDAS and its rivals, one file each. All of them share a supernet's weights.
//!
//! They differ in how a step is taken and how the cell is chosen in the end; data, optimisers,
//! checkpoints and events are those of [`search`](crate::search). Settings are those that the benchmark's authors
//! published with their code (AutoDL-Projects, commit f46486e); each file names its source and says where it differs.

pub(crate) mod darts;
pub(crate) mod enas;
mod gdas;
pub(crate) mod judged;
mod rsps;
mod setn;

use crate::Error;
use crate::config::{Algorithm, SearchConfig};
use crate::data::{Batch, Dataset, EvaluationBatches, OnDevice, SearchBatch, Subset};
use crate::loss::Metrics;
use crate::proxies;
use crate::rng::Rng;
use crate::run::{Array, Checkpoint, Interrupt, RunError};
use crate::search::{Now, Searcher};
use crate::space::{Genotype, Space};

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// On the training batch, if weights learned.
    pub(crate) train: Option<Metrics>,
    /// On the held-out batch, if it was used.
    pub(crate) held_out: Option<Metrics>,
    /// Operation per table and edge of the network whose weights learned; empty if that was no single one.
    pub(crate) picked: Vec<Vec<usize>>,
    /// Draws repeated because they were not finite.
    pub(crate) redraws: u64,
}

/// One step of the configured algorithm.
pub(crate) fn step(searcher: &mut Searcher, pair: &SearchBatch, now: Now) -> Result<Taken, Error> {
    match searcher.config.algorithm {
        Algorithm::Gdas => gdas::step(searcher, pair, now),
        Algorithm::DartsV1 => darts::first_order_step(searcher, pair, now),
        Algorithm::DartsV2 => darts::second_order_step(searcher, pair, now),
        Algorithm::Setn => setn::step(searcher, pair, now),
        Algorithm::Enas => enas::step(searcher, pair, now),
        Algorithm::Rsps => rsps::step(searcher, pair, now),
    }
}

/// Steps of an epoch that come after those in which weights learn.
pub(crate) fn further_steps(config: &SearchConfig) -> u64 {
    match config.algorithm {
        Algorithm::Enas => (config.controller_steps * config.controller_samples) as u64,
        _ => 0,
    }
}

/// The cell that the search comes to, and what judging said if it is to judge where alpha could decide alone. `told` hears
/// before each candidate how many are judged, of how many. `None` if interrupted.
pub(crate) fn conclude(
    searcher: &Searcher,
    judge: &Judge,
    judges: bool,
    interrupt: &Interrupt,
    told: &mut dyn FnMut(usize, usize) -> Result<(), RunError>,
) -> Result<Option<(Genotype, Option<judged::Judged>)>, Error> {
    let candidates = match searcher.config.algorithm {
        Algorithm::Gdas | Algorithm::DartsV1 | Algorithm::DartsV2 => {
            if !judges {
                return Ok(Some((searcher.genotype(), None)));
            }
            let judged = judged::choose(searcher, judge, interrupt, told)?;
            return Ok(judged.map(|judged| (judged.genotype.clone(), Some(judged))));
        }
        Algorithm::Setn => setn::candidates(searcher),
        Algorithm::Enas => enas::candidates(searcher),
        Algorithm::Rsps => rsps::candidates(searcher),
    };
    let mut best: Option<Best> = None;
    let count = candidates.len();
    for (i, picks) in candidates.into_iter().enumerate() {
        if interrupt.is_requested() {
            return Ok(None);
        }
        told(i, count)?;
        let accuracy = searcher.accuracy(&picks, &judge.batch(i as u64))?.accuracy;
        Best::improve(&mut best, accuracy, &picks);
    }
    let space = &searcher.supernet.space;
    Ok(Some((best.map_or_else(|| searcher.genotype(), |best| Genotype::from_picks(space, &best.picks)), None)))
}

/// Images to judge cells with: fixed batches of held-out images, mixed once for all, without augmentation, and what
/// zero-cost proxies look at.
#[derive(Debug)]
pub struct Judge {
    batches: EvaluationBatches,
    shown: Batch,
}

impl Judge {
    /// Batches of `candidate_batch_size` images.
    pub fn new(config: &SearchConfig, dataset: &Dataset, held_out: &Subset) -> Self {
        Self {
            batches: EvaluationBatches::new(&dataset.statistics, &held_out.mixed(), config.candidate_batch_size),
            shown: proxies::images(dataset, judged::SHOWN),
        }
    }

    /// Lets the device make the batches whose images lie there.
    #[must_use]
    pub fn on_device(self, images: &OnDevice) -> Self {
        Self { batches: self.batches.on_device(images), ..self }
    }

    /// Number of batches.
    pub fn steps(&self) -> u64 {
        self.batches.steps()
    }

    /// Batch `step`; after the last comes the first again.
    pub fn batch(&self, step: u64) -> Batch {
        self.batches.batch(step % self.batches.steps().max(1))
    }
}

/// A cell and how well it did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Best {
    accuracy: f64,
    /// Operation per table and edge.
    pub(crate) picks: Vec<Vec<usize>>,
}

impl Best {
    /// Keeps the better one; the first of equals.
    fn improve(best: &mut Option<Self>, accuracy: f64, picks: &[Vec<usize>]) {
        if best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            *best = Some(Self { accuracy, picks: picks.to_vec() });
        }
    }
}

/// What an algorithm keeps besides weights and alpha.
#[derive(Clone, Debug)]
pub(crate) enum Own {
    /// Nothing.
    Nothing,
    /// RSPS: the best cell that was tried in this epoch.
    Best(Option<Best>),
    /// ENAS: the controller.
    Controller(Box<enas::Controller>),
}

impl Own {
    pub(crate) fn new(config: &SearchConfig, space: &Space) -> Self {
        match config.algorithm {
            Algorithm::Rsps => Self::Best(None),
            Algorithm::Enas => Self::Controller(Box::new(enas::Controller::new(config, space))),
            _ => Self::Nothing,
        }
    }

    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        match self {
            Self::Nothing | Self::Best(None) => {}
            Self::Best(Some(best)) => {
                checkpoint.insert("best/accuracy", Array::f64(&[1], vec![best.accuracy]));
                for (i, picks) in best.picks.iter().enumerate() {
                    let picks: Vec<u64> = picks.iter().map(|&pick| pick as u64).collect();
                    checkpoint.insert(format!("best/{i}"), Array::u64(&[picks.len()], picks));
                }
            }
            Self::Controller(controller) => controller.save(checkpoint),
        }
    }

    /// Reads back what [`Own::save`] wrote of a search on `space`.
    pub(crate) fn load(&mut self, space: &Space, checkpoint: &mut Checkpoint) -> Result<(), RunError> {
        match self {
            Self::Nothing => {}
            Self::Best(best) => {
                *best = None;
                if !checkpoint.arrays.contains_key("best/accuracy") {
                    return Ok(());
                }
                let accuracy = checkpoint.take_f64("best/accuracy", &[1])?[0];
                let mut picks = Vec::new();
                for (i, cell) in space.cells.iter().enumerate() {
                    let row = checkpoint.take_u64(&format!("best/{i}"), &[cell.edges().len()])?;
                    if row.iter().any(|&pick| pick >= cell.width() as u64) {
                        return Err(RunError::Content(format!("best/{i} names an operation that the space lacks")));
                    }
                    picks.push(row.into_iter().map(|pick| pick as usize).collect());
                }
                *best = Some(Best { accuracy, picks });
            }
            Self::Controller(controller) => controller.load(checkpoint)?,
        }
        Ok(())
    }
}

/// Operation per table and edge, drawn uniformly.
fn uniform(space: &Space, rng: &mut Rng) -> Vec<Vec<usize>> {
    space.cells.iter().map(|cell| cell.edges().iter().map(|_| rng.below(cell.width())).collect()).collect()
}
