//! State of a run, read without locking it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::dir::{CONFIG, EVENTS, RESULT};
use super::{Event, RunError, lock, read_events};

/// Names of the directories of an automatic run's stages, in order. Each contains an ordinary run.
pub const STAGES: [&str; 2] = ["search", "train"];

/// Whether `path` is the directory of a run.
pub fn is_run(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

/// Paths of the stages of an automatic run that have begun; empty for other runs.
pub fn stages(path: &Path) -> Vec<PathBuf> {
    STAGES.iter().map(|stage| path.join(stage)).filter(|stage| is_run(stage)).collect()
}

/// Path of the run named by an event of the automatic run at `path`, such as `tried/1-2`. `None` if it does not exist or
/// lies outside that directory.
pub fn stage_at(path: &Path, name: &str) -> Option<PathBuf> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    Some(path.join(name)).filter(|stage| inside && !name.is_empty() && is_run(stage))
}

/// State of a run, read from its directory.
///
/// Epochs, accuracy and data of an automatic run are those of its current or last stage.
#[derive(Clone, Debug, Serialize)]
pub struct RunInfo {
    /// Name of the directory.
    pub name: String,
    /// Path of the directory.
    pub path: PathBuf,
    /// "running", "paused", "finished" or "stopped".
    pub status: &'static str,
    /// The process that has locked it, if any.
    pub holder: Option<String>,
    /// "search", "train", "auto" or "import".
    pub task: String,
    /// Current or last stage of an automatic run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// The data set.
    pub data: String,
    /// The search space.
    pub space: String,
    /// Number of epochs done.
    pub epochs_done: usize,
    /// Number of epochs of the whole run.
    pub epochs: usize,
    /// The genotype; of a search, that of the last epoch or the final one.
    pub genotype: Option<String>,
    /// Held-out (search) or test (train) accuracy of the last epoch that has one.
    pub accuracy: Option<f64>,
    /// Number of test images of a training.
    pub test_images: Option<usize>,
    /// Time of the last event, in seconds since 1970.
    pub updated: Option<f64>,
    /// The stages of an automatic run that have begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<RunInfo>,
}

impl RunInfo {
    /// Reads the run at `path`, which another process may be working in.
    ///
    /// # Errors
    /// If there is no run, or its event log cannot be read.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        if !is_run(path) {
            return Err(RunError::Missing(path.to_path_buf()));
        }
        let holder = lock::holder_of(path);
        let status = if holder.is_some() { "running" } else { Self::idle_status(path) };
        // Before the first event, the properties are taken from the configuration, unless it is damaged.
        let settings = fs::read_to_string(path.join(CONFIG)).unwrap_or_default();
        let settings: toml::Table = settings.parse().unwrap_or_default();
        let text = |key: &str| settings.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        // A custom space is stored as a table.
        let own = || settings.get("space")?.get("name")?.as_str().map(str::to_owned);
        let number = |key: &str| settings.get(key).and_then(toml::Value::as_integer);
        let mut info = Self {
            name: Self::name_of(path).unwrap_or_else(|| path.display().to_string()),
            path: path.to_path_buf(),
            status,
            holder,
            task: text("task").unwrap_or_default(),
            stage: None,
            data: text("data").unwrap_or_default(),
            space: text("space").or_else(own).unwrap_or_default(),
            epochs_done: 0,
            epochs: number("epochs").and_then(|epochs| epochs.try_into().ok()).unwrap_or(0),
            genotype: text("genotype"),
            accuracy: None,
            test_images: None,
            updated: updated(&path.join(EVENTS)),
            stages: Vec::new(),
        };
        for event in Self::events(path)? {
            info.follow(event);
        }
        if info.task == "auto" {
            let stages = stages(path).iter().map(|stage| Self::read(stage)).collect::<Result<_, _>>()?;
            info.take_stages(stages);
        }
        Ok(info)
    }

    fn take_stages(&mut self, stages: Vec<Self>) {
        if let Some(last) = stages.last() {
            self.stage = STAGES.into_iter().find(|stage| last.path.ends_with(stage));
            (self.data, self.space) = (last.data.clone(), last.space.clone());
            (self.epochs_done, self.epochs) = (last.epochs_done, last.epochs);
            (self.accuracy, self.test_images) = (last.accuracy, last.test_images);
            self.genotype = stages.iter().rev().find_map(|stage| stage.genotype.clone());
            self.updated = stages.iter().filter_map(|stage| stage.updated).reduce(f64::max);
            if (self.status, last.status) == ("running", "paused") {
                self.status = last.status;
            }
        }
        self.stages = stages;
    }

    /// Name of the directory; for a stage preceded by that of the automatic run.
    fn name_of(path: &Path) -> Option<String> {
        let path = path.canonicalize().ok()?;
        let name = path.file_name()?.to_string_lossy();
        let whole = path.parent().filter(|parent| is_run(parent)).and_then(Path::file_name);
        Some(whole.map_or_else(|| name.to_string(), |whole| format!("{}/{name}", whole.to_string_lossy())))
    }

    /// "running", "finished" or "stopped".
    pub fn status_of(path: &Path) -> &'static str {
        if lock::holder_of(path).is_some() { "running" } else { Self::idle_status(path) }
    }

    fn idle_status(path: &Path) -> &'static str {
        if path.join(RESULT).is_file() { "finished" } else { "stopped" }
    }

    /// The events of the run at `path`.
    pub fn events(path: &Path) -> Result<Vec<Event>, RunError> {
        let events = path.join(EVENTS);
        if events.exists() { read_events(&events) } else { Ok(Vec::new()) }
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::Started { task, data, space, epochs, held_out_images, .. } => {
                self.test_images = (task == "train").then_some(held_out_images);
                (self.task, self.data, self.space, self.epochs) = (task, data, space, epochs);
            }
            Event::Epoch(ended) => {
                self.epochs_done = ended.epoch + 1;
                self.genotype = Some(ended.genotype);
                self.accuracy = Some(ended.metrics.held_out_accuracy);
            }
            Event::TrainEpoch(ended) => {
                self.epochs_done = ended.epoch + 1;
                self.accuracy = ended.test_accuracy.or(self.accuracy);
            }
            Event::Paused { .. } if self.status == "running" => self.status = "paused",
            Event::Continued { .. } if self.status == "paused" => self.status = "running",
            Event::Finished { genotype, accuracy, .. } => {
                self.genotype = Some(genotype);
                self.accuracy = accuracy.or(self.accuracy);
            }
            _ => {}
        }
    }
}

