//! Cells of the benchmark's space as compact keys: the operation of each edge by number.

use gdas::space::{Genotype, GenotypeError, spaces};

/// Number of candidate operations of an edge.
pub const CANDIDATES: usize = 5;
/// Number of edges of a cell.
pub const EDGES: usize = 6;

/// A cell: the index of each edge's operation among the space's candidates; edges ordered by target, then source.
pub type Cell = [u8; EDGES];

/// The cell of a genotype.
///
/// # Errors
/// If the genotype is not of NAS-Bench-201's space.
pub fn cell_of(genotype: &Genotype) -> Result<Cell, GenotypeError> {
    let space = spaces::nas_bench_201();
    genotype.check(&space)?;
    let candidates = &space.cells[0].operations;
    let mut cell = [0; EDGES];
    for (number, choice) in cell.iter_mut().zip(genotype.cells[0].nodes.iter().flatten()) {
        // The check above ensures that every operation is a candidate.
        *number = candidates.iter().position(|candidate| *candidate == choice.operation).unwrap_or(0) as u8;
    }
    Ok(cell)
}

/// The genotype of a cell.
pub fn genotype_of(cell: Cell) -> Genotype {
    Genotype::from_picks(&spaces::nas_bench_201(), &[cell.iter().map(|pick| usize::from(*pick)).collect()])
}

/// Parses the benchmark's text form.
pub(crate) fn parse(text: &str) -> Result<Cell, GenotypeError> {
    cell_of(&text.parse()?)
}

/// Writes the benchmark's text form.
pub(crate) fn text(cell: Cell) -> String {
    genotype_of(cell).to_string()
}

/// Canonical text of the function that the cell computes; equal for cells that the benchmark counts as isomorphic.
///
/// A node is the sorted sum of its inputs; `skip_connect` is its input; `none`, and any operation on a zero node, is zero
/// (`#`). By this rule the benchmark counts 6,466 unique cells (NAS-Bench-201, appendix; as there, a sum of zeros is not
/// simplified to zero).
pub fn canonical(cell: Cell) -> String {
    let operations = &spaces::nas_bench_201().cells[0].operations;
    let mut nodes = vec!["0".to_owned()];
    for target in 1..4 {
        let first = target * (target - 1) / 2;
        let mut terms: Vec<String> = (0..target)
            .map(|source| match operations[usize::from(cell[first + source])].name.as_str() {
                _ if nodes[source] == "#" => "#".to_owned(),
                "none" => "#".to_owned(),
                "skip_connect" => nodes[source].clone(),
                name => format!("({})@{name}", nodes[source]),
            })
            .collect();
        terms.sort_unstable();
        nodes.push(terms.join("+"));
    }
    nodes.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> impl Iterator<Item = Cell> {
        (0..CANDIDATES.pow(EDGES as u32))
            .map(|number| std::array::from_fn(|edge| (number / CANDIDATES.pow(edge as u32) % CANDIDATES) as u8))
    }

    #[test]
    fn the_space_has_the_size_that_cells_assume() {
        let cell = &spaces::nas_bench_201().cells[0];
        assert_eq!((cell.edges().len(), cell.width()), (EDGES, CANDIDATES));
    }

    #[test]
    fn every_cell_reads_back_from_its_text() {
        for cell in all().step_by(7) {
            assert_eq!(parse(&text(cell)).unwrap(), cell);
        }
    }

    #[test]
    fn the_benchmark_has_6466_unique_cells() {
        assert_eq!(all().map(canonical).collect::<BTreeSet<_>>().len(), 6_466);
    }
}
