use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::control::{self, Request};
use super::{Event, RunError};

/// Polling interval for requests in a run directory.
const POLL: Duration = Duration::from_millis(200);

/// A request to stop or to pause, polled at every step of search, training and evaluation.
///
/// The library installs no signal handlers. A program can register [`flag`](Self::flag) for signals, as `gdas` does for
/// SIGINT, SIGTERM and SIGUSR1. Other processes write a request to the run directory with [`ask`](super::ask).
///
/// ```
/// let interrupt = gdas::run::Interrupt::default();
/// assert!(!interrupt.is_requested());
/// interrupt.request();
/// assert!(interrupt.is_requested());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    /// The pending [`Request`] of each watched run directory.
    directories: Vec<Arc<AtomicUsize>>,
}

impl Interrupt {
    /// Requests a stop from within the program.
    pub fn request(&self) {
        self.signal.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether a stop is requested.
    pub fn is_requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0 || self.is_asked_for(Request::Stop)
    }

    /// Whether a pause is requested.
    pub fn is_paused(&self) -> bool {
        self.is_asked_for(Request::Pause)
    }

    /// Number of the signal that requested the stop, if it was a signal.
    pub fn signal(&self) -> Option<usize> {
        match self.signal.load(Ordering::Relaxed) {
            0 | usize::MAX => None,
            signal => Some(signal),
        }
    }

    /// The flag, to which a signal handler stores the signal's number; zero without a request.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// This interrupt, extended by the requests written to the run at `directory`.
    ///
    /// # Errors
    /// If the polling thread cannot be started.
    pub fn watching(&self, directory: &Path) -> Result<Self, RunError> {
        let request = Arc::new(AtomicUsize::new(0));
        let (watched, path) = (Arc::downgrade(&request), directory.to_path_buf());
        let watch = move || {
            while let Some(request) = watched.upgrade() {
                request.store(control::requested(&path).map_or(0, |request| request as usize), Ordering::Relaxed);
                drop(request);
                thread::sleep(POLL);
            }
        };
        thread::Builder::new().name("control".into()).spawn(watch).map_err(RunError::io("watch", directory))?;
        let mut watching = self.clone();
        watching.directories.push(request);
        Ok(watching)
    }

    /// Blocks while a pause is requested, and returns the duration. Reports the pause and its end with the last completed step
    /// `step`. To be called after saving. A stop request also ends the pause.
    pub(crate) fn wait<E>(&self, step: u64, mut report: impl FnMut(Event) -> Result<(), E>) -> Result<Duration, E> {
        let start = Instant::now();
        report(Event::Paused { step })?;
        while self.is_paused() && !self.is_requested() {
            thread::sleep(POLL / 4);
        }
        if !self.is_requested() {
            report(Event::Continued { step })?;
        }
        Ok(start.elapsed())
    }

    fn is_asked_for(&self, request: Request) -> bool {
        self.directories.iter().any(|directory| directory.load(Ordering::Relaxed) == request as usize)
    }
}
