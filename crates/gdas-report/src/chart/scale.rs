//! Scales of a chart: ranges, ticks and number formats.

use super::{CHARACTER, Chart, Unit, is_finite};

/// Mapping from data to pixels.
pub(super) struct Scale {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x_range: (f64, f64),
    pub(super) y_range: (f64, f64),
    pub(super) x_ticks: Vec<f64>,
    pub(super) y_ticks: Vec<f64>,
    pub(super) x_step: f64,
    pub(super) y_step: f64,
}

impl Scale {
    pub(super) fn of(chart: &Chart) -> Self {
        let points = || chart.series.iter().flat_map(|s| &s.points).filter(|p| is_finite(p));
        let x_range = range(points().map(|p| p.0));
        let y_data = without_spikes(points().map(|p| p.1).collect()).unwrap_or_else(|| range(points().map(|p| p.1)));
        let (low, high) = (chart.range.0.unwrap_or(y_data.0), chart.range.1.unwrap_or(y_data.1));
        let (low, high) = if low < high { (low, high) } else { (low, low + 1.0) };
        let (top, bottom) = (28.0, chart.size.1 - 36.0);
        let y_step = nice_step((high - low) / ((bottom - top) / 36.0).max(2.0));
        // Ends that are not fixed are rounded outward to a tick.
        let low = if chart.range.0.is_none() { (low / y_step).floor() * y_step } else { low };
        let high = if chart.range.1.is_none() { (high / y_step).ceil() * y_step } else { high };
        let y_ticks = ticks(low, high, y_step);
        let widest = y_ticks.iter().map(|&t| label(t, y_step, chart.unit).chars().count()).max().unwrap_or(1);
        let left = 12.0 + widest as f64 * CHARACTER;
        let right = chart.size.0 - 12.0;
        let widest = label(chart.x_value(x_range.1), 1.0, Unit::Plain).chars().count().max(4) as f64 * CHARACTER + 14.0;
        // Epochs and steps are integers, so their ticks are too.
        let x_step = nice_step((x_range.1 - x_range.0) / ((right - left) / widest).floor().max(1.0)).max(1.0);
        Self {
            left,
            right,
            top,
            bottom,
            x_range,
            y_range: (low, high),
            x_ticks: ticks(x_range.0, x_range.1, x_step),
            y_ticks,
            x_step,
            y_step,
        }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        let (low, high) = self.x_range;
        self.left + (value - low) / (high - low) * (self.right - self.left)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let (low, high) = self.y_range;
        self.bottom - (value.clamp(low, high) - low) / (high - low) * (self.bottom - self.top)
    }
}

/// The range of the values without outliers: those further outside of the middle 90 % than 1.5 times its width. Outliers
/// are drawn at the border. `None` if there are none, or too few values.
fn without_spikes(mut values: Vec<f64>) -> Option<(f64, f64)> {
    if values.len() < 8 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    let (low, high) = (at(0.05), at(0.95));
    let reach = 1.5 * (high - low);
    let (below, above) = (values[0] < low - reach, values[last] > high + reach);
    let ends =
        (if below { low - reach / 3.0 } else { values[0] }, if above { high + reach / 3.0 } else { values[last] });
    (high > low && (below || above)).then_some(ends)
}

/// Smallest and largest value, widened if they are equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match () {
        () if low > high => (0.0, 1.0),
        () if high - low > 1e-12 * high.abs().max(1e-300) => (low, high),
        () if low == 0.0 => (0.0, 1.0),
        () => (low - low.abs() / 2.0, low + low.abs() / 2.0),
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `rough`.
fn nice_step(rough: f64) -> f64 {
    let rough = rough.max(1e-300);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last.min(first + 60)).map(|i| i as f64 * step).collect()
}

/// A number with the decimals that ticks at this distance need.
pub(super) fn label(value: f64, step: f64, unit: Unit) -> String {
    let (value, step, suffix) = match unit {
        Unit::Plain => (value, step, ""),
        Unit::Percent => (value * 100.0, step * 100.0, " %"),
    };
    let decimals = if step > 0.0 { (-(step * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize } else { 0 };
    if value != 0.0 && (value.abs() >= 1e6 || value.abs() < 1e-4) {
        return format!("{value:.1e}{suffix}");
    }
    let text = format!("{value:.decimals$}");
    let text = if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        text.trim_start_matches('-')
    } else {
        &text
    };
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::super::Series;
    use super::*;

    fn line(points: &[(f64, f64)]) -> Vec<Series> {
        vec![Series { name: "a".into(), points: points.to_vec() }]
    }

    #[test]
    fn steps_are_nice() {
        for (rough, nice) in [(0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (7.0, 10.0), (0.02, 0.02), (240.0, 500.0)] {
            assert!((nice_step(rough) - nice).abs() < 1e-12, "{rough}");
        }
        assert_eq!(ticks(0.0, 1.0, 0.5), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        assert_eq!(label(0.5, 0.25, Unit::Plain), "0.5");
        assert_eq!(label(0.5, 0.05, Unit::Plain), "0.50");
        assert_eq!(label(0.5, 0.1, Unit::Percent), "50 %");
        assert_eq!(label(-0.0, 1.0, Unit::Plain), "0");
        assert_eq!(label(0.00002, 0.00001, Unit::Plain), "2.0e-5");
    }

    #[test]
    fn all_points_lie_inside_the_plot() {
        for points in [&[(0.0, 2.3), (1.0, 0.4), (2.0, -7.0)][..], &[(3.0, 5.0)], &[(0.0, 0.0), (9.0, 0.0)], &[]] {
            let chart = Chart::new("t", "epoch", line(points));
            let scale = Scale::of(&chart);
            for &(x, y) in points {
                assert!((scale.left - 0.1..=scale.right + 0.1).contains(&scale.x(x)));
                assert!((scale.top - 0.1..=scale.bottom + 0.1).contains(&scale.y(y)));
            }
            assert!(scale.y_ticks.len() >= 2, "{points:?} {:?}", scale.y_ticks);
            assert!(!scale.x_ticks.is_empty(), "{points:?}");
        }
    }

    #[test]
    fn one_spike_does_not_flatten_a_curve() {
        let mut points: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), 2.0 - f64::from(i) / 50.0)).collect();
        points[20].1 = 1e4;
        let scale = Scale::of(&Chart::new("t", "epoch", line(&points)));
        assert!(scale.y_range.1 < 5.0, "{:?}", scale.y_range);
        assert!(scale.y(1e4) >= scale.top - 0.1, "the spike stays in the drawing");
        points[20].1 = 1.6;
        let scale = Scale::of(&Chart::new("t", "epoch", line(&points)));
        assert!(points.iter().all(|&(_, y)| (scale.y_range.0..=scale.y_range.1).contains(&y)));
    }

    #[test]
    fn numbers_below_the_axis_keep_their_distance() {
        for last in [1.0, 7.0, 49.0, 250.0, 97_000.0] {
            let chart = Chart::new("t", "step", line(&[(0.0, 0.0), (last, 1.0)]));
            let scale = Scale::of(&chart);
            let width = |t: f64| label(t, scale.x_step, Unit::Plain).len() as f64 * CHARACTER;
            for pair in scale.x_ticks.windows(2) {
                assert!(scale.x(pair[1]) - scale.x(pair[0]) >= f64::midpoint(width(pair[0]), width(pair[1])), "{last}");
            }
        }
    }
}
