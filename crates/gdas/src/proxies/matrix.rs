//! Linear algebra for the proxies.

/// Cholesky factor L, a lower triangular matrix, of a symmetric positive definite matrix `L L^T`.
pub(super) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Decomposes a matrix `[n, n]`; `None` if it is not positive definite in double precision.
    pub(super) fn new(matrix: &[f64], n: usize) -> Option<Self> {
        let largest = (0..n).map(|i| matrix[i * n + i]).fold(0.0, f64::max);
        let least = n as f64 * f64::EPSILON * largest;
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
        for i in 0..n {
            let mut row: Vec<f64> = Vec::with_capacity(i + 1);
            for j in 0..i {
                let done: f64 = row.iter().zip(&rows[j]).map(|(a, b)| a * b).sum();
                row.push((matrix[i * n + j] - done) / rows[j][j]);
            }
            let pivot = matrix[i * n + i] - row.iter().map(|a| a * a).sum::<f64>();
            if pivot.is_nan() || pivot <= least {
                return None;
            }
            row.push(pivot.sqrt());
            rows.push(row);
        }
        Some(Self { rows })
    }

    /// Logarithm of the determinant of the matrix.
    pub(super) fn log_determinant(&self) -> f64 {
        self.rows.iter().enumerate().map(|(i, row)| 2.0 * row[i].ln()).sum()
    }

    /// Trace of the inverse of the matrix: the sum of the squares of the elements of the inverse of L.
    pub(super) fn trace_of_inverse(&self) -> f64 {
        let n = self.rows.len();
        let mut total = 0.0;
        for column in 0..n {
            let mut solved = vec![0.0; n];
            for i in column..n {
                let done: f64 = (column..i).map(|j| self.rows[i][j] * solved[j]).sum();
                solved[i] = (f64::from(u8::from(i == column)) - done) / self.rows[i][i];
            }
            total += solved.iter().map(|x| x * x).sum::<f64>();
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn determinant_and_inverse_by_hand() {
        // [[4, 2, 0], [2, 5, 1], [0, 1, 3]]: determinant 44, cofactors of the diagonal 14, 12, 16.
        let root = Cholesky::new(&[4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0], 3);
        let root = root.map(|root| (root.log_determinant(), root.trace_of_inverse()));
        let (log, trace) = root.unwrap_or_default();
        assert!((log - 44f64.ln()).abs() < 1e-12 && (trace - 42.0 / 44.0).abs() < 1e-12, "{log} {trace}");
        assert!(Cholesky::new(&[1.0, 1.0, 1.0, 1.0], 2).is_none(), "singular");
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
    }
}
