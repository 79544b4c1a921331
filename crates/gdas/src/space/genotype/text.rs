//! Genotypes read from text: the benchmark's form, that of DARTS and AutoDL, JSON, and logs and files that hold one.
//!
//! ```text
//! |nor_conv_3x3~0|+|none~0|skip_connect~1|              one cell: per node its (operation, state) pairs
//! normal=|..|+..;reduction=|..|+..                      several, by name
//! Genotype(normal=[('sep_conv_3x3', 1), ..], ..)        Python, as the code of DARTS prints it; also as a dictionary
//! {"space": .., "cells": ..}                            JSON, or JSON with such a thing (or a text) as `genotype`
//! ```

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use super::super::{CellOutput, CellSpace, Derivation, Space, Wiring, spaces};
use super::{CellGenotype, Choice, Genotype, GenotypeError};

/// A genotype that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The genotype.
    pub genotype: Genotype,
    /// Number of genotypes that the text holds (under the name asked for, if one was); this is the last of them.
    pub of: usize,
}

impl FromStr for Genotype {
    type Err = GenotypeError;

    /// Reads a genotype of a built-in space, in any of the known forms; of several the last.
    fn from_str(text: &str) -> Result<Self, GenotypeError> {
        Self::find_in(text, None, None).map(|found| found.genotype)
    }
}

impl Genotype {
    /// Reads a genotype of this space, in any of the known forms; of several the last.
    ///
    /// # Errors
    /// The text holds none, or one that does not belong to the space.
    pub fn parse(text: &str, space: &Arc<Space>) -> Result<Self, GenotypeError> {
        Self::find_in(text, None, Some(space)).map(|found| found.genotype)
    }

