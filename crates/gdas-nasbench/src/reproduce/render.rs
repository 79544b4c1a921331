//! The table of results and published figures as text, Markdown and CSV.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::job::write_whole;
use super::{COLUMNS, Figure, ReproduceError, Row, Score, published};

/// The published figure for a search on CIFAR-10; `None` for other data sets, on which the paper did not search.
fn published_figure(row: &Row, column: usize) -> Option<Figure> {
    let on_cifar10 = row.dataset == crate::Dataset::Cifar10;
    on_cifar10.then(|| published(&row.algorithm)).flatten().and_then(|published| published.figures[column])
}

fn plus_minus(score: Option<Score>) -> String {
    score.map_or_else(|| "-".to_owned(), |score| format!("{:.2} ± {:.2}", score.mean, score.deviation))
}

fn median(ranks: &[usize]) -> Option<usize> {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// Header and cells of the table; every accuracy has a column for this program and one for the paper.
fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let mut head = vec!["algorithm".to_owned(), "searched on".to_owned(), "searches".to_owned()];
    for (name, ..) in COLUMNS {
        head.extend([name.to_owned(), "published".to_owned()]);
    }
    head.extend(["search time, s".to_owned(), "trainings".to_owned(), "median rank".to_owned()]);
    let mut all = vec![head];
    for row in rows {
        let name = row.preset.as_ref().map_or(row.algorithm.clone(), |preset| format!("{} ({preset})", row.algorithm));
        let marks = if row.notes.is_empty() { "" } else { " *" };
        let mut line = vec![format!("{name}{marks}"), row.dataset.to_string(), row.searches.to_string()];
        for (column, score) in row.scores.iter().enumerate() {
            line.extend([plus_minus(*score), plus_minus(published_figure(row, column).map(Score::from))]);
        }
        let nominal = if row.nominal_seconds { " (nominal)" } else { "" };
        line.push(format!("{:.0}{nominal}", row.seconds.mean));
        line.push(if row.queries > 0.0 { format!("{:.1}", row.queries) } else { "-".to_owned() });
        line.push(median(&row.ranks).map_or_else(|| "-".to_owned(), |rank| format!("{rank} of {}", row.ranked)));
        all.push(line);
    }
    all
}

fn notes(rows: &[Row]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for row in rows.iter().filter(|row| !row.notes.is_empty()) {
        lines.push(format!("* {}: {}.", row.algorithm, row.notes.join("; ")));
    }
    let mut sources: Vec<&str> = rows
        .iter()
        .filter(|row| row.dataset == crate::Dataset::Cifar10)
        .filter_map(|row| published(&row.algorithm))
        .map(|published| published.found_in)
        .collect();
    sources.dedup();
    lines.push(
        "Accuracies in percent after 200 epochs, mean ± standard deviation over the searches; `-`: there is no such \
         number. Published: Dong and Yang, NAS-Bench-201 (arXiv 2001.00326 version 2), table 5, searches on CIFAR-10."
            .to_owned(),
    );
    if !sources.is_empty() {
        lines.push(format!("Published figures were checked in: {}.", sources.join("; ")));
    }
    lines
}

/// The table for a terminal: a block of lines per algorithm, as the full table is too wide.
pub fn text(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let name = row.preset.as_ref().map_or(row.algorithm.clone(), |preset| format!("{} ({preset})", row.algorithm));
        let marks = if row.notes.is_empty() { "" } else { " *" };
        let _ = writeln!(out, "{name}{marks}: {} searches on {}", row.searches, row.dataset);
        let _ = writeln!(out, "  {:<22}{:<17}published", "", "ours");
        for (column, score) in row.scores.iter().enumerate() {
            let paper = plus_minus(published_figure(row, column).map(Score::from));
            let _ = writeln!(out, "  {:<22}{:<17}{paper}", COLUMNS[column].0, plus_minus(*score));
        }
        let nominal = if row.nominal_seconds { " (nominal)" } else { "" };
        let trainings = if row.queries > 0.0 { format!(", {:.1} trainings", row.queries) } else { String::new() };
        let _ = writeln!(out, "  {:<22}{:.0} s{nominal}{trainings}", "a search takes", row.seconds.mean);
        if let Some(rank) = median(&row.ranks) {
            let _ = writeln!(out, "  {:<22}{rank} of {}", "median rank", row.ranked);
        }
        out.push('\n');
    }
    out + &notes(rows).join("\n") + "\n"
}

/// The table in Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::new();
    for (i, line) in cells(rows).iter().enumerate() {
        let _ = writeln!(out, "| {} |", line.join(" | "));
        if i == 0 {
            let _ = writeln!(out, "|{}", " --- |".repeat(line.len()));
        }
    }
    out + "\n" + &notes(rows).join("\n\n") + "\n"
}

/// The table as CSV with separate columns for means and deviations; an empty field is a missing value.
pub fn csv(rows: &[Row]) -> String {
    let mut head = vec!["algorithm".to_owned(), "preset".to_owned(), "searched_on".to_owned(), "searches".to_owned()];
    for (name, ..) in COLUMNS {
        let name = name.to_lowercase().replace([' ', '-'], "_");
        for of in ["mean", "deviation", "published_mean", "published_deviation"] {
            head.push(format!("{name}_{of}"));
        }
    }
    head.extend(["seconds", "seconds_are_nominal", "trainings", "median_rank", "ranked", "notes"].map(str::to_owned));
    let mut out = head.join(",") + "\n";
    for row in rows {
        let mut line = vec![
            row.algorithm.clone(),
            row.preset.clone().unwrap_or_default(),
            row.dataset.to_string(),
            row.searches.to_string(),
        ];
        for (column, score) in row.scores.iter().enumerate() {
            for score in [*score, published_figure(row, column).map(Score::from)] {
                line.extend(match score {
                    Some(score) => [format!("{:.4}", score.mean), format!("{:.4}", score.deviation)],
                    None => [String::new(), String::new()],
                });
            }
        }
        line.extend([
            format!("{:.2}", row.seconds.mean),
            row.nominal_seconds.to_string(),
            format!("{:.2}", row.queries),
            median(&row.ranks).map_or(String::new(), |rank| rank.to_string()),
            row.ranked.to_string(),
            format!("\"{}\"", row.notes.join("; ").replace('"', "\"\"")),
        ]);
        let _ = writeln!(out, "{}", line.join(","));
    }
    out
}

/// Writes `table.txt`, `table.md` and `table.csv` into the folder's `report/`, which it returns.
pub fn write_report(folder: &Path, rows: &[Row]) -> Result<PathBuf, ReproduceError> {
    let report = folder.join("report");
    std::fs::create_dir_all(&report).map_err(ReproduceError::io(&report))?;
    let files = [("table.txt", text(rows)), ("table.md", markdown(rows)), ("table.csv", csv(rows))];
    for (name, content) in files {
        write_whole(&report.join(name), content.as_bytes())?;
    }
    Ok(report)
}
