//! How far reading has come.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// A step of reading a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An archive is unpacked; in bytes of the file.
    Unpacking {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// Image files are decoded.
    Decoding {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
}

/// Is called as reading goes on, from several threads. The default does nothing.
#[derive(Clone, Default)]
pub struct Reading(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Reading {
    /// Calls `observer` with each step.
    pub fn new(observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(super) fn at(&self, progress: Progress) {
        if let Some(observer) = &self.0 {
            observer(progress);
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reading(..)" } else { "Reading" })
    }
}

/// A file that tells how much of it has been read.
pub(super) struct Watched {
    file: File,
    done: u64,
    all: u64,
    reading: Reading,
}

impl Watched {
    pub(super) fn new(file: File, all: u64, reading: &Reading) -> Self {
        Self { file, done: 0, all, reading: reading.clone() }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.done = self.all.min(self.done + n as u64);
        self.reading.at(Progress::Unpacking { done: self.done, all: self.all });
        Ok(n)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
