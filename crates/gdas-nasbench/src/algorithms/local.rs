//! Local search (White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021): from
//! a random cell, look at all cells that differ in one operation, move to the best of them while it is better, and
//! start again from another random cell at a local optimum. A cell that was trained before is not trained again.

use std::collections::HashMap;

use super::random_cell;
use crate::{BenchmarkError, CANDIDATES, Cell, EDGES, Simulator};
use gdas::rng::Rng;

pub(super) fn search(simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
    let mut known: HashMap<Cell, f64> = HashMap::new();
    let total = CANDIDATES.pow(EDGES as u32);
    // Stops when all cells of the table are known.
    while known.len() < total {
        let mut here = random_cell(rng);
        let Some(mut best) = look(simulator, &mut known, here)? else { return Ok(()) };
        loop {
            let mut next = None;
            let mut order = neighbours(here);
            rng.shuffle(&mut order);
            for cell in order {
                let Some(accuracy) = look(simulator, &mut known, cell)? else { return Ok(()) };
                if accuracy > best {
                    best = accuracy;
                    next = Some(cell);
                }
            }
            match next {
                Some(cell) => here = cell,
                None => break,
            }
        }
    }
    Ok(())
}

fn look(
    simulator: &mut Simulator<'_>,
    known: &mut HashMap<Cell, f64>,
    cell: Cell,
) -> Result<Option<f64>, BenchmarkError> {
    if let Some(accuracy) = known.get(&cell) {
        return Ok(Some(*accuracy));
    }
    let accuracy = simulator.train(cell)?;
    known.extend(accuracy.map(|accuracy| (cell, accuracy)));
    Ok(accuracy)
}

/// The 24 cells that differ in one operation.
fn neighbours(cell: Cell) -> Vec<Cell> {
    let mut found = Vec::new();
    for edge in 0..cell.len() {
        for operation in (0..CANDIDATES as u8).filter(|operation| *operation != cell[edge]) {
            let mut other = cell;
            other[edge] = operation;
            found.push(other);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::neighbours;

    #[test]
    fn a_cell_has_24_neighbours_at_distance_one() {
        let cell = [0, 1, 2, 3, 4, 0];
        let found = neighbours(cell);
        assert_eq!(found.len(), 24);
        for other in &found {
            assert_eq!(other.iter().zip(&cell).filter(|(a, b)| a != b).count(), 1);
        }
    }
}
