//! Estimators: sampling of one operation per edge, and the gradient of alpha for the sample.

mod dirichlet;
mod reinmax;
mod straight_through;

use crate::Error;
use crate::alpha::Alpha;
use crate::rng::Rng;

pub use dirichlet::Dirichlet;
pub use reinmax::ReinMax;
pub use straight_through::StraightThrough;

/// A sample of one operation per edge of a searched cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The sampled operation of each edge, a column of alpha.
    pub picks: Vec<usize>,
    /// The relaxed probabilities `[edges, operations]` for the gradient.
    pub probabilities: Alpha,
    /// Temperature tau of the sampling.
    pub tau: f64,
    /// Number of samples repeated because they were not finite.
    pub redraws: u64,
}

/// Sampling of one operation per edge with a gradient estimate for alpha.
///
/// The supernet computes the sampled operations with gates of 1; the gradient of the loss with respect to the gates is
/// `dL/dh`, from which the estimator computes that with respect to alpha.
///
/// # Example
/// Sampling as published, and the gradient of REINFORCE with the gate gradient of the sampled operation as cost.
///
/// ```
/// use gdas::rng::{Rng, Stream};
/// use gdas::search::{Draw, Estimator, StraightThrough};
/// use gdas::{Alpha, Error};
///
/// #[derive(Debug)]
/// struct ScoreFunction;
///
/// impl Estimator for ScoreFunction {
///     fn name(&self) -> &str {
///         "score-function"
///     }
///
///     fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
///         StraightThrough.draw(logits, tau, rng)
///     }
///
///     fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
///         let p = logits.softmax();
///         Alpha::from_fn(p.edges(), p.operations(), |edge, k| {
///             let pick = draw.picks[edge];
///             gates[(edge, pick)] * (f64::from(u8::from(k == pick)) - p[(edge, k)])
///         })
///     }
/// }
///
/// let draw = ScoreFunction.draw(&Alpha::zeros(6, 5), 1.0, &mut Rng::new(0, Stream::DrawAlpha, 0))?;
/// assert_eq!(draw.picks.len(), 6);
/// # Ok::<(), Error>(())
/// ```
pub trait Estimator: std::fmt::Debug + Send + Sync {
    /// Name, recorded in the run; resuming requires an estimator of the same name.
    fn name(&self) -> &str;

    /// Samples one operation per edge from logits `[edges, operations]` at temperature `tau`, with randomness from `rng` only.
    ///
    /// # Errors
    /// If these logits cannot be sampled.
    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error>;

    /// The gradient of the loss with respect to alpha, from the logits of the sample and the gradient with respect to the gates,
    /// `dL/dh`; all of shape `[edges, operations]`.
    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha;
}
