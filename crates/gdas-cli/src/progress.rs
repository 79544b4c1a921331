//! What a user sees while a run goes on: a display on a terminal, lines elsewhere, JSON for machines, or nothing.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use console::Term;
use gdas::run::{AutoPart, Event, Observer};
use gdas_report::TensorBoard;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::Display;
use crate::describe::describe;
use crate::host;
use crate::output::note;
use crate::overall::Overall;
use crate::shown::{Shown, TICK};

/// Tells the user about a run, and TensorBoard, if it is to know.
pub(crate) struct Progress {
    way: Way,
    board: Option<TensorBoard>,
    /// The automatic run whose stages each get event files of their own.
    stages: Option<PathBuf>,
}

enum Way {
    /// Redraws a few lines on the terminal.
    Board(Board),
    /// Writes a line per epoch to standard error.
    Lines,
    /// Writes the lines of an automatic run.
    Overall(Overall),
    /// Writes every event to standard output as JSON.
    Json,
    /// Says only what must not be missed.
    Quiet,
    /// Hands every event to the program that called the command.
    Host,
}

/// The lines on the terminal.
struct Board {
    drawn: ProgressBar,
    shown: Arc<Mutex<Shown>>,
    /// Whether the end of a run is only that of a stage.
    automatic: bool,
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
            Way::Board(_) => Way::Board(Board::new(Shown::of_automatic_run(total, used, Instant::now()), true)),
            Way::Lines => Way::Overall(Overall::default()),
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
            Self::Board(Board::new(Shown::default(), false))
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
            Self::Board(board) => board.event(event),
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

impl Board {
    fn new(shown: Shown, automatic: bool) -> Self {
        let shown = Arc::new(Mutex::new(shown));
        let drawn = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let of = shown.clone();
        let style = ProgressStyle::with_template("{lines}").map(|style| {
            style.with_key("lines", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                // Its last column stays free: some terminals begin a new line after it.
                let width = usize::from(Term::stderr().size().1).saturating_sub(1);
                let lines = lock(&of).lines(width, Instant::now()).join("\n");
                // What cannot be drawn is left out.
                let _ = out.write_str(&lines);
            })
        });
        if let Ok(style) = style {
            drawn.set_style(style);
        }
        drawn.enable_steady_tick(TICK);
        Self { drawn, shown, automatic }
    }

    fn event(&mut self, event: &Event) {
        lock(&self.shown).follow(event, Instant::now());
        match event {
            Event::Started { .. } if self.automatic => {}
            Event::Started { .. }
            | Event::Warning { .. }
            | Event::Alarm { .. }
            | Event::EarlyStop { .. }
            | Event::Judged(_)
            | Event::Paused { .. }
            | Event::Continued { .. } => {
                if let Some(text) = describe(event) {
                    self.drawn.println(text);
                }
            }
            Event::Finished { .. } | Event::Interrupted { .. } if !self.automatic => self.drawn.finish_and_clear(),
            _ => self.drawn.tick(),
        }
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Board {
    fn drop(&mut self) {
        // An error message must not stand beside half a display.
        self.drawn.finish_and_clear();
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
