use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::RunError;

/// Takes the exclusive lock of a run directory for as long as the returned file lives.
///
/// The operating system drops the lock when the process ends, however it ends, so there is no stale lock to clear.
pub(super) fn acquire(directory: &Path) -> Result<File, RunError> {
    let path = directory.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(RunError::io("open", &path))?;
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // Somebody may only be looking, as `holder_of` does, and be gone in a moment.
            Err(TryLockError::WouldBlock) if tries < 5 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Locked { path: directory.to_path_buf(), holder: holder(&path) });
            }
            Err(TryLockError::Error(error)) => return Err(RunError::io("lock", &path)(error)),
        }
    }
    // Who holds it is a courtesy to the next one: a full disk must not keep a run from starting because of it.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "process {} on {}", std::process::id(), host()));
    Ok(file)
}

/// Whether some process holds the lock of this directory; the holder's own words if so.
pub(super) fn holder_of(directory: &Path) -> Option<String> {
    let path = directory.join("lock");
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&path)),
        _ => None,
    }
}

fn holder(path: &Path) -> String {
    let read = || fs::read_to_string(path).ok()?.lines().next().map(|line| line.trim().to_string());
    // Between taking the lock and writing its name, a holder is nameless for a moment.
    for _ in 0..10 {
        match read() {
            Some(name) if !name.is_empty() => return name,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    "another process".to_string()
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this host".to_string())
}
