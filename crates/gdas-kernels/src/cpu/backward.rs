//! The backward pass of a [`Plan`]: every stored gradient pulls the contributions of its consumers, stage by stage, every stage
//! in parallel over at most [`CHUNKS`] chunks of the batch.

mod convolution;
mod operation;
mod reduce;
mod required;
mod separable;
mod task;

use std::ops::Range;

use rayon::prelude::*;

use self::reduce::NormSlope;
use self::required::Required;
use self::task::{GateSums, Grad, StageContext, Task};
use super::plan::{Consumer, Plan, Stage};
use super::pool::{Buffer, parts};
use super::values::Values;
use super::{GradTargets, Gradients, Tape};
use crate::graph::{Op, ValueId};

/// Maximum number of chunks of a batch, each with separate partial weight gradients. Fixed, so that the order of summation
/// does not depend on the number of threads.
const CHUNKS: usize = 16;

/// Division of the batch in one stage: chunks of `images` images (the last one may have fewer), processed in blocks.
#[derive(Clone, Copy)]
struct Chunks {
    batch: usize,
    /// Images per block.
    block: usize,
    /// Images per chunk, a multiple of `block`.
    images: usize,
    count: usize,
}

impl Chunks {
    fn new(batch: usize, block: usize) -> Self {
        let blocks = batch.div_ceil(block);
        let per_chunk = blocks.div_ceil(CHUNKS).max(1);
        Self { batch, block, images: per_chunk * block, count: blocks.div_ceil(per_chunk) }
    }

    /// The images of each block of a chunk.
    fn blocks(self, chunk: usize) -> impl Iterator<Item = Range<usize>> {
        let end = ((chunk + 1) * self.images).min(self.batch);
        (chunk * self.images..end).step_by(self.block).map(move |first| first..(first + self.block).min(end))
    }
}

pub(crate) fn backward(tape: &Tape, params: &[&[f32]], upstream: &[f32], targets: &GradTargets) -> Gradients {
    let plan = &tape.plan;
    let graph = &plan.graph;
    let required = Required::new(plan, targets);
    let stages = plan.backward_stages(&required.active);
    let weights: Vec<Option<Buffer>> = (0..graph.nodes.len())
        .into_par_iter()
        .map(|id| match graph.nodes[id].op {
            Op::Conv { weight, .. }
                if required.gradient[graph.nodes[id].inputs[0]] || plan.pointwise_after(id).is_some() =>
            {
                Some(plan.convs[id]?.backward_weight(params[weight]))
            }
            _ => None,
        })
        .collect();
    let mut pass = Pass {
        tape,
        targets,
        upstream,
        weights: &weights,
        last: last_readers(plan, &stages),
        required,
        grads: plan.consumers.iter().map(|_| None).collect(),
        slopes: NormSlope::before_sums(tape),
        gate_sums: vec![0.0; graph.gates],
        params: targets.params.iter().map(|&target| target.then(Vec::new)).collect(),
    };
    for (at, stage) in stages.iter().enumerate() {
        pass.run_stage(at, stage);
    }
    for (gradient, spec) in pass.params.iter_mut().zip(&graph.params) {
        // Gradients that no stage reached are zero.
        if let Some(gradient) = gradient {
            gradient.resize(spec.len(), 0.0);
        }
    }
    Gradients {
        image: targets.image.then(|| image_gradient(plan, tape.batch, pass.grads[0].as_deref())),
        gates: targets.gates.then(|| pass.gate_sums.iter().map(|&g| g as f32).collect()),
        params: pass.params,
    }
}

/// The gradient of the images without padded channels; zeros if nothing contributes to it.
fn image_gradient(plan: &Plan, batch: usize, grad: Option<&[f32]>) -> Vec<f32> {
    let (real, padded) = (plan.graph.shape(0).channels, plan.channels[0]);
    let mut image = vec![0.0; batch * plan.graph.shape(0).elements()];
    for (to, from) in image.chunks_exact_mut(real).zip(grad.unwrap_or_default().chunks_exact(padded)) {
        to.copy_from_slice(&from[..real]);
    }
    image
}

/// For each gradient the last stage that reads it.
fn last_readers(plan: &Plan, stages: &[Stage]) -> Vec<usize> {
    let mut last = vec![0; plan.consumers.len()];
    for (at, stage) in stages.iter().enumerate() {
        for &grad in &stage.items {
            last[grad] = last[grad].max(at);
            for consumer in &plan.consumers[grad] {
                let upstream = match *consumer {
                    Consumer::Node { node, .. } => plan.upstream[plan.pointwise_after(node).unwrap_or(node)],
                    Consumer::Norm(n) => plan.norm_upstream[n],
                };
                last[upstream.grad] = at;
            }
        }
    }
    last
}

/// A backward pass between two stages.
struct Pass<'a> {
    tape: &'a Tape,
    targets: &'a GradTargets<'a>,
    upstream: &'a [f32],
    /// Per convolution, its weights for the input's gradient.
    weights: &'a [Option<Buffer>],
    required: Required,
    /// Per gradient the last stage that reads it.
    last: Vec<usize>,
    /// Gradients of finished stages that later stages read.
    grads: Vec<Option<Buffer>>,
    slopes: Vec<NormSlope>,
    /// The results so far; an empty gradient is zero.
    gate_sums: Vec<f64>,
    params: Vec<Option<Vec<f32>>>,
}

