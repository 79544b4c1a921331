use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::control::{self, Wish};
use super::{Event, RunError};

/// How often a wish written into a run directory is looked for.
const POLL: Duration = Duration::from_millis(200);

/// A wish to stop or to pause, read at every step boundary of search, training and evaluation.
///
/// The library only reads it. Who wants signals to set it registers [`flag`](Self::flag) with them, as the `gdas`
/// program does for SIGINT, SIGTERM and SIGUSR1. Other processes write their wish into the run directory with
/// [`ask`](super::ask).
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
    /// What the run directories that are watched ask for, as [`Wish`]es.
    directories: Vec<Arc<AtomicUsize>>,
}

impl Interrupt {
    /// Asks for a stop from within the program.
    pub fn request(&self) {
        self.signal.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether somebody asked for a stop.
    pub fn is_requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0 || self.is_wished(Wish::Stop)
    }

    /// Whether somebody asked for a pause.
    pub fn is_paused(&self) -> bool {
        self.is_wished(Wish::Pause)
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

    /// This interrupt, which also heeds what is written into the run at `directory`, for as long as it lives.
    ///
    /// # Errors
    /// The system gives no thread to look with.
    pub fn heeding(&self, directory: &Path) -> Result<Self, RunError> {
        let wish = Arc::new(AtomicUsize::new(0));
        let (watched, path) = (Arc::downgrade(&wish), directory.to_path_buf());
        let watch = move || {
            while let Some(wish) = watched.upgrade() {
                wish.store(control::wished(&path).map_or(0, |wish| wish as usize), Ordering::Relaxed);
                drop(wish);
                thread::sleep(POLL);
            }
        };
        thread::Builder::new().name("control".into()).spawn(watch).map_err(RunError::io("watch", directory))?;
        let mut heeding = self.clone();
        heeding.directories.push(wish);
        Ok(heeding)
    }

    /// Waits while a pause is asked for, and returns how long that was. What happens is told, with the step done last;
    /// everything must be durable by now. A stop ends the pause, too.
    pub(crate) fn wait<E>(&self, step: u64, mut tell: impl FnMut(Event) -> Result<(), E>) -> Result<Duration, E> {
        let start = Instant::now();
        tell(Event::Paused { step })?;
        while self.is_paused() && !self.is_requested() {
            thread::sleep(POLL / 4);
        }
        if !self.is_requested() {
            tell(Event::Continued { step })?;
        }
        Ok(start.elapsed())
    }

    fn is_wished(&self, wish: Wish) -> bool {
        self.directories.iter().any(|directory| directory.load(Ordering::Relaxed) == wish as usize)
    }
}
