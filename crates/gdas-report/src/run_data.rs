//! The data of one run for reports, read from its directory.

use std::path::Path;
use std::sync::Arc;

use super::epoch::Epoch;
use super::trials::{Trial, trials};
use gdas::ClassResult;
use gdas::config::{Algorithm, space_of};
use gdas::run::{
    Alarm, Alarms, EpochNumbers, Event, Judgement, RunError, RunInfo, TestRecord, read_config, read_result_text,
};
use gdas::space::{Genotype, Space};

/// The data of one run for reports.
#[derive(Clone, Debug)]
pub struct RunData {
    /// Name, state and last metrics.
    pub info: RunInfo,
    /// Text of its `config.toml`.
    pub config: String,
    /// The space in the configuration, if there is one.
    pub space: Option<Arc<Space>>,
    /// Text of its `result.json`, if it is finished.
    pub result: Option<String>,
    /// Metrics of each epoch; of epochs repeated after an interruption the last ones.
    pub epochs: Vec<Epoch>,
    /// Alarms whose condition holds at the end of the log, with explanation and advice.
    pub alarms: Vec<(Alarm, String)>,
    /// All other events.
    pub events: Vec<Event>,
    /// How the network of a training answered the test images, if that is recorded; what is wrong with the record, if it cannot
    /// be read.
    pub test: Result<Option<TestRecord>, String>,
    /// The stages of an automatic run that have begun: its search, then its training.
    pub stages: Vec<RunData>,
    /// The short trainings of an automatic run that have begun.
    pub trials: Vec<Trial>,
}

