//! A search or a training put together in a program: images, keys of the configuration, and where its state lies.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::config::{Config, Keys, Layer, resolve, to_toml};
use crate::data::Dataset;
use crate::run::{Event, Interrupt, RunDir, read_config};

/// A run that is about to begin: [`Search`](crate::Search) or [`Train`](crate::Train), by what `T` holds.
///
/// Every key of the configuration can be [set](Self::set); those that are not have the values of the preset. Without a
/// [directory](Self::in_directory) nothing is written.
pub struct Builder<'a, T> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) keys: Keys,
    pub(crate) observer: Box<dyn FnMut(&Event) + 'a>,
    pub(crate) interrupt: Interrupt,
    place: Place,
    /// What else the task needs.
    pub(crate) task: T,
}

/// Where a run leaves its state.
enum Place {
    Nowhere,
    /// A directory that is made for it.
    New(PathBuf),
    /// A directory that holds it already.
    Existing(PathBuf),
}

/// A run at its start.
pub(crate) enum Opened<C> {
    /// It is at its end already; its directory.
    Finished(PathBuf),
    /// Its configuration, and its directory if it has one.
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

    /// Begins with the values of a preset, such as `quick` or `paper`.
    #[must_use]
    pub fn preset(self, name: &str) -> Self {
        self.set("preset", name)
    }

    /// Passes over the training images.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        self.set("epochs", epochs)
    }

    /// Seed of all randomness.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set("seed", seed)
    }

    /// Sets a key of the configuration; a key that does not exist or a value that does not suit it is an error of `run`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        self.keys.set(key, &value);
        self
    }

    /// Reports what happens, while it happens.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(&Event) + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Stops when this asks for it; `run` then ends with [`Error::Interrupted`].
    #[must_use]
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Keeps checkpoints, events and the result in a new directory, from which the run can be resumed.
    #[must_use]
    pub fn in_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::New(path.into());
        self
    }

    /// Whether it goes on with a run that has a configuration.
    pub(crate) fn resumes(&self) -> bool {
        matches!(self.place, Place::Existing(_))
    }

    /// Resolves the configuration, and makes or opens the directory.
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
