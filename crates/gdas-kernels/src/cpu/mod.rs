//! The fused CPU engine: runs a whole [`Graph`] forward and backward on `f32` slices.

mod naive;

use std::sync::Arc;

use crate::Mode;
use crate::graph::Graph;

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Number of images.
    pub batch: usize,
    /// The images, `[batch, height, width, channels]`.
    pub image: &'a [f32],
    /// Parameter values in the order of [`Graph::params`].
    pub params: &'a [&'a [f32]],
    /// Gate values; [`Graph::gates`] of them.
    pub gates: &'a [f32],
    /// Factors per image, `[Graph::masks, batch]`.
    pub masks: &'a [f32],
    /// Running statistics, read only in [`Mode::Eval`]: per normalisation its mean followed by its variance
    /// (`2 * channels`), or an empty slice for one that is not tracked: that one uses the batch's statistics.
    pub running: &'a [&'a [f32]],
}

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// `[batch, sum of classes]`: per image the values of [`Graph::outputs`] one after another.
    pub outputs: Vec<f32>,
    /// Per normalisation, in order, the mean and the biased variance that it used (`2 * channels` each).
    pub stats: Vec<f32>,
    /// What [`backward`] needs, if asked for.
    pub tape: Option<Tape>,
}

/// Which gradients [`backward`] computes.
#[derive(Clone, Copy, Debug)]
pub struct Wants<'a> {
    /// One entry per parameter.
    pub params: &'a [bool],
    /// The gradient of every gate.
    pub gates: bool,
    /// The gradient of the images.
    pub image: bool,
}

/// What [`backward`] returns: exactly the gradients asked for.
#[derive(Debug)]
pub struct Gradients {
    /// One entry per parameter, shaped like it.
    pub params: Vec<Option<Vec<f32>>>,
    /// One entry per gate.
    pub gates: Option<Vec<f32>>,
    /// Shaped like [`Inputs::image`].
    pub image: Option<Vec<f32>>,
}

/// Saved activations of one forward pass.
#[derive(Debug)]
pub struct Tape {
    inner: naive::Tape,
}

/// Runs the graph. `save` keeps what [`backward`] needs.
///
/// # Panics
/// If a slice has the wrong length.
pub fn forward(graph: &Arc<Graph>, mode: Mode, inputs: &Inputs, save: bool) -> Forward {
    let (outputs, stats, tape) = naive::forward(graph, mode, inputs);
    Forward { outputs, stats, tape: save.then_some(Tape { inner: tape }) }
}

/// Gradients of `sum(upstream * outputs)`; `upstream` has the layout of [`Forward::outputs`] and `params` the
/// values that [`forward`] read.
///
/// # Panics
/// If a slice has the wrong length.
pub fn backward(tape: &Tape, params: &[&[f32]], upstream: &[f32], wants: &Wants) -> Gradients {
    naive::backward(&tape.inner, params, upstream, wants)
}
