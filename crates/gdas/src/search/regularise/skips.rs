//! Options against a known failure mode, cells of mostly skip connections.
//!
//! Dropout on skip connections (P-DARTS, arXiv 1904.12760) reduces the early advantage of operations without weights;
//! `alpha_warmup_epochs` does so more directly and should be tried first. `max_skips` (also P-DARTS) limits the derived cell
//! without affecting the search.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::alpha::Alpha;
use crate::config::{Auto, SearchConfig};
use crate::rng::{Rng, Stream};
use crate::search::progress::{Half, Progress};
use crate::space::{Genotype, Space};
use crate::supernet::SubNetwork;

/// Derives a genotype from logits, within the limit on skip connections.
pub(crate) fn genotype_of(config: &SearchConfig, space: &Arc<Space>, alpha: &[Alpha]) -> Genotype {
    match config.max_skips {
        Auto::Auto => Genotype::from_alpha(space, alpha),
        Auto::Is(most) => Genotype::from_alpha_with_skips(space, alpha, most),
    }
}

/// Dropout factors of a sub-network's skip connections `[skips, images]`: 0 for dropped ones, else 1 over the fraction kept.
pub(crate) fn skip_masks(
    config: &SearchConfig,
    net: &SubNetwork,
    progress: &Progress,
    half: Half,
    images: usize,
    device: &Device,
) -> Option<Tensor<2>> {
    let skips = net.graph.masks;
    if skips == 0 {
        return None;
    }
    let rate = skip_dropout(config.skip_dropout, progress.at.epoch, config.epochs);
    let mut rng = Rng::new(config.seed, Stream::SkipDropout, 2 * progress.step + half as u64);
    let mut factor = || if rng.uniform() < rate { 0.0 } else { (1.0 / (1.0 - rate)) as f32 };
    let factors = (0..skips * images).map(|_| factor()).collect();
    Some(Tensor::from_data(TensorData::new::<f32, _>(factors, [skips, images]), device))
}

/// Dropout rate of an epoch. P-DARTS's `exp(-0.2 epoch)` is 1/20 after its 15 epochs; here it is so after all epochs.
fn skip_dropout(first: f64, epoch: u64, epochs: usize) -> f64 {
    first * (-3.0 * epoch as f64 / epochs as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_dropout_falls_to_a_twentieth() {
        assert_eq!(skip_dropout(0.4, 0, 25), 0.4);
        assert!((skip_dropout(0.4, 25, 25) - 0.02).abs() < 1e-3);
        // P-DARTS after a third of its 15 epochs: exp(-0.2 * 5).
        assert!((skip_dropout(1.0, 5, 15) - (-1.0_f64).exp()).abs() < 1e-12);
    }
}
