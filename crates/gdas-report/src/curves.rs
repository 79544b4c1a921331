//! Charts of a run's metrics.

use super::chart::{Chart, Series};
use super::epoch::Epoch;
use super::heat::HeatMap;
use super::run_data::RunData;
use gdas::budget::Measure;
use gdas::space::Genotype;

impl RunData {
    /// Charts of the run's metrics with their names; empty ones are left out.
    pub fn curves(&self) -> Vec<(&'static str, Chart)> {
        let both = |a: fn(&Epoch) -> Option<f64>, b: fn(&Epoch) -> Option<f64>| {
            vec![self.series("training", a), self.series(self.other(), b)]
        };
        let one = |value: fn(&Epoch) -> Option<f64>| vec![self.series("", value)];
        let chart = |title: &str, series| Chart::new(title, "epoch", series);
        let charts = vec![
            ("loss", chart("Loss (cross-entropy)", both(|e| Some(e.train_loss()), Epoch::other_loss)).logarithmic()),
            (
                "accuracy",
                chart("Accuracy", both(|e| Some(e.train_accuracy()), Epoch::other_accuracy))
                    .percent()
                    .between(Some(0.0), None),
            ),
            ("top5", chart("Top-5 accuracy on the test images", one(Epoch::top5)).percent().between(Some(0.0), None)),
            ("tau", chart("Temperature of the draw (tau)", one(Epoch::tau)).between(Some(0.0), None)),
            (
                "learning-rate",
                chart("Learning rate of the weights", one(|e| Some(e.learning_rate()))).between(Some(0.0), None),
            ),
            (
                "parameter-free",
                chart("Edges of alpha's cell without parameters (skip, pool, none)", self.parameter_free_series())
                    .percent()
                    .between(Some(0.0), Some(1.0)),
            ),
            ("entropy", chart("Entropy of alpha, of the largest possible", one(Epoch::entropy)).percent()),
            (
                "cost",
                chart(
                    "Expected cost, as a multiple of its bound",
                    vec![
                        self.series("parameters", |e| e.over_bound(Measure::Parameters)),
                        self.series("multiply-adds", |e| e.over_bound(Measure::MultiplyAdds)),
                        self.series("latency", |e| e.over_bound(Measure::Latency)),
                    ],
                )
                .between(Some(0.0), None),
            ),
            ("drop-path", chart("Dropped paths", one(Epoch::drop_path)).percent().between(Some(0.0), None)),
            (
                "step-time",
                chart("Time per step (ms)", one(|e| Some(1e3 / e.steps_per_second()))).between(Some(0.0), None),
            ),
        ];
        charts
            .into_iter()
            .map(|(name, mut chart)| {
                chart.series.retain(|s| s.points.iter().any(|p| p.1.is_finite()));
                (name, chart)
            })
            .filter(|(_, chart)| !chart.is_empty())
            .collect()
    }

    /// The fraction over the epochs, and after the last epoch that of the cell chosen by judges, if it differs.
    fn parameter_free_series(&self) -> Vec<Series> {
        let mut of_alpha = self.series("", Epoch::parameter_free);
        let Some(judgement) = self.judgement().filter(|judgement| !judgement.is_own()) else { return vec![of_alpha] };
        let chosen = self.space.as_ref().and_then(|space| Genotype::parse(&judgement.genotype, space).ok());
        let Some(chosen) = chosen else { return vec![of_alpha] };
        "alpha's cell".clone_into(&mut of_alpha.name);
        let end = of_alpha.points.last().map_or(0.0, |point| point.0);
        let points = vec![(end, chosen.parameter_free_share())];
        vec![of_alpha, Series { name: "the cell chosen by judges".to_owned(), points }]
    }

    /// A series of the epochs (from 1) that have the value; a training is not tested after every epoch.
    pub fn series(&self, name: &str, value: fn(&Epoch) -> Option<f64>) -> Series {
        let points = self.epochs.iter().filter_map(|e| Some(((e.number() + 1) as f64, value(e)?))).collect();
        Series { name: name.to_owned(), points }
    }

    /// For each alpha table its name and one chart per edge: the probability of each operation over the epochs.
    pub fn alpha_charts(&self) -> Vec<(String, Vec<Chart>)> {
        let Some(last) = self.epochs.iter().rev().find(|e| !e.alphas().is_empty()) else { return vec![] };
        let tables = last.alphas().iter().enumerate().map(|(t, table)| {
            let mut charts: Vec<Chart> = (0..table.alphas.len()).map(|edge| self.alpha_chart(t, edge)).collect();
            let points = charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
            let highest = points.map(|point| point.1).fold(0.0, f64::max);
            // Searches start near the uniform distribution, where a scale up to 1 would hide the changes. All edges have one
            // scale, for comparison.
            let top = [0.2, 0.5].into_iter().find(|top| highest <= *top).unwrap_or(1.0);
            for chart in &mut charts {
                chart.range = (Some(0.0), Some(top));
            }
            (table.name.clone(), charts)
        });
        tables.collect()
    }

    /// One heat map per alpha table.
    pub fn heat_maps(&self) -> Vec<HeatMap> {
        let Some(last) = self.epochs.iter().rev().find(|e| !e.alphas().is_empty()) else { return vec![] };
        let tables = last.alphas().iter().enumerate().map(|(t, table)| {
            let epochs = self.epochs.iter().filter_map(|epoch| {
                let probabilities = epoch.alphas().get(t)?.probabilities().collect();
                Some((epoch.number() + 1, probabilities))
            });
            HeatMap {
                title: format!("{} cell", table.name),
                edges: (0..table.alphas.len()).map(|edge| self.edge_name(t, edge)).collect(),
                operations: self.operation_names(t),
                epochs: epochs.collect(),
            }
        });
        tables.filter(|map| !map.is_empty()).collect()
    }

    fn alpha_chart(&self, table: usize, edge: usize) -> Chart {
        let names = self.operation_names(table);
        let mut series: Vec<Series> = Vec::new();
        for row in &self.epochs {
            let probabilities = row.alphas().get(table).and_then(|table| table.probabilities().nth(edge));
            for (k, p) in probabilities.into_iter().flatten().enumerate() {
                if series.len() == k {
                    let name = names.get(k).cloned().unwrap_or_else(|| format!("operation {k}"));
                    series.push(Series { name, points: vec![] });
                }
                series[k].points.push(((row.number() + 1) as f64, p));
            }
        }
        Chart::new(&self.edge_name(table, edge), "epoch", series)
    }
}
