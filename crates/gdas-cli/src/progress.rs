//! What a user sees while a run goes on: a bar on a terminal, lines elsewhere, JSON for machines, or nothing.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gdas::run::{AutoPart, Event, Observer, SearchMetrics, StepMetrics};
use gdas_report::TensorBoard;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Display;
use crate::describe::{describe, measured, remarks};
use crate::host;
use crate::output::{duration, note};
use crate::overall::Overall;

/// Tells the user about a run, and TensorBoard, if it is to know.
pub(crate) struct Progress {
    way: Way,
    board: Option<TensorBoard>,
    /// The automatic run whose stages each get event files of their own.
    stages: Option<PathBuf>,
}

enum Way {
    /// Redraws one line on the terminal.
    Bar(Bar),
    /// Shows an automatic run as a whole.
    Overall(Overall),
    /// Writes a line per epoch to standard error.
    Lines,
    /// Writes every event to standard output as JSON.
    Json,
    /// Says only what must not be missed.
    Quiet,
    /// Hands every event to the program that called the command.
    Host,
}

/// The line on the terminal.
pub(crate) struct Bar {
    line: ProgressBar,
    epochs: usize,
    steps: u64,
    /// Time that is needed after the last step (judging), as of the last epoch.
    after_seconds: f64,
}

impl Progress {
    pub(crate) fn new(display: Display) -> Self {
        Self { way: Way::new(display), board: None, stages: None }
    }

    /// The same, which also writes event files into this run directory.
    pub(crate) fn with_tensorboard(mut self, run: Option<&Path>) -> Self {
        self.board = run.map(TensorBoard::new);
        self
    }

    /// For an automatic run with this many seconds, of which some are used; event files go into the directory of the stage
    /// that is at work.
    pub(crate) fn of_automatic_run(display: Display, (total, used): (f64, f64), tensorboard: Option<&Path>) -> Self {
        let way = match Way::new(display) {
            Way::Bar(_) | Way::Lines => Way::Overall(Overall::new(total, used)),
            other => other,
        };
        Self { way, board: None, stages: tensorboard.map(Path::to_path_buf) }
    }
}

impl Way {
    fn new(display: Display) -> Self {
        if host::is_set() {
            Self::Host
        } else if display.json {
            Self::Json
        } else if display.quiet {
            Self::Quiet
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{prefix} [{bar:20}] {percent:>3} % {msg}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            Self::Bar(Bar { line: bar, epochs: 0, steps: 0, after_seconds: 0.0 })
        } else {
            Self::Lines
        }
    }
}

impl Progress {
    /// Shows a warning.
    pub(crate) fn warning(&mut self, message: &str) {
        self.event(&Event::Warning { message: message.to_owned() });
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) {
        if let (Event::AutoProgress { part, .. }, Some(run)) = (event, &self.stages) {
            self.board = match part {
                AutoPart::Search => Some(TensorBoard::new(&run.join("search"))),
                AutoPart::Training => Some(TensorBoard::new(&run.join("train"))),
                AutoPart::Planning | AutoPart::Trial | AutoPart::Export => None,
            };
        }
        if let Some(Err(error)) = self.board.as_mut().map(|board| board.event(event)) {
            // The run itself is not affected.
            self.board = None;
            let message = format!("no more is written for TensorBoard: {error}");
            self.way.event(&Event::Warning { message });
        }
        self.way.event(event);
    }
}

impl Way {
    fn event(&mut self, event: &Event) {
        match self {
            Self::Bar(bar) => bar.event(event),
            Self::Overall(overall) => overall.event(event),
            Self::Lines => {
                if let Some(text) = describe(event) {
                    note(text);
                }
            }
            Self::Json => {
                // A reader who has gone away is no reason to stop a search that may run for days.
                if let Ok(text) = serde_json::to_string(event) {
                    let _ = writeln!(io::stdout().lock(), "{text}");
                }
            }
            Self::Quiet => {}
            Self::Host => host::event(event),
        }
        if let (Event::Warning { message } | Event::Alarm { message, .. }, Self::Json | Self::Quiet) = (event, &*self) {
            note(format_args!("warning: {message}"));
        }
    }
}