/// Modification time of a file in seconds since 1970.
fn updated(path: &Path) -> Option<f64> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// The runs in `directory`, sorted by name, each with the result of [`RunInfo::read`].
pub fn list(directory: &Path) -> Result<Vec<Result<RunInfo, RunError>>, RunError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RunError::io("list", directory)(error)),
    };
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(RunError::io("list", directory))?.path()))
        .collect::<Result<Vec<_>, RunError>>()?;
    paths.retain(|path| is_run(path));
    paths.sort();
    Ok(paths.iter().map(|path| RunInfo::read(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunDir;

    #[test]
    fn an_automatic_run_is_described_by_its_stages() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("photos");
        drop(RunDir::create(&path, "task = \"auto\"\ndata = \"photos\"\nspace = \"nas-bench-201\"\n").expect("a run"));
        let info = RunInfo::read(&path).expect("readable");
        assert_eq!((info.task.as_str(), info.data.as_str(), info.stage), ("auto", "photos", None));
        let stage = "task = \"search\"\ndata = \"photos\"\nspace = \"nas-bench-201\"\nepochs = 7\n";
        drop(RunDir::create(path.join("search"), stage).expect("a run"));
        let info = RunInfo::read(&path).expect("readable");
        assert_eq!((info.stage, info.epochs, info.stages.len()), (Some("search"), 7, 1));
        assert_eq!(info.stages[0].name, "photos/search");
        let stage =
            "task = \"train\"\ndata = \"photos\"\nspace = \"nas-bench-201\"\nepochs = 9\ngenotype = \"|none~0|\"\n";
        drop(RunDir::create(path.join("train"), stage).expect("a run"));
        let info = RunInfo::read(&path).expect("readable");
        assert_eq!((info.stage, info.epochs, info.genotype.as_deref()), (Some("train"), 9, Some("|none~0|")));
    }

    #[test]
    fn a_name_in_a_log_leads_into_the_run_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("photos");
        for run in [path.join("tried/1-2"), dir.path().join("other")] {
            drop(RunDir::create(run, "task = \"train\"\n").expect("a run"));
        }
        assert_eq!(stage_at(&path, "tried/1-2"), Some(path.join("tried/1-2")));
        let outside = dir.path().join("other");
        for name in ["", "tried", "../other", "tried/../../other", &outside.to_string_lossy()] {
            assert_eq!(stage_at(&path, name), None, "{name}");
        }
    }

    #[test]
    fn folders_named_like_stages_make_no_automatic_run() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("digits");
        drop(RunDir::create(&path, "task = \"search\"\n").expect("a run"));
        drop(RunDir::create(path.join("train"), "task = \"train\"\n").expect("a run"));
        let info = RunInfo::read(&path).expect("readable");
        assert_eq!((info.task.as_str(), info.stages.len()), ("search", 0));
    }
}
