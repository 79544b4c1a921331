//! Plots as SVG: accuracy against search time, and where the cells found rank. Colours follow the reader's theme.

use std::fmt::Write as _;

use super::Row;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for labels: left, top, right, bottom.
const MARGIN: [f64; 4] = [64.0, 56.0, 150.0, 48.0];
/// Okabe and Ito's colours, which differ for colour-blind readers too.
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888"];

fn colour(i: usize) -> &'static str {
    COLOURS[i % COLOURS.len()]
}

/// A range of numbers along a stretch of the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let span = (self.high - self.low).max(f64::MIN_POSITIVE);
        self.from + (value - self.low) / span * (self.to - self.from)
    }

    /// Round numbers within the range, about five.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        if !rough.is_finite() || rough <= 0.0 {
            return vec![self.low];
        }
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(power);
        let first = (self.low / step).ceil() as i64;
        (first..first + 20).map(|i| i as f64 * step).filter(|tick| *tick <= self.high + step * 1e-9).collect()
    }
}

struct Picture {
    body: String,
}

impl Picture {
    fn new(title: &str) -> Self {
        let mut body = String::new();
        let _ = writeln!(
            body,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<style>text{{fill:#222}}.axis{{stroke:#999}}\
             @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.axis{{stroke:#777}}}}</style>"
        );
        let mut picture = Self { body };
        picture.text(8.0, 18.0, "start", title);
        picture
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.body,
            "<line class=\"axis\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// Both axes; `x_ticks` are places along the horizontal one and what is written there.
    fn axes(&mut self, x_ticks: &[(f64, String)], y: &Axis, x_label: &str, y_label: &str) {
        let (left, right, bottom, top) = frame();
        self.line((left, bottom), (right, bottom));
        self.line((left, bottom), (left, top));
        for (place, label) in x_ticks {
            self.text(*place, bottom + 18.0, "middle", label);
        }
        for tick in y.ticks() {
            self.line((left - 4.0, y.at(tick)), (left, y.at(tick)));
            self.text(left - 8.0, y.at(tick) + 4.0, "end", &number(tick));
        }
        self.text(f64::midpoint(left, right), bottom + 36.0, "middle", x_label);
        self.text(8.0, top - 12.0, "start", y_label);
    }

    fn legend(&mut self, place: usize, name: &str) {
        let y = MARGIN[1] + 12.0 + 20.0 * place as f64;
        let x = WIDTH - MARGIN[2] + 16.0;
        let colour = colour(place);
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
            y - 10.0
        );
        self.text(x + 18.0, y, "start", name);
    }

    fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }
}

fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

fn frame() -> (f64, f64, f64, f64) {
    (MARGIN[0], WIDTH - MARGIN[2], HEIGHT - MARGIN[3], MARGIN[1])
}

fn name(row: &Row) -> String {
    if row.dataset == crate::Dataset::Cifar10 {
        row.algorithm.clone()
    } else {
        format!("{} {}", row.algorithm, row.dataset)
    }
}

/// The mean test accuracy of the best cell so far against the (simulated) time of the search.
pub fn trajectories(rows: &[Row]) -> String {
    let mut picture = Picture::new("Test accuracy of the best cell so far, mean over the searches");
    let shown: Vec<&Row> = rows.iter().filter(|row| row.trajectory.len() > 1).collect();
    let points = || shown.iter().flat_map(|row| row.trajectory.iter());
    let end = shown.iter().map(|row| row.seconds.mean).fold(0.0, f64::max);
    let high = points().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    // The first cells of all are random; what they begin with would flatten the rest.
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min).max(high - 8.0);
    let (left, right, bottom, top) = frame();
    if shown.is_empty() {
        picture.text(left, f64::midpoint(top, bottom), "start", "no searches with a trace");
        return picture.finish();
    }
    let x = Axis { low: 0.0, high: end, from: left, to: right };
    let y = Axis { low: low.floor(), high: high.ceil(), from: bottom, to: top };
    let nominal = if shown.iter().any(|row| row.nominal_seconds) { "nominal " } else { "" };
    let ticks: Vec<_> = x.ticks().into_iter().map(|tick| (x.at(tick), number(tick))).collect();
    picture.axes(&ticks, &y, &format!("{nominal}search time in seconds"), "accuracy in %");
    for (i, row) in shown.iter().enumerate() {
        let mut path = String::new();
        let mut last: Option<f64> = None;
        for (seconds, accuracy) in row.trajectory.iter().filter(|point| point.1 >= y.low) {
            // Steps: an accuracy holds until the next one.
            match last {
                Some(_) => {
                    let _ = write!(path, "H{:.1}V{:.1}", x.at(*seconds), y.at(*accuracy));
                }
                None => {
                    let _ = write!(path, "M{:.1} {:.1}", x.at(*seconds), y.at(*accuracy));
                }
            }
            last = Some(*accuracy);
        }
        let _ = write!(path, "H{:.1}", x.at(row.seconds.mean));
        let _ =
            writeln!(picture.body, "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>", colour(i));
        picture.legend(i, &name(row));
    }
    picture.finish()
}

/// How often the cells found were among the best 1, 2, 4, 8, ... of the space.
pub fn rank_histogram(rows: &[Row]) -> String {
    let mut picture = Picture::new("Rank of the cells found, by test accuracy");
    let shown: Vec<&Row> = rows.iter().filter(|row| !row.ranks.is_empty()).collect();
    let (left, right, bottom, top) = frame();
    if shown.is_empty() {
        picture.text(left, f64::midpoint(top, bottom), "start", "no ranks");
        return picture.finish();
    }
    let worst = shown.iter().flat_map(|row| row.ranks.iter()).copied().max().unwrap_or(1);
    let bins = (usize::BITS - (worst - 1).leading_zeros()) as usize + 1;
    // Bin 0 is rank 1, bin b ranks over 2^(b-1) up to 2^b.
    let bin = |rank: usize| (usize::BITS - (rank - 1).leading_zeros()) as usize;
    let shares: Vec<Vec<f64>> = shown
        .iter()
        .map(|row| {
            let mut counts = vec![0.0; bins];
            row.ranks.iter().for_each(|rank| counts[bin((*rank).max(1))] += 1.0);
            counts.iter().map(|count| 100.0 * count / row.ranks.len() as f64).collect()
        })
        .collect();
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let y = Axis { low: 0.0, high: (highest / 5.0).ceil() * 5.0, from: bottom, to: top };
    let width = (right - left) / bins as f64;
    let ticks: Vec<_> = (0..bins).map(|b| (left + width * (b as f64 + 0.5), (1usize << b).to_string())).collect();
    picture.axes(&ticks, &y, "rank, up to", "searches in %");
    for (i, row) in shown.iter().enumerate() {
        let bar = width * 0.84 / shown.len() as f64;
        for (b, share) in shares[i].iter().enumerate() {
            let x = left + width * (b as f64 + 0.08) + bar * i as f64;
            let height = y.at(0.0) - y.at(*share);
            let _ = writeln!(
                picture.body,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
                y.at(*share),
                colour(i)
            );
        }
        picture.legend(i, &name(row));
    }
    picture.finish()
}
