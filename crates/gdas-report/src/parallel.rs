//! Parallel coordinates: one vertical axis per setting and one for the result, one line per run.

use std::fmt::Write as _;

use super::chart::SERIES_COLOURS;
use super::svg::escape;

const CHARACTER: f64 = 6.6;
const HEIGHT: f64 = 260.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 24.0;

/// One axis: a value per run, as text. If all values are numbers, the axis is linear, else the values are evenly spaced.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Name of the axis.
    pub(crate) name: String,
    /// The value of each run; `None` breaks the run's line.
    pub(crate) values: Vec<Option<String>>,
}

/// A plot of runs as lines across axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parallel {
    /// Names of the runs.
    pub(crate) runs: Vec<String>,
    /// The axes from left to right.
    pub(crate) axes: Vec<Axis>,
}

impl Parallel {
    /// The drawing for embedding in a page that includes [`super::chart::style`] and [`style`]. Lines have their run's index as
    /// an attribute.
    pub(crate) fn to_svg_fragment(&self) -> String {
        let scales: Vec<Scale> = self.axes.iter().map(Scale::of).collect();
        let names = |axis: &Axis| axis.name.chars().count() as f64 * CHARACTER;
        let labels = scales.iter().map(|scale| {
            scale.labels.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0) as f64 * CHARACTER
        });
        // Each axis has room for its name and its labels.
        let room: Vec<f64> =
            self.axes.iter().zip(labels).map(|(axis, label)| names(axis).max(label + 12.0) + 24.0).collect();
        let mut x = Vec::with_capacity(room.len());
        let mut left = 12.0;
        for room in &room {
            x.push(left);
            left += room.max(180.0);
        }
        let width = left + 12.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart parallel\" role=\"img\" viewBox=\"0 0 {width:.0} {HEIGHT}\" \
             width=\"{width:.0}\" height=\"{HEIGHT}\">\n<title>Settings against the result, one line per run</title>\n"
        );
        for (run, name) in self.runs.iter().enumerate() {
            let mut path = String::new();
            let mut pen_up = true;
            for ((axis, scale), x) in self.axes.iter().zip(&scales).zip(&x) {
                let y = axis.values.get(run).and_then(Option::as_ref).and_then(|value| scale.y(value));
                if let Some(y) = y {
                    let _ = write!(path, "{}{x:.1} {y:.1}", if pen_up { 'M' } else { 'L' });
                }
                pen_up = y.is_none();
            }
            let colour = run % SERIES_COLOURS.len();
            let name = escape(name);
            let _ = writeln!(
                out,
                "<path class=\"s{colour} run\" data-index=\"{run}\" d=\"{path}\"><title>{name}</title></path>"
            );
        }
        for ((axis, scale), x) in self.axes.iter().zip(&scales).zip(&x) {
            let _ = writeln!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text class=\"title\" x=\"{x:.1}\" y=\"20\">{}</text>",
                escape(&axis.name)
            );
            for (text, y) in &scale.labels {
                let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 6.0, y + 4.0, escape(text));
            }
        }
        out.push_str("</svg>\n");
        out
    }
}

/// Mapping from values to vertical positions.
struct Scale {
    /// Ends of a linear axis.
    numbers: Option<(f64, f64)>,
    /// Labels of the axis with their vertical positions.
    labels: Vec<(String, f64)>,
}

impl Scale {
    fn of(axis: &Axis) -> Self {
        let values: Vec<&String> = axis.values.iter().flatten().collect();
        let numbers: Option<Vec<f64>> =
            values.iter().map(|value| value.parse::<f64>().ok().filter(|v| v.is_finite())).collect();
        let at = |share: f64| BOTTOM - share * (BOTTOM - TOP);
        if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
            let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let text = |value: f64| values[numbers.iter().position(|n| *n == value).unwrap_or(0)].clone();
            let labels =
                if low < high { vec![(text(low), at(0.0)), (text(high), at(1.0))] } else { vec![(text(low), at(0.5))] };
            return Self { numbers: Some((low, high)), labels };
        }
        let mut distinct: Vec<String> = Vec::new();
        for value in values {
            if !distinct.contains(value) {
                distinct.push(value.clone());
            }
        }
        let last = distinct.len().saturating_sub(1).max(1) as f64;
        let share = |i: usize| if distinct.len() == 1 { 0.5 } else { i as f64 / last };
        let labels = distinct.iter().enumerate().map(|(i, text)| (text.clone(), at(share(i)))).collect();
        Self { numbers: None, labels }
    }

    fn y(&self, value: &str) -> Option<f64> {
        match self.numbers {
            Some((low, high)) if low < high => {
                let share = (value.parse::<f64>().ok()? - low) / (high - low);
                Some(BOTTOM - share * (BOTTOM - TOP))
            }
            _ => self.labels.iter().find(|(text, _)| text == value).map(|(_, y)| *y),
        }
    }
}

/// The style sheet of parallel coordinates, beside that of the charts.
pub(crate) fn style() -> &'static str {
    ".parallel text{paint-order:stroke;stroke:#fff;stroke-width:4px}@media (prefers-color-scheme:dark){.parallel text{stroke:#14171a}}.parallel .run{stroke-width:2;stroke-dasharray:none}.parallel.chosen .run{opacity:.15}.parallel.chosen .run.on{opacity:1;stroke-width:3}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, values: &[Option<&str>]) -> Axis {
        Axis { name: name.into(), values: values.iter().map(|v| v.map(str::to_owned)).collect() }
    }

    #[test]
    fn numbers_are_a_scale_and_words_stand_evenly() {
        let scale = Scale::of(&axis("rate", &[Some("0.1"), Some("0.2"), Some("0.3")]));
        assert_eq!((scale.y("0.1"), scale.y("0.3")), (Some(BOTTOM), Some(TOP)));
        assert!((scale.y("0.2").expect("a number") - f64::midpoint(TOP, BOTTOM)).abs() < 1e-9);
        let scale = Scale::of(&axis("kind", &[Some("a"), Some("b"), Some("c"), Some("a")]));
        assert_eq!(scale.y("b"), Some(f64::midpoint(TOP, BOTTOM)));
        assert_eq!(Scale::of(&axis("same", &[Some("7"), Some("7")])).y("7"), Some(f64::midpoint(TOP, BOTTOM)));
    }

    #[test]
    fn a_missing_value_breaks_the_line() {
        let parallel = Parallel {
            runs: vec!["a".into(), "b<c>".into()],
            axes: vec![
                axis("x", &[Some("1"), Some("2")]),
                axis("y", &[None, Some("u")]),
                axis("accuracy", &[Some("0.5"), Some("0.9")]),
            ],
        };
        let svg = parallel.to_svg_fragment();
        let lines: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"s")).collect();
        assert_eq!((lines[0].matches('M').count(), lines[0].matches(" L").count()), (2, 0), "{}", lines[0]);
        assert!(lines[1].matches('L').count() >= 2 && lines[1].contains("b&lt;c&gt;"), "{}", lines[1]);
        assert!(!svg.contains("NaN"));
    }
}
