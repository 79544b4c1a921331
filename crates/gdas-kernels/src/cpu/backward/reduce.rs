//! Sums over the batch: the gradients of parameters and gates from the partial sums of tasks, in a fixed order.

use rayon::prelude::*;

use super::required::Required;
use crate::cpu::Tape;
use crate::cpu::plan::Plan;
use crate::cpu::pool::Buffer;
use crate::graph::{Op, ValueId};

/// The gradient that a normalisation passes back, per channel: `k1 * d + (k2 * (z - mean) + k3)`, or `k1 * d` alone with running
/// statistics (`k2` and `k3` are empty).
#[derive(Clone, Debug, Default)]
pub(super) struct NormSlope {
    pub(super) k1: Vec<f32>,
    pub(super) k2: Vec<f32>,
    pub(super) k3: Vec<f32>,
}

impl NormSlope {
    /// For each normalisation, the coefficients that do not depend on sums; with running statistics these are all.
    pub(super) fn before_sums(tape: &Tape) -> Vec<Self> {
        let slope = |(n, state): (usize, &crate::cpu::norm::NormState)| {
            let gate = tape.plan.norm_upstream[n].gate.map_or(1.0, |g| tape.gates[g]);
            Self { k1: state.scale.iter().map(|s| gate * s).collect(), ..Self::default() }
        };
        tape.norms.iter().enumerate().map(slope).collect()
    }
}

/// Adds up a normalisation's sums `[image, 2, channels]` (of `d`, and of `d * (z - mean)`): returns its slope, and adds to the
/// gradients of its parameters and of its gate.
pub(super) fn norm(
    tape: &Tape,
    n: usize,
    parts: &[f32],
    gates: &mut [f64],
    params: &mut [Option<Vec<f32>>],
) -> NormSlope {
    let (plan, state, norm) = (&tape.plan, &tape.norms[n], &tape.plan.norms[n]);
    let c = state.mean.len();
    let real = plan.graph.norms[n].channels;
    let mut sums = vec![[0.0f64; 2]; c];
    for image in parts.chunks_exact(2 * c) {
        for j in 0..c {
            sums[j][0] += f64::from(image[j]);
            sums[j][1] += f64::from(image[c + j]);
        }
    }
    let upstream = plan.norm_upstream[n];
    let gate = upstream.gate.map_or(1.0, |g| tape.gates[g]);
    if let Some(g) = upstream.gate {
        // Around the mean the value is `scale * (z - mean) + beta`.
        gates[g] += (0..real)
            .map(|j| f64::from(state.scale[j]) * sums[j][1] + f64::from(state.beta[j]) * sums[j][0])
            .sum::<f64>();
    }
    let count = (tape.batch * plan.image(norm.base) / c).max(1) as f64;
    let mut slope = NormSlope { k1: vec![0.0; c], k2: vec![], k3: vec![] };
    if norm.batch_stats {
        slope.k2 = vec![0.0; c];
        slope.k3 = vec![0.0; c];
    }
    for j in 0..real {
        let inverse = state.inverse[j];
        let s1 = f64::from(gate) * sums[j][0];
        let s2 = f64::from(gate) * sums[j][1] * f64::from(inverse);
        slope.k1[j] = gate * state.scale[j];
        if norm.batch_stats {
            slope.k2[j] = -state.scale[j] * inverse * (s2 / count) as f32;
            slope.k3[j] = -state.scale[j] * (s1 / count) as f32;
        }
        if let Some(d) = norm.scale.and_then(|p| params[p].as_mut()) {
            d.resize(real, 0.0);
            d[j] += s2 as f32;
        }
        if let Some(d) = norm.shift.and_then(|p| params[p].as_mut()) {
            d.resize(real, 0.0);
            d[j] += s1 as f32;
        }
    }
    slope
}

/// Adds up the chunks' parts of weight gradients `[chunk, weight then bias]` and adds them to the gradients of the parameters,
/// of which empty ones are zero.
pub(super) fn weights(
    plan: &Plan,
    required: &Required,
    convs: &[ValueId],
    parts: &[Buffer],
    chunks: usize,
    params: &mut [Option<Vec<f32>>],
) {
    if chunks == 0 {
        return;
    }
    let finished: Vec<_> = convs
        .par_iter()
        .zip(parts)
        .map(|(&id, parts)| {
            let conv = plan.convs[id].as_ref().expect("has weights");
            let len = parts.len() / chunks;
            let mut sum = Buffer::new(len);
            sum.copy_from_slice(&parts[..len]);
            // By pieces that stay in the first-level cache.
            sum.par_chunks_mut(4096).enumerate().for_each(|(piece, sum)| {
                for chunk in 1..chunks {
                    let part = &parts[chunk * len + piece * 4096..][..sum.len()];
                    sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                }
            });
            let Op::Conv { weight, bias, .. } = plan.graph.nodes[id].op else { unreachable!("only convolutions") };
            let dw = required.weight[id][0].then(|| conv.finish_gradient(&sum, plan.graph.params[weight].len()));
            let db = &sum[conv.gradient_len()..][..plan.graph.shape(id).channels];
            (weight, dw, bias.filter(|_| required.weight[id][1]), db.to_vec())
        })
        .collect();
    for (weight, dw, bias, db) in finished {
        let gradients = [dw.map(|dw| (weight, dw)), bias.map(|bias| (bias, db))];
        for (param, gradient) in gradients.into_iter().flatten() {
            match &mut params[param] {
                Some(sum) if sum.is_empty() => *sum = gradient,
                Some(sum) => sum.iter_mut().zip(&gradient).for_each(|(s, d)| *s += d),
                None => {}
            }
        }
    }
}
