use std::fmt;
use std::path::Path;

use crate::config::ConfigError;
use crate::data::{DataError, Position};
use crate::network::NetworkError;
use crate::run::{Checkpoint, RunError, read_checkpoint};
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
    /// The numbers left the finite range.
    #[error(
        "{what} is not finite {}; nothing of it was saved{kept}. The same settings lead there again: begin a new run \
         with a lower learning_rate, or with a clip_norm",
        place(*epoch, *step)
    )]
    NotFinite {
        /// Which quantity.
        what: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The step of the epoch, from 0. `None`: after the last.
        step: Option<u64>,
        /// What the run directory holds.
        kept: Kept,
    },
}

/// Where in a run, counted from 1 as progress is shown.
fn place(epoch: u64, step: Option<u64>) -> String {
    match step {
        Some(step) => format!("in epoch {}, step {}", epoch + 1, step + 1),
        None => format!("at the end of epoch {}", epoch + 1),
    }
}

/// The state that a run directory holds after a number was not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The step was not one of a run.
    Unknown,
    /// No checkpoint had been saved.
    Nothing,
    /// A checkpoint with this as the next step to do.
    State(Position),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Nothing => f.write_str(", and no checkpoint had been saved before"),
            Self::State(Position { epoch, step: 0 }) => {
                write!(f, ", and the run directory holds the state after epoch {epoch}")
            }
            Self::State(Position { epoch, step }) => {
                write!(f, ", and the run directory holds the state after step {step} of epoch {}", epoch + 1)
            }
        }
    }
}

impl Error {
    /// Accepts only the images that the run began with, compared by digest.
    pub(crate) fn same_data(began_with: &str, given: &str, name: &str) -> Result<(), Self> {
        if began_with == given {
            return Ok(());
        }
        let (name, began_with, given) = (name.to_owned(), began_with.to_owned(), given.to_owned());
        Err(RunError::OtherImages { name, began_with, given }.into())
    }

    /// Wraps any error, for parts that are not built in.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Lets a finite value pass; any other is [`Error::NotFinite`] with the quantity's name.
    pub fn finite(value: f64, what: &str, at: Position) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::not_finite(what, at.epoch, Some(at.step))) }
    }

    /// Lets a finite value pass that was measured after an epoch.
    pub(crate) fn finite_after(value: f64, what: &str, epoch: u64) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::not_finite(what, epoch, None)) }
    }

    /// Lets a state be saved whose numbers are all finite: whatever else has failed to notice one that is not, it
    /// must not replace the last good checkpoint. `next` is the step after the one that made the state.
    pub(crate) fn finite_state(checkpoint: &Checkpoint, next: Position) -> Result<(), Self> {
        let Some(name) = checkpoint.not_finite() else { return Ok(()) };
        let what = format!("a number of `{name}`");
        Err(match next.step.checked_sub(1) {
            Some(step) => Self::not_finite(&what, next.epoch, Some(step)),
            None => Self::not_finite(&what, next.epoch.saturating_sub(1), None),
        })
    }

    fn not_finite(what: &str, epoch: u64, step: Option<u64>) -> Self {
        Self::NotFinite { what: what.to_owned(), epoch, step, kept: Kept::Unknown }
    }

    /// The error of a run, which says what its directory, if it has one, holds where numbers were not finite.
    pub(crate) fn in_run(self, run: Option<&Path>) -> Self {
        match (self, run) {
            (Self::NotFinite { what, epoch, step, .. }, Some(run)) => {
                Self::NotFinite { what, epoch, step, kept: kept(run) }
            }
            (other, _) => other,
        }
    }
}

/// What a run directory holds, as read from it.
fn kept(run: &Path) -> Kept {
    match read_checkpoint(run) {
        Ok(Some(loaded)) => {
            let number = |key: &str| loaded.checkpoint.state[key].as_u64();
            match (number("epoch"), number("step")) {
                (Some(epoch), Some(step)) => Kept::State(Position { epoch, step }),
                _ => Kept::Unknown,
            }
        }
        Ok(None) => Kept::Nothing,
        Err(_) => Kept::Unknown,
    }
}
