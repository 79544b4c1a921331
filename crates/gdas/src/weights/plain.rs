//! Weights of one network as plain arrays, for files and other programs.

use gdas_kernels::graph::Graph;

/// Parameters and running statistics of one network on the host, in the engine's layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlainWeights {
    /// Values of [`Graph::params`], in order, flattened.
    pub params: Vec<Vec<f32>>,
    /// Running statistics of [`Graph::norms`], in order: mean followed by variance; empty if none are kept.
    pub running: Vec<Vec<f32>>,
}

/// The arrays do not match the network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WeightsMismatch {
    /// An array has another length.
    #[error(
        "array `{name}` has {found} numbers where the network needs {expected}; the weights belong to another network"
    )]
    Length {
        /// Name of the array.
        name: String,
        /// Required number of values.
        expected: usize,
        /// Actual number of values.
        found: usize,
    },
    /// The number of arrays differs from the network's.
    #[error("{found} {what} where the network has {expected}; the weights belong to another network")]
    Count {
        /// "parameters" or "normalisations".
        what: &'static str,
        /// Required number.
        expected: usize,
        /// Actual number.
        found: usize,
    },
}

impl PlainWeights {
    /// Checks that number and lengths of the arrays match `graph`.
    ///
    /// # Errors
    /// [`WeightsMismatch`] names the first array that differs.
    pub fn check(&self, graph: &Graph) -> Result<(), WeightsMismatch> {
        let count = |what, expected, found| {
            if expected == found { Ok(()) } else { Err(WeightsMismatch::Count { what, expected, found }) }
        };
        count("parameters", graph.params.len(), self.params.len())?;
        count("normalisations", graph.norms.len(), self.running.len())?;
        let params = graph.params.iter().zip(&self.params).map(|(spec, values)| (&spec.name, spec.len(), values.len()));
        let norms = graph
            .norms
            .iter()
            .zip(&self.running)
            .map(|(spec, values)| (&spec.name, if spec.track { 2 * spec.channels } else { 0 }, values.len()));
        match params.chain(norms).find(|(_, expected, found)| expected != found) {
            Some((name, expected, found)) => Err(WeightsMismatch::Length { name: name.clone(), expected, found }),
            None => Ok(()),
        }
    }
}
