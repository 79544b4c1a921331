//! Running statistics of many normalisations, moved in one call: on a graphics processor few launches instead of several for each.

use burn::tensor::Tensor;

/// The running statistics of one normalisation, and what they move towards.
#[derive(Clone, Debug)]
pub struct Moving {
    /// Running mean and variance, `[2, channels]`. Moved in place if this is the only handle to them.
    pub running: Tensor<2>,
    /// Mean and biased variance of a batch, `[2, channels]`, as [`crate::Outcome::stats`] has them.
    pub batch: Tensor<2>,
    /// From how many values they are. The running variance is the unbiased one, as in PyTorch.
    pub count: usize,
}

impl Moving {
    /// What takes the biased variance to the unbiased one.
    pub(crate) fn unbiased(&self) -> f64 {
        self.count as f64 / (self.count as f64 - 1.0).max(1.0)
    }
}

/// Moves each by `share` of the way: `running = (1 - share) * running + share * batch`. Returns the new ones.
pub fn approach(share: f64, all: Vec<Moving>) -> Vec<Tensor<2>> {
    #[cfg(feature = "gpu")]
    if !all.is_empty() && all.iter().all(|moving| crate::on_graphics_device(&moving.running)) {
        return crate::gpu::approach(share, all);
    }
    let moved = all.into_iter().map(|moving| {
        let scale = [[share], [share * moving.unbiased()]];
        let scale = Tensor::<2>::from_floats(scale, &moving.running.device());
        moving.running * (1.0 - share) + moving.batch * scale
    });
    moved.collect()
}
