use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A wish to stop, read at every step boundary of search, training and evaluation.
///
/// The library only reads it. Who wants signals to set it registers [`flag`](Self::flag) with them, as the `gdas`
/// program does for SIGINT, SIGTERM and SIGUSR1.
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
}

impl Interrupt {
    /// Asks for a stop from within the program.
    pub fn request(&self) {
        self.signal.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether somebody asked for a stop.
    pub fn is_requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
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
}
