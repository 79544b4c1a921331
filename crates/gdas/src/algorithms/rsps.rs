//! RSPS: random search with parameter sharing (Li and Talwalkar, "Random search and reproducibility for neural
//! architecture search", UAI 2019).
//!
//! The weights of a uniformly drawn network learn, nothing else does. In the end so many uniformly drawn cells are
//! judged with the shared weights, and the best of them is the result.
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/RANDOM.config` and `exps/NAS-Bench-201-algos/RANDOM-NAS.py`
//! (250 epochs, gradients clipped to 5, 100 candidates, each judged on one batch of 512 held-out images with running
//! statistics). Different here: that choice is made once, at the end. An epoch's held-out accuracy is, as there, that of
//! random cells, one per batch; its cell is the best of these.

use super::{Best, Own, Taken, uniform};
use crate::Error;
use crate::data::SearchBatch;
use crate::rng::{Rng, Stream};
use crate::search::{Now, Searcher};

pub(super) fn step(searcher: &mut Searcher, pair: &SearchBatch, now: Now) -> Result<Taken, Error> {
    let draw = |stream| uniform(&searcher.supernet.space, &mut Rng::new(searcher.config.seed, stream, now.step));
    let (picked, tried) = (draw(Stream::DrawWeights), draw(Stream::DrawAlpha));
    let train = searcher.learn_drawn(&picked, &pair.weights, now)?.metrics(now.at)?;
    let held_out = searcher.accuracy(&tried, &pair.alpha)?;
    Error::finite(held_out.loss, "the held-out loss", now.at)?;
    if let Own::Best(best) = &mut searcher.own {
        if now.at.step == 0 {
            *best = None;
        }
        Best::improve(best, held_out.accuracy, &tried);
    }
    Ok(Taken { train: Some(train), held_out: Some(held_out), picked, redraws: 0 })
}

/// Uniformly drawn cells.
pub(super) fn candidates(searcher: &Searcher) -> Vec<Vec<Vec<usize>>> {
    let seed = searcher.config.seed;
    let draw = |i| uniform(&searcher.supernet.space, &mut Rng::new(seed, Stream::Architectures, i));
    (0..searcher.config.candidates as u64).map(draw).collect()
}
