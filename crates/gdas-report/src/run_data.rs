//! What a report says about one run, read from its directory.

use std::path::Path;
use std::sync::Arc;

use super::chart::{Chart, Series};
use super::csv;
use gdas::budget::{Measure, Standing};
use gdas::config::{Algorithm, space_of};
use gdas::run::{
    Alarm, Alarms, AlphaTable, EpochNumbers, Event, Judgement, RunError, RunInfo, read_config, read_result_text,
    relative_entropy,
};
use gdas::space::{Genotype, Space};

/// One epoch of a search or a training; what a task does not have is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochRow {
    /// Its number, from zero.
    pub epoch: usize,
    /// Mean cross-entropy of the training batches.
    pub train_loss: f64,
    /// Mean accuracy on the training batches, a fraction.
    pub train_accuracy: f64,
    /// Cross-entropy of the held-out batches (search), or of the validation images, else the test images (training).
    pub other_loss: Option<f64>,
    /// Accuracy on them.
    pub other_accuracy: Option<f64>,
    /// Top-5 accuracy on the test images.
    pub top5: Option<f64>,
    /// Temperature of the draw.
    pub tau: Option<f64>,
    /// Learning rate of the weights.
    pub learning_rate: f64,
    /// Share of the edges of alpha's cell without parameters.
    pub parameter_free: Option<f64>,
    /// Entropy of alpha as a share of the largest possible.
    pub entropy: Option<f64>,
    /// How the bounds on cost stood.
    pub costs: Vec<Standing>,
    /// Share of dropped paths.
    pub drop_path: Option<f64>,
    /// Steps per second.
    pub speed: f64,
    /// Alpha at the end of the epoch.
    pub alphas: Vec<AlphaTable>,
    /// The cell at its end.
    pub genotype: Option<String>,
}

impl EpochRow {
    /// Expected cost over its bound, where there is one.
    fn over_bound(&self, measure: Measure) -> Option<f64> {
        self.costs.iter().find(|c| c.measure == measure).map(|c| c.expected / c.limit)
    }
}

/// A run, ready to be reported.
#[derive(Clone, Debug)]
pub struct RunData {
    /// Its name, state and last figures.
    pub info: RunInfo,
    /// The text of its `config.toml`.
    pub config: String,
    /// The space that it says; `None` where it says none.
    pub space: Option<Arc<Space>>,
    /// The text of its `result.json`, if it is at its end.
    pub result: Option<String>,
    /// Its epochs, each once: what was done again after an interruption counts as done last.
    pub epochs: Vec<EpochRow>,
    /// Alarms whose condition holds at the end of the log, with what they mean and what can be done.
    pub alarms: Vec<(Alarm, String)>,
    /// Everything else that happened.
    pub events: Vec<Event>,
    /// The stages of an automatic run that have begun: its search, then its training.
    pub stages: Vec<RunData>,
}

