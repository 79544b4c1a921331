use super::{Selected, SelectionContext};
use crate::Error;
use crate::search::picks;
use crate::space::Genotype;

/// The candidate with the best accuracy on one held-out batch each, the first of equals; the algorithm's genotype if there
/// are no candidates.
pub(crate) fn most_accurate(
    candidates: &[Vec<Vec<usize>>],
    choice: &mut SelectionContext<'_>,
) -> Result<Option<Selected>, Error> {
    let searcher = choice.searcher;
    let space = &searcher.supernet.space;
    let mut best: Option<(f64, &Vec<Vec<usize>>)> = None;
    for (i, candidate) in candidates.iter().enumerate() {
        if !choice.proceed(i, candidates.len())? {
            return Ok(None);
        }
        picks::check(space, candidate)?;
        let accuracy = searcher.accuracy(candidate, &choice.judge.batch(i as u64))?.accuracy;
        if best.is_none_or(|(highest, _)| accuracy > highest) {
            best = Some((accuracy, candidate));
        }
    }
    let genotype = best.map_or_else(|| choice.proposal(), |(_, picks)| Genotype::from_picks(space, picks));
    Ok(Some(Selected::new(genotype)))
}
