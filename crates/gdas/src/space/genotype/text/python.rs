//! The form of DARTS and AutoDL: `Genotype(normal=[('sep_conv_3x3', 1), ..], ..)`, also as a dictionary.

use std::ops::Range;
use std::sync::Arc;

use super::choices::{choice, syntax};
use crate::space::genotype::{CellGenotype, Choice, GenotypeError};
use crate::space::{CellOutput, CellSpace, Derivation, Space, Wiring, spaces};

/// Parses the `('name', input)` pairs of the lists `normal` and `reduce`, two per node. A third member of a pair (AutoDL's
/// weight) is ignored.
pub(super) fn cells(
    text: &str,
    at: Range<usize>,
    space: Option<&Arc<Space>>,
) -> Result<(Vec<CellGenotype>, Arc<Space>), GenotypeError> {
    let normal =
        list_of(text, at.clone(), "normal")?.ok_or_else(|| syntax(at.start, "`normal=[...]`", &text[at.clone()]))?;
    let reduce = list_of(text, at.clone(), "reduce")?;
    let space = match (space, &reduce) {
        (Some(space), _) => space.clone(),
        (None, Some(_)) => spaces::nasnet(),
        (None, None) => spaces::nasnet_frc(),
    };
    let misfit = |reason: String| GenotypeError::Misfit { space: space.name.clone(), reason };
    if space.skeleton.wiring == Wiring::Residual {
        return Err(misfit("normal and reduction cells belong to a space of two inputs".to_owned()));
    }
    let lists: Vec<_> = [("normal", Some(normal)), ("reduce", reduce)]
        .into_iter()
        .filter_map(|(key, list)| list.map(|list| (key, list)))
        .collect();
    if lists.len() != space.cells.len() {
        return Err(misfit(format!("it has {} cells, the space has {}", lists.len(), space.cells.len())));
    }
    let mut cells = Vec::new();
    for ((key, list), cell) in lists.into_iter().zip(&space.cells) {
        let choices = pairs_of(text, list.clone(), cell)?;
        if cell.derivation != Derivation::TwoBestPerNode {
            return Err(misfit(format!("this form has two inputs per node, and cell `{}` has others", cell.name)));
        }
        if choices.len() % 2 == 1 {
            return Err(syntax(list.start, "two (operation, input) pairs per node", &text[list]));
        }
        cells.push(CellGenotype { nodes: choices.chunks(2).map(<[Choice]>::to_vec).collect() });
        let concat = format!("{key}_concat");
        if let Some(states) = states_of(text, at.clone(), &concat)? {
            let all: Vec<usize> = match cell.output {
                CellOutput::Concat => (cell.inputs..cell.inputs + cell.nodes).collect(),
                CellOutput::Last => vec![cell.inputs + cell.nodes - 1],
            };
            let mut sorted = states.clone();
            sorted.sort_unstable();
            if sorted != all {
                return Err(misfit(format!(
                    "{concat} is {states:?}, but cells of this space give their nodes {all:?}; what was found there is \
                     another network"
                )));
            }
        }
    }
    Ok((cells, space))
}

/// Position of the value of a key, in the form `key=`, `key =`, `'key':` or `"key":`.
fn value_of(text: &str, at: Range<usize>, key: &str) -> Option<usize> {
    let part = &text[at.clone()];
    part.match_indices(key).find_map(|(found, _)| {
        let identifier = |c: char| c.is_alphanumeric() || c == '_';
        if part[..found].ends_with(identifier) {
            return None;
        }
        let rest = &part[found + key.len()..];
        let value = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(['=', ':'])?.trim_start();
        Some(at.start + (part.len() - value.len()))
    })
}

/// Content of a key's list; `None` if the key is missing, or its value is `None` or an empty list.
fn list_of(text: &str, at: Range<usize>, key: &str) -> Result<Option<Range<usize>>, GenotypeError> {
    let Some(start) = value_of(text, at.clone(), key) else { return Ok(None) };
    let value = &text[start..at.end];
    if value.starts_with("None") {
        return Ok(None);
    }
    if !value.starts_with(['[', '(']) {
        return Err(syntax(start, "a list, `[...]`", value));
    }
    let inside = bracketed(value).ok_or_else(|| syntax(at.end, "a closing `]`", ""))?;
    Ok((!value[inside.clone()].trim().is_empty()).then_some(start + inside.start..start + inside.end))
}

/// Content between the bracket at the start of a text and the matching one.
fn bracketed(text: &str) -> Option<Range<usize>> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(1..at);
        }
    }
    None
}

fn pairs_of(text: &str, list: Range<usize>, cell: &CellSpace) -> Result<Vec<Choice>, GenotypeError> {
    let mut choices = Vec::new();
    let mut at = list.start;
    while let Some(open) = text[at..list.end].find(['\'', '"']).map(|i| at + i) {
        let name = open + 1;
        let close = text[name..list.end].find(['\'', '"']).map(|i| name + i);
        let close = close.ok_or_else(|| syntax(open, "a closing quote", &text[open..list.end]))?;
        at = close + 1;
        let number = text[at..list.end].trim_start_matches([',', ' ', '\n', '\r', '\t']);
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let input = digits.parse().map_err(|_| syntax(name, "a state's number after the operation", number))?;
        choices.push(choice(cell, &text[name..close], name, input)?);
    }
    Ok(choices)
}

/// Parses a list of states: `[2, 3]`, `(2, 3)`, `range(2, 4)` or `list(range(2, 4))`.
fn states_of(text: &str, at: Range<usize>, key: &str) -> Result<Option<Vec<usize>>, GenotypeError> {
    let Some(start) = value_of(text, at.clone(), key) else { return Ok(None) };
    let whole = &text[start..at.end];
    if whole.starts_with("None") {
        return Ok(None);
    }
    let wrong = || syntax(start, "a list of states, as in `[2, 3, 4, 5]` or `range(2, 6)`", whole);
    let value = whole.strip_prefix("list(").unwrap_or(whole);
    let (range, list) = match value.strip_prefix("range") {
        Some(list) => (true, list),
        None => (false, value),
    };
    if !list.starts_with(['[', '(']) {
        return Err(wrong());
    }
    let inside = &list[bracketed(list).ok_or_else(wrong)?];
    let numbers = inside.split(',').map(str::trim).filter(|number| !number.is_empty());
    let numbers: Vec<usize> = numbers.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match (range, &numbers[..]) {
        (false, _) => Ok(Some(numbers)),
        // No cell has more states; a longer range would only use memory.
        (true, &[from, to]) if to <= 1000 => Ok(Some((from..to).collect())),
        (true, &[to]) if to <= 1000 => Ok(Some((0..to).collect())),
        (true, _) => Err(wrong()),
    }
}
