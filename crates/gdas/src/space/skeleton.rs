//! Skeletons: arrangement of cells in a network.

use super::Space;

/// A block of a network. Widths are multiples of the base channel count C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// A cell of the given alpha table; a reduction cell halves the image.
    Cell {
        /// Index into [`Space::cells`].
        table: usize,
        /// Channels of its nodes, over C.
        width: usize,
        /// Whether the edges from its inputs have stride 2.
        reduction: bool,
    },
    /// Residual block of stride 2.
    Residual {
        /// Output channels, over C.
        width: usize,
    },
    /// The fixed reduction cell of GDAS (FRC).
    FixedReduction {
        /// Channels per concatenated part, over C.
        width: usize,
    },
}

/// Inputs of cells, and the reductions between stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// A cell reads the previous one; residual blocks between stages (NAS-Bench-201).
    Residual,
    /// A cell reads the two previous ones, each projected to its width by a 1x1 convolution; reduction cells between stages
    /// (NASNet, DARTS).
    TwoInputs {
        /// Whether the reduction cell is the fixed one of GDAS (FRC); else it is the space's second cell.
        fixed_reduction: bool,
    },
}

impl Wiring {
    /// Number of input states of its cells.
    pub fn inputs(self) -> usize {
        match self {
            Self::Residual => 1,
            Self::TwoInputs { .. } => 2,
        }
    }

    /// Number of searched cells.
    pub fn tables(self) -> usize {
        match self {
            Self::TwoInputs { fixed_reduction: false } => 2,
            _ => 1,
        }
    }
}

/// The stages of a network. Each halves height and width of the previous one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// Inputs of cells, and the reductions between stages.
    pub wiring: Wiring,
    /// Channels of every stage, over the base channel count C.
    pub widths: Vec<usize>,
}

impl Skeleton {
    /// The three published stages of C, 2 C and 4 C channels.
    pub fn new(wiring: Wiring) -> Self {
        Self { wiring, widths: vec![1, 2, 4] }
    }

    /// Stages of these widths, in multiples of C.
    pub fn with_widths(wiring: Wiring, widths: impl IntoIterator<Item = usize>) -> Self {
        Self { wiring, widths: widths.into_iter().collect() }
    }

    /// The blocks of a network with `cells` normal cells in each stage.
    fn blocks(&self, cells: impl Fn(usize) -> usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (stage, &width) in self.widths.iter().enumerate() {
            if stage > 0 {
                blocks.push(match self.wiring {
                    Wiring::Residual => Block::Residual { width },
                    Wiring::TwoInputs { fixed_reduction: true } => Block::FixedReduction { width },
                    Wiring::TwoInputs { fixed_reduction: false } => Block::Cell { table: 1, width, reduction: true },
                });
            }
            blocks.extend((0..cells(stage)).map(|_| Block::Cell { table: 0, width, reduction: false }));
        }
        blocks
    }
}

impl Space {
    /// The blocks of the *supernet* for `n` cells: `N` per stage, or with two inputs
    /// `N, reduction, N - 1, reduction, N - 1` as published.
    pub fn supernet_blocks(&self, n: usize) -> Vec<Block> {
        match self.skeleton.wiring {
            Wiring::Residual => self.skeleton.blocks(|_| n),
            Wiring::TwoInputs { .. } => self.skeleton.blocks(|stage| if stage == 0 { n } else { n.saturating_sub(1) }),
        }
    }

    /// The blocks of a *derived* network: `n` normal cells in every stage.
    pub fn derived_blocks(&self, n: usize) -> Vec<Block> {
        self.skeleton.blocks(|_| n)
    }
}
