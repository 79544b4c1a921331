//! Builder of a search or a training: images, configuration keys, run directory.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::config::{Config, Keys, Layer, resolve, to_toml};
use crate::data::Dataset;
use crate::run::{Event, Interrupt, RunDir, read_config};

/// Builder of a run: [`Search`](crate::Search) or [`Train`](crate::Train), by `T`.
///
/// Every key of the configuration can be [set](Self::set); the others have the values of the preset. Without a
/// [directory](Self::in_directory) nothing is written to disk.
pub struct Builder<'a, T> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) keys: Keys,
    pub(crate) observer: Box<dyn FnMut(&Event) + 'a>,
    pub(crate) interrupt: Interrupt,
    place: Place,
    /// Settings specific to the task.
    pub(crate) task: T,
}

/// Run directory.
enum Place {
    Nowhere,
    /// To be created.
    New(PathBuf),
    /// An existing run, to be resumed.
    Existing(PathBuf),
}

/// A run after opening its directory.
pub(crate) enum Opened<C> {
    /// The run in this directory is finished.
    Finished(PathBuf),
    /// Configuration, and directory if there is one.
    Ready(C, Option<RunDir>),
}

impl<'a, T> Builder<'a, T> {
    pub(crate) fn begin(dataset: &'a Dataset, task: T) -> Self {
        let mut builder = Self::at(Place::Nowhere, dataset, task);
        builder.keys.set("data", if dataset.name.is_empty() { "images" } else { &dataset.name });
        builder
    }

    pub(crate) fn go_on(path: PathBuf, dataset: &'a Dataset, task: T) -> Self {
        Self::at(Place::Existing(path), dataset, task)
    }

    fn at(place: Place, dataset: &'a Dataset, task: T) -> Self {
        let (keys, interrupt) = (Keys::default(), Interrupt::default());
        Self { dataset, keys, observer: Box::new(|_| {}), interrupt, place, task }
    }

    /// Uses the values of a preset, such as `quick` or `paper`, for keys that are not set.
    #[must_use]
    pub fn preset(self, name: &str) -> Self {
        self.set("preset", name)
    }

    /// Sets the number of epochs.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        self.set("epochs", epochs)
    }

    /// Sets the seed of all randomness.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set("seed", seed)
    }

    /// Sets a key of the configuration. An unknown key or an invalid value is reported by `run`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        self.keys.set(key, &value);
        self
    }

    /// Calls `observer` with every event of the run.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(&Event) + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Lets `interrupt` stop the run, which then ends with [`Error::Interrupted`].
    #[must_use]
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Saves checkpoints, events and the result to a new directory, from which the run can be resumed.
    #[must_use]
    pub fn in_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::New(path.into());
        self
    }

    /// Whether it resumes an existing run.
    pub(crate) fn resumes(&self) -> bool {
        matches!(self.place, Place::Existing(_))
    }

    /// Resolves the configuration, and creates or opens the directory.
    pub(crate) fn open<C: Config>(&mut self) -> Result<Opened<C>, Error> {
        match &self.place {
            Place::Nowhere => Ok(Opened::Ready(resolve(&[self.keys.layer()?])?, None)),
            Place::New(path) => {
                let config: C = resolve(&[self.keys.layer()?])?;
                let run = RunDir::create(path, &to_toml(&config)?)?;
                Ok(Opened::Ready(config, Some(run)))
            }
            Place::Existing(path) => {
                let run = RunDir::open(path)?;
                if run.is_finished() {
                    return Ok(Opened::Finished(path.clone()));
                }
                Ok(Opened::Ready(recorded(path)?, Some(run)))
            }
        }
    }
}

/// The configuration of the run at `path`.
fn recorded<C: Config>(path: &Path) -> Result<C, Error> {
    let text = read_config(path)?;
    let layer = Layer::file(&path.join("config.toml").display().to_string(), &text)?;
    Ok(resolve(&[layer])?)
}
