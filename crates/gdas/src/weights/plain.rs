//! The numbers of one network as plain arrays, as files and other programs take them.

use gdas_kernels::graph::Graph;

/// Parameters and running statistics of one network on the host, in the engine's layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlainWeights {
    /// In the order of [`Graph::params`], each flattened in the shape of its description.
    pub params: Vec<Vec<f32>>,
    /// In the order of [`Graph::norms`]: mean followed by variance; empty where no running statistics are kept.
    pub running: Vec<Vec<f32>>,
}

/// Arrays that are not those of a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WeightsMismatch {
    /// An array of another length.
    #[error(
        "array `{name}` has {found} numbers where the network needs {expected}; the weights belong to another network"
    )]
    Length {
        /// Name of the array.
        name: String,
        /// Numbers needed.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// Not as many arrays as the network has.
    #[error("{found} {what} where the network has {expected}; the weights belong to another network")]
    Count {
        /// "parameters" or "normalisations".
        what: &'static str,
        /// Needed.
        expected: usize,
        /// Found.
        found: usize,
    },
}

impl PlainWeights {
    /// Verifies that the arrays are those of `graph`, in number and length.
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
