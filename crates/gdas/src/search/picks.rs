//! Picks: one operation per searched cell and edge, as columns of alpha.

use crate::Error;
use crate::rng::{Rng, Stream};
use crate::space::{CellSpace, Space};

/// Picks sampled uniformly.
pub(super) fn uniform(space: &Space, rng: &mut Rng) -> Vec<Vec<usize>> {
    space.cells.iter().map(|cell| cell.edges().iter().map(|_| rng.below(cell.width())).collect()).collect()
}

/// Picks of fair sampling: an edge with K operations takes each of them once in K steps, in a random order that is drawn
/// for every K steps (FairNAS, strict fairness; Chu, Zhang and Xu, ICCV 2021).
pub(super) fn in_turn(space: &Space, seed: u64, step: u64) -> Vec<Vec<usize>> {
    let of_cell = |cell: &CellSpace| {
        let width = cell.width() as u64;
        let mut rng = Rng::new(seed, Stream::FairDraws, step / width);
        let mut order: Vec<usize> = (0..cell.width()).collect();
        let turn = (step % width) as usize;
        cell.edges()
            .iter()
            .map(|_| {
                rng.shuffle(&mut order);
                order[turn]
            })
            .collect()
    };
    space.cells.iter().map(of_cell).collect()
}

/// Checks that the space has these cells, edges and operations.
pub(super) fn check(space: &Space, picks: &[Vec<usize>]) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Unsuitable(format!("picks that are not a cell of {}: {what}", space.name)));
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
    use crate::space::spaces;

    #[test]
    fn in_turn_every_operation_of_every_edge_is_drawn_equally_often() {
        for space in [spaces::nas_bench_201(), spaces::nasnet()] {
            let rounds = 6;
            for (cell, of) in space.cells.iter().enumerate() {
                let width = of.width();
                let mut counts = vec![vec![0; width]; of.edges().len()];
                let mut sequences = std::collections::BTreeSet::new();
                for step in 0..(rounds * width) as u64 {
                    let picks = in_turn(&space, 3, step);
                    check(&space, &picks).expect("picks of the space");
                    picks[cell].iter().zip(&mut counts).for_each(|(&pick, counts)| counts[pick] += 1);
                    sequences.insert(picks[cell].clone());
                }
                assert!(counts.iter().flatten().all(|&count| count == rounds), "{counts:?}");
                assert!(sequences.len() > width, "edges and rounds have orders of their own");
            }
        }
    }

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
