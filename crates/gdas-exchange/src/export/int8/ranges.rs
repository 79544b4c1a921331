//! Ranges of activations, observed on calibration images.

use burn::tensor::Tensor;

/// Number of bins of a histogram between the smallest and the largest value.
const BINS: usize = 4096;

/// Affine quantisation of an activation to a byte: `value = scale * (byte - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) zero: u8,
}

impl Affine {
    /// The smallest scale that covers `low` to `high`. Zero is represented exactly, as images are padded with zeros.
    pub(super) fn of(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = (high - low) / 255.0;
        if !(scale.is_finite() && scale > f32::MIN_POSITIVE) {
            return Self { scale: 1.0, zero: 0 };
        }
        Self { scale, zero: (-low / scale).round().clamp(0.0, 255.0) as u8 }
    }

    /// Quantises and dequantises the values.
    pub(super) fn round_trip(self, x: Tensor<4>) -> Tensor<4> {
        let zero = f32::from(self.zero);
        let bytes = (x.div_scalar(self.scale)).round().add_scalar(zero).clamp(0.0, 255.0);
        bytes.sub_scalar(zero).mul_scalar(self.scale)
    }
}

/// Range and histogram of one activation over all calibration images.
#[derive(Clone, Debug)]
pub(super) struct Range {
    low: f32,
    high: f32,
    /// Number of values per bin between `low` and `high`.
    counts: Vec<u64>,
}

impl Default for Range {
    fn default() -> Self {
        Self { low: f32::INFINITY, high: f32::NEG_INFINITY, counts: Vec::new() }
    }
}

impl Range {
    /// Widens the range to include these values.
    pub(super) fn widen(&mut self, values: &[f32]) {
        for &value in values.iter().filter(|value| value.is_finite()) {
            (self.low, self.high) = (self.low.min(value), self.high.max(value));
        }
    }

    /// Adds values to the histogram; all must be within the range.
    pub(super) fn count(&mut self, values: &[f32]) {
        self.counts.resize(BINS, 0);
        let per_unit = BINS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for &value in values.iter().filter(|value| value.is_finite()) {
            let bin = ((value - self.low) * per_unit) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The quantisation that clips this fraction of the values at either end.
    pub(super) fn affine(&self, left_out: f64) -> Affine {
        if self.low > self.high {
            return Affine::of(0.0, 0.0);
        }
        let total: u64 = self.counts.iter().sum();
        let spare = (total as f64 * left_out) as u64;
        let bins_beyond = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0;
            bins.take_while(|&&count| {
                seen += count;
                seen <= spare
            })
            .count()
        };
        let width = (self.high - self.low) / BINS as f32;
        let low = self.low + bins_beyond(&mut self.counts.iter()) as f32 * width;
        let high = self.high - bins_beyond(&mut self.counts.iter().rev()) as f32 * width;
        if spare == 0 { Affine::of(self.low, self.high) } else { Affine::of(low, high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn zero_is_exact_and_errors_are_half_a_step_at_most() {
        for (low, high) in [(-3.0, 5.0), (0.0, 7.5), (2.0, 9.0), (-4.0, -1.0)] {
            let affine = Affine::of(low, high);
            let values: Vec<f32> = (0..=1000).map(|i| low + (high - low) * i as f32 / 1000.0).chain([0.0]).collect();
            let n = values.len();
            let x = Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([1, 1, 1, n]);
            let back: Vec<f32> = affine.round_trip(x).into_data().iter::<f32>().collect();
            assert_eq!(back[n - 1], 0.0, "{low}..{high}");
            let worst = back.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= affine.scale * 1.001, "{low}..{high}: {worst} of {}", affine.scale);
        }
    }

    #[test]
    fn rare_values_are_left_out() {
        let mut values: Vec<f32> = (0..100_000).map(|i| i as f32 / 100_000.0).collect();
        values.push(50.0);
        let mut range = Range::default();
        range.widen(&values);
        range.count(&values);
        assert!((range.affine(0.0).scale * 255.0 - 50.0).abs() < 1e-3);
        assert!((range.affine(1e-4).scale * 255.0 - 1.0).abs() < 0.05);
        assert_eq!(Range::default().affine(0.0), Affine { scale: 1.0, zero: 0 });
    }
}
