//! Estimators: how one operation per edge is drawn, and how the gradient of the draw reaches alpha.

mod dirichlet;
mod reinmax;
mod straight_through;

use crate::Error;
use crate::alpha::Alpha;
use crate::rng::Rng;

pub use dirichlet::Dirichlet;
pub use reinmax::ReinMax;
pub use straight_through::StraightThrough;

/// One operation per edge of a searched cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The drawn operation of each edge: a column of alpha.
    pub picks: Vec<usize>,
    /// The relaxed probabilities, `[edges, operations]`, that the gradient flows through.
    pub probabilities: Alpha,
    /// The temperature.
    pub tau: f64,
    /// Draws that had to be repeated because they were not finite.
    pub redraws: u64,
}

/// A differentiable draw of one operation per edge.
///
/// An estimator decides two things: which operation an edge takes, and what gradient alpha gets for it. The supernet runs
/// the drawn operations with gates of one; the gradient of the loss in these gates comes back as `dL/dh`.
///
/// # Example
/// Draws as published, and the gradient of REINFORCE with the gate gradient of the drawn operation as its cost.
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
    /// Its name, which a run records: going on with it needs an estimator of the same name.
    fn name(&self) -> &str;

    /// Draws one operation per edge from logits `[edges, operations]` at temperature `tau`, using no other randomness
    /// than `rng`.
    ///
    /// # Errors
    /// No draw can be made of these logits.
    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error>;

    /// The gradient of the loss in alpha, given the logits of the draw and the gradient in the gates, `dL/dh`; all of shape
    /// `[edges, operations]`.
    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha;
}
