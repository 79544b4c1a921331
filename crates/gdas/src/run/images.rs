//! Record of a run's images: `data.json`.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RunDir, RunError, seal};

const FILE: &str = "data.json";

/// Record of a run's images: name, location and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagesRecord {
    /// Name of the data set.
    pub name: String,
    /// Name of a known data set, or path of the images.
    pub data: String,
    /// The path relative to the run directory, which remains valid if both are moved together.
    pub from_run: Option<String>,
    /// [`Dataset::digest`](crate::data::Dataset::digest) of the images.
    pub digest: String,
}

impl ImagesRecord {
    /// The record for the images of the run at `run`.
    pub fn new(run: &Path, data: &str, name: &str, digest: &str) -> Self {
        let seen = || {
            let (run, data) = (run.canonicalize().ok()?, Path::new(data).canonicalize().ok()?);
            Some(relative(&run, &data)?.to_str()?.to_owned())
        };
        Self { name: name.to_owned(), data: data.to_owned(), from_run: seen(), digest: digest.to_owned() }
    }

    /// The record in the run at `run`; `None` if it has not begun.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn read(run: &Path) -> Result<Option<Self>, RunError> {
        let path = run.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(RunError::io("read", &path))?,
        };
        let opened = seal::open_result(&text).map_err(|_| "its checksum does not match its content".to_owned());
        let record = opened.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        record.map(Some).map_err(|reason| RunError::Damaged {
            path,
            reason: format!("{reason}; without the file, the images are looked for where config.toml says"),
        })
    }
}

impl RunDir {
    /// Checks that a resumed run has the same images, and records their location. `data` is the name of a known data set or the
    /// path of the images.
    ///
    /// # Errors
    /// If the run began with other images, or the file cannot be read or written.
    pub fn begin_with(&self, data: &str, name: &str, digest: &str) -> Result<(), RunError> {
        let record = ImagesRecord::new(self.path(), data, name, digest);
        if let Some(before) = ImagesRecord::read(self.path())? {
            if before.digest != digest {
                let (began_with, given) = (before.digest, digest.to_owned());
                return Err(RunError::OtherImages { name: name.to_owned(), began_with, given });
            }
            if before == record {
                return Ok(());
            }
        }
        let text = serde_json::to_string_pretty(&record)
            .map_err(|error| RunError::Content(format!("{FILE} cannot be written: {error}")))?;
        self.write_file(FILE, seal::seal_result(&text).as_bytes()).map(|_| ())
    }
}

/// The relative path from one absolute path to another; `None` if there is none (two drives of Windows).
fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let (from, to): (Vec<Component>, Vec<Component>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    (common > 0).then(|| up.chain(to[common..].iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_run_to_its_images() {
        let way = |from, to| relative(Path::new(from), Path::new(to)).map(|way| way.display().to_string());
        assert_eq!(way("/a/runs/x", "/a/photos").as_deref(), Some("../../photos"));
        assert_eq!(way("/a/photos/runs/x", "/a/photos").as_deref(), Some("../.."));
        assert_eq!(way("/a", "/a/photos/new").as_deref(), Some("photos/new"));
        assert_eq!(way("/a/runs", "/b/photos").as_deref(), Some("../../b/photos"));
    }
}
