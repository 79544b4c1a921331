//! Genotypes as JSON, independent of the text form. A built-in space is written as its name, a custom one is included.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::{Space, shared};
use super::{CellGenotype, Choice, Genotype, GenotypeError};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Portable {
    #[serde(with = "shared")]
    space: Arc<Space>,
    cells: Vec<PortableCell>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableCell {
    name: String,
    nodes: Vec<Vec<PortableChoice>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableChoice {
    operation: String,
    input: usize,
}

impl From<Genotype> for Portable {
    fn from(genotype: Genotype) -> Self {
        let Genotype { space, cells } = genotype;
        let cells = cells.iter().enumerate().map(|(i, cell)| PortableCell {
            name: space.cells.get(i).map_or("cell", |cell| &cell.name).to_owned(),
            nodes: cell
                .nodes
                .iter()
                .map(|node| {
                    node.iter()
                        .map(|c| PortableChoice { operation: c.operation.name.clone(), input: c.input })
                        .collect()
                })
                .collect(),
        });
        let cells = cells.collect();
        Self { space, cells }
    }
}

impl<'de> Deserialize<'de> for Genotype {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Portable::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Portable> for Genotype {
    type Error = GenotypeError;

    fn try_from(portable: Portable) -> Result<Self, GenotypeError> {
        let Portable { space, cells } = portable;
        let misfit = |reason: String| GenotypeError::Misfit { space: space.name.clone(), reason };
        if cells.len() != space.cells.len() {
            return Err(misfit(format!("it has {} cells, the space has {}", cells.len(), space.cells.len())));
        }
        let cells = cells.iter().zip(&space.cells).map(|(cell, of)| {
            let choice = |c: &PortableChoice| -> Result<Choice, GenotypeError> {
                let operation = of.find(&c.operation).cloned();
                let operation = operation.ok_or_else(|| misfit(format!("unknown operation `{}`", c.operation)))?;
                Ok(Choice { operation, input: c.input })
            };
            let nodes = cell.nodes.iter().map(|node| node.iter().map(choice).collect()).collect::<Result<_, _>>()?;
            Ok(CellGenotype { nodes })
        });
        let genotype = Self { cells: cells.collect::<Result<_, GenotypeError>>()?, space: space.clone() };
        genotype.check(&space)?;
        Ok(genotype)
    }
}
