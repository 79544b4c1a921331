//! GDAS (Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR 2019): the weights of one
//! drawn network learn, then alpha by way of another. `edge_output` chooses between the two published forms.

use super::Taken;
use crate::Error;
use crate::data::SearchBatch;
use crate::search::{Now, Searcher};

pub(super) fn step(searcher: &mut Searcher, pair: &SearchBatch, now: Now) -> Result<Taken, Error> {
    let (learned, draws) = searcher.begin_step(&pair.weights, now)?;
    let (train, held_out, redraws) = searcher.end_step(Some(learned), &pair.alpha, now)?;
    Ok(Taken {
        train,
        held_out: Some(held_out),
        redraws: redraws + draws.iter().map(|draw| draw.redraws).sum::<u64>(),
        picked: draws.into_iter().map(|draw| draw.picks).collect(),
    })
}
