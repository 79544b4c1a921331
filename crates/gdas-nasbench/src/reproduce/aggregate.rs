//! Aggregation of results to the rows of the report's table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Figure, JobResult, ReproduceError};
use crate::{Dataset, Quantity, Seeds, Setting, Table, cell_of};
use gdas::space::Genotype;

/// The columns of the paper's table: name, data set and quantity of the 200-epoch training.
pub const COLUMNS: [(&str, Dataset, Quantity); 6] = [
    ("CIFAR-10 valid", Dataset::Cifar10Valid, Quantity::ValidAccuracy),
    ("CIFAR-10 test", Dataset::Cifar10, Quantity::TestAccuracy),
    ("CIFAR-100 valid", Dataset::Cifar100, Quantity::ValidAccuracy),
    ("CIFAR-100 test", Dataset::Cifar100, Quantity::TestAccuracy),
    ("ImageNet16-120 valid", Dataset::ImageNet16, Quantity::ValidAccuracy),
    ("ImageNet16-120 test", Dataset::ImageNet16, Quantity::TestAccuracy),
];

/// Number of epochs of the trainings in the report.
const EPOCHS: u16 = 200;

/// Mean and deviation over the searches of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Mean over the seeds, in percent.
    pub mean: f64,
    /// Standard deviation over the seeds (with n in the denominator, as NumPy's default, which the paper's code uses).
    pub deviation: f64,
}

impl From<Figure> for Score {
    fn from(figure: Figure) -> Self {
        Self { mean: figure.mean, deviation: figure.deviation }
    }
}

/// All searches of one algorithm on one data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The algorithm.
    pub algorithm: String,
    /// The data set searched on.
    pub dataset: Dataset,
    /// Preset of a training search.
    pub preset: Option<String>,
    /// Number of searches.
    pub searches: usize,
    /// One score per column of [`COLUMNS`]; `None` if the table lacks it.
    pub scores: [Option<Score>; 6],
    /// Time per search in seconds.
    pub seconds: Score,
    /// Whether the time is nominal, as the table has no times.
    pub nominal_seconds: bool,
    /// Mean number of trainings per search.
    pub queries: f64,
    /// Rank of the cell found by each search, by test accuracy on the data set searched on; 1 is the best cell.
    pub ranks: Vec<usize>,
    /// Number of ranked cells.
    pub ranked: usize,
    /// Test accuracy of the best cell so far, averaged over the searches: (seconds, percent).
    pub trajectory: Vec<(f64, f64)>,
    /// Remarks needed to compare the row.
    pub notes: Vec<String>,
}

/// Groups results by algorithm, data set and preset, in the order of first appearance.
pub fn aggregate(results: &[JobResult], table: &Table) -> Result<Vec<Row>, ReproduceError> {
    let mut order: Vec<(&str, Dataset, Option<&str>)> = Vec::new();
    let mut groups: BTreeMap<usize, Vec<&JobResult>> = BTreeMap::new();
    for result in results {
        let key = (result.job.algorithm.as_str(), result.job.dataset, result.job.preset.as_deref());
        let place = order.iter().position(|known| *known == key).unwrap_or_else(|| {
            order.push(key);
            order.len() - 1
        });
        groups.entry(place).or_default().push(result);
    }
    let ranking = Ranking::new(table);
    groups.into_values().map(|group| row(&group, table, &ranking)).collect()
}

