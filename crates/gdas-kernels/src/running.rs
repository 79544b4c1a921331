//! Running statistics of many batch normalisations, updated in one call: on a graphics device a few launches instead of several
//! per normalisation.

use burn::tensor::Tensor;

/// The running statistics of one normalisation, and the batch statistics that they move towards.
#[derive(Clone, Debug)]
pub struct RunningUpdate {
    /// Running mean and variance, `[2, channels]`. Updated in place if this is the only handle to the tensor.
    pub running: Tensor<2>,
    /// Mean and biased variance of a batch, `[2, channels]`, as in [`crate::ForwardOutput::stats`].
    pub batch: Tensor<2>,
    /// The number of values per channel that the batch statistics were taken over (batch x height x width).
    pub count: usize,
}

impl RunningUpdate {
    /// The factor from the biased variance to the unbiased one, which PyTorch keeps as the running variance: n / (n - 1).
    pub(crate) fn unbiased(&self) -> f64 {
        self.count as f64 / (self.count as f64 - 1.0).max(1.0)
    }
}

/// The new running statistics, `(1 - momentum) * running + momentum * batch` with the batch's unbiased variance, as in PyTorch's
/// `BatchNorm2d`. One tensor `[2, channels]` per update, in order.
pub fn update(momentum: f64, updates: Vec<RunningUpdate>) -> Vec<Tensor<2>> {
    #[cfg(feature = "gpu")]
    if !updates.is_empty() && updates.iter().all(|update| crate::on_graphics_device(&update.running)) {
        return crate::gpu::update_running(momentum, updates);
    }
    let updated = updates.into_iter().map(|update| {
        let scale = [[momentum], [momentum * update.unbiased()]];
        let scale = Tensor::<2>::from_floats(scale, &update.running.device());
        update.running * (1.0 - momentum) + update.batch * scale
    });
    updated.collect()
}
