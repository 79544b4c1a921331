//! The fused CPU engine: runs a whole [`Graph`] forward and backward on `f32` slices.

#![allow(
    // Kernels must inline into the function that enables their instructions.
    clippy::inline_always,
    clippy::inline_fn_without_body,
    // Tile sizes are macro arguments, one of which is 1.
    clippy::int_plus_one,
    // Intrinsics.
    clippy::wildcard_imports,
    clippy::cast_ptr_alignment,
    clippy::manual_is_multiple_of,
    clippy::struct_field_names
)]

mod activity;
mod backward;
mod conv;
mod depthwise;
mod direct;
mod double;
mod elementwise;
mod forward;
mod norm;
mod plan;
mod pool;
mod pooling;
pub(crate) mod sgd;
mod simd;
mod values;
mod winograd;

use std::sync::Arc;

pub use self::double::Convolution;
use self::norm::NormState;
use self::plan::Plan;
use self::pool::Buffer;
use self::simd::Level;
use crate::Mode;
use crate::graph::{Graph, Op};

/// Inputs of [`forward`].
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

/// Result of [`forward`].
#[derive(Debug)]
pub struct Forward {
    /// `[batch, sum of classes]`: per image the values of [`Graph::outputs`] one after another.
    pub outputs: Vec<f32>,
    /// Per normalisation, in order, the mean and the biased variance that it used (`2 * channels` each).
    pub stats: Vec<f32>,
    /// What [`backward`] needs; `None` unless it was to be saved.
    pub tape: Option<Tape>,
}

/// Which gradients [`backward`] computes.
#[derive(Clone, Copy, Debug)]
pub struct GradTargets<'a> {
    /// One entry per parameter.
    pub params: &'a [bool],
    /// The gradient of every gate.
    pub gates: bool,
    /// The gradient of the images.
    pub image: bool,
}

/// Result of [`backward`]: the gradients in [`GradTargets`], `None` for every other.
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
    plan: Plan,
    batch: usize,
    values: Vec<Option<Buffer>>,
    gates: Vec<f32>,
    masks: Vec<f32>,
    norms: Vec<NormState>,
}

impl Tape {
    /// Bytes of the saved activations.
    pub fn bytes(&self) -> usize {
        self.values.iter().flatten().map(|v| 4 * v.len()).sum()
    }

    /// Bytes that the forward pass and a backward pass with every gradient read from and write to arrays of the whole batch: a
    /// lower bound of the memory traffic if no array stays in a cache from one step to the next.
    pub fn traffic(&self) -> [usize; 2] {
        self.plan.traffic().map(|floats| 4 * self.batch * floats)
    }
}

/// Runs the graph. With `save` the result has a tape for [`backward`].
///
/// # Panics
/// If a slice has the wrong length.
pub fn forward(graph: &Arc<Graph>, mode: Mode, inputs: &Inputs, save: bool) -> Forward {
    let batch = inputs.batch;
    assert_eq!(inputs.image.len(), batch * graph.shape(0).elements(), "the images' length");
    assert_eq!(inputs.params.len(), graph.params.len(), "the number of parameters");
    for (value, spec) in inputs.params.iter().zip(&graph.params) {
        assert_eq!(value.len(), spec.len(), "the length of {}", spec.name);
    }
    assert!(inputs.gates.len() >= graph.gates, "the number of gates");
    assert!(inputs.masks.len() >= graph.masks * batch, "the number of masks");
    let tracked: Vec<bool> =
        (0..graph.norms.len()).map(|n| inputs.running.get(n).is_some_and(|r| !r.is_empty())).collect();
    let plan = Plan::new(graph, mode, Level::get(), &tracked);
    pool::begin_pass();
    let tape = forward::forward(plan, inputs, save);
    let mut outputs =
        Vec::with_capacity(batch * graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum::<usize>());
    for n in 0..batch {
        for &o in &graph.outputs {
            let (real, padded, image) = (graph.shape(o).channels, tape.plan.channels[o], tape.plan.image(o));
            let value = tape.values[o].as_ref().expect("outputs are stored");
            value[n * image..][..image].chunks_exact(padded).for_each(|p| outputs.extend_from_slice(&p[..real]));
        }
    }
    let mut stats = vec![];
    for (n, norm) in tape.norms.iter().enumerate() {
        let start = stats.len();
        let channels = graph.norms[n].channels;
        stats.extend_from_slice(&norm.mean[..channels]);
        stats.extend_from_slice(&norm.variance[..channels]);
        let base = tape.plan.norms[n].base;
        // A bias before a normalisation is not added, as the mean cancels it; the statistics include it.
        if let Op::Conv { bias: Some(bias), .. } = graph.nodes[base].op
            && tape.plan.bias_cancels(base)
        {
            stats[start..][..channels].iter_mut().zip(inputs.params[bias]).for_each(|(m, b)| *m += b);
        }
    }
    Forward { outputs, stats, tape: save.then_some(tape) }
}

/// Gradients of `sum(upstream * outputs)`; `upstream` has the layout of [`Forward::outputs`] and `params` holds the
/// values that [`forward`] read.
///
/// # Panics
/// If a slice has the wrong length.
pub fn backward(tape: &Tape, params: &[&[f32]], upstream: &[f32], targets: &GradTargets) -> Gradients {
    let graph = &tape.plan.graph;
    assert_eq!(params.len(), graph.params.len(), "the number of parameters");
    assert_eq!(targets.params.len(), graph.params.len(), "the number of wanted parameters");
    let classes: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
    assert_eq!(upstream.len(), tape.batch * classes, "the upstream gradient's length");
    backward::backward(tape, params, upstream, targets)
}

/// The name of the instruction set in use: `avx512`, `avx2`, `neon` or `portable`. The environment variable `GDAS_SIMD`
/// selects one that the processor supports; other names are ignored.
pub fn simd_level() -> &'static str {
    Level::get().name()
}

/// The valid values of `GDAS_SIMD`: instruction sets that the processor supports and the kernels are compiled for, best
/// first.
pub fn simd_levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

/// Returns the buffers of finished passes to the operating system. Without this they are kept for reuse as long as passes use them.
pub fn release_memory() {
    pool::clear();
}
