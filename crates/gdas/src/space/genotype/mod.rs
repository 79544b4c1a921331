//! Genotypes: chosen cells, as data, text and JSON.

mod derive;
mod json;
mod text;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{Derivation, Operation, Space, SpaceError, Wiring};

pub use text::Found;

/// An operation of a node and its input state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The operation.
    pub operation: Arc<Operation>,
    /// Index of the input state: inputs first, then inner nodes.
    pub input: usize,
}

/// The chosen operations of one cell, node by node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellGenotype {
    /// For each inner node, the choices that are summed.
    pub nodes: Vec<Vec<Choice>>,
}

impl CellGenotype {
    /// Number of choices for which `kind` is true.
    pub fn count(&self, kind: impl Fn(&Choice) -> bool) -> usize {
        self.nodes.iter().flatten().filter(|choice| kind(choice)).count()
    }
}

/// The chosen cells of a space, in the order of [`Space::cells`].
///
/// Texts of built-in spaces are parsed by `FromStr`, those of custom spaces by [`Genotype::parse`].
///
/// ```
/// use gdas::space::Genotype;
/// let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
/// let genotype: Genotype = text.parse().unwrap();
/// assert_eq!(genotype.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "json::Portable")]
pub struct Genotype {
    /// The space of the genotype.
    pub space: Arc<Space>,
    /// One cell per alpha table.
    pub cells: Vec<CellGenotype>,
}

/// Error of a genotype.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenotypeError {
    /// The text has none of the known forms.
    #[error(
        "cannot read genotype at byte {at}: expected {expected}, found {found}; a cell looks like \
         `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|`, \
         a pair of cells like `normal=|..|+..;reduction=|..|+..`"
    )]
    Syntax {
        /// Byte offset in the text.
        at: usize,
        /// The expected text.
        expected: &'static str,
        /// The actual text.
        found: String,
    },
    /// The space lacks the operation.
    #[error("unknown operation `{name}` at byte {at}; known operations: {known}")]
    UnknownOperation {
        /// The name in the text.
        name: String,
        /// Byte offset in the text.
        at: usize,
        /// All known names.
        known: String,
    },
    /// A well-formed genotype that does not fit the space.
    #[error("the genotype does not fit space `{space}`: {reason}")]
    Misfit {
        /// Name of the space.
        space: String,
        /// What does not fit.
        reason: String,
    },
    /// No built-in space has cells of these names.
    #[error("no built-in space has cells named {names}; give the space that the genotype belongs to")]
    UnknownSpace {
        /// Names of the cells in the text.
        names: String,
    },
    /// The text has several named genotypes, and no name was given.
    #[error("the text holds several genotypes: {names}; say which one by its name")]
    Several {
        /// The names in the text.
        names: String,
    },
    /// The text has no genotype of the given name.
    #[error("the text holds no genotype named `{name}`{}", if known.is_empty() { String::new() } else { format!("; it holds {known}") })]
    NoSuchName {
        /// The given name.
        name: String,
        /// The names in the text.
        known: String,
    },
    /// The JSON is not a genotype.
    #[error("the JSON holds no genotype: {0}")]
    Json(String),
    /// The space cannot be built.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

impl Genotype {
    /// The genotype with operation `picks[table][edge]` (a column of alpha) on every edge. If there is no such column, the edge
    /// is empty, which [`Genotype::check`] refuses.
    pub fn from_picks(space: &Arc<Space>, picks: &[Vec<usize>]) -> Self {
        let cells = space.cells.iter().zip(picks).map(|(cell, picks)| {
            let mut nodes = vec![Vec::new(); cell.nodes];
            for (edge, &pick) in cell.edges().iter().zip(picks) {
                let choice = cell.operations.get(pick).map(|o| Choice { operation: o.clone(), input: edge.from });
                nodes[edge.to - cell.inputs].extend(choice);
            }
            CellGenotype { nodes }
        });
        Self { space: space.clone(), cells: cells.collect() }
    }

