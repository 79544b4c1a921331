//! Wishes that other processes write into a run directory.

use std::fs;
use std::io;
use std::path::Path;

use super::{RunError, lock};
use crate::files;

/// The file that holds the wish: one word.
const CONTROL: &str = "control";

/// What another process can ask of the one that works in a run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Save, end with the outcome "interrupted": as on a signal.
    Stop = 1,
    /// Save and wait, at the next step boundary.
    Pause = 2,
    /// Go on after a pause.
    Continue = 3,
}

impl Wish {
    /// The word that stands for it, in files and addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Continue => "continue",
        }
    }
}

/// Asks the process that works in the run at `path` for something. It heeds that within a fraction of a second and
/// the step it is in.
///
/// # Errors
/// Nobody works there, or the wish cannot be written.
pub fn ask(path: &Path, wish: Wish) -> Result<(), RunError> {
    if lock::holder_of(path).is_none() {
        return Err(RunError::Idle(path.to_path_buf()));
    }
    if wish == Wish::Continue {
        return forget(path);
    }
    let file = path.join(CONTROL);
    files::replace(&file, |out| out.write_all(wish.word().as_bytes())).map_err(RunError::io("write", &file))
}

/// The wish that stands in the run at `path`; what is no wish is none.
pub fn wished(path: &Path) -> Option<Wish> {
    // A few bytes of a file that somebody may have made large.
    let mut start = [0; 16];
    let mut file = fs::File::open(path.join(CONTROL)).ok()?;
    let length = io::Read::read(&mut file, &mut start).ok()?;
    match start[..length].trim_ascii() {
        b"stop" => Some(Wish::Stop),
        b"pause" => Some(Wish::Pause),
        _ => None,
    }
}

/// Removes a wish: it was meant for a process that is gone, or it is taken back.
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
    fn wishes_reach_the_process_at_work_and_no_later_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("run");
        let run = RunDir::create(&path, "task = \"search\"\n").expect("a run");
        let signals = Interrupt::default();
        let interrupt = signals.heeding(&path).expect("a thread");
        assert!(!interrupt.is_paused() && !interrupt.is_requested());

        ask(&path, Wish::Pause).expect("writable");
        assert!(until(|| interrupt.is_paused()) && !interrupt.is_requested());
        ask(&path, Wish::Continue).expect("writable");
        assert!(until(|| !interrupt.is_paused()));
        ask(&path, Wish::Stop).expect("writable");
        assert!(until(|| interrupt.is_requested()));
        assert!(!signals.is_requested(), "another run of this process goes on");

        drop(run);
        assert!(matches!(ask(&path, Wish::Stop), Err(RunError::Idle(_))));
        let run = RunDir::open(&path).expect("a run");
        assert_eq!(wished(run.path()), None, "the wish was meant for the process before");
    }

    #[test]
    fn what_is_no_wish_is_none() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for text in ["", "stop it", "continue", "\u{0}", &"stop".repeat(9)] {
            fs::write(dir.path().join(CONTROL), text).expect("writable");
            assert_eq!(wished(dir.path()), None, "{text}");
        }
        fs::write(dir.path().join(CONTROL), "pause\n").expect("writable");
        assert_eq!(wished(dir.path()), Some(Wish::Pause));
    }
}
