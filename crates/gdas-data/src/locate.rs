//! Finding the images of a run again, also after they were moved.

use std::path::{Path, PathBuf};

use gdas::data::Dataset;
use gdas::run::{ImagesRecord, RunError};

use crate::error::DataError;
use crate::known::find_known;
use crate::open::open_with;
use crate::options::Options;

/// The images of a run and their location.
#[derive(Clone, Debug)]
pub struct Located {
    /// The images.
    pub dataset: Dataset,
    /// Name of the known data set, or path of the images.
    pub data: String,
}

/// Prefix of the data set's name in the record of a run whose images a program passed from memory.
pub const IN_MEMORY: &str = "memory:";

/// Why the images of a run could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The run's record cannot be read, or the digest of the images differs from the recorded one.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A program passed the images from memory; there is no file to open.
    #[error(
        "the images of {run} were handed over by a program (`{name}`) and are in no file; go on from that program with the \
         same images, or give a path with --data"
    )]
    InMemory {
        /// The run directory.
        run: String,
        /// Name of the data set.
        name: String,
    },
    /// No images at any of the expected paths.
    #[error("the images of {run} are not at {places}; --data PATH says where they are now")]
    Missing {
        /// The run directory.
        run: String,
        /// The paths that were tried.
        places: String,
    },
}

/// Opens the images of the run in directory `run`, whose configuration calls them `data`. Tried in this order: the path
/// `given` by the user, the original path, the same path relative to the run directory (in case both were moved).
/// If the run recorded a digest of its images, images with another digest are refused.
///
/// # Errors
/// No images at these paths, images with another digest, or images that cannot be read.
pub fn open_for_run(run: &Path, data: &str, given: Option<&str>, options: &Options) -> Result<Located, LocateError> {
    let record = ImagesRecord::read(run)?;
    let recorded = record.as_ref().map_or(data, |record| &record.data);
    if let (Some(name), None) = (recorded.strip_prefix(IN_MEMORY), given) {
        return Err(LocateError::InMemory { run: run.display().to_string(), name: name.to_owned() });
    }
    let places = match given {
        Some(given) => vec![given.to_owned()],
        None => places(run, data, record.as_ref()),
    };
    let mut others = None;
    for place in &places {
        if given.is_none() && !is_known(place) && !Path::new(place).exists() {
            continue;
        }
        let mut dataset = open_with(place, options)?;
        let Some(record) = &record else { return Ok(Located { dataset, data: place.clone() }) };
        // A known data set opened by path has the class names of its files, which may differ.
        if let Some(set) = find_known(&record.data).filter(|set| set.classes.len() == dataset.classes.len()) {
            dataset.classes = set.classes.iter().map(|&class| class.to_owned()).collect();
        }
        let digest = dataset.digest();
        if digest == record.digest {
            dataset.name.clone_from(&record.name);
            return Ok(Located { dataset, data: place.clone() });
        }
        others.get_or_insert(RunError::OtherImages {
            name: place.clone(),
            began_with: record.digest.clone(),
            given: digest,
        });
    }
    Err(others.map_or_else(
        || LocateError::Missing { run: run.display().to_string(), places: places.join(", nor at ") },
        LocateError::Run,
    ))
}

/// Possible paths of the images, in the order in which they are tried.
fn places(run: &Path, data: &str, record: Option<&ImagesRecord>) -> Vec<String> {
    let mut places = Vec::new();
    if let Some(record) = record {
        places.push(record.data.clone());
    }
    places.push(data.to_owned());
    let from_run = record.and_then(|record| record.from_run.as_deref()).or_else(|| {
        // A configuration written by hand may have a relative path.
        (Path::new(data).is_relative() && !is_known(data)).then_some(data)
    });
    places.extend(from_run.map(|way| tidy(&run.join(way)).display().to_string()));
    let mut seen = std::collections::BTreeSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// The canonical path if it exists, else the path unchanged.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// Whether this is the name of a known data set instead of a path.
fn is_known(data: &str) -> bool {
    data == "digits" || find_known(data).is_some()
}
