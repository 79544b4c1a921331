//! The images of a run, wherever they lie now.

use std::path::{Path, PathBuf};

use gdas::data::Dataset;
use gdas::run::{ImagesRecord, RunError};

use crate::error::DataError;
use crate::known::find_known;
use crate::open::open_with;
use crate::options::Options;

/// The images of a run, and where they were found.
#[derive(Clone, Debug)]
pub struct Located {
    /// The images.
    pub dataset: Dataset,
    /// A known data set's name, or the path at which they lie.
    pub data: String,
}

/// What the data of a run are called that a program handed over from memory, before the data set's name.
pub const IN_MEMORY: &str = "memory:";

/// Why the images of a run could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// What the run recorded cannot be read, or the images are others.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A program handed them over, and they are in no file.
    #[error(
        "the images of {run} were handed over by a program (`{name}`) and are in no file; go on from that program with the \
         same images, or give a path with --data"
    )]
    InMemory {
        /// The run directory.
        run: String,
        /// What the data set is called.
        name: String,
    },
    /// They are nowhere where they are looked for.
    #[error("the images of {run} are not at {places}; --data PATH says where they are now")]
    Missing {
        /// The run directory.
        run: String,
        /// Where they were looked for.
        places: String,
    },
}

/// Opens the images of the run at `run`, whose configuration calls them `data`: at `given`, if the user says where they
/// are now, else where they were, else at the same place as seen from the run's directory, for those who moved both.
/// Where the run has recorded a digest of its images, only images with this digest are opened.
///
/// # Errors
/// They are in none of these places, they are others than those that the run began with, or they cannot be read.
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
        // A known set at a path of its own has the classes of its files, which may be called otherwise.
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

/// Where the images may lie, the likeliest first.
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

/// The path without `..`, where it exists.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// Whether this names a data set instead of a place.
fn is_known(data: &str) -> bool {
    data == "digits" || find_known(data).is_some()
}
