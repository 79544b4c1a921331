//! Line charts as SVG: light and dark scheme, colour-blind-safe colours, no external resources.

mod scale;

use std::fmt::Write as _;

use serde_json::json;

use self::scale::{Scale, label};
use super::svg::escape;

/// Colours of the series in order (after Okabe and Ito, adjusted to a contrast of 3:1): light scheme, dark scheme. Series
/// also differ by their dashes; from the ninth on, the colours repeat with other dashes.
pub const SERIES_COLOURS: [(&str, &str); 8] = [
    ("#0067a5", "#6cbcf0"),
    ("#c45100", "#ff9a56"),
    ("#00805c", "#3ecf9f"),
    ("#a13f83", "#e7a1cc"),
    ("#7a6a00", "#e3cf57"),
    ("#5f6368", "#b4b8bd"),
    ("#7b3ff2", "#b79cff"),
    ("#b3261e", "#ff8a80"),
];
const DASHES: [&str; 8] = ["", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3"];
/// Average width of a character in the chart's font in pixels, estimated from above.
const CHARACTER: f64 = 6.6;
const LINE: f64 = 18.0;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points `(x, y)`; those that are not finite leave a gap.
    pub points: Vec<(f64, f64)>,
}

/// Number format of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    Plain,
    /// Fractions as percentages.
    Percent,
}

/// A line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Title, with the unit if there is one.
    pub title: String,
    /// Label of the horizontal axis.
    pub x_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Number format of the values.
    pub unit: Unit,
    /// Fixed lower and upper end of the vertical axis; `None` to fit the data.
    pub range: (Option<f64>, Option<f64>),
    /// Size in pixels of the plot with its axis labels, without title and legend.
    pub size: (f64, f64),
    /// Whether points are drawn as markers without lines.
    pub scattered: bool,
    /// Whether the horizontal axis is logarithmic: a point at `x` is labelled with the power of two `2^x`.
    pub powers_of_two: bool,
    /// Whether the page offers a logarithmic vertical axis.
    pub logarithmic: bool,
}

impl Chart {
    /// A chart of the default size.
    pub fn new(title: &str, x_label: &str, series: Vec<Series>) -> Self {
        let (title, x_label) = (title.to_owned(), x_label.to_owned());
        Self {
            title,
            x_label,
            series,
            unit: Unit::Plain,
            range: (None, None),
            size: (460.0, 230.0),
            scattered: false,
            powers_of_two: false,
            logarithmic: false,
        }
    }

    /// Labels the horizontal axis with powers of two: a point at 3 is labelled 8.
    #[must_use]
    pub fn powers_of_two(mut self) -> Self {
        self.powers_of_two = true;
        self
    }

    /// The value shown for a position on the horizontal axis.
    fn x_value(&self, value: f64) -> f64 {
        if self.powers_of_two { value.exp2() } else { value }
    }

    /// Offers a logarithmic vertical axis in the page.
    #[must_use]
    pub fn logarithmic(mut self) -> Self {
        self.logarithmic = true;
        self
    }

    /// Shows percentages on the vertical axis.
    #[must_use]
    pub fn percent(mut self) -> Self {
        self.unit = Unit::Percent;
        self
    }

    /// Draws markers instead of lines.
    #[must_use]
    pub fn scattered(mut self) -> Self {
        self.scattered = true;
        self
    }

    /// Fixes the ends of the vertical axis.
    #[must_use]
    pub fn between(mut self, low: Option<f64>, high: Option<f64>) -> Self {
        self.range = (low, high);
        self
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        !self.series.iter().flat_map(|s| &s.points).any(is_finite)
    }

    /// A complete SVG file.
    pub fn to_svg(&self) -> String {
        self.draw(true)
    }

    /// The drawing for embedding in a page that includes [`style`] once.
    pub fn to_svg_fragment(&self) -> String {
        self.draw(false)
    }

