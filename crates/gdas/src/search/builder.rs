//! Builder of a search.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;

use super::algorithms::{self, Algorithm};
use super::estimators::Estimator;
use super::parts::Parts;
use super::regularise::Regulariser;
use super::result::SearchResult;
use super::selection::Selection;
use super::{Outcome, search_with};
use crate::Error;
use crate::builder::{Builder, Opened};
use crate::config::SearchConfig;
use crate::data::Dataset;
use crate::run::read_result;
use crate::space::Space;

/// Builder of a search.
///
/// Every key of the configuration ([`SearchConfig`]) can be [set](Self::set); the others have the values of the space's
/// preset. Without a [directory](Self::in_directory) nothing is written to disk.
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
pub type Search<'a> = Builder<'a, OwnParts>;

/// Custom parts of a [`Search`].
#[derive(Debug, Default)]
pub struct OwnParts {
    algorithm: Option<Box<dyn Algorithm>>,
    estimator: Option<Arc<dyn Estimator>>,
    regularisers: Vec<Arc<dyn Regulariser>>,
    selection: Option<Box<dyn Selection>>,
}

impl<'a> Builder<'a, OwnParts> {
    /// A search in this space on these images.
    pub fn new(space: impl Into<Arc<Space>>, images: &'a Dataset) -> Self {
        let space: Arc<Space> = space.into();
        let mut search = Self::begin(images, OwnParts::default());
        search.keys.set("space", &*space);
        search
    }

    /// Resumes the search in a run directory, on the same images and with its configuration. Custom parts must be set again.
    pub fn resume(path: impl Into<PathBuf>, images: &'a Dataset) -> Self {
        Self::go_on(path.into(), images, OwnParts::default())
    }

    /// Sets the algorithm; a built-in one also sets its published settings.
    #[must_use]
    pub fn algorithm(mut self, algorithm: impl Algorithm + 'static) -> Self {
        self.task.algorithm = Some(Box::new(algorithm));
        self
    }

    /// Sets the estimator.
    #[must_use]
    pub fn estimator(mut self, estimator: impl Estimator + 'static) -> Self {
        self.task.estimator = Some(Arc::new(estimator));
        self
    }

    /// Adds a regulariser, whose gradient is added to that of alpha; several are added in order.
    #[must_use]
    pub fn regulariser(mut self, regulariser: impl Regulariser + 'static) -> Self {
        self.task.regularisers.push(Arc::new(regulariser));
        self
    }

    /// Sets the selection of the final cell.
    #[must_use]
    pub fn selection(mut self, selection: impl Selection + 'static) -> Self {
        self.task.selection = Some(Box::new(selection));
        self
    }

    /// Runs the search on one device.
    ///
    /// # Errors
    /// If the configuration or the run does not suit the data, a file cannot be read or written, a value is not finite, a
    /// custom part fails, or the search is interrupted.
    pub fn run(self, device: &Device) -> Result<SearchResult, Error> {
        self.run_on(std::slice::from_ref(device))
    }

    /// As [`run`](Self::run), on several devices that share every batch (experimental).
    pub fn run_on(mut self, devices: &[Device]) -> Result<SearchResult, Error> {
        if !self.resumes() {
            self.keys.set("devices", &devices.len());
        }
        if let Some(algorithm) = &self.task.algorithm {
            self.keys.set_default("algorithm", &algorithms::identity(&**algorithm));
        }
        let (config, mut run): (SearchConfig, _) = match self.open()? {
            Opened::Finished(path) => return Ok(read_result(&path)?),
            Opened::Ready(config, run) => (config, run),
        };
        let mut parts = match self.task.algorithm {
            Some(algorithm) => Parts::with(algorithm, &config),
            None => Parts::of(&config)?,
        };
        parts.regularisers.extend(self.task.regularisers);
        if let Some(estimator) = self.task.estimator {
            parts.estimator = estimator;
        }
        if let Some(selection) = self.task.selection {
            parts.selection = selection;
        }
        let observer = &mut self.observer;
        match search_with(parts, &config, self.dataset, run.as_mut(), observer, &self.interrupt, devices)? {
            Outcome::Finished(result) => Ok(*result),
            Outcome::Interrupted { step } => Err(Error::Interrupted { step }),
        }
    }
}
