//! A Python function that chooses the cell of a search.

use std::fmt;
use std::sync::{Arc, Mutex};

use gdas::Error;
use gdas::search::{Selected, Selection, SelectionContext};
use pyo3::prelude::*;

/// Scores every candidate by a function of Python's; the largest score wins, the first of equals.
pub(crate) struct Judge {
    callback: Py<PyAny>,
    /// The exception that ended the selection.
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Judge {
    pub(crate) fn new(callback: Py<PyAny>, raised: Arc<Mutex<Option<PyErr>>>) -> Self {
        Self { callback, raised }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl Selection for Judge {
    fn name(&self) -> &'static str {
        "python"
    }

    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error> {
        let candidates = choice.candidates();
        let mut best = None;
        for (done, genotype) in candidates.iter().enumerate() {
            if !choice.proceed(done, candidates.len())? {
                return Ok(None);
            }
            let text = genotype.to_string();
            let score = Python::attach(|py| self.callback.call1(py, (text.as_str(),))?.extract::<f64>(py));
            let score = score.map_err(|error| {
                let message = format!("the judge failed on {text}: {error}");
                if let Ok(mut raised) = self.raised.lock() {
                    *raised = Some(error);
                }
                Error::Unsuitable(message)
            })?;
            if score.is_nan() {
                return Err(Error::Unsuitable(format!("the judge's score of {text} is not a number")));
            }
            if best.as_ref().is_none_or(|(largest, _)| score > *largest) {
                best = Some((score, genotype));
            }
        }
        Ok(best.map(|(_, genotype)| Selected::new(genotype.clone())))
    }
}
