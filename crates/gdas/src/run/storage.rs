use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{RunError, phase};

/// The bytes handed to the system in one call; small enough that a long file is many chances to fail in a test.
const CHUNK: usize = 1 << 16;

/// One thing that [`Storage`] is about to do to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create or open a file for writing.
    Create,
    /// Write some bytes.
    Write,
    /// Make a file durable.
    Sync,
    /// Rename a file over another.
    Rename,
    /// Make a directory entry durable.
    SyncDir,
}

type Fault = dyn Fn(Operation, &Path) -> io::Result<()> + Send + Sync;

/// Every write of a run goes through here, so that tests can make any of them fail.
#[derive(Clone, Default)]
pub struct Storage {
    fault: Option<Arc<Fault>>,
}

impl Storage {
    /// The real disk.
    pub fn disk() -> Self {
        Self::default()
    }

    /// The real disk, with `fault` asked before every operation; its error is what the operation then returns.
    pub fn with_fault(fault: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { fault: Some(Arc::new(fault)) }
    }

    /// The real disk until operation `n` (from 0), which fails, as do all after it, as on a full disk.
    pub fn full_after(n: usize) -> Self {
        let count = AtomicUsize::new(0);
        Self::with_fault(move |_, _| {
            if count.fetch_add(1, Ordering::Relaxed) < n {
                Ok(())
            } else {
                Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device (injected)"))
            }
        })
    }

    fn check(&self, operation: Operation, path: &Path) -> io::Result<()> {
        phase::enter("disk");
        self.fault.as_ref().map_or(Ok(()), |fault| fault(operation, path))
    }

    /// Replaces the file at `path` by `parts`, one after another, atomically and durably; on error the old content stays.
    pub(super) fn replace(&self, path: &Path, parts: &[&[u8]]) -> Result<(), RunError> {
        let temporary = temporary_name(path);
        let written = self.write_and_rename(&temporary, path, parts);
        if written.is_err() {
            // Best effort: whatever made the write fail may make this fail too, and the next try overwrites it.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write_and_rename(&self, temporary: &Path, path: &Path, parts: &[&[u8]]) -> Result<(), RunError> {
        self.check(Operation::Create, temporary).map_err(RunError::io("create", temporary))?;
        let mut file = File::create(temporary).map_err(RunError::io("create", temporary))?;
        for part in parts {
            self.write(&mut file, temporary, part)?;
        }
        self.sync(&file, temporary)?;
        drop(file);
        self.check(Operation::Rename, path).map_err(RunError::io("rename a file to", path))?;
        fs::rename(temporary, path).map_err(RunError::io("rename a file to", path))?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }

    /// Opens a file to append to, and creates it where there is none.
    pub(super) fn append(&self, path: &Path) -> Result<File, RunError> {
        self.check(Operation::Create, path).map_err(RunError::io("open", path))?;
        OpenOptions::new().append(true).create(true).open(path).map_err(RunError::io("open", path))
    }

    /// Writes all of `bytes`; where a fault strikes, half of a chunk is already in the file, as on a real disk.
    pub(super) fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> Result<(), RunError> {
        for chunk in bytes.chunks(CHUNK) {
            if let Err(error) = self.check(Operation::Write, path) {
                let _ = file.write_all(&chunk[..chunk.len() / 2]);
                return Err(RunError::io("write", path)(error));
            }
            file.write_all(chunk).map_err(RunError::io("write", path))?;
        }
        Ok(())
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), RunError> {
        self.check(Operation::Sync, path).map_err(RunError::io("make durable", path))?;
        file.sync_all().map_err(RunError::io("make durable", path))
    }

    pub(super) fn sync_dir(&self, directory: &Path) -> Result<(), RunError> {
        self.check(Operation::SyncDir, directory).map_err(RunError::io("make durable", directory))?;
        // Only Unix can open a directory and make its entries durable; elsewhere the rename alone has to do.
        #[cfg(unix)]
        File::open(directory).and_then(|d| d.sync_all()).map_err(RunError::io("make durable", directory))?;
        Ok(())
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}
