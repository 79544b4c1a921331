use std::io;
use std::path::{Path, PathBuf};

use crate::shell;

/// What can go wrong with a run directory; each message names the file and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was being done, as in "cannot `action` FILE".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A new run was asked for where one already is.
    #[error(
        "{} already holds a run; `gdas resume {}` goes on with it, another --name starts beside it",
        .0.display(), shell::path(.0)
    )]
    Exists(PathBuf),
    /// There is no run at this place.
    #[error("{} holds no run (no config.toml in it); `gdas runs list` shows the runs there are", .0.display())]
    Missing(PathBuf),
    /// A stage of an automatic run was to be deleted without the rest.
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
        /// Process and host, as the holder wrote them.
        holder: String,
    },
    /// The directory was deleted, moved or replaced while the run was at work.
    #[error(
        "{} is gone: it was deleted or moved while the run was at work, so nothing can be saved there any more",
        .0.display()
    )]
    Gone(PathBuf),
    /// Other images than those that the run began with.
    #[error(
        "the images of `{name}` are not those that this run began with: their digest is {given}, the run has \
         {began_with} (over every pixel, label and class name as read); --data names another place, other images need \
         a new run"
    )]
    OtherImages {
        /// What they are called, or where they lie.
        name: String,
        /// Digest of the images that the run began with.
        began_with: String,
        /// Digest of the images that it was given now.
        given: String,
    },
    /// Something was asked of a run that nobody works in.
    #[error("{} is not running; `gdas resume {}` goes on with it", .0.display(), shell::path(.0))]
    Idle(PathBuf),
    /// Not a whole file: cut short, changed, or something else altogether.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        reason: String,
    },
    /// Checkpoints exist, none is whole.
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
    /// A whole checkpoint in a format that this version does not know.
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
    /// A whole checkpoint that does not fit what the program expects of it.
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
