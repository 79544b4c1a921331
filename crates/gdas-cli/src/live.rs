//! A run as it stands, read from its directory again and again while another process works in it.

use std::path::{Path, PathBuf};

use gdas::run::{EpochMetrics, Event, Follower, Request, RunError, RunInfo, StepMetrics, is_run, requested, stages};

use crate::output::{duration, percent};

/// Where a run stands. What a task does not have, or has not come to, is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// "running", "paused", "finished" or "stopped".
    pub(crate) status: &'static str,
    /// "search", "train", "import" or "auto".
    pub(crate) task: String,
    /// Of an automatic run: its stage at work, or the last one. What follows is that stage's.
    pub(crate) stage: Option<String>,
    pub(crate) data: String,
    pub(crate) space: String,
    /// The epoch at work, from one.
    pub(crate) epoch: usize,
    pub(crate) epochs: usize,
    pub(crate) step: u64,
    pub(crate) steps: u64,
    pub(crate) train_loss: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    /// Of held-out images (search), or of validation or test images (train).
    pub(crate) other_loss: Option<f64>,
    pub(crate) other_accuracy: Option<f64>,
    pub(crate) tau: Option<f64>,
    pub(crate) learning_rate: Option<f64>,
    pub(crate) speed: Option<f64>,
    pub(crate) eta_seconds: Option<f64>,
    /// Candidates judged, and all of them, while that is at work.
    pub(crate) judging: Option<(usize, usize)>,
    /// Why the cell of a judged end was chosen.
    pub(crate) judged: Option<String>,
    /// Grows with everything but steps: what a page about the run shows is as of a revision.
    pub(crate) revision: u64,
    /// Whether validation images choose the epoch of this training, which is at work.
    validated: bool,
    paused: bool,
    /// Time that is needed after the last step (judging), as of the last epoch.
    after_seconds: f64,
}

/// A run that is looked at repeatedly.
#[derive(Debug)]
pub(crate) struct Live {
    path: PathBuf,
    /// The directory whose log is read: an automatic run logs nothing itself, its stages do.
    stage: PathBuf,
    automatic: bool,
    follower: Follower,
    standing: Standing,
}

impl Live {
    pub(crate) fn new(path: &Path) -> Self {
        let standing = Standing::planned(path);
        Self {
            path: path.to_path_buf(),
            stage: path.to_path_buf(),
            automatic: standing.task == "auto",
            follower: Follower::new(path),
            standing,
        }
    }

    /// The run itself, or the stage of an automatic run that is at work or was the last.
    pub(crate) fn stage(&self) -> &Path {
        &self.stage
    }

    /// Looks at the log, the lock and the result.
    pub(crate) fn look(&mut self) -> Result<&Standing, RunError> {
        let newest = if self.automatic { stages(&self.path).pop() } else { None };
        let changed = newest.filter(|stage| *stage != self.stage);
        if let Some(stage) = &changed {
            self.stage.clone_from(stage);
            self.follower = Follower::new(stage);
        }
        let news = self.follower.news()?;
        if news.restarted || changed.is_some() {
            self.standing = Standing { revision: self.standing.revision + 1, ..Standing::planned(&self.stage) };
        }
        for (_, event) in &news.events {
            self.standing.follow(event);
        }
        if self.automatic && self.stage != self.path {
            "auto".clone_into(&mut self.standing.task);
            self.standing.stage = self.stage.file_name().map(|name| name.to_string_lossy().into_owned());
        }
        let paused = self.standing.paused || self.automatic && requested(&self.path) == Some(Request::Pause);
        let status = match RunInfo::status_of(&self.path) {
            "running" if paused => "paused",
            status => status,
        };
        if status != self.standing.status {
            self.standing.status = status;
            self.standing.revision += 1;
        }
        Ok(&self.standing)
    }
}

impl Standing {
    /// What the configuration of a run says before its first event; nothing where it cannot be read.
    fn planned(path: &Path) -> Self {
        let text = std::fs::read_to_string(path.join("config.toml")).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        let word = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let text = |key: &str| word(table.get(key));
        // A space that is not a built-in one stands there whole.
        let space = table.get("space").map(|space| word(space.get("name").or(Some(space)))).unwrap_or_default();
        let epochs = table.get("epochs").and_then(toml::Value::as_integer).and_then(|n| n.try_into().ok());
        let (task, data) = (text("task"), text("data"));
        Self { task, data, space, epochs: epochs.unwrap_or(0), ..Self::default() }
    }

    /// Whether a network is trained, by the run itself or by its stage.
    fn is_training(&self) -> bool {
        self.stage.as_deref().unwrap_or(&self.task) == "train"
    }

