//! The replaceable parts of a search.

use std::sync::Arc;

use super::algorithms::{self, Algorithm};
use super::estimators::{Estimator, StraightThrough};
use super::regularise::Regulariser;
use super::selection::{self, Selection};
use crate::Error;
use crate::config::{self, SearchConfig};

/// Algorithm, estimator, regularisers and selection of a search.
///
/// A run records the names of those that the configuration does not name; going on with it needs parts of the same
/// names.
#[derive(Debug)]
pub struct Parts {
    /// What a step does.
    pub algorithm: Box<dyn Algorithm>,
    /// How operations are drawn.
    pub estimator: Arc<dyn Estimator>,
    /// What is added to alpha's gradient, besides the configured cost bounds.
    pub regularisers: Vec<Arc<dyn Regulariser>>,
    /// How the cell is chosen in the end.
    pub selection: Box<dyn Selection>,
}

impl Parts {
    /// The built-in parts that a configuration names.
    ///
    /// # Errors
    /// It names an algorithm that is not built in.
    pub fn of(config: &SearchConfig) -> Result<Self, Error> {
        Ok(Self::with(algorithms::built_in(&config.algorithm)?, config))
    }

    /// An algorithm, and otherwise the built-in parts that a configuration names.
    pub fn with(algorithm: Box<dyn Algorithm>, config: &SearchConfig) -> Self {
        Self {
            algorithm,
            estimator: Arc::new(StraightThrough),
            regularisers: Vec::new(),
            selection: selection::built_in(config.selection),
        }
    }

    /// Names of the parts that are not those of the configuration, by kind.
    pub(super) fn own(&self, config: &SearchConfig) -> Vec<String> {
        let mut own = Vec::new();
        let mut note = |kind: &str, name: &str, configured: &str| {
            if name != configured {
                own.push(format!("{kind} {name}"));
            }
        };
        note("estimator", self.estimator.name(), StraightThrough.name());
        for regulariser in &self.regularisers {
            note("regulariser", regulariser.name(), "");
        }
        note("selection", self.selection.name(), selection::built_in(config.selection).name());
        own
    }

    /// Checks that the algorithm is the one that the configuration names.
    pub(super) fn check(&self, config: &SearchConfig) -> Result<(), Error> {
        let (given, configured) = (algorithms::identity(&*self.algorithm), &config.algorithm);
        if given == *configured {
            return Ok(());
        }
        let own = |algorithm: &config::Algorithm| matches!(algorithm, config::Algorithm::Own(_));
        let hint = match (own(configured), own(&given)) {
            (true, false) if given.name() == configured.name() => {
                "; the run's is not the built-in one, give it that one"
            }
            (true, _) => "; give it that one",
            (false, true) if given.name() == configured.name() => " of your own; the run's is the built-in one",
            (false, _) => "",
        };
        Err(Error::Unsuitable(format!(
            "this run searches with algorithm `{}`, and was given `{}`{hint}",
            configured.name(),
            given.name()
        )))
    }
}
