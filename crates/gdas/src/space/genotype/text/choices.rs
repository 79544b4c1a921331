//! Parsing of one choice of a cell, and error messages.

use crate::space::CellSpace;
use crate::space::genotype::{Choice, GenotypeError};

pub(super) fn syntax(at: usize, expected: &'static str, found: &str) -> GenotypeError {
    let found = found.chars().take(24).collect::<String>();
    let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
    GenotypeError::Syntax { at, expected, found }
}

pub(super) fn choice(cell: &CellSpace, name: &str, at: usize, input: usize) -> Result<Choice, GenotypeError> {
    let operation = cell.find(name).cloned().ok_or_else(|| GenotypeError::UnknownOperation {
        name: name.chars().take(40).collect(),
        at,
        known: cell.operations.iter().map(|operation| operation.name.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    Ok(Choice { operation, input })
}