    fn follow(&mut self, event: &Event) {
        // Candidate by candidate nothing but the figures changes.
        if !matches!(event, Event::Step(_) | Event::Judging { done: 1.., .. }) {
            self.revision += 1;
        }
        match event {
            Event::Started { task, data, space, epochs, steps_per_epoch, step, validation_images, .. } => {
                self.validated = *validation_images > 0;
                (self.task, self.data, self.space) = (task.clone(), data.clone(), space.clone());
                (self.epochs, self.steps) = (*epochs, (epochs * steps_per_epoch) as u64);
                self.at(*step);
                (self.paused, self.judging) = (false, None);
            }
            Event::Step(StepMetrics { step, metrics, steps_per_second, .. })
            | Event::Epoch(EpochMetrics { step, metrics, steps_per_second, .. }) => {
                self.at(*step);
                (self.train_loss, self.train_accuracy) = (Some(metrics.train_loss), Some(metrics.train_accuracy));
                (self.other_loss, self.other_accuracy) = (Some(metrics.held_out_loss), Some(metrics.held_out_accuracy));
                (self.tau, self.learning_rate) = (Some(metrics.tau), Some(metrics.learning_rate));
                self.speed = Some(*steps_per_second);
                let left = self.steps.saturating_sub(*step) as f64 / steps_per_second.max(1e-9);
                if let Event::Epoch(epoch) = event {
                    self.after_seconds = (epoch.eta_seconds - left).max(0.0);
                }
                self.eta_seconds = Some(left + self.after_seconds);
            }
            Event::TrainEpoch(epoch) => {
                self.at(epoch.step);
                (self.train_loss, self.train_accuracy) = (Some(epoch.train_loss), Some(epoch.train_accuracy));
                self.other_loss = epoch.other_loss().or(self.other_loss);
                self.other_accuracy = epoch.other_accuracy().or(self.other_accuracy);
                self.learning_rate = Some(epoch.learning_rate);
                (self.speed, self.eta_seconds) = (Some(epoch.steps_per_second), Some(epoch.eta_seconds));
            }
            Event::Judging { step, candidates, done, eta_seconds } => {
                self.at(*step);
                (self.judging, self.eta_seconds) = (Some((*done, *candidates)), Some(*eta_seconds));
            }
            Event::Judged(judgement) => {
                (self.judging, self.judged) = (None, Some(judgement.reason()));
            }
            Event::Paused { step } => {
                self.at(*step);
                self.paused = true;
            }
            Event::Interrupted { step } | Event::Continued { step } => {
                self.at(*step);
                self.paused = false;
            }
            Event::Finished { step, accuracy, .. } => {
                self.at(*step);
                // A training that chose an epoch ends on its accuracy on the test images.
                if std::mem::take(&mut self.validated) {
                    (self.other_loss, self.other_accuracy) = (None, None);
                }
                self.other_accuracy = accuracy.or(self.other_accuracy);
                (self.eta_seconds, self.judging) = (None, None);
            }
            _ => {}
        }
    }

    fn at(&mut self, step: u64) {
        self.step = step;
        let per_epoch = self.steps / self.epochs.max(1) as u64;
        let epoch = step.checked_div(per_epoch).map_or(0, |epoch| epoch as usize + 1);
        self.epoch = epoch.min(self.epochs);
    }

    /// What the run does, as text: task, space and data, as far as they are known.
    pub(crate) fn task_text(&self) -> String {
        let on: Vec<&str> = [self.space.as_str(), self.data.as_str()].into_iter().filter(|t| !t.is_empty()).collect();
        if on.is_empty() { self.task.clone() } else { format!("{} on {}", self.task, on.join(", ")) }
    }

    /// What is not the training half.
    pub(crate) fn other(&self) -> &'static str {
        match (self.is_training(), self.validated) {
            (true, true) => "validation",
            (true, false) => "test",
            (false, _) => "held-out",
        }
    }

    /// Share of the steps that is done, or of the candidates while they are judged.
    pub(crate) fn share(&self) -> f64 {
        if let Some((done, candidates)) = self.judging {
            return done as f64 / candidates.max(1) as f64;
        }
        if self.steps == 0 { 0.0 } else { (self.step as f64 / self.steps as f64).min(1.0) }
    }

    /// How far it has come: the epoch, or the candidates that are judged.
    pub(crate) fn place(&self) -> String {
        match self.judging {
            Some((done, candidates)) => format!("judging, {done} of {candidates} cells"),
            None => format!("{} of {}", self.epoch, self.epochs),
        }
    }

    /// The figures in words: key, name, value.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String, String)> {
        let dash = || "\u{2013}".to_owned();
        let number = |v: Option<f64>, digits: usize| v.map_or_else(dash, |v| format!("{v:.digits$}"));
        let share = |v: Option<f64>| v.map_or_else(dash, percent);
        let mut fields = vec![("status", "state".to_owned(), self.status.to_owned())];
        fields.extend(self.stage.clone().map(|stage| ("stage", "stage".to_owned(), stage)));
        fields.extend([
            ("epoch", "epoch".to_owned(), self.place()),
            ("step", "step".to_owned(), format!("{} of {}", self.step, self.steps)),
            ("train_loss", "training loss".to_owned(), number(self.train_loss, 3)),
            ("train_accuracy", "training accuracy".to_owned(), share(self.train_accuracy)),
            ("other_loss", format!("{} loss", self.other()), number(self.other_loss, 3)),
            ("other_accuracy", format!("{} accuracy", self.other()), share(self.other_accuracy)),
        ]);
        if !self.is_training() {
            fields.push(("tau", "tau".to_owned(), number(self.tau, 2)));
        }
        fields.push(("learning_rate", "learning rate".to_owned(), number(self.learning_rate, 5)));
        fields.push(("speed", "steps per second".to_owned(), number(self.speed, 1)));
        if matches!(self.status, "running" | "paused") {
            fields.push(("eta", "time left".to_owned(), self.eta_seconds.map_or_else(dash, duration)));
        }
        fields
    }
}

/// The runs below a directory by name; the stages of an automatic run come after it, as `photos/search`.
pub(crate) fn runs(directory: &Path) -> Vec<(String, PathBuf)> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = entry.path();
        if !is_run(&path) {
            continue;
        }
        for stage in ["search", "train"] {
            if is_run(&path.join(stage)) {
                runs.push((format!("{name}/{stage}"), path.join(stage)));
            }
        }
        runs.push((name, path));
    }
    runs.sort();
    runs
}
