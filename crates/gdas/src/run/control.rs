//! Requests (pause, continue, stop) by other processes, as a file in the run directory.

use std::fs;
use std::io;
use std::path::Path;

use super::{RunError, lock};
use crate::files;

/// File with the request, one word.
const CONTROL: &str = "control";

/// Request to the process that works in a run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Save a checkpoint and end as interrupted, as on a signal.
    Stop = 1,
    /// Save a checkpoint and wait, at the next step boundary.
    Pause = 2,
    /// Continue after a pause.
    Continue = 3,
}

impl Request {
    /// The word in the control file and in URLs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Continue => "continue",
        }
    }
}

/// Sends a request to the process that works in the run at `path`. The process polls for requests five times a second
/// and acts on them after the current step.
///
/// # Errors
/// If no process works in the directory, or the request cannot be written.
pub fn ask(path: &Path, request: Request) -> Result<(), RunError> {
    if lock::holder_of(path).is_none() {
        return Err(RunError::Idle(path.to_path_buf()));
    }
    if request == Request::Continue {
        return forget(path);
    }
    let file = path.join(CONTROL);
    files::replace(&file, |out| out.write_all(request.word().as_bytes())).map_err(RunError::io("write", &file))
}

/// The pending request in the run at `path`; `None` if there is none or the file is invalid.
pub fn requested(path: &Path) -> Option<Request> {
    // Only a few bytes are read, as the file may be large.
    let mut start = [0; 16];
    let mut file = fs::File::open(path.join(CONTROL)).ok()?;
    let length = io::Read::read(&mut file, &mut start).ok()?;
    match start[..length].trim_ascii() {
        b"stop" => Some(Request::Stop),
        b"pause" => Some(Request::Pause),
        _ => None,
    }
}

/// Removes a request that was withdrawn or meant for an earlier process.
pub(super) fn forget(path: &Path) -> Result<(), RunError> {
    let file = path.join(CONTROL);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RunError::io("remove", &file)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Interrupt, RunDir};

    fn until(what: impl Fn() -> bool) -> bool {
        (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(25));
            what()
        })
    }

    #[test]
    fn requests_reach_the_process_at_work_and_no_later_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("run");
        let run = RunDir::create(&path, "task = \"search\"\n").expect("a run");
        let signals = Interrupt::default();
        let interrupt = signals.watching(&path).expect("a thread");
        assert!(!interrupt.is_paused() && !interrupt.is_requested());

        ask(&path, Request::Pause).expect("writable");
        assert!(until(|| interrupt.is_paused()) && !interrupt.is_requested());
        ask(&path, Request::Continue).expect("writable");
        assert!(until(|| !interrupt.is_paused()));
        ask(&path, Request::Stop).expect("writable");
        assert!(until(|| interrupt.is_requested()));
        assert!(!signals.is_requested(), "another run of this process goes on");

        drop(run);
        assert!(matches!(ask(&path, Request::Stop), Err(RunError::Idle(_))));
        let run = RunDir::open(&path).expect("a run");
        assert_eq!(requested(run.path()), None, "the request was meant for the process before");
    }

    #[test]
    fn other_words_are_no_request() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for text in ["", "stop it", "continue", "\u{0}", &"stop".repeat(9)] {
            fs::write(dir.path().join(CONTROL), text).expect("writable");
            assert_eq!(requested(dir.path()), None, "{text}");
        }
        fs::write(dir.path().join(CONTROL), "pause\n").expect("writable");
        assert_eq!(requested(dir.path()), Some(Request::Pause));
    }
}
