//! Cross-entropy; see [`crate::loss`].

use burn::backend::TensorMetadata;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::place::{Place, launch};

/// Numbers per image that are summed over the images: loss, top 1, top 5.
const SUMS: usize = 3;

/// Loss of a batch, and its gradient.
pub(crate) struct Loss {
    /// `[1]`.
    pub(crate) mean: CubeTensor,
    /// `[SUMS]`.
    pub(crate) sums: CubeTensor,
    /// The mean's gradient in the scores, `[batch, classes]`.
    pub(crate) gradient: CubeTensor,
}

/// Two launches: one thread per image, then the sums.
pub(crate) fn cross_entropy(scores: CubeTensor, labels: &[u32], smoothing: f32) -> Loss {
    let scores = into_contiguous(scores);
    let place = Place::of(&scores);
    let (batch, classes) = (scores.shape()[0], scores.shape()[1]);
    let labels = place.words(labels);
    let loss = Loss { mean: place.empty([1]), sums: place.empty([SUMS]), gradient: place.empty([batch, classes]) };
    let each = place.empty([batch.max(1), SUMS]);
    launch!(place, cross_entropy, batch, [scores, labels, loss.gradient, each], batch, smoothing, classes);
    launch!(place, cross_entropy_sums, SUMS, [each, loss.sums, loss.mean], batch);
    loss
}

/// `values` times a single number of the device.
pub(crate) fn scaled(values: &CubeTensor, by: &CubeTensor) -> CubeTensor {
    let place = Place::of(values);
    let (batch, classes) = (values.shape()[0], values.shape()[1]);
    let y = place.empty([batch, classes]);
    launch!(place, scale, batch * classes, [values, by, y]);
    y
}
