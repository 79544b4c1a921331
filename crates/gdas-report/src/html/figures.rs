//! Figures of a run as separate files.

use crate::cell::genotype_pictures;
use crate::chart::{Chart, Series};
use crate::reliability::Reliability;
use crate::run_data::RunData;
use gdas_nasbench::{Dataset, Quantity, Rank, Table, Trajectory};

/// Number of epochs of the trainings that a trajectory looks up.
const TRAINED: u16 = 200;

/// A figure of a report, to be written as a separate file.
#[derive(Clone, Debug)]
pub struct Figure {
    /// File name without extension, unique in the report.
    pub name: String,
    /// A complete SVG file.
    pub svg: String,
}

/// All figures of a run; with a table also those of its cells in the table.
pub fn figures(run: &RunData, table: Option<&Table>) -> Vec<Figure> {
    let name = |part: &str| format!("{}-{part}", file_name(&run.info.name));
    let mut figures = Vec::new();
    if let Some(pictures) = run.genotype().and_then(|g| genotype_pictures(&g, false).ok()) {
        for picture in pictures {
            figures.push(Figure { name: name(&file_name(&picture.title)), svg: picture.without_none().to_svg() });
        }
    }
    let trajectory = table.map_or_else(Vec::new, |table| trajectory_charts(run, table));
    for (part, chart) in run.curves().into_iter().chain(trajectory) {
        figures.push(Figure { name: name(part), svg: chart.to_svg() });
    }
    if let Ok(Some(record)) = &run.test {
        let svg = Reliability(&record.answers.calibration).to_svg();
        figures.push(Figure { name: name("reliability"), svg });
    }
    for (table, charts) in run.alpha_charts() {
        for (edge, chart) in charts.iter().enumerate() {
            figures.push(Figure { name: name(&format!("alpha-{}-{edge:02}", file_name(&table))), svg: chart.to_svg() });
        }
    }
    figures
}

/// Accuracy and rank of the derived cell over the epochs of a search; empty if none of the cells is in the table.
pub(super) fn trajectory_charts(run: &RunData, table: &Table) -> Vec<(&'static str, Chart)> {
    let cells = run.epochs.iter().filter_map(|e| Some((e.number(), e.genotype()?)));
    let trajectory = Trajectory::new(cells, table, Quantity::TestAccuracy, TRAINED);
    let series = |value: fn(&Rank) -> f64| -> Vec<Series> {
        let of = |(i, dataset): (usize, &Dataset)| Series {
            name: dataset.name().to_owned(),
            points: trajectory
                .points
                .iter()
                .filter_map(|point| Some(((point.epoch + 1) as f64, value(point.ranks[i].as_ref()?))))
                .collect(),
        };
        trajectory.datasets.iter().enumerate().map(of).collect()
    };
    let accuracy = Chart::new("Test accuracy of alpha's cell", "epoch", series(|rank| rank.value / 100.0)).percent();
    let rank = Chart::new("Rank of alpha's cell (1 is the best)", "epoch", series(|rank| rank.rank as f64));
    let charts = [("trajectory-accuracy", accuracy), ("trajectory-rank", rank.between(Some(0.0), None))];
    charts.into_iter().filter(|(_, chart)| !chart.is_empty()).collect()
}

/// `text` with the characters replaced that are not portable in file names.
pub(crate) fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    text.chars().map(safe).collect()
}
