//! The forward pass of a [`Plan`]: stage by stage, every stage in parallel over the images of the batch.

mod compute;

use std::ops::Range;

use rayon::prelude::*;

use self::compute::Computation;
use super::elementwise::moments;
use super::norm::NormState;
use super::plan::{Plan, Stage};
use super::pool::{Buffer, parts};
use super::values::Values;
use super::{Inputs, Tape};
use crate::graph::Op;

/// Runs the plan. Without `save` the tape contains only the outputs and the values of the last stages.
pub(crate) fn forward(plan: Plan, inputs: &Inputs, save: bool) -> Tape {
    let (graph, batch) = (plan.graph.clone(), inputs.batch);
    let weights: Vec<Option<Buffer>> = (0..graph.nodes.len())
        .into_par_iter()
        .map(|id| match graph.nodes[id].op {
            Op::Conv { weight, .. } => Some(plan.convs[id]?.forward_weight(inputs.params[weight])),
            _ => None,
        })
        .collect();
    let mut values: Vec<Option<Buffer>> = graph.nodes.iter().map(|_| None).collect();
    let mut norms: Vec<NormState> = (0..graph.norms.len()).map(|n| NormState::new(&plan, n, inputs)).collect();
    let last_readers = plan.last_readers();
    for (at, stage) in plan.forward.iter().enumerate() {
        let batches = run_stage(&plan, stage, &values, &norms, inputs, &weights);
        for (&v, (value, moments)) in stage.items.iter().zip(batches) {
            if let Some([sums, squares]) = moments.filter(|_| plan.image(v) > 0) {
                let normalised = plan.norms.iter().zip(&mut norms).filter(|(n, _)| n.base == v && n.batch_stats);
                normalised
                    .for_each(|(_, norm)| norm.combine(plan.level, batch, plan.image(v), &value, &sums, &squares));
            }
            values[v] = Some(value);
        }
        if !save {
            // Buffers are returned to the pool, so that the next stage reuses them while they are in the cache.
            values.iter_mut().zip(&last_readers).filter(|(_, last)| **last <= at).for_each(|(value, _)| *value = None);
        }
    }
    Tape { plan, batch, values, gates: inputs.gates.to_vec(), masks: inputs.masks.to_vec(), norms }
}

/// Sums and squares of each image's pixels, `[image, channels]` each, taken around the image's first pixel.
type Moments = Option<[Buffer; 2]>;

/// Some images of a stage, and what one task writes: its part of the values and of the moments, in the order of the stage's
/// items.
struct Task<'a> {
    images: Range<usize>,
    values: Vec<&'a mut [f32]>,
    moments: Vec<Option<[&'a mut [f32]; 2]>>,
}

/// Computes the values of a stage for the whole batch, and the moments of those that a normalisation with batch statistics
/// reads.
fn run_stage(
    plan: &Plan,
    stage: &Stage,
    finished: &[Option<Buffer>],
    norms: &[NormState],
    inputs: &Inputs,
    weights: &[Option<Buffer>],
) -> Vec<(Buffer, Moments)> {
    let (batch, block) = (inputs.batch, stage.block);
    let buffers = stage.items.iter().map(|&v| {
        let measured = plan.norms.iter().any(|n| n.base == v && n.batch_stats);
        let moments = || Buffer::new(batch * plan.channels[v]);
        (Buffer::new(batch * plan.image(v)), measured.then(|| [moments(), moments()]))
    });
    let mut buffers: Vec<(Buffer, Moments)> = buffers.collect();
    let mut split: Vec<_> = stage
        .items
        .iter()
        .zip(&mut buffers)
        .map(|(&v, (value, moments))| {
            let moments = moments.as_mut().map(|m| m.each_mut().map(|m| parts(m, block * plan.channels[v])));
            (parts(value, block * plan.image(v)), moments)
        })
        .collect();
    let tasks = (0..batch.div_ceil(block)).map(|task| {
        let mut own = Task { images: task * block..((task + 1) * block).min(batch), values: vec![], moments: vec![] };
        for (values, moments) in &mut split {
            own.values.push(values.next().unwrap_or_default());
            own.moments.push(moments.as_mut().map(|m| m.each_mut().map(|m| m.next().unwrap_or_default())));
        }
        own
    });
    let tasks: Vec<Task> = tasks.collect();
    tasks.into_par_iter().for_each(|Task { images, values: mut own, moments: mut measured }| {
        for (item, &v) in stage.items.iter().enumerate() {
            // Taken out while it is written, so that the task can read its other values.
            let out = std::mem::take(&mut own[item]);
            let values = Values::of_task(plan, finished, &stage.items, &own, images.start);
            Computation { values, norms, inputs, weights }.compute(v, images.clone(), out);
            if let Some([sums, squares]) = &mut measured[item] {
                let c = plan.channels[v];
                let per_image = out.chunks_exact(plan.image(v).max(1));
                for ((x, s), q) in per_image.zip(sums.chunks_exact_mut(c)).zip(squares.chunks_exact_mut(c)) {
                    moments(plan.level, x, &x[..c], s, q);
                }
            }
            own[item] = out;
        }
    });
    buffers
}
