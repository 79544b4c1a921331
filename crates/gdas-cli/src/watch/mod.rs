//! A run in the terminal: what `gdas watch` does.

mod draw;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use gdas::run::{Interrupt, Request, RunError, ask};
use gdas_report::{RunData, TerminalStyle};
use ratatui::crossterm::event::{self, Event as Key, KeyCode, KeyEventKind, KeyModifiers};

use crate::live::{Live, Standing};
use crate::{output, show};

/// Time between two looks at the files, and the longest that a key waits.
const POLL: Duration = Duration::from_millis(500);

/// What is shown.
#[derive(Debug)]
pub(crate) struct View {
    run: PathBuf,
    live: Live,
    standing: Standing,
    data: Option<RunData>,
    /// What a key did.
    message: String,
    /// Whether the terminal can show more than ASCII.
    unicode: bool,
}

/// How much each operation of an edge is liked: its name and its probability.
struct Preference {
    edge: String,
    operations: Vec<(String, f64)>,
}

impl View {
    pub(crate) fn new(run: PathBuf) -> Self {
        let live = Live::new(&run);
        Self { run, live, standing: Standing::default(), data: None, message: String::new(), unicode: show::unicode() }
    }

    /// Reads what is new.
    pub(crate) fn look(&mut self) -> Result<(), RunError> {
        let (before, status) = (self.standing.revision, self.standing.status);
        self.standing = self.live.look()?.clone();
        if self.standing.status != status {
            // What a key asked for has happened, or never will.
            self.message.clear();
        }
        if self.data.is_none() || self.standing.revision != before {
            self.data = Some(RunData::read(self.live.stage())?);
        }
        Ok(())
    }

    fn name(&self) -> String {
        let name = self.run.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.standing.stage.as_ref().map_or_else(|| name.clone(), |stage| format!("{name}/{stage}"))
    }

    /// Per alpha table its name and its edges, as of the last epoch.
    fn preferences(&self) -> Vec<(String, Vec<Preference>)> {
        let Some(data) = &self.data else { return vec![] };
        let Some(last) = data.epochs.last() else { return vec![] };
        let tables = last.alphas().iter().enumerate().map(|(t, table)| {
            let names = data.operation_names(t);
            let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| format!("operation {k}"));
            let edges = table.probabilities().enumerate().map(|(e, probabilities)| Preference {
                edge: data.edge_name(t, e).trim_start_matches("state ").to_owned(),
                operations: probabilities.into_iter().enumerate().map(|(k, p)| (name(k), p)).collect(),
            });
            (table.name.clone(), edges.collect())
        });
        tables.collect()
    }

    /// What goes wrong with the search, in sentences.
    fn alarms(&self) -> Vec<&str> {
        self.data.iter().flat_map(|data| &data.alarms).map(|(_, message)| message.as_str()).collect()
    }

    /// The cells of the last epoch as text.
    fn cells(&self, style: TerminalStyle) -> String {
        let genotype = self.data.as_ref().and_then(RunData::genotype);
        genotype.and_then(|genotype| show::drawing_in(&genotype, style).ok()).unwrap_or_default()
    }

    /// Does what a key asks for; false ends the watching.
    fn press(&mut self, key: KeyCode) -> bool {
        let request = match (key, self.standing.status) {
            (KeyCode::Char('q') | KeyCode::Esc, _) => return false,
            (KeyCode::Char('p'), "paused") => Request::Continue,
            (KeyCode::Char('p'), _) => Request::Pause,
            (KeyCode::Char('s'), _) => Request::Stop,
            _ => return true,
        };
        self.message = match ask(&self.run, request).or_else(|_| ask(self.live.stage(), request)) {
            Ok(()) => format!("asked to {}", request.word()),
            Err(error) => error.to_string(),
        };
        true
    }
}

impl Preference {
    /// The operation that is liked best.
    fn best(&self) -> (&str, f64) {
        let best = self.operations.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(("", 0.0), |(name, p)| (name, *p))
    }
}

/// Shows the run until the user has seen enough.
pub(crate) fn interact(view: &mut View, interrupt: &Interrupt) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let outcome = (|| {
        while !interrupt.is_requested() {
            terminal.draw(|frame| draw::draw(frame, view))?;
            if event::poll(POLL)?
                && let Key::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if ctrl_c || !view.press(key.code) {
                    break;
                }
            }
            view.look()?;
        }
        Ok(())
    })();
    ratatui::try_restore()?;
    outcome
}

/// Where the run stands, as text.
pub(crate) fn text(view: &View) -> String {
    let standing = &view.standing;
    let mut rows = vec![vec!["run".to_owned(), view.name()]];
    if !standing.task.is_empty() {
        rows.push(vec!["task".to_owned(), standing.task_text()]);
    }
    rows.extend(standing.fields().into_iter().map(|(_, name, value)| vec![name, value]));
    let mut out = output::table(&rows) + "\n";
    for alarm in view.alarms() {
        let _ = write!(out, "\nalarm: {alarm}\n");
    }
    if let Some(reason) = &standing.judged {
        let _ = write!(out, "\n{reason}\n");
    }
    for (name, edges) in view.preferences() {
        let mut rows = vec![vec![format!("edges of the {name}"), "likeliest operation".to_owned(), String::new()]];
        if name == "cell" {
            "edge".clone_into(&mut rows[0][0]);
        }
        for edge in &edges {
            let (best, p) = edge.best();
            rows.push(vec![edge.edge.clone(), best.to_owned(), output::percent(p)]);
        }
        let _ = write!(out, "\n{}\n", output::table(&rows));
    }
    let cells = view.cells(TerminalStyle { ascii: !view.unicode, colour: false, width: 100 });
    if !cells.is_empty() {
        let _ = write!(out, "\n{cells}\n");
    }
    out
}

#[cfg(test)]
mod tests;
