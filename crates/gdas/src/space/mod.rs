//! Search spaces as plain data: operations, cells, skeletons and genotypes. No tensors.

mod genotype;
mod operation;
mod reading;
pub mod spaces;

pub use genotype::{CellGenotype, Choice, Genotype, GenotypeError};
pub use operation::{Body, Layer, OPERATIONS, Operation};
pub use reading::read_genotype;

/// An edge of a cell. States are numbered inputs first, then inner nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// State that it reads.
    pub from: usize,
    /// State that it is summed into.
    pub to: usize,
}

/// What a cell gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellOutput {
    /// Its last node.
    Last,
    /// Its inner nodes, one after another along the channels.
    Concat,
}

/// How a genotype is read off alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// The best operation of every edge.
    BestPerEdge,
    /// Per node the two best (edge, operation) pairs, `none` excluded.
    TwoBestPerNode,
}

/// A searched cell: it owns one table of alpha, `[edges, operations]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpace {
    /// `cell`, `normal` or `reduction`.
    pub name: &'static str,
    /// Number of input states.
    pub inputs: usize,
    /// Number of inner nodes; node `i` has an edge from every state before it.
    pub nodes: usize,
    /// Candidates, in the order of alpha's columns.
    pub operations: Vec<&'static Operation>,
    /// What it gives.
    pub output: CellOutput,
    /// How a genotype is read off its table.
    pub derivation: Derivation,
}

impl CellSpace {
    /// Its edges in the order of alpha's rows: by target node, then by source.
    pub fn edges(&self) -> Vec<Edge> {
        (self.inputs..self.inputs + self.nodes).flat_map(|to| (0..to).map(move |from| Edge { from, to })).collect()
    }

    /// Number of operations per edge.
    pub fn width(&self) -> usize {
        self.operations.len()
    }
}

/// One stage of a skeleton. Widths are in multiples of the base channel count C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// A cell of the given table; a reduction cell halves the image.
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

/// How cells are stacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skeleton {
    /// One input per cell; residual blocks between stages (NAS-Bench-201).
    Residual,
    /// Two inputs per cell; reduction cells between stages (NASNet, DARTS).
    TwoInputs {
        /// Whether the reduction cell is the fixed one.
        fixed_reduction: bool,
    },
}

/// A search space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// The searched cells, one alpha table each.
    pub cells: Vec<CellSpace>,
    /// How they are stacked.
    pub skeleton: Skeleton,
}

impl Space {
    /// The space of this name.
    pub fn find(name: &str) -> Option<Self> {
        spaces::all().into_iter().find(|space| space.name == name)
    }

    /// The stages of the *supernet* for `n` cells: `N` per stage, or in the two-input skeleton
    /// `N, reduction, N - 1, reduction, N - 1` as published.
    pub fn supernet_blocks(&self, n: usize) -> Vec<Block> {
        match self.skeleton {
            Skeleton::Residual => self.blocks([n; 3]),
            Skeleton::TwoInputs { .. } => self.blocks([n, n.saturating_sub(1), n.saturating_sub(1)]),
        }
    }

    /// The stages of a *derived* network: `n` normal cells in each of three stages.
    pub fn derived_blocks(&self, n: usize) -> Vec<Block> {
        self.blocks([n; 3])
    }

    fn blocks(&self, cells: [usize; 3]) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (stage, &count) in cells.iter().enumerate() {
            let width = 1 << stage;
            if stage > 0 {
                blocks.push(match self.skeleton {
                    Skeleton::Residual => Block::Residual { width },
                    Skeleton::TwoInputs { fixed_reduction: true } => Block::FixedReduction { width },
                    Skeleton::TwoInputs { fixed_reduction: false } => Block::Cell { table: 1, width, reduction: true },
                });
            }
            blocks.extend((0..count).map(|_| Block::Cell { table: 0, width, reduction: false }));
        }
        blocks
    }
}
