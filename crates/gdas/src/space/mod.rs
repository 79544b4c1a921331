//! Search spaces as plain data: operations, cells, skeletons and genotypes.
//!
//! Custom spaces are equivalent to built-in ones:
//!
//! ```
//! use gdas::space::{CellSpace, Layer, Operation, Space, operations};
//!
//! let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
//! let cell = CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), wide]);
//! let space = Space::residual("tiny", cell);
//! space.validate()?;
//! assert_eq!(Space::from_toml(&space.to_toml())?, space);
//! # Ok::<(), gdas::space::SpaceError>(())
//! ```

mod error;
mod genotype;
mod operation;
pub mod operations;
mod skeleton;
pub mod spaces;
#[cfg(test)]
mod tests;
mod text;
mod validate;

use std::sync::Arc;

pub use error::{Place, SpaceError};
pub use genotype::{CellGenotype, Choice, Found, Genotype, GenotypeError};
pub use operation::{Body, Layer, Operation};
pub use skeleton::{Block, Skeleton, Wiring};
pub use text::shared;

/// An edge of a cell. States are numbered inputs first, then inner nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// State that it reads.
    pub from: usize,
    /// State that it is summed into.
    pub to: usize,
}

/// Output of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellOutput {
    /// The last node.
    Last,
    /// The inner nodes, concatenated along the channels.
    Concat,
}

/// Rule by which a genotype is derived from alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivation {
    /// The best operation of every edge.
    BestPerEdge,
    /// The two best (edge, operation) pairs of every node, excluding `none`.
    TwoBestPerNode,
}

/// A searched cell, with one table of alpha `[edges, operations]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpace {
    /// Name of letters, digits, `_` and `-`; `cell`, `normal` or `reduction` in the built-in spaces.
    pub name: String,
    /// Number of input states, determined by the skeleton's wiring.
    pub inputs: usize,
    /// Number of inner nodes; node `i` has an edge from every state before it.
    pub nodes: usize,
    /// Candidate operations, in the order of alpha's columns.
    pub operations: Vec<Arc<Operation>>,
    /// Output of the cell.
    pub output: CellOutput,
    /// Rule by which a genotype is derived from its table.
    pub derivation: Derivation,
}

impl CellSpace {
    /// A cell as in NAS-Bench-201: one input, one operation on every edge, the last node is the output.
    pub fn one_input<O: Into<Arc<Operation>>>(
        name: impl Into<String>,
        nodes: usize,
        operations: impl IntoIterator<Item = O>,
    ) -> Self {
        let operations = operations.into_iter().map(Into::into).collect();
        let (output, derivation) = (CellOutput::Last, Derivation::BestPerEdge);
        Self { name: name.into(), inputs: 1, nodes, operations, output, derivation }
    }

    /// A cell as in the NASNet space: two inputs, two (edge, operation) pairs per node, all nodes are concatenated.
    pub fn two_inputs<O: Into<Arc<Operation>>>(
        name: impl Into<String>,
        nodes: usize,
        operations: impl IntoIterator<Item = O>,
    ) -> Self {
        let operations = operations.into_iter().map(Into::into).collect();
        let (output, derivation) = (CellOutput::Concat, Derivation::TwoBestPerNode);
        Self { name: name.into(), inputs: 2, nodes, operations, output, derivation }
    }

    /// The edges in the order of alpha's rows: by target node, then by source.
    pub fn edges(&self) -> Vec<Edge> {
        (self.inputs..self.inputs + self.nodes).flat_map(|to| (0..to).map(move |from| Edge { from, to })).collect()
    }

    /// Number of operations per edge.
    pub fn width(&self) -> usize {
        self.operations.len()
    }

    /// The operation of this name or alias.
    pub fn find(&self, name: &str) -> Option<&Arc<Operation>> {
        self.operations.iter().find(|operation| operation.is_called(name))
    }
}

/// A search space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Name on the command line and in messages; letters, digits, `_` and `-`.
    pub name: String,
    /// One-line description for display.
    pub description: String,
    /// The searched cells, one alpha table each.
    pub cells: Vec<CellSpace>,
    /// Arrangement of the cells in a network.
    pub skeleton: Skeleton,
}

impl Space {
    /// A space of one cell on the skeleton of NAS-Bench-201.
    pub fn residual(name: impl Into<String>, cell: CellSpace) -> Self {
        Self::of(name.into(), vec![cell], Wiring::Residual)
    }

    /// A space of a normal and a reduction cell on the skeleton of NASNet.
    pub fn two_inputs(name: impl Into<String>, normal: CellSpace, reduction: CellSpace) -> Self {
        Self::of(name.into(), vec![normal, reduction], Wiring::TwoInputs { fixed_reduction: false })
    }

    /// A space of a normal cell on the skeleton of NASNet with the fixed reduction cell of GDAS (FRC).
    pub fn two_inputs_fixed(name: impl Into<String>, normal: CellSpace) -> Self {
        Self::of(name.into(), vec![normal], Wiring::TwoInputs { fixed_reduction: true })
    }

    fn of(name: String, cells: Vec<CellSpace>, wiring: Wiring) -> Self {
        Self { name, description: String::new(), cells, skeleton: Skeleton::new(wiring) }
    }

    /// The built-in space of this name.
    pub fn find(name: &str) -> Option<Arc<Self>> {
        spaces::all().iter().find(|space| space.name == name).cloned()
    }

    /// Name of the built-in space with the same wiring, whose presets are used.
    pub fn family(&self) -> &'static str {
        match self.skeleton.wiring {
            Wiring::Residual => "nas-bench-201",
            Wiring::TwoInputs { fixed_reduction: false } => "nasnet",
            Wiring::TwoInputs { fixed_reduction: true } => "nasnet-frc",
        }
    }

    /// Whether it equals a built-in space.
    pub fn is_built_in(&self) -> bool {
        spaces::all().iter().any(|space| **space == *self)
    }
}
