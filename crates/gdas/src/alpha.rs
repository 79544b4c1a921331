//! Matrices `[edges, operations]` of a cell: alpha, its gradients, probabilities, prices.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// A matrix `[edges, operations]` of one searched cell, in row-major order.
///
/// Alpha itself consists of such matrices (logits, one per searched cell), as do all values per edge and operation:
/// probabilities, gradients, prices. In JSON a matrix is a list of rows.
///
/// ```
/// use gdas::Alpha;
///
/// let alpha = Alpha::from_rows(&[[0.0, 2.0], [1.0, -1.0]]);
/// assert_eq!((alpha.edges(), alpha.operations()), (2, 2));
/// assert_eq!(alpha.argmax(), [1, 0]);
/// assert!((alpha.softmax()[(0, 1)] - 0.880_797).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<Vec<f64>>", try_from = "Vec<Vec<f64>>")]
pub struct Alpha {
    edges: usize,
    operations: usize,
    values: Vec<f64>,
}

impl Alpha {
    /// A matrix of zeros.
    pub fn zeros(edges: usize, operations: usize) -> Self {
        Self { edges, operations, values: vec![0.0; edges * operations] }
    }

    /// A matrix of zeros of the same shape.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        Self::zeros(self.edges, self.operations)
    }

    /// The matrix of `value(edge, operation)`, called in row-major order.
    pub fn from_fn(edges: usize, operations: usize, mut value: impl FnMut(usize, usize) -> f64) -> Self {
        let mut alpha = Self::zeros(edges, operations);
        for edge in 0..edges {
            for operation in 0..operations {
                alpha[(edge, operation)] = value(edge, operation);
            }
        }
        alpha
    }

    /// A matrix of these rows. A row shorter than the first is padded with zeros, a longer one is truncated.
    pub fn from_rows<R: AsRef<[f64]>>(rows: &[R]) -> Self {
        let operations = rows.first().map_or(0, |row| row.as_ref().len());
        let value = |edge: usize, k: usize| rows[edge].as_ref().get(k).copied().unwrap_or(0.0);
        Self::from_fn(rows.len(), operations, value)
    }

    /// A matrix of values in row-major order; `None` if their number is not `edges * operations`.
    pub fn from_values(edges: usize, operations: usize, values: Vec<f64>) -> Option<Self> {
        (values.len() == edges * operations).then_some(Self { edges, operations, values })
    }

    /// Number of rows.
    pub fn edges(&self) -> usize {
        self.edges
    }

    /// Number of columns.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// `[edges, operations]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.edges, self.operations]
    }

    /// The rows, one per edge.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.edges).map(|edge| &self[edge])
    }

    /// The values in row-major order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values in row-major order, mutable.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Applies `change` to every row; it must keep the length.
    #[must_use]
    pub fn map_rows(&self, mut change: impl FnMut(&[f64]) -> Vec<f64>) -> Self {
        let mut result = self.zeros_like();
        for edge in 0..self.edges {
            result[edge].copy_from_slice(&change(&self[edge]));
        }
        result
    }

    /// Probabilities: the softmax of every row.
    #[must_use]
    pub fn softmax(&self) -> Self {
        self.map_rows(softmax)
    }

    /// Index of the operation with the largest value of each edge; the first of equals.
    pub fn argmax(&self) -> Vec<usize> {
        self.rows().map(argmax).collect()
    }

    /// Whether every value is finite.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|x| x.is_finite())
    }
}

impl Index<usize> for Alpha {
    type Output = [f64];

    fn index(&self, edge: usize) -> &[f64] {
        &self.values[edge * self.operations..][..self.operations]
    }
}

impl IndexMut<usize> for Alpha {
    fn index_mut(&mut self, edge: usize) -> &mut [f64] {
        &mut self.values[edge * self.operations..][..self.operations]
    }
}

impl Index<(usize, usize)> for Alpha {
    type Output = f64;

    fn index(&self, (edge, operation): (usize, usize)) -> &f64 {
        &self[edge][operation]
    }
}

impl IndexMut<(usize, usize)> for Alpha {
    fn index_mut(&mut self, (edge, operation): (usize, usize)) -> &mut f64 {
        &mut self[edge][operation]
    }
}

impl From<Alpha> for Vec<Vec<f64>> {
    fn from(alpha: Alpha) -> Self {
        alpha.rows().map(<[f64]>::to_vec).collect()
    }
}

impl TryFrom<Vec<Vec<f64>>> for Alpha {
    type Error = String;

    fn try_from(rows: Vec<Vec<f64>>) -> Result<Self, String> {
        let operations = rows.first().map_or(0, Vec::len);
        if let Some(edge) = rows.iter().position(|row| row.len() != operations) {
            return Err(format!("row {edge} has {} numbers, the first has {operations}", rows[edge].len()));
        }
        Ok(Self { edges: rows.len(), operations, values: rows.concat() })
    }
}

/// The index of the largest value; the first of equals, 0 for an empty row.
pub fn argmax(row: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (i, value);
        }
    }
    best.0
}

/// `exp(x) / sum exp(x)`, computed so that it cannot overflow.
pub fn softmax(x: &[f64]) -> Vec<f64> {
    log_softmax(x).into_iter().map(f64::exp).collect()
}

/// `x - ln(sum exp(x))`, computed so that it cannot overflow.
pub fn log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    x.iter().map(|x| x - max - log_total).collect()
}

/// Backward pass of `p = softmax(z / tau)`: the gradient with respect to `z` from that with respect to `p`, all
/// `[edges, operations]`: `dz_k = p_k (dp_k - sum_j p_j dp_j) / tau`.
pub fn softmax_gradient(p: &Alpha, dp: &Alpha, tau: f64) -> Alpha {
    let mut gradients = dp.rows();
    p.map_rows(|p| {
        let dp = gradients.next().unwrap_or_default();
        let mean: f64 = p.iter().zip(dp).map(|(p, dp)| p * dp).sum();
        p.iter().zip(dp).map(|(p, dp)| p * (dp - mean) / tau).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_a_list_of_rows_in_json_and_a_ragged_list_is_refused() {
        let alpha = Alpha::from_fn(2, 3, |edge, k| (edge * 10 + k) as f64);
        let text = serde_json::to_string(&alpha).expect("finite");
        assert_eq!(text, "[[0.0,1.0,2.0],[10.0,11.0,12.0]]");
        assert_eq!(serde_json::from_str::<Alpha>(&text).expect("rows"), alpha);
        let error = serde_json::from_str::<Alpha>("[[0,1],[2]]").unwrap_err().to_string();
        assert!(error.contains("row 1 has 1 numbers, the first has 2"), "{error}");
        assert_eq!(Alpha::from_values(2, 2, vec![0.0; 3]), None);
    }

    #[test]
    fn the_largest_is_found_and_softmax_does_not_overflow() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f64::NAN, 1.0]), 1);
        assert_eq!(argmax(&[f64::NEG_INFINITY; 2]), 0);
        assert_eq!(softmax(&[1e300, 1e300, f64::NEG_INFINITY]), [0.5, 0.5, 0.0]);
        assert_eq!(Alpha::zeros(0, 5).rows().count(), 0);
    }
}
