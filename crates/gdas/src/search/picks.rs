//! One operation per searched cell and edge, as columns of alpha.

use crate::Error;
use crate::rng::Rng;
use crate::space::Space;

/// Drawn uniformly.
pub(super) fn uniform(space: &Space, rng: &mut Rng) -> Vec<Vec<usize>> {
    space.cells.iter().map(|cell| cell.edges().iter().map(|_| rng.below(cell.width())).collect()).collect()
}

/// Whether a space has these cells, edges and operations; the error says what it has not.
pub(super) fn check(space: &Space, picks: &[Vec<usize>]) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Unsuitable(format!("picks that are no cell of {}: {what}", space.name)));
    if picks.len() != space.cells.len() {
        return wrong(format!("{} cells instead of {}", picks.len(), space.cells.len()));
    }
    for (cell, picks) in space.cells.iter().zip(picks) {
        let edges = cell.edges().len();
        if picks.len() != edges {
            return wrong(format!("cell `{}` has {edges} edges, not {}", cell.name, picks.len()));
        }
        if let Some(edge) = picks.iter().position(|&pick| pick >= cell.width()) {
            let (pick, width) = (picks[edge], cell.width());
            return wrong(format!("operation {pick} on edge {edge} of cell `{}`, which has {width}", cell.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::space::spaces;

    #[test]
    fn picks_that_the_space_lacks_are_named() {
        let space = spaces::nas_bench_201();
        let good = uniform(&space, &mut Rng::new(0, Stream::Architectures, 0));
        assert!(check(&space, &good).is_ok());
        let error = |picks: &[Vec<usize>]| check(&space, picks).unwrap_err().to_string();
        assert!(error(&[]).contains("0 cells instead of 1"));
        assert!(error(&[vec![0; 5]]).contains("has 6 edges, not 5"));
        assert!(error(&[vec![0, 0, 0, 0, 7, 0]]).contains("operation 7 on edge 4"));
    }
}
