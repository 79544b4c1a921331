use std::io;
use std::path::{Path, PathBuf};

use crate::shell;

/// Error of a run directory; each message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// The failed action, as in "cannot `action` FILE".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// There is a run already at the place of a new one.
    #[error(
        "{} already contains a run; `gdas resume {}` continues it, another --name starts a new one",
        .0.display(), shell::path(.0)
    )]
    Exists(PathBuf),
    /// There is no run at this place.
    #[error("{} holds no run (no config.toml in it); `gdas runs list` shows the runs there are", .0.display())]
    Missing(PathBuf),
    /// A stage of an automatic run cannot be deleted separately.
    #[error("{} is a stage of the automatic run {}; delete that one as a whole", path.display(), whole.display())]
    Stage {
        /// The stage.
        path: PathBuf,
        /// The automatic run.
        whole: PathBuf,
    },
    /// Another process works in the directory.
    #[error("{} is in use by {holder}; wait for it, stop it, or choose another --name", path.display())]
    Locked {
        /// The run directory.
        path: PathBuf,
        /// Process and host, as written by the holder of the lock.
        holder: String,
    },
    /// The directory was deleted, moved or replaced while the run was in progress.
    #[error(
        "{} is gone: it was deleted or moved while the run was in progress, so nothing can be saved there",
        .0.display()
    )]
    Gone(PathBuf),
    /// The images differ from those with which the run began.
    #[error(
        "the images of `{name}` are not those that this run began with: their digest is {given}, the run has \
         {began_with} (over every pixel, label and class name as read); --data names another place, other images need \
         a new run"
    )]
    OtherImages {
        /// Name or path of the images.
        name: String,
        /// Digest of the images that the run began with.
        began_with: String,
        /// Digest of the images that were opened.
        given: String,
    },
    /// A request to a run in which no process works.
    #[error("{} is not running; `gdas resume {}` continues it", .0.display(), shell::path(.0))]
    Idle(PathBuf),
    /// A file is incomplete, modified, or of another type.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The detected damage.
        reason: String,
    },
    /// There are checkpoints, but no valid one.
    #[error(
        "no checkpoint of {} can be read ({}); restore one from a backup, or start again under another --name",
        path.display(), reasons.join("; ")
    )]
    NoIntactCheckpoint {
        /// The run directory.
        path: PathBuf,
        /// One reason per file.
        reasons: Vec<String>,
    },
    /// A valid checkpoint in an unknown version of the format.
    #[error(
        "{} has checkpoint format {found}, this gdas reads {known}; use the gdas version that wrote it, or a newer one",
        path.display()
    )]
    Version {
        /// The checkpoint file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// A valid checkpoint whose content is not as expected.
    #[error("the checkpoint does not fit this run: {0}")]
    Content(String),
}

impl RunError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; what was saved before is untouched: free some space, then resume"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; choose a place you may write to with --runs"
        }
        _ => "",
    }
}
