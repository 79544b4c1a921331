//! A training from a program: a genotype, images, and whatever differs from the defaults.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::Serialize;

use super::{Outcome, TrainResult, TrainedModel, train_network};
use crate::Error;
use crate::config::{Keys, Layer, TrainConfig, resolve, to_toml};
use crate::data::Dataset;
use crate::run::{Event, Interrupt, RunDir, read_config, read_result};
use crate::space::Genotype;

/// A training that is about to be run.
///
/// Every key of the configuration ([`TrainConfig`]) can be [set](Self::set); those that are not have the values of the
/// preset. Without a [directory](Self::in_directory) nothing is written.
///
/// ```
/// use gdas::run::Interrupt;
/// use gdas::train::Train;
/// use gdas::{Device, Genotype, data};
///
/// let images = data::digits();
/// let cell = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|";
/// let trained = Train::new(&cell.parse::<Genotype>()?, &images)
///     .preset("smoke").epochs(1).set("max_steps_per_epoch", 3)
///     .run(&Device::flex())?;
/// let probabilities = trained.network.predict(&images.train, false, &Interrupt::default());
/// # assert_eq!(probabilities.map(|images| images[0].len()), Some(10));
/// # Ok::<(), gdas::Error>(())
/// ```
pub struct Train<'a> {
    dataset: &'a Dataset,
    keys: Keys,
    observer: Box<dyn FnMut(&Event) + 'a>,
    interrupt: Interrupt,
    place: Place,
}

/// Where a training leaves its state.
enum Place {
    Nowhere,
    /// A directory that is made for it.
    New(PathBuf),
    /// A directory that holds it already.
    Existing(PathBuf),
}

/// Result of a [`Train`].
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network, ready to predict.
    pub network: TrainedModel,
    /// Accuracies, size, digest.
    pub result: TrainResult,
}

impl<'a> Train<'a> {
    /// A training of this cell's network on these images.
    pub fn new(genotype: &Genotype, images: &'a Dataset) -> Self {
        let mut train = Self::on(images, Place::Nowhere);
        train.keys.set("space", &*genotype.space);
        train.keys.set("genotype", &genotype.to_string());
        train.keys.set("data", if images.name.is_empty() { "images" } else { &images.name });
        train
    }

    /// Goes on with the training in a run directory, on the same images; the configuration is that of the run.
    pub fn resume(path: impl Into<PathBuf>, images: &'a Dataset) -> Self {
        Self::on(images, Place::Existing(path.into()))
    }

    fn on(dataset: &'a Dataset, place: Place) -> Self {
        let (keys, interrupt) = (Keys::default(), Interrupt::default());
        Self { dataset, keys, observer: Box::new(|_| {}), interrupt, place }
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

    /// Keeps checkpoints, events and the result in a new directory, from which the training can be
    /// [resumed](Self::resume).
    #[must_use]
    pub fn in_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::New(path.into());
        self
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// The configuration or the run does not suit the data, a file cannot be read or written, a number is not finite; or
    /// the training was asked to stop.
    pub fn run(mut self, device: &Device) -> Result<Trained, Error> {
        let (config, mut run): (TrainConfig, _) = match &self.place {
            Place::Nowhere => (resolve(&[self.keys.layer()?])?, None),
            Place::New(path) => {
                let config = resolve(&[self.keys.layer()?])?;
                let run = RunDir::create(path, &to_toml(&config)?)?;
                (config, Some(run))
            }
            Place::Existing(path) => {
                let run = RunDir::open(path)?;
                if run.is_finished() {
                    let network = TrainedModel::open_path(path, device)?;
                    return Ok(Trained { network, result: read_result(path)? });
                }
                let text = read_config(path)?;
                let layer = Layer::file(&path.join("config.toml").display().to_string(), &text)?;
                (resolve(&[layer])?, Some(run))
            }
        };
        match train_network(&config, self.dataset, run.as_mut(), None, &mut self.observer, &self.interrupt, device)? {
            Outcome::Finished(trained) => Ok(*trained),
            Outcome::Interrupted { step } => Err(Error::Interrupted { step }),
        }
    }
}