    /// Reads the genotype that a text holds: a file of one, a log of a search (the last of its genotypes), or a file with
    /// several named ones (`DARTS_V1 = Genotype(..)`), of which `name` says which. Without a `space`, the form of the text
    /// tells which of the built-in spaces it belongs to.
    ///
    /// # Errors
    /// There is none, or one that does not belong to the space; or there are several names and none is given.
    pub fn find_in(text: &str, name: Option<&str>, space: Option<&Arc<Space>>) -> Result<Found, GenotypeError> {
        let content = trimmed(text);
        if text[content.clone()].starts_with('{')
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(&text[content.clone()])
            && value.get("normal").is_none()
        {
            return from_json(&value, space).map(|genotype| Found { genotype, of: 1 });
        }
        let found = python(text).or_else(|| own(text, content.clone()));
        // Nothing that looks like a genotype: reading all of it tells what is wrong with it.
        let Some(mut found) = found else { return read(text, &Candidate::cells(content), space).map(single) };
        if let Some(name) = name {
            let known = names(&found);
            found.retain(|candidate| candidate.name.as_deref() == Some(name));
            if found.is_empty() {
                return Err(GenotypeError::NoSuchName { name: name.to_owned(), known });
            }
        }
        // In a log, the field `genotype` is the cell of its line, whatever other cells the line mentions.
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

/// A stretch of the text that looks like a genotype.
struct Candidate {
    at: Range<usize>,
    /// What stands before it, as in `NAME = Genotype(...)`.
    name: Option<String>,
    python: bool,
}

impl Candidate {
    fn cells(at: Range<usize>) -> Self {
        Self { at, name: None, python: false }
    }
}

/// The names of candidates, each once, in order.
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

/// The text without what surrounds it: white space, and the mark that some editors put at the start of a file.
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

/// Where the Python form is written.
fn python(text: &str) -> Option<Vec<Candidate>> {
    let all = |pattern: &str| text.match_indices(pattern).map(|(at, _)| at).collect::<Vec<_>>();
    // The definition of the tuple type mentions the fields too, but not in this way.
    let starts = ["Genotype(", "'normal'", "\"normal\"", "normal=[", "normal = ["].into_iter().map(all);
    let starts = starts.into_iter().find(|starts| !starts.is_empty())?;
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let found = starts.iter().zip(ends).map(|(&start, end)| {
        // What belongs to the next one's line is no part of this one.
        let end = if end == text.len() { end } else { text[..end].rfind('\n').filter(|&i| i > start).unwrap_or(end) };
        Candidate { at: start..end, name: name_before(text, start), python: true }
    });
    Some(found.collect())
}

/// Where cells are written in this project's form. A text of one line is taken as a whole; of a longer one, every word that
/// holds a cell counts.
fn own(text: &str, content: Range<usize>) -> Option<Vec<Candidate>> {
    let whole = &text[content.clone()];
    if !whole.contains('\n') && is_cell(whole) {
        return Some(vec![Candidate::cells(content)]);
    }
    let mut found = Vec::new();
    let mut at = content.start;
    for word in whole.split_inclusive(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
        if let (Some(first), Some(last), true) = (word.find('|'), word.rfind('|'), word.contains('~')) {
            // A cell's own name belongs to it.
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

/// Whether a text begins as a cell does: `|` or `name=|`.
fn is_cell(text: &str) -> bool {
    let named = text.split_once("=|").map(|(name, _)| name);
    text.starts_with('|')
        || named.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'))
}

/// Reads one candidate.
fn read(text: &str, candidate: &Candidate, space: Option<&Arc<Space>>) -> Result<Genotype, GenotypeError> {
    let (space, cells) = if candidate.python {
        let (cells, space) = python_cells(text, candidate.at.clone(), space)?;
        (space, cells)
    } else {
        own_cells(text, candidate.at.clone(), space)?
    };
    let genotype = Genotype { space: space.clone(), cells };
    genotype.check(&space)?;
    Ok(genotype)
}

/// Reads `|..|+..` or `name=|..|+..;name=|..|+..`.
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
            return Err(misfit(format!("{name} stands where cell `{}` belongs", cell.name)));
        }
        parse_cell(text, at.clone(), cell)
    });
    let cells = cells.collect::<Result<_, _>>()?;
    Ok((space, cells))
}

fn syntax(at: usize, expected: &'static str, found: &str) -> GenotypeError {
    let found = found.chars().take(24).collect::<String>();
    let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
    GenotypeError::Syntax { at, expected, found }
}

fn choice(cell: &CellSpace, name: &str, at: usize, input: usize) -> Result<Choice, GenotypeError> {
    let operation = cell.find(name).cloned().ok_or_else(|| GenotypeError::UnknownOperation {
        name: name.chars().take(40).collect(),
        at,
        known: cell.operations.iter().map(|operation| operation.name.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    Ok(Choice { operation, input })
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

/// Reads the `('name', input)` pairs of the lists `normal` and `reduce`, two per node. A third member of a pair (AutoDL
/// writes the weight there) is left out.
fn python_cells(
    text: &str,
    at: Range<usize>,
    space: Option<&Arc<Space>>,
) -> Result<(Vec<CellGenotype>, Arc<Space>), GenotypeError> {
    let normal = python_list(text, at.clone(), "normal")?
        .ok_or_else(|| syntax(at.start, "`normal=[...]`", &text[at.clone()]))?;
    let reduce = python_list(text, at.clone(), "reduce")?;
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
        let choices = python_pairs(text, list.clone(), cell)?;
        if cell.derivation != Derivation::TwoBestPerNode {
            return Err(misfit(format!("this form has two inputs per node, and cell `{}` has others", cell.name)));
        }
        if choices.len() % 2 == 1 {
            return Err(syntax(list.start, "two (operation, input) pairs per node", &text[list]));
        }
        cells.push(CellGenotype { nodes: choices.chunks(2).map(<[Choice]>::to_vec).collect() });
        let concat = format!("{key}_concat");
        if let Some(states) = python_states(text, at.clone(), &concat)? {
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

/// Where the value of a key begins, be it written `key=`, `key =`, `'key':` or `"key":`.
fn python_value(text: &str, at: Range<usize>, key: &str) -> Option<usize> {
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

/// The inside of a key's list; `None` where the key is missing, or its value is `None` or an empty list.
fn python_list(text: &str, at: Range<usize>, key: &str) -> Result<Option<Range<usize>>, GenotypeError> {
    let Some(start) = python_value(text, at.clone(), key) else { return Ok(None) };
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

/// What stands between the bracket that a text begins with and the one that closes it.
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

fn python_pairs(text: &str, list: Range<usize>, cell: &CellSpace) -> Result<Vec<Choice>, GenotypeError> {
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

/// The states of a list of numbers: `[2, 3]`, `(2, 3)`, `range(2, 4)` or `list(range(2, 4))`.
fn python_states(text: &str, at: Range<usize>, key: &str) -> Result<Option<Vec<usize>>, GenotypeError> {
    let Some(start) = python_value(text, at.clone(), key) else { return Ok(None) };
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
        // No cell has that many states; a longer range would only fill the memory.
        (true, &[from, to]) if to <= 1000 => Ok(Some((from..to).collect())),
        (true, &[to]) if to <= 1000 => Ok(Some((0..to).collect())),
        (true, _) => Err(wrong()),
    }
}

/// A genotype's own JSON, or an object that has one as `genotype` or `cells` (as `gdas genotype parse --json` prints and
/// `result.json` holds), or that has its text.
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
        // Programs print more beside it, such as its text.
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
mod tests {
    use super::*;

    #[test]
    fn named_genotypes_read_back() {
        for name in Genotype::names() {
            let genotype = Genotype::named(name).expect("a named genotype is valid");
            assert_eq!(genotype.to_string().parse::<Genotype>().as_ref(), Ok(&genotype), "{name}");
            let json = serde_json::to_string(&genotype).expect("serialises");
            assert_eq!(serde_json::from_str::<Genotype>(&json).expect("reads back"), genotype);
        }
    }

    #[test]
    fn python_text_of_darts_and_autodl() {
        let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
            ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
        assert_eq!(darts.parse::<Genotype>().ok(), Genotype::named("DARTS_V2"));
        let autodl = "{'normal': [(('skip_connect', 0, 0.2), ('skip_connect', 1, 0.1)), (('skip_connect', 0), ('sep_conv_5x5', 2)), \
            (('sep_conv_3x3', 3), ('skip_connect', 0)), (('sep_conv_5x5', 4), ('sep_conv_3x3', 3))], 'normal_concat': [2,3,4,5], \
            'reduce': [(('sep_conv_5x5', 0), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 2), ('sep_conv_5x5', 1)), \
            (('dil_conv_5x5', 2), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 0), ('sep_conv_5x5', 1))], 'reduce_concat': [2,3,4,5]}";
        assert_eq!(autodl.parse::<Genotype>().ok(), Genotype::named("GDAS_V1"));
    }

    #[test]
    fn errors_say_where_and_how_to_mend() {
        let error = |text: &str| text.parse::<Genotype>().unwrap_err().to_string();
        assert!(error("|conv~0|").starts_with("unknown operation `conv` at byte 1"));
        assert!(error("|none~x|").contains("at byte 6: expected the number of a state"));
        assert!(error("|none~0").contains("a closing `|`"));
        assert!(error("").contains("at byte 0"));
        assert!(error("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|").contains("cannot read state 2"));
        assert!(error("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|").contains("where state 0 belongs"));
        assert!(error("normal=|none~0|").contains("nodes instead of"));
    }

    /// What `gdas genotype --json` and the Python module print has fields beside the genotype.
    #[test]
    fn json_with_other_fields_beside_the_genotype_is_read() {
        let genotype = Genotype::named("GDAS_V1").expect("published");
        let mut value = serde_json::to_value(&genotype).expect("JSON");
        value["text"] = genotype.to_string().into();
        value["parameter_free"] = 0.5.into();
        assert_eq!(value.to_string().parse::<Genotype>().expect("a genotype"), genotype);
    }

    /// A log of a search: the last genotype counts.
    #[test]
    fn of_several_genotypes_in_a_log_the_last_is_taken() {
        let line = |operation: &str| {
            let python = Genotype::named("DARTS_V2").expect("published").to_string();
            format!("06/27 01:20 genotype = {python}\n").replace("sep_conv_3x3", operation)
        };
        let pairs =
            |operation: &str| format!("[{}]", vec![format!("('{operation}', 0), ('{operation}', 1)"); 4].join(", "));
        let python = |operation: &str| {
            let pairs = pairs(operation);
            format!(
                "2018-06-27 epoch lr 2.5e-02\n2018-06-27 genotype = Genotype(normal={pairs}, normal_concat=range(2, 6), \
                 reduce={pairs}, reduce_concat=range(2, 6))\n2018-06-27 train_acc 40.1\n"
            )
        };
        for (first, last) in
            [(line("max_pool_3x3"), line("dil_conv_3x3")), (python("max_pool_3x3"), python("dil_conv_3x3"))]
        {
            let found = Genotype::find_in(&format!("{first}{last}"), None, None).expect("a genotype");
            let alone = Genotype::find_in(&last, None, None).expect("a genotype");
            assert_eq!((found.of, alone.of), (2, 1));
            assert_eq!(found.genotype, alone.genotype);
            assert!(found.genotype.to_string().contains("dil_"));
        }
        let benchmark = "epoch 0 Structure(4 nodes with |none~0|+|none~0|none~1|+|none~0|none~1|none~2|)\n\
                         epoch 1 Structure(4 nodes with |nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|)\n";
        let found = Genotype::find_in(benchmark, None, None).expect("a genotype");
        assert_eq!((found.of, found.genotype.parameter_free_share()), (2, 5.0 / 6.0));
        // The log of a run: another cell beside the one that a line is about.
        let event = |genotype: &str| {
            format!(
                "{{\"genotype\":\"{genotype}\",\"own_genotype\":\"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\"}}\n"
            )
        };
        let last = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|";
        let log = event("|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|") + &event(last);
        let found = Genotype::find_in(&log, None, None).expect("a genotype");
        assert_eq!((found.of, found.genotype.to_string().as_str()), (2, last));
    }

    #[test]
    fn a_file_of_several_named_genotypes_asks_for_a_name() {
        let pairs =
            |operation: &str| format!("[{}]", vec![format!("('{operation}', 0), ('{operation}', 1)"); 4].join(", "));
        let line = |name: &str, operation: &str| {
            let pairs = pairs(operation);
            format!(
                "{name} = Genotype(\n  normal={pairs},\n  normal_concat=[2, 3, 4, 5],\n  reduce={pairs},\n  \
                 reduce_concat=[2, 3, 4, 5])\n\n"
            )
        };
        let text = format!(
            "from collections import namedtuple\nGenotype = namedtuple('Genotype', 'normal normal_concat reduce')\n\
             PRIMITIVES = ['none', 'sep_conv_3x3']\n\n{}{}",
            line("FIRST", "sep_conv_3x3"),
            line("SECOND", "avg_pool_3x3")
        );
        let error = text.parse::<Genotype>().expect_err("which one?").to_string();
        assert_eq!(error, "the text holds several genotypes: FIRST, SECOND; say which one by its name");
        let second = Genotype::find_in(&text, Some("SECOND"), None).expect("the second");
        assert_eq!((second.of, second.genotype.parameter_free_share()), (1, 1.0));
        let error = Genotype::find_in(&text, Some("THIRD"), None).expect_err("there is none").to_string();
        assert_eq!(error, "the text holds no genotype named `THIRD`; it holds FIRST, SECOND");
    }

    /// Which nodes a cell concatenates is part of the network.
    #[test]
    fn a_concatenation_that_the_space_does_not_have_is_refused() {
        let text = |normal: &str, reduce: &str| {
            let pairs = ["('sep_conv_3x3', 0), ('sep_conv_3x3', 1)"; 4].join(", ");
            format!("Genotype(normal=[{pairs}], normal_concat={normal}, reduce=[{pairs}], reduce_concat={reduce})")
        };
        let all = ["[2, 3, 4, 5]", "range(2, 6)", "list(range(2, 6))", "(2, 3, 4, 5)", "[5, 4, 3, 2]", "None"];
        for concat in all {
            assert!(text(concat, concat).parse::<Genotype>().is_ok(), "{concat}");
        }
        for concat in ["[4, 5]", "range(3, 6)", "[]", "[2, 3, 4, 5, 6]", "[2, 2, 3, 4, 5]"] {
            for text in [text(concat, all[0]), text(all[0], concat)] {
                let error = text.parse::<Genotype>().expect_err(concat).to_string();
                assert!(error.contains("_concat is ") && error.contains("is another network"), "{concat}: {error}");
            }
        }
        for concat in ["all", "range(2, 99999999999)", "[2, x]", "[2, 3"] {
            let error = text(concat, all[0]).parse::<Genotype>().expect_err(concat);
            assert!(matches!(error, GenotypeError::Syntax { .. }), "{concat}: {error}");
        }
    }

    #[test]
    fn what_surrounds_a_genotype_is_no_part_of_it() {
        let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
        let genotype: Genotype = text.parse().expect("a genotype");
        let json = serde_json::to_string(&genotype).expect("JSON");
        for around in [
            format!("\u{feff}{text}"),
            format!("\u{feff}\r\n {text}\r\n"),
            format!("{text}\n\nspace  NAS-Bench-201\nparameters  1.0 M"),
            format!("{{\"event\":\"epoch\",\"genotype\":\"{text}\",\"x\":1}}\n{{\"event\":\"end\"}}\n"),
            format!("{{\"text\": \"{text}\", \"genotype\": {json}}}"),
            format!("{{\"genotype\": \"{text}\", \"cells\": {json}, \"seed\": 1}}"),
            format!("{{\"space\": \"nas-bench-201\", \"genotype\": \"{text}\"}}"),
            format!("\u{feff}{json}\n"),
        ] {
            assert_eq!(around.parse::<Genotype>().as_ref(), Ok(&genotype), "{around}");
        }
        let darts = Genotype::named("DARTS_V2").expect("published");
        let pairs = |cell: &CellGenotype| {
            let choice = |c: &Choice| format!("[\"{}\", {}]", c.operation.name, c.input);
            cell.nodes.iter().flatten().map(choice).collect::<Vec<_>>().join(", ")
        };
        let dictionary =
            format!("{{\"normal\": [{}], \"reduce\": [{}]}}", pairs(&darts.cells[0]), pairs(&darts.cells[1]));
        assert_eq!(dictionary.parse::<Genotype>(), Ok(darts));
        assert!(matches!("{\"a\": 1}".parse::<Genotype>(), Err(GenotypeError::Json(_))));
    }

    #[test]
    fn a_space_of_ones_own_reads_its_genotypes_back_from_text_and_json() {
        use crate::alpha::Alpha;
        use crate::space::{Layer, Operation, operations};
        let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
        let one = CellSpace::one_input("cell", 2, [operations::skip_connect(), wide.clone()]);
        let normal = CellSpace::two_inputs("up", 2, [operations::skip_connect(), wide.clone()]);
        let reduction = CellSpace::two_inputs("down", 1, [operations::max_pool(3), wide]);
        for space in [Space::residual("mine", one), Space::two_inputs("mine", normal, reduction)].map(Arc::new) {
            let tables: Vec<_> =
                space.cells.iter().map(|cell| Alpha::from_fn(cell.edges().len(), 2, |_, k| k as f64)).collect();
            let genotype = Genotype::from_alpha(&space, &tables);
            assert_eq!(Genotype::parse(&genotype.to_string(), &space).as_ref(), Ok(&genotype));
            assert!(genotype.to_string().parse::<Genotype>().is_err(), "no built-in space has these cells");
            let json = serde_json::to_string(&genotype).expect("JSON");
            assert_eq!(serde_json::from_str::<Genotype>(&json).expect("reads back"), genotype);
            assert_eq!(json.parse::<Genotype>(), Ok(genotype));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = text.parse::<Genotype>();
        }

        #[test]
        fn every_cell_of_the_benchmark_reads_back(picks in proptest::collection::vec(0usize..5, 6)) {
            let genotype = Genotype::from_picks(&spaces::nas_bench_201(), &[picks]);
            proptest::prop_assert_eq!(genotype.to_string().parse::<Genotype>(), Ok(genotype));
        }
    }
}
