//! Parsing of genotypes: the benchmark's form, that of DARTS and AutoDL, JSON, and logs and files that contain one.
//!
//! ```text
//! |nor_conv_3x3~0|+|none~0|skip_connect~1|              one cell: per node its (operation, state) pairs
//! normal=|..|+..;reduction=|..|+..                      several, by name
//! Genotype(normal=[('sep_conv_3x3', 1), ..], ..)        Python, as the code of DARTS prints it; also as a dictionary
//! {"space": .., "cells": ..}                            JSON, or JSON with such a thing (or a text) as `genotype`
//! ```

mod choices;
mod python;

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use self::choices::{choice, syntax};
use super::super::{CellSpace, Space, spaces};
use super::{CellGenotype, Genotype, GenotypeError};

/// A genotype found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The genotype.
    pub genotype: Genotype,
    /// Number of genotypes in the text (with the given name, if any); this is the last of them.
    pub of: usize,
}

impl FromStr for Genotype {
    type Err = GenotypeError;

    /// Parses a genotype of a built-in space in any of the known forms; of several the last.
    fn from_str(text: &str) -> Result<Self, GenotypeError> {
        Self::find_in(text, None, None).map(|found| found.genotype)
    }
}

impl Genotype {
    /// Parses a genotype of this space in any of the known forms; of several the last.
    ///
    /// # Errors
    /// If the text contains none, or one that does not fit the space.
    pub fn parse(text: &str, space: &Arc<Space>) -> Result<Self, GenotypeError> {
        Self::find_in(text, None, Some(space)).map(|found| found.genotype)
    }

    /// Finds the genotype in a text: a file of one, a log of a search (the last one), or a file with several named ones
    /// (`DARTS_V1 = Genotype(..)`), of which `name` selects one. Without a `space`, the built-in space is recognised by the form
    /// of the text.
    ///
    /// # Errors
    /// If there is none, or one that does not fit the space; or if there are several names and none is given.
    pub fn find_in(text: &str, name: Option<&str>, space: Option<&Arc<Space>>) -> Result<Found, GenotypeError> {
        let content = trimmed(text);
        if text[content.clone()].starts_with('{')
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(&text[content.clone()])
            && value.get("normal").is_none()
        {
            return from_json(&value, space).map(|genotype| Found { genotype, of: 1 });
        }
        let found = python_candidates(text).or_else(|| own(text, content.clone()));
        // No candidate: parsing the whole text gives the error message.
        let Some(mut found) = found else { return read(text, &Candidate::cells(content), space).map(single) };
        if let Some(name) = name {
            let known = names(&found);
            found.retain(|candidate| candidate.name.as_deref() == Some(name));
            if found.is_empty() {
                return Err(GenotypeError::NoSuchName { name: name.to_owned(), known });
            }
        }
        // In a log, the field `genotype` is the cell of its line; other cells in the line are ignored.
        if name.is_none() && found.iter().any(|candidate| candidate.name.as_deref() == Some("genotype")) {
            found.retain(|candidate| candidate.name.as_deref() == Some("genotype"));
        }
        let first = found.first().and_then(|candidate| candidate.name.clone());
        if found.iter().any(|candidate| candidate.name != first) {
            return Err(GenotypeError::Several { names: names(&found) });
        }
        let of = found.len();
        match found.last() {
            Some(last) => read(text, last, space).map(|genotype| Found { genotype, of }),
            None => Err(syntax(0, "a genotype", text)),
        }
    }
}

fn single(genotype: Genotype) -> Found {
    Found { genotype, of: 1 }
}

/// A part of the text that looks like a genotype.
struct Candidate {
    at: Range<usize>,
    /// The name before it, as in `NAME = Genotype(...)`.
    name: Option<String>,
    python: bool,
}

impl Candidate {
    fn cells(at: Range<usize>) -> Self {
        Self { at, name: None, python: false }
    }
}

