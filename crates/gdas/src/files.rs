//! Files that are replaced as a whole: a reader sees the old content or the new one, never a half.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// One thing that is about to be done to the disk.
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

/// Asked before every operation; its error is what the operation then fails with.
pub(crate) type Check<'a> = &'a dyn Fn(Operation, &Path) -> io::Result<()>;

/// What failed, on which file or directory, and how.
pub(crate) type Failure = (&'static str, PathBuf, io::Error);

/// Writes a file under a temporary name beside it, makes it durable and renames it; an error leaves what was there.
///
/// Several processes or threads may replace the same file at once: the last one wins. What is no regular file, as a
/// pipe or `/dev/stdout`, is written to directly.
///
/// # Errors
/// What the system or `write` says.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        return write(&mut file);
    }
    // A link stays one; the file that it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = beside(&path, &format!(".{}-{number}.tmp", std::process::id()));
    replace_by_way_of(&temporary, &path, &|_, _| Ok(()), write).map_err(|(_, _, error)| error)
}

/// [`replace`] with a temporary name and a check of each operation.
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
        // Best effort: whatever made the write fail may make this fail too.
        let _ = fs::remove_file(temporary);
    }
    written
}

/// Makes a file durable and renames it over another one beside it.
///
/// # Errors
/// What the system says.
pub fn move_into_place(file: &Path, path: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    fs::rename(file, path)?;
    sync_directory(parent(path), &|_, _| Ok(()))
}

/// Makes a file durable.
pub(crate) fn sync(file: &File, path: &Path, check: Check) -> io::Result<()> {
    check(Operation::Sync, path)?;
    file.sync_all()
}

fn sync_directory(directory: &Path, check: Check) -> io::Result<()> {
    check(Operation::SyncDir, directory)?;
    // Only Unix can open a directory and make its entries durable; elsewhere the rename alone has to do.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The bytes handed to the system in one call; small enough that a long file is many chances to fail in a test.
const CHUNK: usize = 1 << 16;

/// A file that is written in chunks, each after a check.
pub(crate) struct Checked<'a> {
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
    pub(crate) check: Check<'a>,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        if let Err(error) = (self.check)(Operation::Write, self.path) {
            // Half of a chunk is already in the file, as on a real disk.
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

/// The path with something added to its last name.
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
