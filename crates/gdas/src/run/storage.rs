use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{RunError, phase};
use crate::files::{self, Operation};

type Fault = dyn Fn(Operation, &Path) -> io::Result<()> + Send + Sync;

/// File system access of a run; tests use it to inject failures.
#[derive(Clone, Default)]
pub struct Storage {
    fault: Option<Arc<Fault>>,
}

impl Storage {
    /// The real disk.
    pub fn disk() -> Self {
        Self::default()
    }

    /// The real disk, with `fault` called before every operation, which fails with its error.
    pub fn with_fault(fault: impl Fn(Operation, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { fault: Some(Arc::new(fault)) }
    }

    /// The real disk up to operation `n` (from 0), from which on all fail as on a full disk.
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

    /// Replaces the file at `path` by the concatenation of `parts`, atomically; on an error the old content remains.
    pub(super) fn replace(&self, path: &Path, parts: &[&[u8]]) -> Result<(), RunError> {
        // The name is fixed, so that the file of a killed process is overwritten.
        let temporary = files::beside(path, ".tmp");
        let write = |out: &mut dyn Write| parts.iter().try_for_each(|part| out.write_all(part));
        files::replace_by_way_of(&temporary, path, &|operation, path| self.check(operation, path), write)
            .map_err(|(action, path, source)| RunError::Io { action, path, source })
    }

    /// Opens a file for appending, and creates it if it does not exist.
    pub(super) fn append(&self, path: &Path) -> Result<File, RunError> {
        self.check(Operation::Create, path).map_err(RunError::io("open", path))?;
        OpenOptions::new().append(true).create(true).open(path).map_err(RunError::io("open", path))
    }

    /// Writes all of `bytes`.
    pub(super) fn write(&self, file: &File, path: &Path, bytes: &[u8]) -> Result<(), RunError> {
        let check = |operation, path: &Path| self.check(operation, path);
        files::Checked { file, path, check: &check }.write_all(bytes).map_err(RunError::io("write", path))
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), RunError> {
        files::sync(file, path, &|operation, path| self.check(operation, path))
            .map_err(RunError::io("make durable", path))
    }
}