/// The distinct names of candidates, in order.
fn names(found: &[Candidate]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for candidate in found {
        let name = candidate.name.as_deref().unwrap_or("(without a name)");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Range of the text without surrounding white space and byte order mark.
fn trimmed(text: &str) -> Range<usize> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let start = text.len() - text.trim_start_matches(blank).len();
    start..start.max(text.trim_end_matches(blank).len())
}

/// The identifier before a value, as in `name = value`, `name: value` and `"name": value`.
fn name_before(text: &str, at: usize) -> Option<String> {
    let before = text[..at].trim_end_matches(['"', '\'', ' ', '\t', '{', '(']);
    let before = before.strip_suffix(['=', ':'])?.trim_end_matches(['"', '\'', ' ', '\t']);
    let identifier = |c: char| c.is_alphanumeric() || c == '_';
    let name = &before[before.trim_end_matches(identifier).len()..];
    (!name.is_empty() && !name.starts_with(|c: char| c.is_numeric())).then(|| name.to_owned())
}

/// Candidates in the Python form.
fn python_candidates(text: &str) -> Option<Vec<Candidate>> {
    let all = |pattern: &str| text.match_indices(pattern).map(|(at, _)| at).collect::<Vec<_>>();
    // The definition of the tuple type also contains the fields, but in another form.
    let starts = ["Genotype(", "'normal'", "\"normal\"", "normal=[", "normal = ["].into_iter().map(all);
    let starts = starts.into_iter().find(|starts| !starts.is_empty())?;
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let found = starts.iter().zip(ends).map(|(&start, end)| {
        // The line of the next candidate is excluded.
        let end = if end == text.len() { end } else { text[..end].rfind('\n').filter(|&i| i > start).unwrap_or(end) };
        Candidate { at: start..end, name: name_before(text, start), python: true }
    });
    Some(found.collect())
}

/// Candidates in this project's form. A text of one line is one candidate; in a longer one, every word with a cell is.
fn own(text: &str, content: Range<usize>) -> Option<Vec<Candidate>> {
    let whole = &text[content.clone()];
    if !whole.contains('\n') && is_cell(whole) {
        return Some(vec![Candidate::cells(content)]);
    }
    let mut found = Vec::new();
    let mut at = content.start;
    for word in whole.split_inclusive(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
        if let (Some(first), Some(last), true) = (word.find('|'), word.rfind('|'), word.contains('~')) {
            // The name of a cell is part of it.
            let named = word[..first].strip_suffix('=').map_or(first, |before| {
                before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-').len()
            });
            let range = at + named..at + last + 1;
            found.push(Candidate { name: name_before(text, range.start), ..Candidate::cells(range) });
        }
        at += word.len();
    }
    (!found.is_empty()).then_some(found)
}

/// Whether a text starts like a cell: `|` or `name=|`.
fn is_cell(text: &str) -> bool {
    let named = text.split_once("=|").map(|(name, _)| name);
    text.starts_with('|')
        || named.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'))
}

/// Parses a candidate.
fn read(text: &str, candidate: &Candidate, space: Option<&Arc<Space>>) -> Result<Genotype, GenotypeError> {
    let (space, cells) = if candidate.python {
        let (cells, space) = python::cells(text, candidate.at.clone(), space)?;
        (space, cells)
    } else {
        own_cells(text, candidate.at.clone(), space)?
    };
    let genotype = Genotype { space: space.clone(), cells };
    genotype.check(&space)?;
    Ok(genotype)
}

/// Parses `|..|+..` or `name=|..|+..;name=|..|+..`.
fn own_cells(
    text: &str,
    at: Range<usize>,
    space: Option<&Arc<Space>>,
) -> Result<(Arc<Space>, Vec<CellGenotype>), GenotypeError> {
    let mut parts: Vec<(Option<&str>, Range<usize>)> = Vec::new();
    let mut start = at.start;
    for part in text[at.clone()].split(';') {
        let end = start + part.len();
        match part.find("=|") {
            Some(equals) => parts.push((Some(&part[..equals]), start + equals + 1..end)),
            None => parts.push((None, start..end)),
        }
        start = end + 1;
    }
    let names: Vec<Option<&str>> = parts.iter().map(|(name, _)| *name).collect();
    let space = match space {
        Some(space) => space.clone(),
        None => match names[..] {
            [None] => spaces::nas_bench_201(),
            [Some("normal")] => spaces::nasnet_frc(),
            [Some("normal"), Some("reduction")] => spaces::nasnet(),
            _ => {
                let names = names.iter().map(|name| name.map_or("(none)".to_owned(), |name| format!("`{name}`")));
                return Err(GenotypeError::UnknownSpace { names: names.collect::<Vec<_>>().join(", ") });
            }
        },
    };
    let misfit = |reason: String| GenotypeError::Misfit { space: space.name.clone(), reason };
    if parts.len() != space.cells.len() {
        return Err(misfit(format!("it has {} cells, the space has {}", parts.len(), space.cells.len())));
    }
    let cells = parts.iter().zip(&space.cells).map(|((name, at), cell)| {
        if name.is_some_and(|name| name != cell.name) || (name.is_none() && space.cells.len() > 1) {
            let name = name.map_or("a cell without a name".to_owned(), |name| format!("cell `{name}`"));
            return Err(misfit(format!("{name} is in the place of cell `{}`", cell.name)));
        }
        parse_cell(text, at.clone(), cell)
    });
    let cells = cells.collect::<Result<_, _>>()?;
    Ok((space, cells))
}

fn parse_cell(text: &str, range: Range<usize>, cell: &CellSpace) -> Result<CellGenotype, GenotypeError> {
    let mut nodes = Vec::new();
    let mut at = range.start;
    for node in text[range].split('+') {
        let inner = node.strip_prefix('|').ok_or_else(|| syntax(at, "`|`", node))?;
        let inner = inner.strip_suffix('|').ok_or_else(|| syntax(at + node.len(), "a closing `|`", ""))?;
        let mut choices = Vec::new();
        let mut place = at + 1;
        for part in inner.split('|') {
            let (name, input) = part.split_once('~').ok_or_else(|| syntax(place, "`operation~input`", part))?;
            let input = input.parse().map_err(|_| syntax(place + name.len() + 1, "the number of a state", input))?;
            choices.push(choice(cell, name, place, input)?);
            place += part.len() + 1;
        }
        nodes.push(choices);
        at += node.len() + 1;
    }
    Ok(CellGenotype { nodes })
}

/// A genotype in JSON, or in an object with one as `genotype` or `cells` (as printed by `gdas genotype parse --json` and in
/// `result.json`), or with its text.
fn from_json(value: &serde_json::Value, space: Option<&Arc<Space>>) -> Result<Genotype, GenotypeError> {
    let checked = |genotype: Genotype| {
        if let Some(space) = space
            && *genotype.space != **space
        {
            return Genotype::parse(&genotype.to_string(), space);
        }
        Ok(genotype)
    };
    if value.get("space").is_some() && value.get("cells").is_some_and(serde_json::Value::is_array) {
        // Additional keys are ignored.
        let genotype = serde_json::json!({ "space": value["space"], "cells": value["cells"] });
        let read = serde_json::from_value::<Genotype>(genotype);
        return checked(read.map_err(|error| GenotypeError::Json(error.to_string()))?);
    }
    for key in ["cells", "genotype", "train", "search"] {
        if let Some(inner) = value.get(key).filter(|inner| inner.is_object()) {
            return from_json(inner, space);
        }
    }
    let text = ["genotype", "text"].into_iter().find_map(|key| value.get(key)?.as_str());
    match text {
        Some(text) => {
            let named = value.get("space").and_then(serde_json::Value::as_str).and_then(Space::find);
            Genotype::find_in(text, None, space.or(named.as_ref())).map(|found| found.genotype)
        }
        None => Err(GenotypeError::Json("there is neither `cells` nor `genotype` in it".to_owned())),
    }
}

#[cfg(test)]
mod tests;
