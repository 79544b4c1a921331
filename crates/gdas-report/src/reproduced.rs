//! Charts of a reproduction of the benchmark paper's comparison (`gdas reproduce`).

use std::io;
use std::path::Path;

use super::chart::{Chart, Series};
use gdas::files;
use gdas_nasbench::Dataset;
use gdas_nasbench::reproduce::Row;

/// Accuracies (fractions) lower than the best by more than this are not shown: the first cells of a search are random, and
/// would compress the scale.
const SHOWN: f64 = 0.08;

fn name(row: &Row) -> String {
    match row.dataset {
        Dataset::Cifar10 => row.algorithm.clone(),
        dataset => format!("{} {dataset}", row.algorithm),
    }
}

/// Mean test accuracy of the best cell so far over the time of the search: simulated, or nominal if the table has no times.
pub fn trajectories(rows: &[Row]) -> Chart {
    let shown = || rows.iter().filter(|row| row.trajectory.len() > 1);
    let percent = shown().flat_map(|row| &row.trajectory).map(|point| point.1);
    let least = percent.fold(f64::NEG_INFINITY, f64::max) / 100.0 - SHOWN;
    let series = shown().map(|row| {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (seconds, percent) in row.trajectory.iter().filter(|point| point.1 / 100.0 >= least) {
            // Step functions: an accuracy holds until the next one.
            points.extend(points.last().map(|(_, held)| (*seconds, *held)));
            points.push((*seconds, percent / 100.0));
        }
        points.extend(points.last().map(|(_, held)| (row.seconds.mean, *held)));
        Series { name: name(row), points }
    });
    let nominal = if shown().any(|row| row.nominal_seconds) { "nominal " } else { "" };
    let label = format!("{nominal}search time in seconds");
    sized(Chart::new("Test accuracy of the best cell so far, mean over the searches", &label, series.collect()))
}

/// Fraction of searches whose cell is among the best 1, 2, 4, 8, ... of the space by test accuracy.
pub fn ranks(rows: &[Row]) -> Chart {
    let shown = || rows.iter().filter(|row| !row.ranks.is_empty());
    let worst = shown().flat_map(|row| &row.ranks).copied().max().unwrap_or(1);
    let powers = 0..=worst.next_power_of_two().trailing_zeros();
    let series = shown().map(|row| {
        let share = |power: u32| {
            let among = row.ranks.iter().filter(|rank| **rank <= 1 << power).count();
            (f64::from(power), among as f64 / row.ranks.len() as f64)
        };
        Series { name: name(row), points: powers.clone().map(share).collect() }
    });
    let chart = Chart::new("Searches whose cell is among the best, by test accuracy", "rank, up to", series.collect());
    sized(chart).powers_of_two().between(Some(0.0), Some(1.0))
}

fn sized(chart: Chart) -> Chart {
    Chart { size: (720.0, 360.0), ..chart.percent() }
}

/// Writes `trajectories.svg` and `ranks.svg` to a folder.
///
/// # Errors
/// If the files cannot be written.
pub fn write(folder: &Path, rows: &[Row]) -> io::Result<()> {
    for (name, chart) in [("trajectories.svg", trajectories(rows)), ("ranks.svg", ranks(rows))] {
        files::replace(&folder.join(name), |out| out.write_all(chart.to_svg().as_bytes()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdas_nasbench::reproduce::Score;

    fn row(algorithm: &str, ranks: Vec<usize>, trajectory: Vec<(f64, f64)>) -> Row {
        Row {
            algorithm: algorithm.to_owned(),
            dataset: Dataset::Cifar10,
            preset: None,
            searches: ranks.len(),
            scores: [None; 6],
            seconds: Score { mean: 100.0, deviation: 0.0 },
            nominal_seconds: false,
            queries: 0.0,
            ranks,
            ranked: 15_625,
            trajectory,
            notes: vec![],
        }
    }

    #[test]
    fn an_accuracy_holds_until_the_next_one_and_ranks_add_up() {
        let rows =
            [row("rs", vec![1, 3, 4, 90], vec![(1.0, 10.0), (10.0, 90.0), (50.0, 94.0)]), row("rea", vec![], vec![])];
        let chart = trajectories(&rows);
        assert_eq!(chart.series.len(), 1);
        assert_eq!(chart.series[0].points, [(10.0, 0.9), (50.0, 0.9), (50.0, 0.94), (100.0, 0.94)]);
        let chart = ranks(&rows);
        let shares: Vec<f64> = chart.series[0].points.iter().map(|point| point.1).collect();
        assert_eq!(shares, [0.25, 0.25, 0.75, 0.75, 0.75, 0.75, 0.75, 1.0]);
        let svg = chart.to_svg();
        assert!(svg.contains(">128<") && svg.contains(">1<") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains("25.0 % at 1, 100 % at 128"), "{svg}");
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &[]).expect("written");
        assert!(trajectories(&[]).is_empty() && !trajectories(&[]).to_svg().contains("inf"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 2);
    }
}
