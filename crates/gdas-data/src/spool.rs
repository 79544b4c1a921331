//! Temporary storage for the entries of an archive: in memory if small, else in a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Size in bytes above which all data are moved to the file.
const IN_MEMORY: usize = 16 << 20;

/// The bytes of many entries in sequence.
///
/// The file is an unnamed one in the system's temporary folder, so that it disappears when the spool is dropped or the
/// process ends.
#[derive(Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<Mutex<File>>,
    length: u64,
}

/// Why an entry could not be put into the spool.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its source failed.
    Read(io::Error),
    /// The file failed.
    Write(io::Error),
}

impl Spool {
    /// Appends all bytes of `source` and returns their range.
    pub(super) fn append(&mut self, source: &mut impl Read) -> Result<Range<u64>, Failure> {
        let start = self.length;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(start..self.length),
                Ok(n) => self.write(&buffer[..n]).map_err(Failure::Write)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Read(error)),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(Mutex::new(file));
        }
        match &mut self.file {
            // Nothing has been read yet, so the file position is at the end.
            Some(file) => file.get_mut().unwrap_or_else(PoisonError::into_inner).write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The bytes of a range that [`append`](Self::append) returned.
    pub(super) fn read(&self, range: &Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        let Some(file) = &self.file else {
            return Ok(Cow::Borrowed(&self.memory[range.start as usize..range.end as usize]));
        };
        let mut bytes = vec![0; (range.end - range.start) as usize];
        // The threads share one file position. That costs little, as decoding dominates.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_from_memory_and_from_the_file() {
        let mut spool = Spool::default();
        let entry = |i: usize| vec![i as u8; 1 + i * 100_000];
        let mut places = Vec::new();
        for i in 0..30 {
            places.push(spool.append(&mut entry(i).as_slice()).expect("room"));
            if i == 10 {
                assert!(spool.file.is_none());
                assert_eq!(*spool.read(&places[3]).expect("there"), *entry(3));
                assert!(matches!(spool.read(&places[3]), Ok(Cow::Borrowed(_))));
            }
        }
        assert!(spool.file.is_some() && spool.memory.capacity() == 0);
        for (i, place) in places.iter().enumerate().rev() {
            assert_eq!(*spool.read(place).expect("there"), *entry(i), "{i}");
        }
    }
}
