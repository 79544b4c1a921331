use std::fmt;
use std::path::Path;

use crate::config::ConfigError;
use crate::data::{DataError, Position};
use crate::network::NetworkError;
use crate::run::{Checkpoint, RunError, read_checkpoint};
use crate::space::{GenotypeError, SpaceError};

/// Sampling one operation per edge gave no finite result: alpha is not finite, or tau is too small.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("no finite draw at tau {tau} in {tries} tries: {reason}")]
pub struct DrawError {
    /// Temperature tau of the sampling.
    pub tau: f64,
    /// Number of attempts.
    pub tries: u64,
    /// The value that was not finite.
    pub reason: &'static str,
}

/// Error of a search or a training. Saved checkpoints remain valid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Error of the run directory.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Error of the data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Error of the sampling of operations.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// Error of the search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// Error of the genotype.
    #[error(transparent)]
    Genotype(#[from] GenotypeError),
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A configuration that does not fit the data, or a checkpoint that does not fit the configuration.
    #[error("{0}")]
    Unsuitable(String),
    /// Error of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A stop was requested. If there is a run directory, the checkpoint of this step is saved.
    #[error("stopped after {step} steps, as it was asked to")]
    Interrupted {
        /// Number of steps done.
        step: u64,
    },
    /// Error of a custom part (algorithm, estimator, selection).
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// A value is not finite.
    #[error(
        "{what} is not finite {}; nothing of it was saved{kept}. The same settings lead there again: begin a new run \
         with a lower learning_rate, or with a clip_norm",
        place(*epoch, *step)
    )]
    NotFinite {
        /// Name of the value.
        what: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The step of the epoch, from 0. `None`: after the last.
        step: Option<u64>,
        /// State saved in the run directory.
        kept: Kept,
    },
}

/// Position in a run as text, counted from 1.
fn place(epoch: u64, step: Option<u64>) -> String {
    match step {
        Some(step) => format!("in epoch {}, step {}", epoch + 1, step + 1),
        None => format!("at the end of epoch {}", epoch + 1),
    }
}

/// State saved in a run directory when a value was not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// There is no run directory.
    Unknown,
    /// No checkpoint had been saved.
    Nothing,
    /// A checkpoint with this next step.
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
    /// Checks by their digest that the images are those with which the run began.
    pub(crate) fn same_data(began_with: &str, given: &str, name: &str) -> Result<(), Self> {
        if began_with == given {
            return Ok(());
        }
        let (name, began_with, given) = (name.to_owned(), began_with.to_owned(), given.to_owned());
        Err(RunError::OtherImages { name, began_with, given }.into())
    }

    /// Wraps the error of a custom part.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Checks that a value is finite; `what` is its name in [`Error::NotFinite`].
    pub fn finite(value: f64, what: &str, at: Position) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::not_finite(what, at.epoch, Some(at.step))) }
    }

    /// As [`finite`](Self::finite), for a value measured at the end of an epoch.
    pub(crate) fn finite_after(value: f64, what: &str, epoch: u64) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::not_finite(what, epoch, None)) }
    }

    /// Checks that all values of a state are finite before it replaces the last checkpoint. `next` is the step after the one
    /// that produced the state.
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

    /// Adds the state saved in the run directory, if there is one, to a [`NotFinite`](Self::NotFinite) error.
    pub(crate) fn in_run(self, run: Option<&Path>) -> Self {
        match (self, run) {
            (Self::NotFinite { what, epoch, step, .. }, Some(run)) => {
                Self::NotFinite { what, epoch, step, kept: kept(run) }
            }
            (other, _) => other,
        }
    }
}

/// State saved in a run directory.
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