impl RunData {
    /// Reads a run directory; the run may be in progress.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let info = RunInfo::read(path)?;
        let config = read_config(path)?;
        let result = path.join("result.json").exists().then(|| read_result_text(path)).transpose()?;
        let stages = info.stages.iter().map(|stage| Self::read(&stage.path)).collect::<Result<_, _>>()?;
        let test = TestRecord::read(path).map_err(|error| error.to_string());
        Ok(Self { test, stages, ..Self::new(info, config, result, RunInfo::events(path)?) })
    }

    /// The runs that have epochs: the stages of an automatic run, else the run itself.
    pub fn parts(&self) -> Vec<&Self> {
        if self.stages.is_empty() { vec![self] } else { self.stages.iter().collect() }
    }

    fn new(info: RunInfo, config: String, result: Option<String>, events: Vec<Event>) -> Self {
        let mut epochs: Vec<Epoch> = Vec::new();
        let mut numbers: Vec<EpochNumbers> = Vec::new();
        let mut others = Vec::new();
        for event in events {
            match Epoch::of(&event) {
                Some(epoch) => {
                    epochs.retain(|e| e.number() < epoch.number());
                    numbers.retain(|e| e.epoch < epoch.number());
                    epochs.push(epoch);
                    numbers.extend(EpochNumbers::of(&event));
                }
                None => others.push(event),
            }
        }
        let space = space_of(&config).ok().or_else(|| Space::find(&info.space));
        let trials = trials(&info.path, &others);
        let (alarms, test, stages) = (vec![], Ok(None), vec![]);
        let mut run = Self { info, config, space, result, epochs, alarms, events: others, test, stages, trials };
        if run.learns_alpha() {
            run.alarms = alarms_of(&numbers, run.setting("selection").as_deref() == Some("judged"));
        }
        run
    }

    /// Whether its algorithm learns alpha.
    fn learns_alpha(&self) -> bool {
        let name = self.setting("algorithm");
        let known = Algorithm::ALL.into_iter().find(|algorithm| name.as_deref() == Some(algorithm.name()));
        known.is_none_or(|algorithm| algorithm.learns_alpha())
    }

    /// The judgement by which the cell was chosen, if the selection was judged.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Judged(judgement) => Some(judgement),
            _ => None,
        })
    }

    /// The value of a key of the configuration, as text.
    pub fn setting(&self, key: &str) -> Option<String> {
        let table: toml::Table = self.config.parse().ok()?;
        table.get(key).map(setting_text)
    }

    /// Number of classes of its data.
    pub fn classes(&self) -> Option<usize> {
        self.events.iter().rev().find_map(|e| match e {
            Event::Started { classes, .. } => Some(*classes),
            _ => None,
        })
    }

    /// Name of the images evaluated besides the training images: "held-out" for a search, "validation" for a training that
    /// chooses an epoch, else "test".
    pub fn other(&self) -> &'static str {
        match self.info.task.as_str() {
            "train" if self.images().is_some_and(|(validation, _)| validation > 0) => "validation",
            "train" => "test",
            _ => "held-out",
        }
    }

    /// Number of validation images, and of held-out (search) or test images (training).
    pub fn images(&self) -> Option<(usize, usize)> {
        self.events.iter().rev().find_map(|e| match e {
            Event::Started { validation_images, held_out_images, .. } => Some((*validation_images, *held_out_images)),
            _ => None,
        })
    }

    /// Test results by class, for a finished training with test images.
    pub fn test_classes(&self) -> Option<Vec<ClassResult>> {
        let result: serde_json::Value = serde_json::from_str(self.result.as_ref()?).ok()?;
        serde_json::from_value(result.get("test_classes")?.clone()).ok()?
    }

    /// Names of the classes of a finished training; none elsewhere.
    pub fn class_names(&self) -> Vec<String> {
        let result = self.result.as_ref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let names = result.and_then(|result| serde_json::from_value(result.get("classes")?.clone()).ok());
        names.unwrap_or_default()
    }

    /// The 95 % confidence interval of the test accuracy of a finished training.
    pub fn test_interval(&self) -> Option<[f64; 2]> {
        let result: serde_json::Value = serde_json::from_str(self.result.as_ref()?).ok()?;
        serde_json::from_value(result.get("test_interval")?.clone()).ok()?
    }

    /// The epoch (from 1) whose weights a finished training kept, with its validation accuracy; `None` if no epoch was chosen.
    pub fn chosen_epoch(&self) -> Option<(u64, f64)> {
        let result: serde_json::Value = serde_json::from_str(self.result.as_ref()?).ok()?;
        Some((result["chosen_epoch"].as_u64()? + 1, result["validation_accuracy"].as_f64()?))
    }

    /// The genotype of the run, if it has one that can be parsed.
    pub fn genotype(&self) -> Option<Genotype> {
        let found = Genotype::find_in(self.info.genotype.as_ref()?, None, self.space.as_ref());
        found.ok().map(|found| found.genotype)
    }

    /// Names of the operations of an alpha table's columns.
    pub fn operation_names(&self, table: usize) -> Vec<String> {
        let cell = self.space.as_ref().and_then(|s| s.cells.get(table));
        cell.map_or_else(Vec::new, |cell| cell.operations.iter().map(|op| op.name.clone()).collect())
    }

    /// Source and target of an edge, as numbered in the genotype's text.
    pub fn edge_name(&self, table: usize, edge: usize) -> String {
        let found =
            self.space.as_ref().and_then(|s| s.cells.get(table)).and_then(|cell| cell.edges().get(edge).copied());
        found.map_or_else(|| format!("edge {edge}"), |e| format!("state {} \u{2192} {}", e.from, e.to))
    }

    /// The successive derived cells of the search: first epoch, last epoch, genotype.
    pub fn genotype_history(&self) -> Vec<(usize, usize, String)> {
        let mut history: Vec<(usize, usize, String)> = Vec::new();
        for row in &self.epochs {
            let Some(genotype) = row.genotype() else { continue };
            match history.last_mut() {
                Some((_, last, same)) if same == genotype => *last = row.number(),
                _ => history.push((row.number(), row.number(), genotype.to_owned())),
            }
        }
        history
    }
}

/// A value of a configuration as text; text without quotes.
pub(crate) fn setting_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The alarms whose condition holds after these epochs.
fn alarms_of(epochs: &[EpochNumbers], judged: bool) -> Vec<(Alarm, String)> {
    let mut alarms = Alarms::default();
    for now in epochs {
        alarms.follow(now);
    }
    let Some(now) = epochs.last() else { return vec![] };
    alarms.active().iter().map(|&alarm| (alarm, alarms.message(alarm, now, judged))).collect()
}