    /// A published genotype by name (`GDAS_V1`, `DARTS_V1`, `DARTS_V2`).
    pub fn named(name: &str) -> Option<Self> {
        PUBLISHED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, text)| text.parse().ok())
    }

    /// Names for [`Genotype::named`].
    pub fn names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.iter().map(|(name, _)| *name)
    }

    /// Checks that the genotype fits `space`: number of cells and nodes, inputs, operations.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, space: &Space) -> Result<(), GenotypeError> {
        self.check_structure(space)?;
        for (cell, of) in self.cells.iter().zip(&space.cells) {
            for (node, choices) in cell.nodes.iter().enumerate() {
                let state = of.inputs + node;
                if of.derivation == Derivation::TwoBestPerNode && choices.len() != 2 {
                    let reason = format!("node {state} of cell `{}` takes 2 inputs, not {}", of.name, choices.len());
                    return Err(GenotypeError::Misfit { space: space.name.clone(), reason });
                }
            }
        }
        Ok(())
    }

    /// As [`check`](Self::check), but allows any number of inputs per node in spaces with the two best per node.
    pub(crate) fn check_structure(&self, space: &Space) -> Result<(), GenotypeError> {
        let misfit = |reason: String| Err(GenotypeError::Misfit { space: space.name.clone(), reason });
        if self.cells.len() != space.cells.len() {
            return misfit(format!("it has {} cells, the space has {}", self.cells.len(), space.cells.len()));
        }
        for (cell, of) in self.cells.iter().zip(&space.cells) {
            if cell.nodes.len() != of.nodes {
                return misfit(format!("cell `{}` has {} nodes instead of {}", of.name, cell.nodes.len(), of.nodes));
            }
            for (node, choices) in cell.nodes.iter().enumerate() {
                let state = of.inputs + node;
                let best = of.derivation == Derivation::BestPerEdge;
                if best && choices.len() != state {
                    let taken = choices.len();
                    return misfit(format!("node {state} of cell `{}` takes {state} inputs, not {taken}", of.name));
                }
                for (i, choice) in choices.iter().enumerate() {
                    let Choice { operation, input } = choice;
                    if *input >= state {
                        return misfit(format!("node {state} of cell `{}` cannot read state {input}", of.name));
                    }
                    if !of.operations.contains(operation) {
                        return misfit(format!("operation `{}` is not one of its candidates", operation.name));
                    }
                    if choices[..i].contains(choice) {
                        return misfit(format!("node {state} takes `{}~{input}` twice", operation.name));
                    }
                    if best && *input != i {
                        return misfit(format!("node {state} lists state {input} where state {i} belongs"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Fraction of edges whose operation has no weights, over all cells, in 0..=1.
    pub fn parameter_free_share(&self) -> f64 {
        let choices: Vec<_> = self.cells.iter().flat_map(|cell| cell.nodes.iter().flatten()).collect();
        let free = choices.iter().filter(|choice| choice.operation.is_parameter_free()).count();
        free as f64 / choices.len().max(1) as f64
    }
}

impl fmt::Display for CellGenotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            f.write_str(if i == 0 { "|" } else { "+|" })?;
            for choice in node {
                write!(f, "{}~{}|", choice.operation.name, choice.input)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Genotype {
    /// Writes the benchmark's text form; for spaces of two inputs with the names of the cells, `normal=...;reduction=...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, cell) in self.cells.iter().enumerate() {
            if self.space.skeleton.wiring != Wiring::Residual {
                let name = self.space.cells.get(i).map_or("cell", |cell| &cell.name);
                write!(f, "{}{name}=", if i == 0 { "" } else { ";" })?;
            }
            write!(f, "{cell}")?;
        }
        Ok(())
    }
}

/// Published cells (AutoDL-Projects and DARTS), in this project's text form.
const PUBLISHED: &[(&str, &str)] = &[
    (
        "GDAS_V1",
        "normal=|skip_connect~0|skip_connect~1|+|skip_connect~0|sep_conv_5x5~2|+|sep_conv_3x3~3|skip_connect~0|+\
         |sep_conv_5x5~4|sep_conv_3x3~3|;reduction=|sep_conv_5x5~0|sep_conv_3x3~1|+|sep_conv_5x5~2|sep_conv_5x5~1|+\
         |dil_conv_5x5~2|sep_conv_3x3~1|+|sep_conv_5x5~0|sep_conv_5x5~1|",
    ),
    (
        "DARTS_V1",
        "normal=|sep_conv_3x3~1|sep_conv_3x3~0|+|skip_connect~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|+\
         |sep_conv_3x3~0|skip_connect~2|;reduction=|max_pool_3x3~0|max_pool_3x3~1|+|skip_connect~2|max_pool_3x3~0|+\
         |max_pool_3x3~0|skip_connect~2|+|skip_connect~2|avg_pool_3x3~0|",
    ),
    (
        "DARTS_V2",
        "normal=|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~1|skip_connect~0|+\
         |skip_connect~0|dil_conv_3x3~2|;reduction=|max_pool_3x3~0|max_pool_3x3~1|+|skip_connect~2|max_pool_3x3~1|+\
         |max_pool_3x3~0|skip_connect~2|+|skip_connect~2|max_pool_3x3~1|",
    ),
];
