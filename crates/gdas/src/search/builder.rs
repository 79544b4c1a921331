//! A search from a program: a space, images, and whatever differs from the defaults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;

use super::algorithms::{self, Algorithm};
use super::estimators::Estimator;
use super::parts::Parts;
use super::regularise::Regulariser;
use super::result::SearchResult;
use super::selection::Selection;
use super::{Outcome, search_with};
use crate::Error;
use crate::config::{self, Keys, SearchConfig, resolve, to_toml};
use crate::data::Dataset;
use crate::run::{Event, Interrupt, RunDir, read_result};
use crate::space::Space;

/// A search that is about to be run.
///
/// Every key of the configuration ([`SearchConfig`]) can be [set](Self::set); those that are not have the values of the
/// space's preset. Without a [directory](Self::in_directory) nothing is written.
///
/// ```
/// use gdas::search::Search;
/// use gdas::space::spaces;
/// use gdas::{Device, data};
///
/// let images = data::digits();
/// let found = Search::new(spaces::nas_bench_201(), &images)
///     .preset("smoke").epochs(2).seed(1).set("max_steps_per_epoch", 3)
///     .observe(|event| println!("{event}"))
///     .run(&Device::flex())?;
/// println!("{}, {} parameters", found.genotype, found.params);
/// # Ok::<(), gdas::Error>(())
/// ```
pub struct Search<'a> {
    dataset: &'a Dataset,
    keys: Keys,
    algorithm: Option<Box<dyn Algorithm>>,
    estimator: Option<Arc<dyn Estimator>>,
    regularisers: Vec<Arc<dyn Regulariser>>,
    selection: Option<Box<dyn Selection>>,
    observer: Box<dyn FnMut(&Event) + 'a>,
    interrupt: Interrupt,
    place: Place,
}

/// Where a search leaves its state.
enum Place {
    Nowhere,
    /// A directory that is made for it.
    New(PathBuf),
    /// A directory that holds it already.
    Existing(PathBuf),
}

impl<'a> Search<'a> {
    /// A search in this space, for a cell that suits these images.
    pub fn new(space: impl Into<Arc<Space>>, images: &'a Dataset) -> Self {
        let space: Arc<Space> = space.into();
        let mut search = Self::on(images, Place::Nowhere);
        search.keys.set("space", &*space);
        search.keys.set("data", if images.name.is_empty() { "images" } else { &images.name });
        search
    }

    /// Goes on with the search in a run directory, on the same images. Parts that are not built in have to be given
    /// again; the configuration is that of the run.
    pub fn resume(path: impl Into<PathBuf>, images: &'a Dataset) -> Self {
        Self::on(images, Place::Existing(path.into()))
    }

    fn on(dataset: &'a Dataset, place: Place) -> Self {
        Self {
            dataset,
            keys: Keys::default(),
            algorithm: None,
            estimator: None,
            regularisers: Vec::new(),
            selection: None,
            observer: Box::new(|_| {}),
            interrupt: Interrupt::default(),
            place,
        }
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

    /// Sets a key of the configuration; a key that does not exist or a value that does not suit it is an error of
    /// [`run`](Self::run).
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        self.keys.set(key, &value);
        self
    }

    /// Searches with this algorithm; a built-in one brings its published settings along.
    #[must_use]
    pub fn algorithm(mut self, algorithm: impl Algorithm + 'static) -> Self {
        self.algorithm = Some(Box::new(algorithm));
        self
    }

    /// Draws operations with this estimator.
    #[must_use]
    pub fn estimator(mut self, estimator: impl Estimator + 'static) -> Self {
        self.estimator = Some(Arc::new(estimator));
        self
    }

    /// Adds this regulariser's gradient to that of alpha; several are added in this order.
    #[must_use]
    pub fn regulariser(mut self, regulariser: impl Regulariser + 'static) -> Self {
        self.regularisers.push(Arc::new(regulariser));
        self
    }

    /// Chooses the cell in the end with this selection.
    #[must_use]
    pub fn selection(mut self, selection: impl Selection + 'static) -> Self {
        self.selection = Some(Box::new(selection));
        self
    }

    /// Reports what happens, while it happens.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(&Event) + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Stops when this asks for it; [`run`](Self::run) then ends with [`Error::Interrupted`].
    #[must_use]
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Keeps checkpoints, events and the result in a new directory, from which the search can be
    /// [resumed](Self::resume).
    #[must_use]
    pub fn in_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::New(path.into());
        self
    }

    /// Searches on one device, to the end.
    ///
    /// # Errors
    /// The configuration or the run does not suit the data, a file cannot be read or written, a number is not finite, a
    /// part fails; or the search was asked to stop.
    pub fn run(self, device: &Device) -> Result<SearchResult, Error> {
        self.run_on(std::slice::from_ref(device))
    }

    /// As [`run`](Self::run), on several devices that share every batch (experimental).
    pub fn run_on(mut self, devices: &[Device]) -> Result<SearchResult, Error> {
        if !matches!(self.place, Place::Existing(_)) {
            self.keys.set("devices", &devices.len());
        }
        if let Some(algorithm) = &self.algorithm {
            self.keys.set_default("algorithm", &config::Algorithm::named(algorithm.name()));
        }
        let (config, mut run) = match &self.place {
            Place::Nowhere => (resolve(&[self.keys.layer()?])?, None),
            Place::New(path) => {
                let config: SearchConfig = resolve(&[self.keys.layer()?])?;
                let run = RunDir::create(path, &to_toml(&config)?)?;
                (config, Some(run))
            }
            Place::Existing(path) => {
                let run = RunDir::open(path)?;
                if run.is_finished() {
                    return Ok(read_result(path)?);
                }
                (configuration(path)?, Some(run))
            }
        };
        let mut parts = match self.algorithm {
            Some(algorithm) => Parts::with(algorithm, &config),
            None => Parts::with(algorithms::built_in(&config.algorithm)?, &config),
        };
        parts.regularisers.extend(self.regularisers);
        if let Some(estimator) = self.estimator {
            parts.estimator = estimator;
        }
        if let Some(selection) = self.selection {
            parts.selection = selection;
        }
        let observer = &mut self.observer;
        match search_with(parts, &config, self.dataset, run.as_mut(), observer, &self.interrupt, devices)? {
            Outcome::Finished(result) => Ok(*result),
            Outcome::Interrupted { step } => Err(Error::Interrupted { step }),
        }
    }
}

/// The configuration of the run at `path`.
fn configuration(path: &Path) -> Result<SearchConfig, Error> {
    let text = crate::run::read_config(path)?;
    let layer = config::Layer::file(&path.join("config.toml").display().to_string(), &text)?;
    Ok(resolve(&[layer])?)
}