impl RunData {
    /// Reads a run directory; the run may be at work.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let info = RunInfo::read(path)?;
        let config = read_config(path)?;
        let result = path.join("result.json").exists().then(|| read_result_text(path)).transpose()?;
        let stages = info.stages.iter().map(|stage| Self::read(&stage.path)).collect::<Result<_, _>>()?;
        Ok(Self { stages, ..Self::new(info, config, result, RunInfo::events(path)?) })
    }

    /// The runs with epochs of their own: the stages of an automatic run, else the run itself.
    pub fn parts(&self) -> Vec<&Self> {
        if self.stages.is_empty() { vec![self] } else { self.stages.iter().collect() }
    }

    fn new(info: RunInfo, config: String, result: Option<String>, events: Vec<Event>) -> Self {
        let mut epochs: Vec<EpochRow> = Vec::new();
        let mut numbers: Vec<EpochNumbers> = Vec::new();
        let mut others = Vec::new();
        for event in events {
            match row(&event) {
                Some(row) => {
                    epochs.retain(|e| e.epoch < row.epoch);
                    numbers.retain(|e| e.epoch < row.epoch);
                    epochs.push(row);
                    numbers.extend(EpochNumbers::of(&event));
                }
                None => others.push(event),
            }
        }
        let space = space_of(&config).ok().or_else(|| Space::find(&info.space));
        let mut run = Self { info, config, space, result, epochs, alarms: vec![], events: others, stages: Vec::new() };
        if run.learns_alpha() {
            run.alarms = alarms_of(&numbers, run.setting("selection").as_deref() == Some("judged"));
        }
        run
    }

    /// Whether alpha is what its algorithm learns.
    fn learns_alpha(&self) -> bool {
        let name = self.setting("algorithm");
        let known = Algorithm::ALL.into_iter().find(|algorithm| name.as_deref() == Some(algorithm.name()));
        known.is_none_or(|algorithm| algorithm.learns_alpha())
    }

    /// How the cell was chosen, if judges chose it.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Judged(judgement) => Some(judgement),
            _ => None,
        })
    }

    /// The value of a key of the configuration, as text.
    pub fn setting(&self, key: &str) -> Option<String> {
        let table: toml::Table = self.config.parse().ok()?;
        match table.get(key)? {
            toml::Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        }
    }

    /// Number of classes of its data.
    pub fn classes(&self) -> Option<usize> {
        self.events.iter().rev().find_map(|e| match e {
            Event::Started { classes, .. } => Some(*classes),
            _ => None,
        })
    }

    /// What is measured beside the training images: "held-out" for a search, "validation" for a training that chooses an
    /// epoch, else "test".
    pub fn other(&self) -> &'static str {
        match self.info.task.as_str() {
            "train" if self.images().is_some_and(|(validation, _)| validation > 0) => "validation",
            "train" => "test",
            _ => "held-out",
        }
    }

    /// Number of its validation images, and of its held-out (search) or test images (training).
    pub fn images(&self) -> Option<(usize, usize)> {
        self.events.iter().rev().find_map(|e| match e {
            Event::Started { validation_images, held_out_images, .. } => Some((*validation_images, *held_out_images)),
            _ => None,
        })
    }

    /// The epoch whose weights a finished training hands out, from 1, and its accuracy on the validation images; where one
    /// was chosen.
    pub fn chosen_epoch(&self) -> Option<(u64, f64)> {
        let result: serde_json::Value = serde_json::from_str(self.result.as_ref()?).ok()?;
        Some((result["chosen_epoch"].as_u64()? + 1, result["validation_accuracy"].as_f64()?))
    }

    /// The curves of the run; those without any point are left out.
    pub fn curves(&self) -> Vec<(&'static str, Chart)> {
        let both = |a: fn(&EpochRow) -> Option<f64>, b: fn(&EpochRow) -> Option<f64>| {
            vec![self.series("training", a), self.series(self.other(), b)]
        };
        let one = |value: fn(&EpochRow) -> Option<f64>| vec![self.series("", value)];
        let chart = |title: &str, series| Chart::new(title, "epoch", series);
        let charts = vec![
            ("loss", chart("Loss (cross-entropy)", both(|e| Some(e.train_loss), |e| e.other_loss))),
            (
                "accuracy",
                chart("Accuracy", both(|e| Some(e.train_accuracy), |e| e.other_accuracy))
                    .percent()
                    .between(Some(0.0), None),
            ),
            ("top5", chart("Top-5 accuracy on the test images", one(|e| e.top5)).percent().between(Some(0.0), None)),
            ("tau", chart("Temperature of the draw (tau)", one(|e| e.tau)).between(Some(0.0), None)),
            (
                "learning-rate",
                chart("Learning rate of the weights", one(|e| Some(e.learning_rate))).between(Some(0.0), None),
            ),
            (
                "parameter-free",
                chart("Edges of alpha's cell without parameters (skip, pool, none)", self.parameter_free_series())
                    .percent()
                    .between(Some(0.0), Some(1.0)),
            ),
            ("entropy", chart("Entropy of alpha, of the largest possible", one(|e| e.entropy)).percent()),
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
            ("drop-path", chart("Dropped paths", one(|e| e.drop_path)).percent().between(Some(0.0), None)),
            ("step-time", chart("Time per step (ms)", one(|e| Some(1e3 / e.speed))).between(Some(0.0), None)),
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

    /// The share over time, and where it is another in the cell that judges chose, that one after the last epoch.
    fn parameter_free_series(&self) -> Vec<Series> {
        let mut of_alpha = self.series("", |e| e.parameter_free);
        let Some(judgement) = self.judgement().filter(|judgement| !judgement.is_own()) else { return vec![of_alpha] };
        let chosen = self.space.as_ref().and_then(|space| Genotype::parse(&judgement.genotype, space).ok());
        let Some(chosen) = chosen else { return vec![of_alpha] };
        "alpha's cell".clone_into(&mut of_alpha.name);
        let end = of_alpha.points.last().map_or(0.0, |point| point.0);
        let points = vec![(end, chosen.parameter_free_share())];
        vec![of_alpha, Series { name: "the cell chosen by judges".to_owned(), points }]
    }

    /// One value per epoch (counted from one) that has it: networks in training are not tested after every epoch.
    pub fn series(&self, name: &str, value: fn(&EpochRow) -> Option<f64>) -> Series {
        let points = self.epochs.iter().filter_map(|e| Some(((e.epoch + 1) as f64, value(e)?))).collect();
        Series { name: name.to_owned(), points }
    }

    /// Per alpha table its name and one small chart per edge: the probability of each operation over time.
    pub fn alpha_charts(&self) -> Vec<(String, Vec<Chart>)> {
        let Some(last) = self.epochs.iter().rev().find(|e| !e.alphas.is_empty()) else { return vec![] };
        let tables = last.alphas.iter().enumerate().map(|(t, table)| {
            let mut charts: Vec<Chart> = (0..table.alphas.len()).map(|edge| self.alpha_chart(t, edge)).collect();
            let points = charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
            let highest = points.map(|point| point.1).fold(0.0, f64::max);
            // An even draw is the usual start, and a scale to 1 would hide what happens there. One scale for all
            // edges lets them be compared.
            let top = [0.2, 0.5].into_iter().find(|top| highest <= *top).unwrap_or(1.0);
            for chart in &mut charts {
                chart.range = (Some(0.0), Some(top));
            }
            (table.name.clone(), charts)
        });
        tables.collect()
    }

    fn alpha_chart(&self, table: usize, edge: usize) -> Chart {
        let names = self.operation_names(table);
        let mut series: Vec<Series> = Vec::new();
        for row in &self.epochs {
            let Some(logits) = row.alphas.get(table).and_then(|t| t.alphas.get(edge)) else { continue };
            for (k, p) in softmax(logits).into_iter().enumerate() {
                if series.len() == k {
                    let name = names.get(k).cloned().unwrap_or_else(|| format!("operation {k}"));
                    series.push(Series { name, points: vec![] });
                }
                series[k].points.push(((row.epoch + 1) as f64, p));
            }
        }
        let mut chart = Chart::new(&self.edge_name(table, edge), "epoch", series);
        chart.size = (230.0, 150.0);
        chart.legend = false;
        chart
    }

    /// Names of the operations of a table's columns.
    pub fn operation_names(&self, table: usize) -> Vec<String> {
        let cell = self.space.as_ref().and_then(|s| s.cells.get(table));
        cell.map_or_else(Vec::new, |cell| cell.operations.iter().map(|op| op.name.clone()).collect())
    }

    /// What an edge connects, as states of the genotype's text.
    pub fn edge_name(&self, table: usize, edge: usize) -> String {
        let found =
            self.space.as_ref().and_then(|s| s.cells.get(table)).and_then(|cell| cell.edges().get(edge).copied());
        found.map_or_else(|| format!("edge {edge}"), |e| format!("state {} \u{2192} {}", e.from, e.to))
    }

    /// One line per epoch.
    pub fn epochs_csv(&self) -> String {
        let other = self.other().replace('-', "_");
        let mut out = csv::line([
            "epoch",
            "train_loss",
            "train_accuracy",
            &format!("{other}_loss"),
            &format!("{other}_accuracy"),
            "test_top5",
            "tau",
            "learning_rate",
            "parameter_free",
            "entropy",
            "drop_path",
            "steps_per_second",
            "genotype",
        ]);
        let optional = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
        for e in &self.epochs {
            out += &csv::line([
                e.epoch.to_string(),
                e.train_loss.to_string(),
                e.train_accuracy.to_string(),
                optional(e.other_loss),
                optional(e.other_accuracy),
                optional(e.top5),
                optional(e.tau),
                e.learning_rate.to_string(),
                optional(e.parameter_free),
                optional(e.entropy),
                optional(e.drop_path),
                e.speed.to_string(),
                e.genotype.clone().unwrap_or_default(),
            ]);
        }
        out
    }

    /// One line per epoch, table, edge and operation.
    pub fn alphas_csv(&self) -> String {
        let mut out = csv::line(["epoch", "table", "edge", "connects", "operation", "alpha", "probability"]);
        for row in &self.epochs {
            for (t, table) in row.alphas.iter().enumerate() {
                let names = self.operation_names(t);
                for (edge, logits) in table.alphas.iter().enumerate() {
                    for (k, p) in softmax(logits).into_iter().enumerate() {
                        out += &csv::line([
                            row.epoch.to_string(),
                            table.name.clone(),
                            edge.to_string(),
                            self.edge_name(t, edge),
                            names.get(k).cloned().unwrap_or_else(|| k.to_string()),
                            logits[k].to_string(),
                            p.to_string(),
                        ]);
                    }
                }
            }
        }
        out
    }

    /// The cells that the search went through: first epoch, last epoch, genotype.
    pub fn genotype_history(&self) -> Vec<(usize, usize, String)> {
        let mut history: Vec<(usize, usize, String)> = Vec::new();
        for row in &self.epochs {
            let Some(genotype) = &row.genotype else { continue };
            match history.last_mut() {
                Some((_, last, same)) if same == genotype => *last = row.epoch,
                _ => history.push((row.epoch, row.epoch, genotype.clone())),
            }
        }
        history
    }
}

/// The alarms that stand after these epochs.
fn alarms_of(epochs: &[EpochNumbers], judged: bool) -> Vec<(Alarm, String)> {
    let mut alarms = Alarms::default();
    for now in epochs {
        alarms.follow(now);
    }
    let Some(now) = epochs.last() else { return vec![] };
    alarms.standing().iter().map(|&alarm| (alarm, alarms.message(alarm, now, judged))).collect()
}

/// The row of an epoch's event; other events have none.
fn row(event: &Event) -> Option<EpochRow> {
    match event {
        Event::Epoch {
            epoch,
            train_loss,
            train_accuracy,
            held_out_loss,
            held_out_accuracy,
            tau,
            learning_rate,
            alphas,
            genotype,
            parameter_free,
            costs,
            steps_per_second,
            ..
        } => Some(EpochRow {
            epoch: *epoch,
            train_loss: *train_loss,
            train_accuracy: *train_accuracy,
            other_loss: Some(*held_out_loss),
            other_accuracy: Some(*held_out_accuracy),
            tau: Some(*tau),
            learning_rate: *learning_rate,
            parameter_free: Some(*parameter_free),
            entropy: relative_entropy(alphas),
            costs: costs.clone(),
            speed: *steps_per_second,
            alphas: alphas.clone(),
            genotype: Some(genotype.clone()),
            ..EpochRow::default()
        }),
        Event::TrainEpoch {
            epoch,
            train_loss,
            train_accuracy,
            test_loss,
            test_accuracy,
            test_top5,
            validation_loss,
            validation_accuracy,
            learning_rate,
            drop_path,
            steps_per_second,
            ..
        } => Some(EpochRow {
            epoch: *epoch,
            train_loss: *train_loss,
            train_accuracy: *train_accuracy,
            other_loss: validation_loss.or(*test_loss),
            other_accuracy: validation_accuracy.or(*test_accuracy),
            top5: *test_top5,
            learning_rate: *learning_rate,
            drop_path: Some(*drop_path),
            speed: *steps_per_second,
            ..EpochRow::default()
        }),
        _ => None,
    }
}

/// Probabilities of logits: softmax.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&l| f64::from(l - max).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}
