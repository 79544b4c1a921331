use crate::config::ConfigError;
use crate::data::{DataError, Position};
use crate::network::NetworkError;
use crate::run::{Checkpoint, RunError};
use crate::space::{GenotypeError, SpaceError};

/// No finite draw of one operation per edge: alpha itself is not finite, or tau is absurdly small.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("no finite draw at tau {tau} in {tries} tries: {reason}")]
pub struct DrawError {
    /// Temperature of the draw.
    pub tau: f64,
    /// How often it was tried.
    pub tries: u64,
    /// What was not finite.
    pub reason: &'static str,
}

/// Why a search or a training could not go on. Nothing that was saved is lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run directory.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The draw.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The genotype.
    #[error(transparent)]
    Genotype(#[from] GenotypeError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A configuration that does not fit the data, or a checkpoint that does not fit the configuration.
    #[error("{0}")]
    Unsuitable(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It was asked to stop. Where there is a run directory, a checkpoint of this very step is durable.
    #[error("stopped after {step} steps, as it was asked to")]
    Interrupted {
        /// Steps done.
        step: u64,
    },
    /// A part that is not built in (an algorithm, an estimator, a selection) reports a failure of its own.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// The numbers left the finite range; the last checkpoint was made before that.
    #[error(
        "{what} is not finite in epoch {epoch}, step {step}; nothing of this step was saved. A lower learning_rate \
         or clip_norm usually helps; the run directory still holds the last good checkpoint"
    )]
    NotFinite {
        /// Which quantity.
        what: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The step of the epoch, from 0.
        step: u64,
    },
}

impl Error {
    /// Lets a run go on with the images that it began with, told by their digests, and with no others.
    pub(crate) fn same_data(began_with: &str, given: &str, name: &str) -> Result<(), Self> {
        if began_with == given {
            return Ok(());
        }
        Err(Self::Unsuitable(format!(
            "the images of `{name}` are not those that this run began with; give it the same data, or begin a new run"
        )))
    }

    /// Wraps any error, for parts that are not built in.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Lets a finite value pass; any other is [`Error::NotFinite`] with the quantity's name.
    pub fn finite(value: f64, what: &str, at: Position) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::not_finite(what, at)) }
    }

    /// Lets a state be saved whose numbers are all finite: whatever else has failed to notice one that is not, it
    /// must not replace the last good checkpoint.
    pub(crate) fn finite_state(checkpoint: &Checkpoint, at: Position) -> Result<(), Self> {
        checkpoint.not_finite().map_or(Ok(()), |name| Err(Self::not_finite(&format!("a number of `{name}`"), at)))
    }

    fn not_finite(what: &str, at: Position) -> Self {
        Self::NotFinite { what: what.to_owned(), epoch: at.epoch, step: at.step }
    }
}
