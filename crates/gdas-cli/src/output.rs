//! Results go to standard output, everything about the way there to standard error.

use std::io::{self, Write};

use serde::Serialize;

use crate::host;

/// Writes one line to standard output, or hands it to the program that called the command. A closed pipe is an error like any other, which [`crate::exit`] forgives.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    if host::put(|| text.to_string().into()) {
        return Ok(());
    }
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes one JSON value as a line to standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    if host::is_set() {
        let value = serde_json::to_value(value)?;
        host::put(|| value);
        return Ok(());
    }
    Ok(line(serde_json::to_string(value)?)?)
}

/// Writes one line to standard error, or hands it to the program that called the command; nothing can be done if that fails.
pub(crate) fn note(text: impl std::fmt::Display) {
    if !host::note(|| text.to_string()) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Columns of text, each as wide as its widest cell, two spaces between them.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A fraction as a percentage with two decimals.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A time as `1:02:03` or `2:03`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_string();
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_tables() {
        assert_eq!(
            (duration(3.4), duration(3723.0), duration(f64::NAN)),
            ("0:03".into(), "1:02:03".into(), "?".into())
        );
        let row = |a: &str, b: &str| vec![a.to_string(), b.to_string()];
        assert_eq!(table(&[row("a", "b"), row("long", "")]), "a     b\nlong");
    }
}
