//! The replaceable parts of a search.

use std::sync::Arc;

use super::algorithms::{self, Algorithm};
use super::estimators::{Estimator, ReinMax, StraightThrough};
use super::regularise::{AlphaPenalty, Regulariser};
use super::selection::{self, Selection};
use crate::Error;
use crate::config::{self, SearchConfig};

/// Algorithm, estimator, regularisers and selection of a search.
///
/// A run records the names of custom parts; resuming it requires parts of the same names.
#[derive(Debug)]
pub struct Parts {
    /// The algorithm.
    pub algorithm: Box<dyn Algorithm>,
    /// The estimator.
    pub estimator: Arc<dyn Estimator>,
    /// Regularisers of alpha, in addition to the configured cost bounds.
    pub regularisers: Vec<Arc<dyn Regulariser>>,
    /// The selection of the final cell.
    pub selection: Box<dyn Selection>,
}

impl Parts {
    /// The built-in parts of a configuration.
    ///
    /// # Errors
    /// If its algorithm is not built in.
    pub fn of(config: &SearchConfig) -> Result<Self, Error> {
        Ok(Self::with(algorithms::built_in(&config.algorithm)?, config))
    }

    /// An algorithm with the other built-in parts of a configuration.
    pub fn with(algorithm: Box<dyn Algorithm>, config: &SearchConfig) -> Self {
        Self {
            algorithm,
            estimator: estimator(config),
            regularisers: penalties(config),
            selection: selection::built_in(config.selection),
        }
    }

    /// Names of the custom parts with their kind.
    pub(super) fn own(&self, config: &SearchConfig) -> Vec<String> {
        let mut own = Vec::new();
        let mut note = |kind: &str, name: &str, configured: &str| {
            if name != configured {
                own.push(format!("{kind} {name}"));
            }
        };
        note("estimator", self.estimator.name(), estimator(config).name());
        let mut configured = penalties(config);
        for regulariser in &self.regularisers {
            match configured.iter().position(|penalty| penalty.name() == regulariser.name()) {
                Some(known) => drop(configured.remove(known)),
                None => note("regulariser", regulariser.name(), ""),
            }
        }
        note("selection", self.selection.name(), selection::built_in(config.selection).name());
        own
    }

    /// Checks that the algorithm is that of the configuration.
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

/// The configured estimator.
fn estimator(config: &SearchConfig) -> Arc<dyn Estimator> {
    match config.estimator {
        config::Estimator::StraightThrough => Arc::new(StraightThrough),
        config::Estimator::ReinMax => Arc::new(ReinMax),
    }
}

/// The configured penalties on alpha.
fn penalties(config: &SearchConfig) -> Vec<Arc<dyn Regulariser>> {
    AlphaPenalty::of(config).into_iter().map(|penalty| Arc::new(penalty) as Arc<dyn Regulariser>).collect()
}