impl Pass<'_> {
    fn run_stage(&mut self, at: usize, stage: &Stage) {
        let (tape, plan, batch) = (self.tape, &self.tape.plan, self.tape.batch);
        let chunks = Chunks::new(batch, stage.block);
        let convs = self.weight_gradients_of(stage);
        let norms = self.norm_sums_of(stage);

        // For each item: its gradient, and its capacity in images per chunk. A gradient that only this stage reads needs one
        // block of images per chunk, which stays in the cache. The image's gradient is a result.
        let buffer = |&grad: &usize| {
            let room = if self.last[grad] == at && grad != 0 { chunks.block } else { chunks.images };
            let images = if room == chunks.images { batch } else { chunks.count * room };
            let len = if self.required.gradient[grad] { images * plan.image(plan.node_of(grad)) } else { 0 };
            (Buffer::new(len), room)
        };
        let mut grads: Vec<(Buffer, usize)> = stage.items.iter().map(buffer).collect();
        let norm_len = |n: usize| 2 * plan.channels[plan.norms[n].base];
        let mut norm_parts: Vec<Buffer> = norms.iter().map(|&n| Buffer::new(batch * norm_len(n))).collect();
        let weight_len = |c: ValueId| plan.convs[c].map_or(0, |conv| conv.gradient_len()) + plan.channels[c];
        let mut weight_parts: Vec<Buffer> =
            convs.iter().map(|&c| Buffer::zeroed(chunks.count * weight_len(c))).collect();
        let gates = plan.graph.gates;
        let mut gate_parts = vec![0.0f64; batch * gates];

        let context = StageContext {
            tape,
            plan,
            targets: self.targets,
            required: &self.required,
            values: Values::of_tape(tape),
            finished: &self.grads,
            items: &stage.items,
            slopes: &self.slopes,
            weights: self.weights,
            upstream: self.upstream,
            norms: &norms,
            convs: &convs,
        };
        let mut split_grads: Vec<_> = stage
            .items
            .iter()
            .zip(&mut grads)
            .map(|(&grad, (buffer, room))| {
                let image = plan.image(plan.node_of(grad));
                (parts(buffer, *room * image), image, *room)
            })
            .collect();
        let mut split_norms: Vec<_> =
            norms.iter().zip(&mut norm_parts).map(|(&n, p)| parts(p, chunks.images * norm_len(n))).collect();
        let mut split_weights: Vec<_> =
            convs.iter().zip(&mut weight_parts).map(|(&c, p)| parts(p, weight_len(c))).collect();
        let mut split_gates = gate_parts.chunks_mut((chunks.images * gates).max(1));
        let tasks = (0..chunks.count).map(|chunk| {
            let first = chunk * chunks.images;
            let grads = split_grads.iter_mut().map(|(data, image, room)| {
                let data = data.next().unwrap_or_default();
                Grad { data, image: *image, first, room: *room }
            });
            let grads = grads.collect();
            let norm_sums = split_norms.iter_mut().map(|p| p.next().unwrap_or_default()).collect();
            let weights = split_weights.iter_mut().map(|p| p.next().unwrap_or_default()).collect();
            let rows = split_gates.next().unwrap_or_default();
            let gates = GateSums { rows, gates, first };
            (chunk, Task { context: &context, first, grads, norm_sums, weights, gates })
        });
        let tasks: Vec<(usize, Task)> = tasks.collect();
        tasks.into_par_iter().for_each(|(chunk, mut task)| {
            for images in chunks.blocks(chunk) {
                for item in 0..stage.items.len() {
                    task.complete(item, images.clone());
                }
            }
        });

        for row in gate_parts.chunks_exact(gates.max(1)) {
            self.gate_sums.iter_mut().zip(row).for_each(|(s, r)| *s += r);
        }
        for (&n, parts) in norms.iter().zip(&norm_parts) {
            self.slopes[n] = reduce::norm(tape, n, parts, &mut self.gate_sums, &mut self.params);
        }
        reduce::weights(plan, &self.required, &convs, &weight_parts, chunks.count, &mut self.params);
        for (&grad, (buffer, _)) in stage.items.iter().zip(grads) {
            self.grads[grad] = self.required.gradient[grad].then_some(buffer);
        }
        // Gradients are returned to the pool after their last reader; the image's is a result.
        for (grad, buffer) in self.grads.iter_mut().enumerate().filter(|(grad, _)| self.last[*grad] == at && *grad != 0)
        {
            let _ = grad;
            *buffer = None;
        }
    }

    /// The convolutions whose weight gradients a stage computes.
    fn weight_gradients_of(&self, stage: &Stage) -> Vec<ValueId> {
        let plan = &self.tape.plan;
        let nodes = stage.items.iter().flat_map(|&grad| &plan.consumers[grad]).filter_map(|consumer| match *consumer {
            Consumer::Node { node, .. } => Some(node),
            Consumer::Norm(_) => None,
        });
        nodes
            .flat_map(|node| [Some(node), plan.pointwise_after(node)])
            .flatten()
            .filter(|&node| self.required.any_weight(node) && self.required.reached[plan.upstream[node].grad])
            .collect()
    }

    /// The normalisations whose sums a stage computes.
    fn norm_sums_of(&self, stage: &Stage) -> Vec<usize> {
        let plan = &self.tape.plan;
        (0..plan.norms.len())
            .filter(|&n| stage.items.contains(&plan.norm_upstream[n].grad))
            // The gradient of a gate after a normalisation is computed from these sums, whether or not earlier gradients are needed.
            .filter(|&n| {
                self.required.gradient[plan.norms[n].node]
                    || (self.targets.gates && plan.norm_upstream[n].gate.is_some())
            })
            .collect()
    }
}
