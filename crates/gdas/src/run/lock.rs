use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::RunError;

/// Acquires the exclusive lock of a run directory, which is held until the returned file is dropped.
///
/// The operating system releases the lock when the process ends, so there are no stale locks.
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
            // `holder_of` of another process may hold the lock for a moment.
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
    // The holder's name is optional: an error, as on a full disk, must not prevent the run.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "process {} on {}", std::process::id(), host()));
    Ok(file)
}

/// Process and host of the holder of the directory's lock; `None` if it is free.
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
    // Retried, as the holder writes its name shortly after acquiring the lock.
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
