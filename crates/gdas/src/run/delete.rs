use std::fs;
use std::path::Path;

use super::{RunError, is_run, lock, stages};

/// Deletes the directory of the run at `path`.
///
/// # Errors
/// If there is no run, a process works in it or in one of its stages, it is a stage of an automatic run, or a file cannot be
/// removed.
pub fn delete(path: &Path) -> Result<(), RunError> {
    if !is_run(path) {
        return Err(RunError::Missing(path.to_path_buf()));
    }
    let place = path.canonicalize().map_err(RunError::io("find", path))?;
    if let Some(whole) = place.parent().filter(|parent| is_run(parent)) {
        return Err(RunError::Stage { path: path.to_path_buf(), whole: whole.to_path_buf() });
    }
    let locks = stages(&place).iter().chain([&place]).map(|run| lock::acquire(run)).collect::<Result<Vec<_>, _>>()?;
    // Renamed first, so that neither a reader nor a new run of that name finds a partially deleted run.
    let name = place.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
    let doomed = place.with_file_name(format!(".{name}.deleted"));
    if doomed.exists() {
        fs::remove_dir_all(&doomed).map_err(RunError::io("delete", &doomed))?;
    }
    if cfg!(windows) {
        // On Windows, a directory with open files cannot be renamed.
        drop(locks);
    }
    fs::rename(&place, &doomed).map_err(RunError::io("delete", path))?;
    fs::remove_dir_all(&doomed).map_err(RunError::io("delete", &doomed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunDir;

    #[test]
    fn a_run_is_deleted_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("photos");
        let whole = RunDir::create(&path, "task = \"auto\"\n").expect("a run");
        let stage = RunDir::create(path.join("search"), "task = \"search\"\n").expect("a run");
        fs::write(path.join("network.onnx"), "x").expect("writable");
        assert!(matches!(delete(&path), Err(RunError::Locked { .. })));
        drop(whole);
        assert!(matches!(delete(&path), Err(RunError::Locked { .. })), "a stage is at work");
        drop(stage);
        assert!(matches!(delete(&path.join("search")), Err(RunError::Stage { .. })));
        assert!(matches!(delete(dir.path()), Err(RunError::Missing(_))));
        assert!(path.join("network.onnx").is_file(), "a refusal deletes nothing");
        delete(&path).expect("deleted");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        drop(RunDir::create(&path, "task = \"auto\"\n").expect("the name is free again"));
    }
}
