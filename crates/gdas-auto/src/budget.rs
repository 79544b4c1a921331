//! Time budget of an automatic run.

use std::cell::Cell;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use gdas::Error;
use gdas::run::{Event, Observer, RunDir};

/// File of the run directory with the time used by earlier processes.
const FILE: &str = "budget.json";

/// Default budget in seconds.
pub(crate) const DEFAULT_SECONDS: f64 = 3600.0;

/// Clock of the working time of a run, summed over its processes, without pauses.
pub(crate) struct Budget {
    total: f64,
    /// Seconds used by earlier processes.
    before: f64,
    started: Instant,
    paused_seconds: Cell<f64>,
    paused_since: Cell<Option<Instant>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Used {
    used_seconds: f64,
}

impl Budget {
    /// The budget of a run of `total` seconds; the time of this process counts from `started`.
    pub(crate) fn open(run: &RunDir, total: f64, started: Instant) -> Self {
        // The file affects no result, so an unreadable one counts as zero.
        let text = std::fs::read_to_string(run.path().join(FILE)).unwrap_or_default();
        let used: Used = serde_json::from_str(&text).unwrap_or_default();
        let before = if used.used_seconds.is_finite() { used.used_seconds.max(0.0) } else { 0.0 };
        let total = if total > 0.0 { total } else { DEFAULT_SECONDS };
        Self { total, before, started, paused_seconds: Cell::new(0.0), paused_since: Cell::new(None) }
    }

    /// The whole budget in seconds.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// Seconds used so far.
    pub(crate) fn used(&self) -> f64 {
        let paused = self.paused_since.get().map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.before + self.started.elapsed().as_secs_f64() - self.paused_seconds.get() - paused
    }

    /// Seconds left, at least 0.
    pub(crate) fn left(&self) -> f64 {
        (self.total - self.used()).max(0.0)
    }

    /// Saves the time used, for a process that resumes the run.
    pub(crate) fn save(&self, run: &RunDir) -> Result<(), Error> {
        let text = serde_json::to_string(&Used { used_seconds: self.used() })
            .map_err(|error| Error::Unsuitable(format!("{FILE} cannot be written: {error}")))?;
        run.write_file(FILE, text.as_bytes())?;
        Ok(())
    }

    fn pause(&self) {
        self.paused_since.set(Some(Instant::now()));
    }

    fn go_on(&self) {
        if let Some(since) = self.paused_since.take() {
            self.paused_seconds.set(self.paused_seconds.get() + since.elapsed().as_secs_f64());
        }
    }
}

/// Observer of a stage that forwards events, excludes pauses from the budget, and saves the time used at every checkpoint.
pub(crate) struct Watched<'a> {
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) budget: &'a Budget,
    pub(crate) run: &'a RunDir,
}

impl Observer for Watched<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Paused { .. } => self.budget.pause(),
            Event::Continued { .. } => self.budget.go_on(),
            // An error is ignored, as the file affects no result; a full disk stops the stage at its own checkpoint.
            Event::Checkpoint { .. } => drop(self.budget.save(self.run)),
            _ => {}
        }
        self.observer.event(event);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_of_earlier_processes_counts_and_pauses_do_not() {
        let folder = tempfile::tempdir().expect("a directory");
        let run = RunDir::create(folder.path().join("run"), "").expect("a run");
        let started = Instant::now().checked_sub(Duration::from_secs(3)).expect("a clock that runs");
        let budget = Budget::open(&run, 10.0, started);
        assert!((3.0..4.0).contains(&budget.used()));
        budget.save(&run).expect("writable");
        let later = Budget::open(&run, 10.0, Instant::now());
        assert!((3.0..4.0).contains(&later.used()) && (6.0..7.0).contains(&later.left()));
        later.pause();
        std::thread::sleep(Duration::from_millis(60));
        later.go_on();
        assert!(later.used() < budget.used() - 0.03, "{} {}", later.used(), budget.used());
        assert_eq!(Budget::open(&run, 2.0, Instant::now()).left(), 0.0);
        std::fs::write(run.path().join(FILE), "{\"used_seconds\": -4}").expect("writable");
        assert!(Budget::open(&run, 2.0, Instant::now()).used() < 0.5);
    }
}
