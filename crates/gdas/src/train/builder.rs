//! Builder of a training.

use std::path::PathBuf;

use burn::tensor::Device;

use super::{Outcome, TrainResult, TrainedModel, train_network};
use crate::Error;
use crate::builder::{Builder, Opened};
use crate::config::TrainConfig;
use crate::data::Dataset;
use crate::run::read_result;
use crate::space::Genotype;

/// Builder of a training.
///
/// Every key of the configuration ([`TrainConfig`]) can be [set](Self::set); the others have the values of the preset.
/// Without a [directory](Self::in_directory) nothing is written to disk.
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
pub type Train<'a> = Builder<'a, Training>;

/// Marker type of a [`Builder`] of a training.
#[derive(Clone, Copy, Debug, Default)]
pub struct Training;

/// Result of a [`Train`].
#[derive(Clone, Debug)]
pub struct Trained {
    /// The trained network.
    pub network: TrainedModel,
    /// Metrics, size and digest.
    pub result: TrainResult,
}

impl<'a> Builder<'a, Training> {
    /// A training of the genotype's network on these images.
    pub fn new(genotype: &Genotype, images: &'a Dataset) -> Self {
        let mut train = Self::begin(images, Training);
        train.keys.set("space", &*genotype.space);
        train.keys.set("genotype", &genotype.to_string());
        train
    }

    /// Resumes the training in a run directory, on the same images and with its configuration.
    pub fn resume(path: impl Into<PathBuf>, images: &'a Dataset) -> Self {
        Self::go_on(path.into(), images, Training)
    }

    /// Runs the training on one device.
    ///
    /// # Errors
    /// If the configuration or the run does not suit the data, a file cannot be read or written, a value is not finite, or the
    /// training is interrupted.
    pub fn run(mut self, device: &Device) -> Result<Trained, Error> {
        let (config, mut run): (TrainConfig, _) = match self.open()? {
            Opened::Finished(path) => {
                let network = TrainedModel::open_path(&path, device)?;
                return Ok(Trained { network, result: read_result(&path)? });
            }
            Opened::Ready(config, run) => (config, run),
        };
        match train_network(&config, self.dataset, run.as_mut(), None, &mut self.observer, &self.interrupt, device)? {
            Outcome::Finished(trained) => Ok(*trained),
            Outcome::Interrupted { step } => Err(Error::Interrupted { step }),
        }
    }
}