    fn draw(&self, complete: bool) -> String {
        let scale = Scale::of(self);
        let (rows, legend) = self.legend_rows();
        let (width, height) = (self.size.0, scale.bottom + 36.0 + rows as f64 * LINE);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\">\n<title>{}</title>\n<desc>{}</desc>\n",
            escape(&self.title),
            escape(&self.description())
        );
        if complete {
            let _ = writeln!(
                out,
                "<style>{}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>",
                style()
            );
        }
        let _ = writeln!(out, "<text class=\"title\" x=\"6\" y=\"15\">{}</text>", escape(&self.title));
        self.draw_axes(&scale, &mut out);
        for (index, series) in self.series.iter().enumerate() {
            self.draw_series(series, index, &scale, &mut out);
        }
        for (index, x, row) in legend {
            let y = scale.bottom + 36.0 + row as f64 * LINE + 8.0;
            let (line_end, text_x, class) = (x + 22.0, x + 27.0, class(index));
            let _ = writeln!(
                out,
                "<path {class} d=\"M{x:.1} {y:.1}H{line_end:.1}\"/><text x=\"{text_x:.1}\" y=\"{:.1}\">{}</text>",
                y + 4.0,
                escape(&self.series[index].name)
            );
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw_axes(&self, scale: &Scale, out: &mut String) {
        for &tick in &scale.y_ticks {
            let y = scale.y(tick);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{:.1} {y:.1}H{:.1}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                scale.left,
                scale.right,
                scale.left - 6.0,
                y + 4.0,
                label(tick, scale.y_step, self.unit)
            );
        }
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{:.1} {:.1}H{:.1}\"/>", scale.left, scale.bottom, scale.right);
        for &tick in &scale.x_ticks {
            let x = scale.x(tick);
            let text = label(self.x_value(tick), scale.x_step, Unit::Plain);
            // The outermost labels are moved inside the picture.
            let half = text.chars().count() as f64 * CHARACTER / 2.0;
            let at = x.min(self.size.0 - half - 1.0);
            let _ = writeln!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {:.1}v4\"/><text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
                scale.bottom,
                scale.bottom + 16.0
            );
        }
        let middle = f64::midpoint(scale.left, scale.right);
        let y = scale.bottom + 31.0;
        let _ = writeln!(out, "<text class=\"middle\" x=\"{middle:.1}\" y=\"{y:.1}\">{}</text>", escape(&self.x_label));
    }

    fn draw_series(&self, series: &Series, index: usize, scale: &Scale, out: &mut String) {
        let mut path = String::new();
        let mut pen_up = true;
        for &(x, y) in &series.points {
            if is_finite(&(x, y)) {
                let _ = write!(path, "{}{:.1} {:.1}", if pen_up { 'M' } else { 'L' }, scale.x(x), scale.y(y));
            }
            pen_up = !is_finite(&(x, y));
        }
        if path.contains('L') && !self.scattered {
            let _ = writeln!(out, "<path {} d=\"{path}\"/>", class(index));
        }
        let finite: Vec<_> = series.points.iter().filter(|p| is_finite(p)).collect();
        // Markers where there is room for them, so that a single point is visible.
        if self.scattered || finite.len() as f64 <= self.size.0 / 25.0 {
            let class = index % SERIES_COLOURS.len();
            for (x, y) in finite {
                let value = label(*y, y.abs() / 1000.0, self.unit);
                let _ = writeln!(
                    out,
                    "<circle class=\"d{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\"><title>{} {}: {value}</title></circle>",
                    scale.x(*x),
                    scale.y(*y),
                    escape(&series.name),
                    self.x_value(*x)
                );
            }
        }
    }

    /// Number of rows of the legend, and for each entry its series, left end in pixels and row.
    fn legend_rows(&self) -> (usize, Vec<(usize, f64, usize)>) {
        let lone = self.series.len() == 1 && self.series[0].name.is_empty();
        if lone || self.series.is_empty() {
            return (0, vec![]);
        }
        let (mut x, mut row) = (10.0, 0);
        let mut entries = Vec::new();
        let visible = self.series.iter().enumerate().filter(|(_, series)| series.points.iter().any(is_finite));
        for (index, series) in visible {
            let width = 40.0 + series.name.chars().count() as f64 * CHARACTER;
            if x + width > self.size.0 && x > 10.0 {
                (x, row) = (10.0, row + 1);
            }
            entries.push((index, x, row));
            x += width;
        }
        (row + 1, entries)
    }

    /// Text alternative: the first and last value of every line.
    pub fn description(&self) -> String {
        let lines = self.series.iter().filter_map(|series| {
            let mut finite = series.points.iter().filter(|p| is_finite(p));
            let first = finite.next()?;
            let last = finite.next_back().unwrap_or(first);
            let name = if series.name.is_empty() { &self.title } else { &series.name };
            let value = |v: f64| label(v, v.abs() / 100.0, self.unit);
            let (from, to) = (self.x_value(first.0), self.x_value(last.0));
            Some(format!("{name}: {} at {from}, {} at {to}", value(first.1), value(last.1)))
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    /// The data as JSON for the page's script. Charts of the same `group` share their cursor.
    pub fn to_json(&self, group: &str) -> String {
        let series: Vec<_> = self
            .series
            .iter()
            .map(|series| {
                // JSON has no infinity and no NaN; a gap is `null`.
                let x: Vec<f64> = series.points.iter().map(|point| self.x_value(point.0)).collect();
                let y: Vec<Option<f64>> = series.points.iter().map(|point| rounded(point.1)).collect();
                json!({ "name": series.name, "x": x, "y": y })
            })
            .collect();
        let unit = if self.unit == Unit::Percent { "percent" } else { "" };
        json!({ "title": self.title, "x": self.x_label, "unit": unit, "low": self.range.0, "high": self.range.1,
            "log": self.logarithmic, "scattered": self.scattered, "group": group, "series": series })
        .to_string()
    }

    /// The data as CSV, one line per point: series, x, y.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("series,x,y\n");
        for series in &self.series {
            for (x, y) in &series.points {
                let _ = writeln!(out, "{},{x},{y}", super::csv::field(&series.name));
            }
        }
        out
    }
}

/// Lengths of dashes and gaps of the series, in order; empty for a solid line.
pub(crate) fn dashes() -> [Vec<u32>; 8] {
    DASHES.map(|dashes| dashes.split_whitespace().filter_map(|length| length.parse().ok()).collect())
}

/// The style sheet of all charts.
pub fn style() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (i, (on_light, on_dark)) in SERIES_COLOURS.iter().enumerate() {
        for (out, colour) in [(&mut light, on_light), (&mut dark, on_dark)] {
            let _ = write!(out, ".chart .s{i}{{stroke:{colour}}}.chart .d{i}{{fill:{colour}}}");
        }
        if !DASHES[i].is_empty() {
            let _ = write!(light, ".chart .s{i}{{stroke-dasharray:{}}}", DASHES[i]);
        }
    }
    format!(
        ".chart .page{{fill:#fff}}.chart path{{fill:none;stroke-width:1.8;stroke-linejoin:round}}\
         .chart .grid{{stroke:#d8dce0;stroke-width:1}}.chart .axis{{stroke:#6b7178;stroke-width:1}}\
         .chart text{{font:11px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;fill:#1b1f24}}\
         .chart .title{{font-weight:600;font-size:12px}}.chart .middle{{text-anchor:middle}}\
         .chart .end{{text-anchor:end}}{light}\
         @media (prefers-color-scheme:dark){{.chart .page{{fill:#14171a}}.chart .grid{{stroke:#333a41}}\
         .chart .axis{{stroke:#8b929a}}.chart text{{fill:#eceff2}}{dark}}}"
    )
}