impl Bar {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Started { epochs, steps_per_epoch, step, .. } => {
                self.epochs = *epochs;
                self.steps = (epochs * steps_per_epoch) as u64;
                self.line.set_length(self.steps);
                self.line.set_position(*step);
                if let Some(text) = describe(event) {
                    self.line.println(text);
                }
            }
            Event::Step(StepMetrics { epoch, step, metrics, steps_per_second, .. }) => {
                self.line.set_prefix(format!("epoch {}/{}", epoch + 1, self.epochs));
                self.line.set_position(*step);
                let left = self.steps.saturating_sub(*step) as f64 / steps_per_second + self.after_seconds;
                self.line.set_message(format!(
                    "{}{steps_per_second:.1} steps/s, {} left",
                    searched(metrics),
                    duration(left),
                ));
            }
            Event::Epoch(epoch) => {
                let steps_left = self.steps.saturating_sub(epoch.step) as f64 / epoch.steps_per_second;
                self.after_seconds = (epoch.eta_seconds - steps_left).max(0.0);
                self.line.set_prefix(format!("epoch {}/{}", epoch.epoch + 1, self.epochs));
                self.line.set_position(epoch.step);
                self.line.set_message(format!(
                    "{}{}{:.1} steps/s, {} left",
                    searched(&epoch.metrics),
                    remarks(epoch, ", "),
                    epoch.steps_per_second,
                    duration(epoch.eta_seconds),
                ));
            }
            Event::TrainEpoch(epoch) => {
                self.line.set_prefix(format!("epoch {}/{}", epoch.epoch + 1, self.epochs));
                self.line.set_position(epoch.step);
                self.line.set_message(format!(
                    "loss {:.3}, {}{:.1} steps/s, {} left",
                    epoch.train_loss,
                    measured(epoch, 1, ", "),
                    epoch.steps_per_second,
                    duration(epoch.eta_seconds)
                ));
            }
            Event::Judging { candidates, done, eta_seconds, .. } => {
                self.line.set_prefix("judging");
                self.line.set_length(*candidates as u64);
                self.line.set_position(*done as u64);
                self.line.set_message(format!("{done} of {candidates} cells, {} left", duration(*eta_seconds)));
            }
            Event::Warning { .. }
            | Event::Alarm { .. }
            | Event::EarlyStop { .. }
            | Event::Judged(_)
            | Event::Paused { .. }
            | Event::Continued { .. } => {
                if let Some(text) = describe(event) {
                    self.line.println(text);
                }
            }
            Event::Finished { .. } | Event::Interrupted { .. } => self.line.finish_and_clear(),
            _ => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // An error message must not stand beside half a bar.
        self.line.finish_and_clear();
    }
}

/// How far a list of things has come: a bar on a terminal, a line after every tenth elsewhere.
pub(crate) struct Count {
    bar: Option<ProgressBar>,
    all: usize,
    what: &'static str,
    quiet: bool,
}

impl Count {
    /// So many of `what`, of which some are done.
    pub(crate) fn new(what: &'static str, all: usize, done: usize, quiet: bool) -> Self {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(all as u64).with_position(done as u64);
            let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {msg}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.with_message(what)
        });
        Self { bar, all, what, quiet }
    }

    /// So many are done.
    pub(crate) fn at(&self, done: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if !self.quiet && done.is_multiple_of(self.all.div_ceil(10).max(1)) => {
                note(format_args!("{done} of {} {}", self.all, self.what));
            }
            None => {}
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A search in a few words, as a bar shows them.
fn searched(metrics: &SearchMetrics) -> String {
    let SearchMetrics { train_loss, held_out_accuracy, tau, .. } = metrics;
    format!("loss {train_loss:.3}, held-out {:.1} %, tau {tau:.2}, ", held_out_accuracy * 100.0)
}
