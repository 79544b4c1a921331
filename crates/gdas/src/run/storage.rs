use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{RunError, phase};
use crate::files::{self, Operation};

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
        // Always the same name: what a killed process left there is overwritten by the next try.
        let temporary = files::beside(path, ".tmp");
        let write = |out: &mut dyn Write| parts.iter().try_for_each(|part| out.write_all(part));
        files::replace_by_way_of(&temporary, path, &|operation, path| self.check(operation, path), write)
            .map_err(|(action, path, source)| RunError::Io { action, path, source })
    }

    /// Opens a file to append to, and creates it where there is none.
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
