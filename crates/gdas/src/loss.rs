//! Cross-entropy and accuracy of a batch.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};

use crate::deferred::Deferred;

/// Loss and accuracy of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Mean cross-entropy (with label smoothing, of the smoothed targets).
    pub loss: f64,
    /// Top-1 accuracy, in 0..=1.
    pub accuracy: f64,
    /// Top-5 accuracy, in 0..=1.
    pub top5: f64,
    /// Number of images.
    pub images: usize,
}

impl Metrics {
    /// Metrics over several batches: means weighted by the number of images, added in order.
    pub fn over(batches: &[Self]) -> Self {
        let images: usize = batches.iter().map(|batch| batch.images).sum();
        let mean = |of: fn(&Self) -> f64| {
            let sum: f64 = batches.iter().fold(0.0, |sum, batch| sum + batch.images as f64 * of(batch));
            sum / images.max(1) as f64
        };
        Self { loss: mean(|b| b.loss), accuracy: mean(|b| b.accuracy), top5: mean(|b| b.top5), images }
    }
}

/// Metrics of a batch from the sums of [`gdas_kernels::loss::Loss`] on a device.
pub(crate) fn deferred(sums: Tensor<1>, images: usize) -> Deferred<Metrics> {
    Deferred::on_device(sums, move |sums| {
        let mean = |i: usize| sums.get(i).map_or(f64::NAN, |&sum| f64::from(sum) / images.max(1) as f64);
        Metrics { loss: mean(0), accuracy: mean(1), top5: mean(2), images }
    })
}

/// Mean cross-entropy of scores `[batch, classes]`, as a differentiable tensor and as metrics. `smoothing` in `0..1` is the
/// fraction of the target that is spread over all classes.
pub fn cross_entropy(scores: &Tensor<2>, labels: &[u32], smoothing: f64) -> (Tensor<1>, Metrics) {
    let (loss, metrics) = measure(scores, labels, smoothing);
    (loss, metrics.get())
}

/// As [`cross_entropy`], with metrics that stay on a GPU until they are read.
pub(crate) fn measure(scores: &Tensor<2>, labels: &[u32], smoothing: f64) -> (Tensor<1>, Deferred<Metrics>) {
    if let Some(loss) = gdas_kernels::loss::cross_entropy(scores, labels, smoothing) {
        return (loss.mean, deferred(loss.sums, labels.len()));
    }
    let [batch, classes] = scores.dims();
    let mut targets = vec![(smoothing / classes as f64) as f32; batch * classes];
    for (image, &label) in labels.iter().enumerate() {
        targets[image * classes + label as usize] += (1.0 - smoothing) as f32;
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [batch, classes]), &scores.device().inner());
    let loss = (log_softmax(scores.clone(), 1) * targets).sum() * (-1.0 / batch as f64);
    (loss, Deferred::new(metrics(scores, labels, smoothing)))
}

fn metrics(scores: &Tensor<2>, labels: &[u32], smoothing: f64) -> Metrics {
    let [batch, classes] = scores.dims();
    let values: Vec<f64> = scores.to_data().convert::<f64>().iter::<f64>().collect();
    let (mut loss, mut first, mut fifth) = (0.0, 0usize, 0usize);
    for (row, &label) in values.chunks_exact(classes).zip(labels) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_total = max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        let own = row[label as usize];
        let mean: f64 = row.iter().sum::<f64>() / classes as f64;
        loss += log_total - (1.0 - smoothing) * own - smoothing * mean;
        // Of equal scores the lower class ranks first.
        let label = label as usize;
        let better = row.iter().enumerate().filter(|&(i, x)| *x > own || (*x == own && i < label)).count();
        // An image with a NaN score counts as wrong.
        first += usize::from(better == 0 && own.is_finite());
        fifth += usize::from(better < 5 && own.is_finite());
    }
    let n = batch.max(1) as f64;
    Metrics { loss: loss / n, accuracy: first as f64 / n, top5: fifth as f64 / n, images: batch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn numbers_and_tensor_agree() {
        let device = Device::flex();
        let scores = Tensor::<2>::from_floats([[2.0, -1.0, 0.5], [0.0, 0.1, 0.3]], &device);
        for smoothing in [0.0, 0.1] {
            let (loss, metrics) = cross_entropy(&scores, &[0, 1], smoothing);
            let loss = loss.into_data().iter::<f64>().next().expect("one value");
            assert!((loss - metrics.loss).abs() < 1e-6);
            assert_eq!((metrics.accuracy, metrics.top5), (0.5, 1.0));
        }
        // ln(e^2 + e^-1 + e^0.5) - 2 and ln(1 + e^0.1 + e^0.3) - 0.1, halved.
        let exact = ((2f64.exp() + (-1f64).exp() + 0.5f64.exp()).ln() - 2.0 + (1.0 + 0.1f64.exp() + 0.3f64.exp()).ln()
            - 0.1)
            / 2.0;
        assert!((cross_entropy(&scores, &[0, 1], 0.0).1.loss - exact).abs() < 1e-6);
    }
}
