//! ReadProgress of reading a data set.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// ReadProgress of reading a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadProgress {
    /// An archive is being unpacked; counted in bytes of the archive.
    Unpacking {
        /// Number done.
        done: u64,
        /// Total number.
        total: u64,
    },
    /// Image files are being decoded; counted in files.
    Decoding {
        /// Number done.
        done: u64,
        /// Total number.
        total: u64,
    },
}

/// Callback for the progress of reading, called from several threads. The default does nothing.
#[derive(Clone, Default)]
pub struct ReadObserver(Option<Arc<dyn Fn(ReadProgress) + Send + Sync>>);

impl ReadObserver {
    /// Calls `observer` at each step.
    pub fn new(observer: impl Fn(ReadProgress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(super) fn report(&self, progress: ReadProgress) {
        if let Some(observer) = &self.0 {
            observer(progress);
        }
    }
}

impl fmt::Debug for ReadObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ReadObserver(..)" } else { "ReadObserver" })
    }
}

/// A file that reports how much of it has been read.
pub(super) struct Watched {
    file: File,
    done: u64,
    total: u64,
    observer: ReadObserver,
}

impl Watched {
    pub(super) fn new(file: File, total: u64, observer: &ReadObserver) -> Self {
        Self { file, done: 0, total, observer: observer.clone() }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.done = self.total.min(self.done + n as u64);
        self.observer.report(ReadProgress::Unpacking { done: self.done, total: self.total });
        Ok(n)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
