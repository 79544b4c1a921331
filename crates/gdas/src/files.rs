//! Atomic replacement of files: a reader sees the old content or the new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file system operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create or open a file for writing.
    Create,
    /// Write bytes.
    Write,
    /// Flush a file to disk (fsync).
    Sync,
    /// Rename a file over another.
    Rename,
    /// Flush a directory entry to disk.
    SyncDir,
}

/// Hook called before every operation, which fails with the hook's error. For tests.
pub(crate) type Check<'a> = &'a dyn Fn(Operation, &Path) -> io::Result<()>;

/// A failed operation: action, path, error.
pub(crate) type Failure = (&'static str, PathBuf, io::Error);

/// Writes a file under a temporary name beside `path`, flushes it to disk and renames it. On an error the old file remains.
///
/// If several processes or threads replace the same file, the last one wins. A path that is not a regular file, such as a
/// pipe or `/dev/stdout`, is written to directly.
///
/// # Errors
/// Errors of the system or of `write`.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        return write(&mut file);
    }
    // A symbolic link is kept; its target is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = beside(&path, &format!(".{}-{number}.tmp", std::process::id()));
    replace_by_way_of(&temporary, &path, &|_, _| Ok(()), write).map_err(|(_, _, error)| error)
}

/// [`replace`] with a given temporary name and a hook for each operation.
pub(crate) fn replace_by_way_of(
    temporary: &Path,
    path: &Path,
    check: Check,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let failed = |action, path: &Path| {
        let path = path.to_path_buf();
        move |error| (action, path, error)
    };
    let written = (|| {
        check(Operation::Create, temporary).map_err(failed("create", temporary))?;
        let file = File::create(temporary).map_err(failed("create", temporary))?;
        let mut out = BufWriter::with_capacity(CHUNK, Checked { file: &file, path: temporary, check });
        write(&mut out).and_then(|()| out.flush()).map_err(failed("write", temporary))?;
        sync(&file, temporary, check).map_err(failed("make durable", temporary))?;
        check(Operation::Rename, path).map_err(failed("rename a file to", path))?;
        fs::rename(temporary, path).map_err(failed("rename a file to", path))?;
        let directory = parent(path);
        sync_directory(directory, check).map_err(failed("make durable", directory))
    })();
    if written.is_err() {
        // Best effort: this may fail for the same reason as the write.
        let _ = fs::remove_file(temporary);
    }
    written
}

/// Flushes a file to disk and renames it to `path` in the same directory.
///
/// # Errors
/// Errors of the system.
pub fn move_into_place(file: &Path, path: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    fs::rename(file, path)?;
    sync_directory(parent(path), &|_, _| Ok(()))
}

/// Flushes a file to disk.
pub(crate) fn sync(file: &File, path: &Path, check: Check) -> io::Result<()> {
    check(Operation::Sync, path)?;
    file.sync_all()
}

fn sync_directory(directory: &Path, check: Check) -> io::Result<()> {
    check(Operation::SyncDir, directory)?;
    // Only Unix can flush directory entries.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes per write call; small, so that tests can fail at many points of a file.
const CHUNK: usize = 1 << 16;

/// A file that is written in chunks, with the hook called before each.
pub(crate) struct Checked<'a> {
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
    pub(crate) check: Check<'a>,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        if let Err(error) = (self.check)(Operation::Write, self.path) {
            // A failed write leaves half of the chunk in the file, as a real disk may.
            let _ = self.file.write_all(&chunk[..chunk.len() / 2]);
            return Err(error);
        }
        self.file.write_all(chunk)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The path with a suffix appended to its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("readable").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_failure_leaves_the_old_content_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("table.csv");
        replace(&path, |out| out.write_all(b"old")).expect("written");
        let failed = replace(&path, |out| {
            out.write_all(&vec![b'x'; 3 << 20])?;
            Err(io::Error::other("in the midst"))
        });
        assert_eq!(failed.expect_err("it failed").to_string(), "in the midst");
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        replace(&path, |out| out.write_all(b"new")).expect("written");
        assert_eq!(
            (fs::read(&path).expect("readable"), names(directory.path())),
            (b"new".to_vec(), vec!["table.csv".into()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        fs::write(&target, "old").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        replace(&link, |out| out.write_all(b"new")).expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read(&target).expect("readable"), b"new");
        replace(Path::new("/dev/null"), |out| out.write_all(b"gone")).expect("written");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }
}
