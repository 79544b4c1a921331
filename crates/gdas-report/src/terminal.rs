//! A [`Picture`] as text: every node is a vertical line, every edge a row from its source to its target.
//!
//! Edges cannot overlap, and the rows are in the order of computation from top to bottom.

use super::picture::{EdgeClass, Picture};

/// Options of drawing in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Whether to use only ASCII characters.
    pub ascii: bool,
    /// Whether to colour the operations by ANSI codes.
    pub colour: bool,
    /// Available columns; labels are placed at the right if a picture needs more.
    pub width: usize,
}

impl Default for TerminalStyle {
    fn default() -> Self {
        Self { ascii: false, colour: false, width: 80 }
    }
}

/// One row: the sources (several only for unlabelled edges that join), the target, the label.
struct Row<'a> {
    from: Vec<usize>,
    to: usize,
    label: &'a str,
    class: EdgeClass,
}

/// Characters of a drawing.
struct Glyphs {
    line: char,
    dash: char,
    start: char,
    last_start: char,
    join: char,
    cross: char,
    tip: char,
}

const UNICODE: Glyphs =
    Glyphs { line: '│', dash: '─', start: '├', last_start: '╰', join: '┴', cross: '┼', tip: '▶' };
const ASCII: Glyphs = Glyphs { line: '|', dash: '-', start: '+', last_start: '+', join: '+', cross: '|', tip: '>' };

impl Picture {
    /// Draws the picture as lines of text, each ended by a newline.
    pub fn to_text(&self, style: TerminalStyle) -> String {
        let glyphs = if style.ascii { &ASCII } else { &UNICODE };
        let rows = self.rows();
        let (centres, inline) = match self.wide(&rows, style.width) {
            Some(centres) => (centres, true),
            None => (self.narrow(), false),
        };
        let width = centres.last().map_or(0, |c| c + 1);
        let right_edge =
            self.nodes.last().map_or(0, |n| (centres[centres.len() - 1] + n.label.chars().count()).max(width));

        let mut out = String::new();
        let mut header = vec![' '; right_edge + 1];
        for (node, &centre) in self.nodes.iter().zip(&centres) {
            let text: Vec<char> = node.label.chars().collect();
            let start = centre.saturating_sub(text.len() / 2);
            for (i, &c) in text.iter().enumerate() {
                if let Some(cell) = header.get_mut(start + i) {
                    *cell = c;
                }
            }
        }
        push_line(&mut out, &header, None, style, EdgeClass::Structure);
        for (index, row) in rows.iter().enumerate() {
            let (line, label_at) = draw_row(&rows, index, row, &centres, width, inline, glyphs);
            if inline {
                push_line(&mut out, &line, label_at, style, row.class);
            } else {
                let sources: Vec<&str> = row.from.iter().map(|&f| self.nodes[f].label.as_str()).collect();
                let arrow = if style.ascii { "->" } else { "→" };
                let mut line = line;
                line.extend("  ".chars());
                let start = line.len();
                line.extend(row.label.chars());
                let label = (start, line.len());
                if row.label.is_empty() {
                    line.extend(format!("{} {arrow} {}", sources.join(" + "), self.nodes[row.to].label).chars());
                }
                push_line(&mut out, &line, Some(label), style, row.class);
            }
        }
        out
    }

    /// Rows of the edges sorted by target; unlabelled edges to the same target share a row.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by_key(|&e| (self.edges[e].to, self.edges[e].label.is_empty(), self.edges[e].from));
        let mut rows: Vec<Row> = Vec::new();
        for e in order {
            let edge = &self.edges[e];
            // Sources may only join where their line ends; otherwise the joint would look like a crossing.
            let ends = self.edges.iter().all(|other| other.from != edge.from || other.to <= edge.to);
            match rows.last_mut() {
                Some(row) if ends && edge.label.is_empty() && row.label.is_empty() && row.to == edge.to => {
                    row.from.push(edge.from);
                }
                _ => rows.push(Row { from: vec![edge.from], to: edge.to, label: &edge.label, class: edge.class }),
            }
        }
        rows
    }

    /// Centres of the nodes with room for every label within its edge; `None` if that is wider than the terminal.
    fn wide(&self, rows: &[Row], width: usize) -> Option<Vec<usize>> {
        let mut gaps = self.gaps();
        let mut shortest_first: Vec<&Row> = rows.iter().filter(|r| !r.label.is_empty()).collect();
        shortest_first.sort_by_key(|r| r.to - r.from[0]);
        for row in shortest_first {
            let needed = row.label.chars().count() + 4;
            let span = row.from[0]..row.to;
            if !span.clone().any(|g| gaps[g] >= needed) {
                gaps[span.start] = needed;
            }
        }
        let centres = self.centres(&gaps);
        let right = centres.last()? + self.nodes.last()?.label.chars().count() / 2 + 1;
        (right <= width).then_some(centres)
    }

    fn narrow(&self) -> Vec<usize> {
        self.centres(&self.gaps())
    }

    /// Distances of neighbouring lines at which the node labels do not touch.
    fn gaps(&self) -> Vec<usize> {
        let length = |i: usize| self.nodes[i].label.chars().count();
        (1..self.nodes.len()).map(|i| (length(i - 1) / 2 + length(i) / 2 + 2).max(4)).collect()
    }

    fn centres(&self, gaps: &[usize]) -> Vec<usize> {
        let first = self.nodes.first().map_or(0, |n| n.label.chars().count() / 2);
        let mut centres = vec![first];
        for gap in gaps {
            centres.push(centres[centres.len() - 1] + gap);
        }
        centres.truncate(self.nodes.len());
        centres
    }
}

