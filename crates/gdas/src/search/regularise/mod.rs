//! Regularisation of alpha: cost bounds, penalties, and measures against cells of mostly skip connections.

mod alpha;
mod cost;
mod early_stop;
mod skips;

use super::progress::Progress;
use crate::alpha::Alpha;

pub use alpha::AlphaPenalty;
pub use cost::CostBound;
pub(super) use cost::exceeded;
pub(super) use early_stop::EarlyStopState;
pub(super) use skips::{genotype_of, skip_masks};

/// A penalty on alpha, defined by its gradient.
///
/// # Example
/// Beta decay (Ye et al., "Beta-DARTS", CVPR 2022): the penalty is the sum over edges of `log sum exp(alpha)`, its
/// gradient `softmax(alpha)`, with a weight that grows over the epochs.
///
/// ```
/// use gdas::Alpha;
/// use gdas::search::{Progress, Regulariser};
///
/// #[derive(Debug)]
/// struct BetaDecay {
///     weight: f64,
/// }
///
/// impl Regulariser for BetaDecay {
///     fn name(&self) -> &str {
///         "beta-decay"
///     }
///
///     fn gradient(&self, alpha: &[Alpha], at: Progress) -> Vec<Alpha> {
///         let weight = self.weight * at.at.epoch as f64 / at.epochs as f64;
///         let mut gradients: Vec<Alpha> = alpha.iter().map(Alpha::softmax).collect();
///         gradients.iter_mut().flat_map(Alpha::values_mut).for_each(|value| *value *= weight);
///         gradients
///     }
/// }
/// # let _: Box<dyn Regulariser> = Box::new(BetaDecay { weight: 25.0 });
/// ```
pub trait Regulariser: std::fmt::Debug + Send + Sync {
    /// Name, recorded in the run; resuming requires a regulariser of the same name.
    fn name(&self) -> &str;

    /// Gradient of the penalty with respect to alpha, one matrix `[edges, operations]` per searched cell; it is added to the
    /// gradient of the loss.
    fn gradient(&self, alpha: &[Alpha], at: Progress) -> Vec<Alpha>;
}
