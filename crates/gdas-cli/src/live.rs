//! A run as it stands, read from its directory again and again while another process works in it.

use std::path::{Path, PathBuf};

use gdas::run::{Event, Follower, RunError, RunInfo, Wish, wished};

use crate::output::{duration, percent};

/// Where a run stands. What a task does not have, or has not come to, is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// "running", "paused", "finished" or "stopped".
    pub(crate) status: &'static str,
    /// "search" or "train"; empty before the first event.
    pub(crate) task: String,
    pub(crate) data: String,
    pub(crate) space: String,
    /// The epoch at work, from one.
    pub(crate) epoch: usize,
    pub(crate) epochs: usize,
    pub(crate) step: u64,
    pub(crate) steps: u64,
    pub(crate) train_loss: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    /// Of held-out images (search) or test images (train).
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
    paused: bool,
    /// Time that is needed after the last step (judging), as of the last epoch.
    after_seconds: f64,
}

/// A run that is looked at repeatedly.
#[derive(Debug)]
pub(crate) struct Live {
    path: PathBuf,
    follower: Follower,
    standing: Standing,
}

impl Live {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), follower: Follower::new(path), standing: Standing::default() }
    }

    /// Looks at the log, the lock and the result.
    pub(crate) fn look(&mut self) -> Result<&Standing, RunError> {
        let news = self.follower.news()?;
        if news.restarted {
            self.standing = Standing { revision: self.standing.revision + 1, ..Standing::default() };
        }
        for (_, event) in &news.events {
            self.standing.follow(event);
        }
        // An automatic run logs nothing itself; its stages do.
        let silent = self.standing.task.is_empty();
        let paused = self.standing.paused || silent && wished(&self.path) == Some(Wish::Pause);
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
    fn follow(&mut self, event: &Event) {
        // Candidate by candidate nothing but the figures changes.
        if !matches!(event, Event::Step { .. } | Event::Judging { done: 1.., .. }) {
            self.revision += 1;
        }
        match event {
            Event::Started { task, data, space, epochs, steps_per_epoch, step, .. } => {
                (self.task, self.data, self.space) = (task.clone(), data.clone(), space.clone());
                (self.epochs, self.steps) = (*epochs, (epochs * steps_per_epoch) as u64);
                self.at(*step);
                (self.paused, self.judging) = (false, None);
            }
            Event::Step {
                step,
                train_loss,
                train_accuracy,
                held_out_loss,
                held_out_accuracy,
                tau,
                learning_rate,
                steps_per_second,
                ..
            }
            | Event::Epoch {
                step,
                train_loss,
                train_accuracy,
                held_out_loss,
                held_out_accuracy,
                tau,
                learning_rate,
                steps_per_second,
                ..
            } => {
                self.at(*step);
                self.figures(*train_loss, *train_accuracy, Some(*held_out_loss), Some(*held_out_accuracy));
                (self.tau, self.learning_rate) = (Some(*tau), Some(*learning_rate));
                self.speed = Some(*steps_per_second);
                let left = self.steps.saturating_sub(*step) as f64 / steps_per_second.max(1e-9);
                if let Event::Epoch { eta_seconds, .. } = event {
                    self.after_seconds = (eta_seconds - left).max(0.0);
                }
                self.eta_seconds = Some(left + self.after_seconds);
            }
            Event::TrainEpoch {
                step,
                train_loss,
                train_accuracy,
                test_loss,
                test_accuracy,
                learning_rate,
                steps_per_second,
                eta_seconds,
                ..
            } => {
                self.at(*step);
                let (loss, accuracy) = (test_loss.or(self.other_loss), test_accuracy.or(self.other_accuracy));
                self.figures(*train_loss, *train_accuracy, loss, accuracy);
                self.learning_rate = Some(*learning_rate);
                (self.speed, self.eta_seconds) = (Some(*steps_per_second), Some(*eta_seconds));
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

    fn figures(&mut self, loss: f64, accuracy: f64, other_loss: Option<f64>, other_accuracy: Option<f64>) {
        (self.train_loss, self.train_accuracy) = (Some(loss), Some(accuracy));
        (self.other_loss, self.other_accuracy) = (other_loss, other_accuracy);
    }

    /// What is not the training half.
    pub(crate) fn other(&self) -> &'static str {
        if self.task == "train" { "test" } else { "held-out" }
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
        let mut fields = vec![
            ("status", "state".to_owned(), self.status.to_owned()),
            ("epoch", "epoch".to_owned(), self.place()),
            ("step", "step".to_owned(), format!("{} of {}", self.step, self.steps)),
            ("train_loss", "training loss".to_owned(), number(self.train_loss, 3)),
            ("train_accuracy", "training accuracy".to_owned(), share(self.train_accuracy)),
            ("other_loss", format!("{} loss", self.other()), number(self.other_loss, 3)),
            ("other_accuracy", format!("{} accuracy", self.other()), share(self.other_accuracy)),
        ];
        if self.task != "train" {
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
    let is_run = |path: &Path| path.join("config.toml").is_file();
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
