//! A run as it stands, read from its directory again and again while another process works in it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gdas::run::{
    EpochMetrics, Event, Follower, News, Request, RunError, RunInfo, StepMetrics, is_run, requested, stage_at, stages,
};

use crate::output::{duration, percent};

/// Where a run stands. What a task does not have, or has not come to, is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// "running", "paused", "finished" or "stopped".
    pub(crate) status: &'static str,
    /// "search", "train", "import" or "auto".
    pub(crate) task: String,
    /// Of an automatic run: its stage at work, or the last one, as in `search` or `tried/1-2`. What follows is that stage's.
    pub(crate) stage: Option<String>,
    /// Of an automatic run: where the whole stands.
    pub(crate) whole: Option<Whole>,
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

/// Where an automatic run stands as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Whole {
    /// What it does, in words.
    pub(crate) doing: String,
    /// Highest validation accuracy of the networks tried so far.
    pub(crate) best_accuracy: Option<f64>,
    /// Seconds of the whole, and those that are left.
    total: f64,
    left: f64,
}

/// A run that is looked at repeatedly.
#[derive(Debug)]
pub(crate) struct Live {
    path: PathBuf,
    /// The directory whose steps are read: those of an automatic run are its stages'.
    stage: PathBuf,
    /// Of an automatic run: its own log, which says what it does.
    plan: Option<Plan>,
    follower: Follower,
    standing: Standing,
}

/// The log of an automatic run.
#[derive(Debug)]
struct Plan {
    follower: Follower,
    /// As of the last event, with the run that it names.
    whole: Option<(Whole, Option<String>)>,
    /// Until when pauses are taken off: the time of the last event, later by what was paused since.
    since: f64,
    paused: Option<f64>,
}

impl Plan {
    fn new(path: &Path) -> Self {
        Self { follower: Follower::new(path), whole: None, since: 0.0, paused: None }
    }

    /// Reads the log on; whether there was anything new.
    fn look(&mut self) -> Result<bool, RunError> {
        let News { restarted, events } = self.follower.news()?;
        if restarted {
            self.whole = None;
        }
        let mut news = restarted;
        for (time, event) in events {
            let Event::AutoProgress { doing, run, best_accuracy, used_seconds, left_seconds, .. } = event else {
                continue;
            };
            let (total, left) = (used_seconds + left_seconds, left_seconds);
            self.whole = Some((Whole { doing, best_accuracy, total, left }, run));
            (self.since, self.paused, news) = (time, None, true);
        }
        Ok(news)
    }

    /// Pauses of the stage do not count.
    fn follow(&mut self, time: f64, event: &Event) {
        match event {
            Event::Paused { .. } => self.paused = Some(time.max(self.since)),
            _ => self.since += self.paused.take().map_or(0.0, |paused| (time - paused).max(0.0)),
        }
    }

    /// Where the whole stands at this time, as long as it is at work.
    fn at(&self, now: Option<f64>) -> Option<Whole> {
        let (whole, _) = self.whole.as_ref()?;
        let gone = now.map_or(0.0, |now| (self.paused.unwrap_or(now) - self.since).max(0.0));
        Some(Whole { left: (whole.left - gone).max(0.0), ..whole.clone() })
    }
}

impl Live {
    pub(crate) fn new(path: &Path) -> Self {
        let standing = Standing::planned(path);
        Self {
            path: path.to_path_buf(),
            stage: path.to_path_buf(),
            plan: (standing.task == "auto").then(|| Plan::new(path)),
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
        let planned = self.plan.as_mut().map_or(Ok(false), Plan::look)?;
        let changed = self.newest().filter(|stage| *stage != self.stage);
        if let Some(stage) = &changed {
            self.stage.clone_from(stage);
            self.follower = Follower::new(stage);
        }
        let news = self.follower.news()?;
        if news.restarted || changed.is_some() {
            self.standing = Standing { revision: self.standing.revision + 1, ..Standing::planned(&self.stage) };
        }
        for (time, event) in &news.events {
            self.standing.follow(event);
            if let Some(plan) = &mut self.plan {
                plan.follow(*time, event);
            }
        }
        self.standing.revision += u64::from(planned);
        if self.plan.is_some() && self.stage != self.path {
            "auto".clone_into(&mut self.standing.task);
            let name = self.stage.strip_prefix(&self.path).unwrap_or(&self.stage);
            self.standing.stage = Some(name.to_string_lossy().into_owned());
        }
        let paused = self.standing.paused || self.plan.is_some() && requested(&self.path) == Some(Request::Pause);
        let status = match RunInfo::status_of(&self.path) {
            "running" if paused => "paused",
            status => status,
        };
        if status != self.standing.status {
            self.standing.status = status;
            self.standing.revision += 1;
        }
        let now = matches!(status, "running" | "paused")
            .then(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()));
        self.standing.whole = self.plan.as_ref().and_then(|plan| plan.at(now));
        Ok(&self.standing)
    }

    /// The stage that an automatic run says it works in; of one of an early build, or before it says so, the last that there is.
    fn newest(&self) -> Option<PathBuf> {
        let said = self.plan.as_ref()?.whole.as_ref().and_then(|(_, run)| run.as_deref());
        said.map_or_else(|| stages(&self.path).pop(), |run| stage_at(&self.path, run))
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
        self.stage.as_deref().map_or(self.task == "train", |stage| stage != "search")
    }

    fn follow(&mut self, event: &Event) {
        // Candidate by candidate nothing but the figures changes.
        if !matches!(event, Event::Step(_) | Event::TrainStep(_) | Event::Judging { done: 1.., .. }) {
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
                match event {
                    Event::Epoch(epoch) => self.after_seconds = (epoch.eta_seconds - left).max(0.0),
                    Event::Step(step) => self.after_seconds = self.after_seconds.max(step.after_seconds),
                    _ => {}
                }
                self.eta_seconds = Some(left + self.after_seconds);
            }
            Event::TrainStep(step) => {
                self.at(step.step);
                (self.train_loss, self.train_accuracy) = (Some(step.train_loss), Some(step.train_accuracy));
                self.learning_rate = Some(step.learning_rate);
                (self.speed, self.eta_seconds) = (Some(step.steps_per_second), Some(step.eta_seconds));
            }
            Event::TrainEpoch(epoch) => {
                // An automatic run plans anew while it trains.
                self.steps = self.steps / self.epochs.max(1) as u64 * epoch.epochs as u64;
                self.epochs = epoch.epochs;
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

    /// Whether somebody works in the run, or will go on.
    fn is_at_work(&self) -> bool {
        matches!(self.status, "running" | "paused")
    }

    /// Share of the steps that is done, or of the candidates while they are judged; of an automatic run, of its time.
    pub(crate) fn share(&self) -> f64 {
        if let Some(whole) = &self.whole {
            let used = 1.0 - whole.left / whole.total.max(1e-9);
            return if self.status == "finished" { 1.0 } else { used.clamp(0.0, 1.0) };
        }
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
        let left = |seconds: Option<f64>| ("eta", "time left".to_owned(), seconds.map_or_else(dash, duration));
        let whole = self.whole.as_ref().filter(|_| self.is_at_work());
        if let Some(whole) = whole {
            fields.push(("doing", "now".to_owned(), whole.doing.clone()));
            fields.push(("best", "best so far (validation)".to_owned(), share(whole.best_accuracy)));
            fields.push(left(Some(whole.left)));
        }
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
        if self.is_at_work() && whole.is_none() {
            fields.push(left(self.eta_seconds));
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