/// The characters of one row, and the position of its label.
fn draw_row(
    rows: &[Row],
    index: usize,
    row: &Row,
    centres: &[usize],
    width: usize,
    inline: bool,
    glyphs: &Glyphs,
) -> (Vec<char>, Option<(usize, usize)>) {
    // A node's line ends at the last row that touches it.
    let alive = |node: usize| rows[index..].iter().any(|r| r.to == node || r.from.contains(&node));
    let ends_here = |node: usize| !rows[index + 1..].iter().any(|r| r.to == node || r.from.contains(&node));
    let mut line = vec![' '; width];
    let (start, end) = (centres[row.from[0]], centres[row.to]);
    line[start..end].fill(glyphs.dash);
    for (node, &centre) in centres.iter().enumerate() {
        let inside = centre > start && centre < end;
        line[centre] = match () {
            () if node == row.from[0] => {
                if ends_here(node) {
                    glyphs.last_start
                } else {
                    glyphs.start
                }
            }
            () if row.from.contains(&node) => glyphs.join,
            () if node == row.to => glyphs.line,
            () if inside && alive(node) => glyphs.cross,
            () if inside => glyphs.dash,
            () if alive(node) => glyphs.line,
            () => ' ',
        };
    }
    line[end - 1] = glyphs.tip;
    if !inline || row.label.is_empty() {
        return (line, None);
    }
    let length = row.label.chars().count();
    let gap = (row.from[0]..row.to).find(|&g| centres[g + 1] - centres[g] >= length + 4);
    let label = gap.map(|g| {
        let at = centres[g] + 2;
        for (i, c) in row.label.chars().enumerate() {
            line[at + i] = c;
        }
        (at, at + length)
    });
    (line, label)
}

fn push_line(out: &mut String, line: &[char], label: Option<(usize, usize)>, style: TerminalStyle, class: EdgeClass) {
    let end = line.iter().rposition(|c| *c != ' ').map_or(0, |p| p + 1);
    let (start, stop) = label.filter(|_| style.colour).unwrap_or((end, end));
    out.extend(&line[..start.min(end)]);
    if start < stop {
        out.push_str(ansi(class));
        out.extend(&line[start..stop]);
        out.push_str("\x1b[0m");
        out.extend(&line[stop..end]);
    }
    out.push('\n');
}

fn ansi(class: EdgeClass) -> &'static str {
    match class {
        EdgeClass::None | EdgeClass::Structure => "\x1b[2m",
        EdgeClass::Skip => "\x1b[1m",
        EdgeClass::Pool => "\x1b[33m",
        EdgeClass::Pointwise => "\x1b[32m",
        EdgeClass::Conv | EdgeClass::Separable => "\x1b[36m",
        EdgeClass::Dilated => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::{benchmark_cell, nasnet_cell};

    #[test]
    fn benchmark_cell_in_unicode() {
        let text = benchmark_cell().to_text(TerminalStyle::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn benchmark_cell_in_ascii() {
        let text = benchmark_cell().to_text(TerminalStyle { ascii: true, ..TerminalStyle::default() });
        assert!(text.is_ascii());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn narrow_terminal_puts_labels_at_the_right() {
        let text = nasnet_cell().to_text(TerminalStyle::default());
        assert!(text.lines().all(|l| l.chars().count() <= 80));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn wide_terminal_puts_labels_on_the_edges() {
        let text = nasnet_cell().to_text(TerminalStyle { width: 200, ..TerminalStyle::default() });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colour_adds_only_escape_codes() {
        let plain = benchmark_cell().to_text(TerminalStyle::default());
        let mut coloured = benchmark_cell().to_text(TerminalStyle { colour: true, ..TerminalStyle::default() });
        assert_ne!(plain, coloured);
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[36m"] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(plain, coloured);
    }
}
