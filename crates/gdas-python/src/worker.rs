//! Work on a thread of its own, without the interpreter's lock, while the calling thread watches for Ctrl-C.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use gdas::run::Interrupt;
use pyo3::prelude::*;

use crate::failed;

/// How long Ctrl-C waits at most.
const POLL: Duration = Duration::from_millis(50);

/// The worker's end: it says something and waits until the calling thread has dealt with it.
pub(crate) struct Teller<T> {
    messages: SyncSender<T>,
    done: std::sync::Arc<std::sync::Mutex<Receiver<()>>>,
}

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), done: self.done.clone() }
    }
}

impl<T> Teller<T> {
    /// Says something. Nobody listens any more once the caller has failed; the work still ends in good order.
    pub(crate) fn tell(&self, message: T) {
        let Ok(done) = self.done.lock() else { return };
        if self.messages.send(message).is_ok() {
            let _ = done.recv();
        }
    }
}

/// Does `work` on another thread and passes what it says to `heard` on this one. The first exception, of Ctrl-C or of
/// `heard`, asks the work to stop, and is raised when it has.
pub(crate) fn watched<T: Send, R: Send>(
    py: Python,
    interrupt: &Interrupt,
    mut heard: impl FnMut(Python, T) -> PyResult<()>,
    work: impl FnOnce(Teller<T>) -> R + Send,
) -> PyResult<R> {
    std::thread::scope(|scope| {
        let (messages, inbox) = sync_channel(1);
        let (dealt_with, done) = sync_channel(1);
        let teller = Teller { messages, done: std::sync::Arc::new(std::sync::Mutex::new(done)) };
        let worker = scope.spawn(move || work(teller));
        let mut failure = None;
        let inbox = std::sync::Mutex::new(inbox);
        loop {
            let received = py.detach(|| match inbox.lock() {
                Ok(inbox) => inbox.recv_timeout(POLL),
                Err(_) => Err(RecvTimeoutError::Disconnected),
            });
            let ended = matches!(received, Err(RecvTimeoutError::Disconnected));
            let step = received.map_or(Ok(()), |message| heard(py, message));
            if let Err(error) = step.and_then(|()| py.check_signals()) {
                interrupt.request();
                failure = Some(error);
                break;
            }
            let _ = dealt_with.try_send(());
            if ended {
                break;
            }
        }
        // The worker must not wait for answers that do not come.
        drop((inbox, dealt_with));
        let outcome = py.detach(|| worker.join());
        match (failure, outcome) {
            (Some(failure), _) => Err(failure),
            (None, Ok(outcome)) => Ok(outcome),
            (None, Err(_)) => Err(failed("the work ended in a panic; please report it")),
        }
    })
}