/// CSS class of a series, for its colour and dashes.
fn class(index: usize) -> String {
    let colours = SERIES_COLOURS.len();
    let class = format!("class=\"s{}\"", index % colours);
    match DASHES[(index + index / colours) % DASHES.len()] {
        _ if index < colours => class,
        "" => format!("{class} style=\"stroke-dasharray:none\""),
        dashes => format!("{class} style=\"stroke-dasharray:{dashes}\""),
    }
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

/// The number rounded to six significant digits; `None` if it is not finite.
fn rounded(value: f64) -> Option<f64> {
    format!("{value:.5e}").parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Vec<Series> {
        vec![Series { name: "a".into(), points: points.to_vec() }]
    }

    #[test]
    fn numbers_for_the_page_have_no_infinity() {
        let chart = Chart::new("t</script>", "epoch", line(&[(1.0, 0.123_456_789), (2.0, f64::INFINITY)])).percent();
        let numbers: serde_json::Value = serde_json::from_str(&chart.to_json("run")).expect("JSON");
        assert_eq!(numbers["series"][0]["y"], json!([0.123_457, null]));
        assert_eq!((&numbers["unit"], &numbers["group"]), (&json!("percent"), &json!("run")));
    }

    #[test]
    fn gaps_break_the_line() {
        let svg =
            Chart::new("t", "x", line(&[(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 3.0)])).to_svg();
        let path = svg.lines().find(|l| l.starts_with("<path class=\"s0\" d=\"M") && l.contains('L')).unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2));
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn legends_wrap() {
        let names =
            ["none", "skip_connect", "dua_sepc_3x3", "dua_sepc_5x5", "dil_sepc_3x3", "dil_sepc_5x5", "avg_pool_3x3"];
        let series = names.iter().map(|n| Series { name: (*n).into(), points: vec![(0.0, 0.0)] }).collect();
        let chart = Chart::new("t", "epoch", series);
        let (rows, entries) = chart.legend_rows();
        assert!(rows > 1);
        for pair in entries.windows(2) {
            let end = pair[0].1 + 40.0 + names[pair[0].0].len() as f64 * CHARACTER;
            assert!(pair[1].2 > pair[0].2 || pair[1].1 >= end - 1e-9);
        }
        assert!(entries.iter().all(|(i, x, _)| x + 27.0 + names[*i].len() as f64 * CHARACTER <= chart.size.0));
    }

    #[test]
    fn numbers_come_as_csv() {
        let mut chart = Chart::new("t", "epoch", line(&[(0.0, 0.25)]));
        chart.series[0].name = "a, \"b\"".into();
        assert_eq!(chart.to_csv(), "series,x,y\n\"a, \"\"b\"\"\",0,0.25\n");
    }
}
