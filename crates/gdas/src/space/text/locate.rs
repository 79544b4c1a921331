//! Position of an error in a TOML file.

use crate::space::{Place, SpaceError};

pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// The key whose value contains byte `at`: that of its line, or of the nearest line before with a key.
pub(super) fn key_at(text: &str, at: usize) -> Option<String> {
    let line_end = text[at.min(text.len())..].find('\n').map_or(text.len(), |i| at + i);
    text.get(..line_end)?
        .lines()
        .rev()
        .take_while(|line| !is_header(line))
        .find_map(|line| key_of(line).map(str::to_owned))
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!key.is_empty() && key.chars().all(bare)).then_some(key)
}

fn is_header(line: &str) -> bool {
    let line = line.trim();
    ["[skeleton]", "[[operation]]", "[[cell]]"].iter().any(|header| line.starts_with(header))
}

/// Adds the line of an error: that of the key, else that of the table's header.
pub(super) fn locate(error: SpaceError, text: &str, defined: &[String]) -> SpaceError {
    let SpaceError::Value { place, key, reason, .. } = error else { return error };
    let lines: Vec<&str> = text.lines().collect();
    let nth = |header: &str, n: usize| {
        lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with(header)).nth(n).map(|(index, _)| index)
    };
    let start = match &place {
        Place::Space => Some(0),
        Place::Skeleton => nth("[skeleton]", 0),
        // Of two definitions of one name, the error is at the last.
        Place::Operation(name) => defined.iter().rposition(|known| known == name).and_then(|n| nth("[[operation]]", n)),
        Place::Cell(index, _) => nth("[[cell]]", *index),
    };
    let line = start.map(|start| {
        let skipped = usize::from(place != Place::Space);
        let body = lines.iter().enumerate().skip(start + skipped).take_while(|(_, line)| !is_header(line));
        let found = body.into_iter().find(|(_, line)| key_of(line) == Some(key)).map(|(index, _)| index);
        1 + found.unwrap_or(start)
    });
    SpaceError::Value { line, place, key, reason }
}
