use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::control::{self, Request};
use super::{Event, RunError};

/// Polling interval for requests in a run directory.
const POLL: Duration = Duration::from_millis(200);

/// A request to stop or to pause, read at every step boundary of search, training and evaluation.
///
/// The library only reads it. To have signals set it, register [`flag`](Self::flag) with them, as the `gdas` program does
/// for SIGINT, SIGTERM and SIGUSR1. Other processes write a request into the run directory with [`ask`](super::ask).
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

    /// The number of the signal that asked, if a signal did.
    pub fn signal(&self) -> Option<usize> {
        match self.signal.load(Ordering::Relaxed) {
            0 | usize::MAX => None,
            signal => Some(signal),
        }
    }

    /// The flag itself; a signal handler stores its signal's number here. Zero means nobody asked.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// This interrupt, extended by the requests that are written into the run at `directory`, for as long as it lives.
    ///
    /// # Errors
    /// The polling thread cannot be started.
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

    /// Waits while a pause is requested, and returns how long it waited. Reports the pause and its end with the last
    /// completed step `step`. Call it after everything is saved. A stop request also ends the pause.
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
