//! Heat maps of the most probable operation of each edge by epoch, one row per edge.

use std::fmt::Write as _;

use serde_json::json;

use super::chart::SERIES_COLOURS;
use super::svg::escape;

const ROW: f64 = 18.0;
const CHARACTER: f64 = 6.6;
const WIDTH: f64 = 940.0;
/// Number of shades of a colour. Consecutive epochs of the same shade are one rectangle, to keep the file small.
const SHADES: usize = 5;

/// Probabilities of the operations of every edge over the epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Title of the drawing.
    pub title: String,
    /// Names of the edges, one per row.
    pub edges: Vec<String>,
    /// Names of the operations, in the order of the probabilities.
    pub operations: Vec<String>,
    /// Epochs, counted from 1, in order, each with its probabilities `[edges][operations]`.
    pub epochs: Vec<(usize, Vec<Vec<f64>>)>,
}

/// The most probable operation of an edge in one epoch.
#[derive(Clone, Copy, PartialEq)]
struct Preferred {
    operation: usize,
    probability: f64,
}

impl HeatMap {
    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty() || self.edges.is_empty() || self.operations.is_empty()
    }

    /// A complete SVG file.
    pub fn to_svg(&self) -> String {
        self.draw(true)
    }

    /// The drawing for embedding in a page that includes [`style`] and [`super::chart::style`] once.
    pub fn to_svg_fragment(&self) -> String {
        self.draw(false)
    }

    /// The data as JSON, probabilities in units of 1/10,000, for the page's script.
    pub fn to_json(&self) -> String {
        let values: Vec<Vec<Vec<u32>>> = self
            .epochs
            .iter()
            .map(|(_, rows)| rows.iter().map(|row| row.iter().map(|p| (p * 1e4).round() as u32).collect()).collect())
            .collect();
        let epochs: Vec<usize> = self.epochs.iter().map(|(epoch, _)| *epoch).collect();
        json!({ "title": self.title, "edges": self.edges, "operations": self.operations, "epochs": epochs,
            "values": values, "left": self.left(), "right": self.right(), "width": WIDTH, "top": TOP, "row": ROW })
        .to_string()
    }

    fn preferred(&self, epoch: usize, edge: usize) -> Option<Preferred> {
        let row = self.epochs[epoch].1.get(edge)?;
        let operation = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)))?;
        Some(Preferred { operation, probability: *row.get(operation)? })
    }

    /// Left end of the rows in pixels, right of the edges' names.
    fn left(&self) -> f64 {
        12.0 + self.edges.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64 * CHARACTER
    }

    /// Right end of the rows in pixels, left of the last epoch's most probable operations.
    fn right(&self) -> f64 {
        let longest = self.operations.iter().map(|name| name.chars().count()).max().unwrap_or(0) + 7;
        WIDTH - 12.0 - longest as f64 * CHARACTER
    }

    fn draw(&self, complete: bool) -> String {
        let (left, right) = (self.left(), self.right());
        let bottom = TOP + ROW * self.edges.len() as f64;
        let height = bottom + 34.0;
        let title = escape(&self.title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart heat\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\">\n<title>{title}</title>\n<desc>{}</desc>\n",
            escape(&self.description())
        );
        if complete {
            let _ = writeln!(
                out,
                "<style>{}{}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>",
                super::chart::style(),
                style()
            );
        }
        let _ = writeln!(out, "<text class=\"title\" x=\"6\" y=\"15\">{title}</text>");
        // Shades range from the uniform distribution to the largest probability of all edges and epochs.
        let even = 1.0 / self.operations.len().max(1) as f64;
        let all = (0..self.epochs.len()).flat_map(|epoch| (0..self.edges.len()).map(move |edge| (epoch, edge)));
        let highest =
            all.filter_map(|(epoch, edge)| self.preferred(epoch, edge)).map(|p| p.probability).fold(even, f64::max);
        let shade = |p: f64| {
            let share = if highest > even { (p - even) / (highest - even) } else { 0.0 };
            (share.clamp(0.0, 1.0) * (SHADES - 1) as f64).round() as usize
        };
        let width = (right - left) / self.epochs.len().max(1) as f64;
        for (edge, name) in self.edges.iter().enumerate() {
            let y = TOP + ROW * edge as f64;
            let _ = writeln!(out, "<text x=\"6\" y=\"{:.1}\">{}</text>", y + 13.0, escape(name));
            let mut run: Option<(usize, usize, usize)> = None;
            let mut draw = |run: (usize, usize, usize), end: usize| {
                let (start, operation, shade) = run;
                let colour = operation % SERIES_COLOURS.len();
                let (x, w) = (left + width * start as f64, width * (end - start) as f64);
                let _ = writeln!(
                    out,
                    "<rect class=\"h{colour} o{shade}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{:.1}\"/>",
                    y + 1.0,
                    ROW - 2.0
                );
            };
            for epoch in 0..self.epochs.len() {
                let now = self.preferred(epoch, edge).map(|p| (p.operation, shade(p.probability)));
                if run.map(|(_, operation, shade)| (operation, shade)) != now {
                    if let Some(run) = run {
                        draw(run, epoch);
                    }
                    run = now.map(|(operation, shade)| (epoch, operation, shade));
                }
            }
            if let Some(run) = run {
                draw(run, self.epochs.len());
            }
            if let Some(last) = self.epochs.len().checked_sub(1).and_then(|last| self.preferred(last, edge)) {
                let name = self.operations.get(last.operation).map_or("", String::as_str);
                let text = format!("{} {:.1} %", escape(name), 100.0 * last.probability);
                let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{text}</text>", right + 6.0, y + 13.0);
            }
        }
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        for (epoch, x) in self.ticks(left, width) {
            let _ = writeln!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/><text class=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{epoch}</text>",
                bottom + 16.0
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">epoch</text>",
            f64::midpoint(left, right),
            bottom + 30.0
        );
        out.push_str("</svg>\n");
        out
    }

    /// Epochs that are labelled below the rows, at most eleven, with their centres in pixels.
    fn ticks(&self, left: f64, width: f64) -> Vec<(usize, f64)> {
        let count = self.epochs.len();
        let step =
            [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].into_iter().find(|step| count / step <= 10).unwrap_or(count);
        let named = self.epochs.iter().enumerate().filter(|(_, (epoch, _))| epoch % step == 0 || count == 1);
        named.map(|(i, (epoch, _))| (*epoch, left + width * (i as f64 + 0.5))).collect()
    }

    /// Text alternative: the most probable operation of every edge in the last epoch.
    pub fn description(&self) -> String {
        let Some(last) = self.epochs.len().checked_sub(1) else { return String::new() };
        let words = self.edges.iter().enumerate().filter_map(|(edge, name)| {
            let preferred = self.preferred(last, edge)?;
            let operation = self.operations.get(preferred.operation)?;
            Some(format!("{name}: {operation} {:.1} %", 100.0 * preferred.probability))
        });
        format!("epoch {}: {}", self.epochs[last].0, words.collect::<Vec<_>>().join("; "))
    }
}

