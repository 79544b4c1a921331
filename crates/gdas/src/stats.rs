//! Statistics that more than one part needs.

/// Rank of every value, 1 for the smallest; equal ones share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|&value| below(value) + f64::midpoint(1.0, equal(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[5.0, f64::NEG_INFINITY, 5.0, 7.0]), [2.5, 1.0, 2.5, 4.0]);
    }
}
