//! Known good cells, and the sizes of networks built from them.

use std::sync::Arc;

use gdas::space::{CellGenotype, Genotype, Space};
use serde::{Deserialize, Serialize};

/// Known cells of the NAS-Bench-201 space, chosen for accuracy and time per step: the block of a residual network, with two
/// convolutions; one with three; the cell with the highest accuracy on CIFAR-10 in the benchmark's table (94.37 % after 200
/// epochs); a light one. Their validation accuracies after 12 epochs are 83.7, 84.5, 84.4 and 83.1 % (table).
const BENCHMARK: [(&str, &str); 4] = [
    ("residual", "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"),
    ("three convolutions", "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
    (
        "best of the table",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    ),
    ("light", "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"),
];

/// A cell of a candidate network.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its name in reports.
    pub name: String,
    /// The cell.
    pub genotype: Genotype,
}

/// Known good cells that are cells of this space, the most promising for a short training first.
pub fn known(space: &Arc<Space>) -> Vec<Cell> {
    let benchmark = BENCHMARK.iter().filter_map(|(name, text)| {
        let genotype = Genotype::parse(text, space).ok()?;
        Some(Cell { name: (*name).to_owned(), genotype })
    });
    let published = Genotype::names().filter_map(|name| {
        let genotype = within(&Genotype::named(name)?, space)?;
        Some(Cell { name: name.to_owned(), genotype })
    });
    let mut cells: Vec<Cell> = Vec::new();
    for cell in benchmark.chain(published) {
        if cells.iter().all(|known| known.genotype.cells != cell.genotype.cells) {
            cells.push(cell);
        }
    }
    cells
}

/// The genotype converted to this space by the names of its cells; `None` if its cells are not of this space.
fn within(genotype: &Genotype, space: &Arc<Space>) -> Option<Genotype> {
    let cells = space.cells.iter().map(|wanted| {
        let index = genotype.space.cells.iter().position(|cell| cell.name == wanted.name)?;
        genotype.cells.get(index).cloned()
    });
    let cells: Vec<CellGenotype> = cells.collect::<Option<_>>()?;
    let text = Genotype { space: space.clone(), cells }.to_string();
    Genotype::parse(&text, space).ok()
}

/// Size of a network, and the shortest training for which this size is worthwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// Minimum number of epochs of a training.
    pub epochs: f64,
    /// Minimum number of steps of a training.
    pub steps: f64,
}

const fn size(channels: usize, cells: usize, epochs: f64, steps: f64) -> Size {
    Size { channels, cells, epochs, steps }
}

/// Sizes from the smallest to the largest. With too few epochs, larger networks end with a lower accuracy than smaller ones
/// (figures: `docs/results.md`).
const RESIDUAL: [Size; 10] = [
    size(4, 1, 0.0, 0.0),
    size(8, 1, 0.0, 0.0),
    size(12, 1, 1.5, 150.0),
    size(16, 1, 2.5, 300.0),
    size(24, 1, 6.0, 500.0),
    size(32, 1, 10.0, 700.0),
    size(32, 2, 14.0, 1000.0),
    size(48, 2, 18.0, 1500.0),
    size(64, 2, 24.0, 2000.0),
    size(64, 3, 30.0, 3000.0),
];
const TWO_INPUTS: [Size; 8] = [
    size(4, 1, 0.0, 0.0),
    size(8, 1, 2.0, 200.0),
    size(12, 1, 5.0, 400.0),
    size(16, 1, 8.0, 600.0),
    size(16, 2, 12.0, 1000.0),
    size(24, 2, 18.0, 1500.0),
    size(36, 3, 24.0, 2000.0),
    size(36, 6, 40.0, 4000.0),
];

/// The sizes for networks of this space, from the smallest to the largest.
pub fn sizes(space: &Space) -> &'static [Size] {
    if space.family() == "nas-bench-201" { &RESIDUAL } else { &TWO_INPUTS }
}

/// A candidate network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Name of its cell; `found` is the one that the search found.
    pub name: String,
    /// Its cell, in text form.
    pub genotype: String,
    /// Channels of the first stage (C).
    pub channels: usize,
    /// Cells per stage (N).
    pub cells: usize,
    /// Number of trainable parameters.
    pub params: u64,
    /// Multiply-adds per image.
    pub multiply_adds: u64,
    /// Measured time of a training step in seconds.
    pub seconds_per_step: f64,
}

impl Candidate {
    /// One-line description for display.
    pub fn describe(&self) -> String {
        format!("{}, C = {}, N = {}", self.name, self.channels, self.cells)
    }
}

#[cfg(test)]
mod tests {
    use gdas::space::spaces;

    use super::*;

    #[test]
    fn every_built_in_space_has_known_cells() {
        let names = |space: Arc<Space>| known(&space).into_iter().map(|cell| cell.name).collect::<Vec<_>>();
        assert_eq!(names(spaces::nas_bench_201()), BENCHMARK.map(|(name, _)| name));
        assert_eq!(names(spaces::nasnet()), ["GDAS_V1", "DARTS_V1", "DARTS_V2"]);
        assert_eq!(names(spaces::nasnet_frc()).len(), 3);
        for space in spaces::all() {
            assert!(known(space).iter().all(|cell| cell.genotype.check(space).is_ok()));
        }
    }

    #[test]
    fn sizes_grow() {
        for sizes in [&RESIDUAL[..], &TWO_INPUTS] {
            assert!(sizes.is_sorted_by(|a, b| a.channels * a.channels * a.cells < b.channels * b.channels * b.cells));
            assert!(sizes.is_sorted_by(|a, b| a.epochs <= b.epochs && a.steps <= b.steps));
        }
    }
}