/// Top of the first row in pixels.
const TOP: f64 = 26.0;

/// The style sheet of all heat maps, beside that of the charts.
pub fn style() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (i, (on_light, on_dark)) in SERIES_COLOURS.iter().enumerate() {
        let _ = write!(light, ".heat .h{i}{{fill:{on_light}}}");
        let _ = write!(dark, ".heat .h{i}{{fill:{on_dark}}}");
    }
    for shade in 0..SHADES {
        let opacity = 0.2 + 0.8 * shade as f64 / (SHADES - 1) as f64;
        let _ = write!(light, ".heat .o{shade}{{fill-opacity:{opacity:.2}}}");
    }
    format!("{light}@media (prefers-color-scheme:dark){{{dark}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> HeatMap {
        let row = |p: f64| vec![p, 1.0 - p];
        HeatMap {
            title: "Cell".into(),
            edges: vec!["0 \u{2192} 1".into(), "0 \u{2192} 2".into()],
            operations: vec!["skip".into(), "conv<3>".into()],
            epochs: (1..=20).map(|epoch| (epoch, vec![row(0.5), row(if epoch > 10 { 0.1 } else { 0.9 })])).collect(),
        }
    }

    #[test]
    fn equal_neighbours_are_one_rectangle_and_a_change_begins_another() {
        let svg = map().to_svg_fragment();
        assert_eq!(svg.matches("<rect ").count(), 3, "{svg}");
        assert!(svg.contains("class=\"h0 o4\"") && svg.contains("class=\"h1 o4\""), "{svg}");
        assert!(svg.contains("conv&lt;3&gt; 90.0 %") && !svg.contains("NaN"));
    }

    #[test]
    fn the_numbers_are_those_of_the_picture() {
        let numbers: serde_json::Value = serde_json::from_str(&map().to_json()).expect("JSON");
        assert_eq!(numbers["values"][19][1], json!([1000, 9000]));
        assert_eq!(numbers["epochs"][0], 1);
        assert_eq!(map().description(), "epoch 20: 0 \u{2192} 1: skip 50.0 %; 0 \u{2192} 2: conv<3> 90.0 %");
    }

    #[test]
    fn a_map_without_epochs_is_empty_and_draws_nothing() {
        let empty = HeatMap { epochs: vec![], ..map() };
        assert!(empty.is_empty() && !empty.to_svg().contains("NaN"));
        assert_eq!(empty.description(), "");
    }
}