fn row(group: &[&JobResult], table: &Table, ranking: &Ranking) -> Result<Row, ReproduceError> {
    let first = group[0];
    let mut cells = Vec::with_capacity(group.len());
    for result in group {
        let genotype: Genotype = result.genotype.parse().map_err(crate::BenchmarkError::from)?;
        let cell = cell_of(&genotype).map_err(crate::BenchmarkError::from)?;
        let index = table.index_of(cell).ok_or_else(|| {
            ReproduceError::Settings(format!("the table lacks the cell of job {}: {}", result.job.id, result.genotype))
        })?;
        cells.push(index);
    }
    let mut scores = [None; 6];
    for (score, (_, dataset, quantity)) in scores.iter_mut().zip(COLUMNS) {
        let setting = Setting::new(dataset, EPOCHS);
        let values: Option<Vec<f64>> =
            cells.iter().map(|index| table.get(*index, setting, Seeds::Mean, quantity).ok().flatten()).collect();
        *score = values.map(|values| statistics(&values));
    }
    let seconds: Vec<f64> = group.iter().map(|result| result.seconds).collect();
    let of_ranking = ranking.of(first.job.dataset);
    let ranks = cells.iter().filter_map(|index| of_ranking.ranks.get(*index).copied().flatten()).collect();
    let mut notes = Vec::new();
    let nominal_seconds = group.iter().any(|result| result.nominal_seconds);
    if nominal_seconds {
        notes.push(format!("the table has no times: every training counts as {} s", crate::NOMINAL_SECONDS));
    }
    if first.job.algorithm == "bohb" && nominal_seconds {
        notes.push("the table has no learning curves: a model-based search at 12 epochs, without halving".to_owned());
    }
    if let Some(preset) = first.job.preset.as_deref().filter(|preset| *preset != "paper") {
        notes.push(format!("shortened: preset {preset}"));
    }
    let mut images: Vec<&str> = group.iter().filter_map(|result| result.images.as_deref()).collect();
    images.sort_unstable();
    images.dedup();
    if images.iter().any(|images| *images != first.job.dataset.name()) {
        notes.push(format!("trained on the images of {}", images.join(", ")));
    }
    Ok(Row {
        algorithm: first.job.algorithm.clone(),
        dataset: first.job.dataset,
        preset: first.job.preset.clone(),
        searches: group.len(),
        scores,
        seconds: statistics(&seconds),
        nominal_seconds,
        queries: group.iter().map(|result| result.queries as f64).sum::<f64>() / group.len() as f64,
        ranks,
        ranked: of_ranking.count,
        trajectory: trajectory(group, &of_ranking.accuracies),
        notes,
    })
}

/// Mean and standard deviation.
fn statistics(values: &[f64]) -> Score {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    Score { mean, deviation: variance.sqrt() }
}

/// Mean over the searches of the test accuracy of each one's best cell so far, at the times of any improvement; starts when
/// every search has a cell.
fn trajectory(group: &[&JobResult], accuracies: &[Option<f64>]) -> Vec<(f64, f64)> {
    let mut events: Vec<(f64, usize, f64)> = Vec::new();
    for (search, result) in group.iter().enumerate() {
        for step in &result.trace {
            if let Some(Some(accuracy)) = accuracies.get(step.index) {
                events.push((step.seconds, search, *accuracy));
            }
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut current: Vec<Option<f64>> = vec![None; group.len()];
    let mut points: Vec<(f64, f64)> = Vec::new();
    let (mut sum, mut known) = (0.0, 0);
    for (seconds, search, accuracy) in events {
        match current[search].replace(accuracy) {
            Some(before) => sum -= before,
            None => known += 1,
        }
        sum += accuracy;
        if known == group.len() {
            let point = (seconds, sum / known as f64);
            match points.last_mut().filter(|last| last.0 == seconds) {
                Some(last) => *last = point,
                None => points.push(point),
            }
        }
    }
    points
}

/// Test accuracies of all cells and their ranks, on each data set.
struct Ranking {
    of: BTreeMap<Dataset, Ranked>,
}

#[derive(Default)]
struct Ranked {
    accuracies: Vec<Option<f64>>,
    ranks: Vec<Option<usize>>,
    count: usize,
}

impl Ranking {
    fn new(table: &Table) -> Self {
        let mut of = BTreeMap::new();
        for dataset in [Dataset::Cifar10, Dataset::Cifar100, Dataset::ImageNet16] {
            let accuracies = table.means(Setting::new(dataset, EPOCHS), Quantity::TestAccuracy);
            let mut sorted: Vec<f64> = accuracies.iter().copied().flatten().collect();
            sorted.sort_by(f64::total_cmp);
            let rank = |value: f64| sorted.len() - sorted.partition_point(|other| *other <= value) + 1;
            let ranks = accuracies.iter().map(|value| value.map(rank)).collect();
            of.insert(dataset, Ranked { count: sorted.len(), ranks, accuracies });
        }
        Self { of }
    }

    fn of(&self, dataset: Dataset) -> &Ranked {
        let dataset = if dataset == Dataset::Cifar10Valid { Dataset::Cifar10 } else { dataset };
        &self.of[&dataset]
    }
}
