//! The backward pass of a [`Plan`]: every holder pulls its gradient from its uses.

mod separable;

use std::ops::Range;

use rayon::prelude::*;

use super::conv::Algorithm;
use super::elementwise::{Frame, Slope, axpy, channels, dot, mask, mask_norm_sums, norm_sums, pack, pack_slope};
use super::forward::{Values, flat, map_of, read};
use super::plan::{Holder, Plan, Source, Stage, Use, View};
use super::pool::{Buffer, Shared};
use super::pooling::{PoolTable, average_back, maximum_back};
use super::{Gradients, Tape, Wants};
use crate::graph::{Op, ValueId};

/// Largest number of partial weight gradients. Fixed, so that the order of summation does not depend on the threads.
const CHUNKS: usize = 16;

/// The gradient that a normalisation passes back, per channel: `k1 * d + (k2 * (z - mean) + k3)`.
#[derive(Clone, Debug, Default)]
struct NormSlope {
    k1: Vec<f32>,
    k2: Vec<f32>,
    k3: Vec<f32>,
}

/// What is needed, decided before anything runs.
struct Needs {
    /// Per holder: something before it is wanted, so its gradient is needed.
    up: Vec<bool>,
    /// Per holder: a gradient arrives and a task has to run.
    active: Vec<bool>,
    /// Per holder: a gradient arrives.
    reached: Vec<bool>,
    /// Per convolution: weight, bias.
    weight: Vec<[bool; 2]>,
}

impl Needs {
    fn new(plan: &Plan, wants: &Wants) -> Self {
        let nodes = &plan.graph.nodes;
        let wanted = |p: Option<usize>| p.is_some_and(|p| wants.params[p]);
        let mut up = vec![false; plan.uses.len()];
        let mut weight = vec![[false; 2]; nodes.len()];
        let gated = |id: usize, slot: usize| match &nodes[id].op {
            Op::Sum(sum) => wants.gates && sum.gates[slot].is_some(),
            _ => false,
        };
        for (id, node) in nodes.iter().enumerate() {
            if let Op::Conv { weight: w, bias, .. } = &node.op {
                weight[id] = [wanted(Some(*w)), wanted(*bias) && !plan.bias_cancels(id)];
            }
        }
        for (id, node) in nodes.iter().enumerate() {
            let own = match &node.op {
                Op::Image => wants.image,
                // What is computed inside another convolution has its gradients made with that one's.
                Op::Conv { .. } => {
                    weight[id] != [false; 2] || plan.pointwise_after(id).is_some_and(|p| weight[p] != [false; 2])
                }
                Op::Norm { scale, shift, .. } => wanted(*scale) || wanted(*shift),
                Op::Sum(sum) => wants.gates && (!sum.constant.is_empty() || sum.gates.iter().any(Option::is_some)),
                _ => false,
            };
            up[id] = own || node.inputs.iter().any(|&i| up[i]);
        }
        for (n, norm) in plan.norms.iter().enumerate() {
            up[nodes.len() + n] = up[norm.node];
        }
        let (mut reached, mut active) = (vec![false; up.len()], vec![false; up.len()]);
        let order = (0..nodes.len()).rev().flat_map(|id| {
            let norm = match nodes[id].op {
                Op::Norm { norm, .. } => Some(nodes.len() + norm),
                _ => None,
            };
            [Some(id), norm].into_iter().flatten()
        });
        for holder in order {
            let source = |u: &Use| match *u {
                Use::Node { node, .. } => plan.source[node],
                Use::Norm(n) => plan.norm_source[n],
            };
            let arrives = |u: &Use| reached[source(u).holder];
            let is_output = plan.graph.outputs.contains(&holder);
            let any = is_output || plan.uses[holder].iter().any(arrives);
            let own = match holder.checked_sub(nodes.len()) {
                Some(n) => plan.norm_source[n].holder == holder,
                None => plan.source[holder].holder == holder && !plan.inline[holder],
            };
            let side_effect = plan.uses[holder].iter().filter(|u| arrives(u)).any(|u| match *u {
                Use::Node { node, slot, .. } => {
                    weight[node] != [false; 2]
                        || plan.pointwise_after(node).is_some_and(|p| weight[p] != [false; 2])
                        || gated(node, slot)
                        || (plan.inline[node] && plan.source[node].gate.is_some() && wants.gates)
                }
                Use::Norm(_) => false,
            });
            reached[holder] = any;
            active[holder] = any && own && (up[holder] || side_effect);
        }
        Self { up, active, reached, weight }
    }
}

pub(crate) fn backward(tape: &Tape, params: &[&[f32]], upstream: &[f32], wants: &Wants) -> Gradients {
    let (plan, batch) = (&tape.plan, tape.batch);
    let graph = &plan.graph;
    let needs = Needs::new(plan, wants);
    let stages = plan.backward_stages(&needs.active);
    let weights: Vec<Option<Buffer>> = (0..graph.nodes.len())
        .into_par_iter()
        .map(|id| match graph.nodes[id].op {
            Op::Conv { weight, .. } if needs.up[graph.nodes[id].inputs[0]] || plan.pointwise_after(id).is_some() => {
                Some(plan.convs[id]?.backward_weight(params[weight]))
            }
            _ => None,
        })
        .collect();

    let mut out = Gradients {
        params: graph.params.iter().zip(wants.params).map(|(p, &w)| w.then(|| vec![0.0; p.len()])).collect(),
        gates: None,
        image: None,
    };
    let mut gate_sums = vec![0.0f64; graph.gates];
    let mut grads: Vec<Option<Buffer>> = plan.uses.iter().map(|_| None).collect();
    // With running statistics a slope is known beforehand, and nothing waits for it.
    let mut slopes: Vec<NormSlope> = (0..graph.norms.len())
        .map(|n| {
            let gate = plan.norm_source[n].gate.map_or(1.0, |g| tape.gates[g]);
            NormSlope { k1: tape.norms[n].scale.iter().map(|s| gate * s).collect(), ..NormSlope::default() }
        })
        .collect();
    let last = last_reader(plan, &stages);
    for (at, stage) in stages.iter().enumerate() {
        // The results of the stage's reductions are made part by part, one per chunk of blocks.
        let blocks = batch.div_ceil(stage.block);
        let per_chunk = blocks.div_ceil(CHUNKS).max(1);
        let chunks = blocks.div_ceil(per_chunk);
        let places = Places { per_chunk: per_chunk * stage.block, block: stage.block };
        let mut brief = vec![false; grads.len()];
        for &h in stage.items.iter().filter(|&&h| needs.up[h]) {
            // What only this stage reads needs a block of images per task, which then never leaves the cache.
            brief[h] = last[h] == at && h != 0;
            let images = if brief[h] { chunks * stage.block } else { batch };
            grads[h] = Some(Buffer::new(images * plan.image(plan.node_of(h))));
        }
        let convs: Vec<ValueId> = stage
            .items
            .iter()
            .flat_map(|&h| &plan.uses[h])
            .filter_map(|u| match *u {
                Use::Node { node, .. } => Some(node),
                Use::Norm(_) => None,
            })
            .flat_map(|node| [Some(node), plan.pointwise_after(node)])
            .flatten()
            .filter(|&node| needs.weight[node] != [false; 2] && needs.reached[plan.source[node].holder])
            .collect();
        let mut weight_parts: Vec<Buffer> = convs
            .iter()
            .map(|&c| Buffer::zeroed(chunks * (plan.convs[c].map_or(0, |c| c.gradient_len()) + plan.channels[c])))
            .collect();
        let norms: Vec<usize> = (0..graph.norms.len())
            .filter(|&n| stage.items.contains(&plan.norm_source[n].holder))
            // The gate behind a normalisation has its gradient from these sums, wanted or not what lies before.
            .filter(|&n| needs.up[plan.norms[n].node] || (wants.gates && plan.norm_source[n].gate.is_some()))
            .collect();
        let mut norm_parts: Vec<Buffer> =
            norms.iter().map(|&n| Buffer::new(batch * 2 * plan.channels[plan.norms[n].base])).collect();
        let mut gate_parts = vec![0.0f64; batch * graph.gates];
        {
            let mut shared = vec![None; grads.len()];
            for (s, g) in shared.iter_mut().zip(&mut grads) {
                *s = g.as_mut().map(|g| Shared::new(g));
            }
            let pass = Pass {
                tape,
                plan,
                wants,
                needs: &needs,
                values: Values::of_tape(tape),
                grads: shared,
                brief,
                places,
                slopes: &slopes,
                weights: &weights,
                upstream,
                norms: &norms,
                convs: &convs,
                weight_parts: weight_parts.iter_mut().map(|b| Shared::new(b)).collect(),
                norm_parts: norm_parts.iter_mut().map(|b| Shared::new(b)).collect(),
            };
            let gates_per_chunk = (per_chunk * stage.block * graph.gates).max(1);
            let mut gate_rows: Vec<&mut [f64]> = gate_parts.chunks_mut(gates_per_chunk).collect();
            gate_rows.resize_with(chunks, Default::default);
            gate_rows.into_par_iter().enumerate().for_each(|(chunk, gates)| {
                let mut task = Task { pass: &pass, chunk, gates, first: chunk * per_chunk * stage.block };
                for block in chunk * per_chunk..((chunk + 1) * per_chunk).min(blocks) {
                    let images = block * stage.block..((block + 1) * stage.block).min(batch);
                    for &h in &stage.items {
                        task.holder(h, images.clone());
                    }
                }
            });
        }
        for row in gate_parts.chunks_exact(graph.gates.max(1)) {
            gate_sums.iter_mut().zip(row).for_each(|(s, r)| *s += r);
        }
        for (&n, parts) in norms.iter().zip(&norm_parts) {
            slopes[n] = finish_norm(tape, n, parts, &mut gate_sums, &mut out.params);
        }
        finish_weights(plan, &needs, &convs, &weight_parts, chunks, &mut out.params);
        // The image's gradient is a result; every other one goes back to the pool after its last reader.
        for (_, grad) in grads.iter_mut().enumerate().filter(|(h, _)| last[*h] == at && *h != 0) {
            *grad = None;
        }
    }
    if wants.image {
        let (real, padded) = (graph.shape(0).channels, plan.channels[0]);
        let mut image = vec![0.0; batch * graph.shape(0).elements()];
        if let Some(d) = &grads[0] {
            for (to, from) in image.chunks_exact_mut(real).zip(d.chunks_exact(padded)) {
                to.copy_from_slice(&from[..real]);
            }
        }
        out.image = Some(image);
    }
    out.gates = wants.gates.then(|| gate_sums.iter().map(|&g| g as f32).collect());
    out
}

/// Per holder the last stage that reads its gradient.
fn last_reader(plan: &Plan, stages: &[Stage]) -> Vec<usize> {
    let mut last = vec![0; plan.uses.len()];
    for (at, stage) in stages.iter().enumerate() {
        for &h in &stage.items {
            last[h] = last[h].max(at);
            for u in &plan.uses[h] {
                let source = match *u {
                    Use::Node { node, .. } => plan.source[plan.pointwise_after(node).unwrap_or(node)],
                    Use::Norm(n) => plan.norm_source[n],
                };
                last[source.holder] = at;
            }
        }
    }
    last
}

/// Adds up a normalisation's sums: its slope, its parameters' gradients, its gate's gradient.
fn finish_norm(tape: &Tape, n: usize, parts: &[f32], gates: &mut [f64], params: &mut [Option<Vec<f32>>]) -> NormSlope {
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
    let source = plan.norm_source[n];
    let gate = source.gate.map_or(1.0, |g| tape.gates[g]);
    if let Some(g) = source.gate {
        // Around the mean the value is `scale * (z - mean) + beta`.
        gates[g] += (0..real)
            .map(|j| f64::from(state.scale[j]) * sums[j][1] + f64::from(state.beta[j]) * sums[j][0])
            .sum::<f64>();
    }
    let count = (tape.batch * plan.image(norm.base) / c).max(1) as f64;
    let mut slope = NormSlope { k1: vec![0.0; c], k2: vec![], k3: vec![] };
    if norm.of_batch {
        slope.k2 = vec![0.0; c];
        slope.k3 = vec![0.0; c];
    }
    for j in 0..real {
        let inverse = state.inverse[j];
        let s1 = f64::from(gate) * sums[j][0];
        let s2 = f64::from(gate) * sums[j][1] * f64::from(inverse);
        slope.k1[j] = gate * state.scale[j];
        if norm.of_batch {
            slope.k2[j] = -state.scale[j] * inverse * (s2 / count) as f32;
            slope.k3[j] = -state.scale[j] * (s1 / count) as f32;
        }
        if let Some(d) = norm.scale.and_then(|p| params[p].as_mut()) {
            d[j] += s2 as f32;
        }
        if let Some(d) = norm.shift.and_then(|p| params[p].as_mut()) {
            d[j] += s1 as f32;
        }
    }
    slope
}

/// Adds up the parts of the weight gradients of a stage.
fn finish_weights(
    plan: &Plan,
    needs: &Needs,
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
            // In pieces that stay in the first-level cache.
            sum.par_chunks_mut(4096).enumerate().for_each(|(piece, sum)| {
                for chunk in 1..chunks {
                    let part = &parts[chunk * len + piece * 4096..][..sum.len()];
                    sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                }
            });
            let Op::Conv { weight, bias, .. } = plan.graph.nodes[id].op else { unreachable!("only convolutions") };
            let dw = needs.weight[id][0].then(|| conv.finish_gradient(&sum, plan.graph.params[weight].len()));
            let db = &sum[conv.gradient_len()..][..plan.graph.shape(id).channels];
            (weight, dw, bias.filter(|_| needs.weight[id][1]), db.to_vec())
        })
        .collect();
    for (weight, dw, bias, db) in finished {
        let mut add = |p: usize, d: &[f32]| {
            if let Some(sum) = &mut params[p] {
                sum.iter_mut().zip(d).for_each(|(s, d)| *s += d);
            }
        };
        if let Some(dw) = dw {
            add(weight, &dw);
        }
        if let Some(bias) = bias {
            add(bias, &db);
        }
    }
}

/// Where an image lies in a buffer that has one block of images per chunk.
#[derive(Clone, Copy)]
struct Places {
    /// Images per chunk.
    per_chunk: usize,
    block: usize,
}

impl Places {
    fn of(self, n: usize) -> usize {
        n / self.per_chunk * self.block + n % self.block
    }
}

/// What all tasks of a stage share.
struct Pass<'a> {
    tape: &'a Tape,
    plan: &'a Plan,
    wants: &'a Wants<'a>,
    needs: &'a Needs,
    values: Values<'a>,
    grads: Vec<Option<Shared>>,
    /// Holders whose buffer has room for one block of images per chunk only.
    brief: Vec<bool>,
    places: Places,
    slopes: &'a [NormSlope],
    weights: &'a [Option<Buffer>],
    upstream: &'a [f32],
    /// Normalisations whose sums this stage makes, and where.
    norms: &'a [usize],
    norm_parts: Vec<Shared>,
    /// Convolutions whose weight gradients this stage makes, and where.
    convs: &'a [ValueId],
    weight_parts: Vec<Shared>,
}

impl Pass<'_> {
    /// One image of a holder's gradient.
    fn grad(&self, holder: Holder, n: usize) -> &[f32] {
        let len = self.plan.image(self.plan.node_of(holder));
        let n = if self.brief[holder] { self.places.of(n) } else { n };
        // SAFETY: as in `Values::image`: own images of this stage after writing, any of earlier stages.
        unsafe { self.grads[holder].as_ref().expect("a read gradient is stored").read(n * len, len) }
    }

    fn grad_mut(&self, holder: Holder, n: usize) -> &mut [f32] {
        let len = self.plan.image(self.plan.node_of(holder));
        let n = if self.brief[holder] { self.places.of(n) } else { n };
        // SAFETY: image `n` belongs to one task, which holds no other reference to it while writing.
        unsafe { self.grads[holder].as_ref().expect("a written gradient is stored").slice(n * len, len) }
    }

    fn gate(&self, source: Source) -> f32 {
        source.gate.map_or(1.0, |g| self.tape.gates[g])
    }

    /// Writes a node's gradient, image `n`, into a frame with a zero border.
    fn slope(&self, node: ValueId, source: Source, n: usize, frame: &Frame, out: &mut [f32]) {
        self.slope_from(node, source, n, 0, frame, out);
    }

    /// The same for a part of the image that starts at float `from`.
    fn slope_from(&self, node: ValueId, source: Source, n: usize, from: usize, frame: &Frame, out: &mut [f32]) {
        let d = &self.grad(source.holder, n)[from..];
        let level = self.plan.level;
        if let Some(norm) = source.norm {
            let s = &self.slopes[norm];
            let mean = &self.tape.norms[norm].mean;
            let slope = Slope { k1: &s.k1, k2: &s.k2, k3: &s.k3, mean };
            pack_slope(level, out, d, &self.values.image(node, n)[from..], frame, slope);
        } else {
            let k1 = vec![self.gate(source); frame.channels];
            pack_slope(level, out, d, &[], frame, Slope { k1: &k1, k2: &[], k3: &[], mean: &[] });
        }
    }
}

/// One task: some images of a stage.
struct Task<'a> {
    pass: &'a Pass<'a>,
    chunk: usize,
    /// Gate gradients of this task's images, `[image, gates]`.
    gates: &'a mut [f64],
    /// Its first image.
    first: usize,
}

impl Task<'_> {
    /// Completes a holder's gradient for some images, and everything that rests on it.
    fn holder(&mut self, h: Holder, images: Range<usize>) {
        let (pass, plan) = (self.pass, self.pass.plan);
        let up = pass.needs.up[h];
        let mut written = false;
        let reached = |u: &&Use| {
            let source = match **u {
                Use::Node { node, .. } => plan.source[node],
                Use::Norm(n) => plan.norm_source[n],
            };
            pass.needs.reached[source.holder] && pass.needs.up[source.holder]
        };
        // First what comes through a ReLU, then its mask, then the rest.
        let through = |u: &&Use| matches!(u, Use::Node { relu: true, .. });
        for u in plan.uses[h].iter().filter(reached).filter(through) {
            written |= self.pull(h, *u, images.clone(), written);
        }
        let only_through = plan.uses[h].iter().filter(reached).all(|u| through(&u));
        if written && only_through && self.mask_and_sums(h, images.clone()) {
            return;
        }
        if written {
            let (view, norms) = (self.view(h), &pass.tape.norms);
            for n in images.clone() {
                mask(plan.level, pass.grad_mut(h, n), pass.values.image(view.base, n), map_of(norms, view));
            }
        }
        for u in plan.uses[h].iter().filter(reached).filter(|u| !through(u)) {
            written |= self.pull(h, *u, images.clone(), written);
        }
        if up && !written {
            images.clone().for_each(|n| pass.grad_mut(h, n).fill(0.0));
        }
        if up {
            self.add_upstream(h, images.clone());
            images.for_each(|n| self.sums(h, n));
        }
    }

    /// The ReLU's mask and the sums of the normalisation in front of it in one pass, where the gradient is complete after
    /// the mask and nothing else rests on it. False if that is not so and nothing was done.
    fn mask_and_sums(&self, h: Holder, images: Range<usize>) -> bool {
        let (pass, plan) = (self.pass, self.pass.plan);
        let Some(norm) = h.checked_sub(plan.graph.nodes.len()) else { return false };
        let Some(part) = pass.norms.iter().position(|&n| n == norm) else { return false };
        let others = pass.norms.iter().filter(|&&n| plan.norm_source[n].holder == h).count() > 1;
        if others || plan.graph.outputs.contains(&plan.norms[norm].node) {
            return false;
        }
        let state = &pass.tape.norms[norm];
        let c = plan.channels[plan.norms[norm].node];
        let map = map_of(&pass.tape.norms, self.view(h));
        for n in images {
            // SAFETY: image `n` belongs to this task alone.
            let (sums, products) = unsafe { pass.norm_parts[part].slice(n * 2 * c, 2 * c) }.split_at_mut(c);
            let z = pass.values.image(plan.norms[norm].base, n);
            mask_norm_sums(plan.level, pass.grad_mut(h, n), z, map, &state.mean, sums, products);
        }
        true
    }

    /// What a holder's gradient is the gradient of, before any ReLU.
    fn view(&self, h: Holder) -> View {
        let plan = self.pass.plan;
        match h.checked_sub(plan.graph.nodes.len()) {
            Some(n) => View { base: plan.norms[n].base, norm: Some(n), relu: false },
            None => View { base: h, norm: None, relu: false },
        }
    }

    fn add_upstream(&self, h: Holder, images: Range<usize>) {
        let graph = &self.pass.plan.graph;
        let total: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
        let mut start = 0;
        for &o in &graph.outputs {
            let classes = graph.shape(o).elements();
            if o == h {
                for n in images.clone() {
                    let from = &self.pass.upstream[n * total + start..][..classes];
                    let pixels = self.pass.grad_mut(h, n).chunks_exact_mut(self.pass.plan.channels[o]);
                    for (to, from) in pixels.zip(from.chunks_exact(graph.shape(o).channels)) {
                        to.iter_mut().zip(from).for_each(|(d, u)| *d += u);
                    }
                }
            }
            start += classes;
        }
    }

    fn add_gate(&mut self, n: usize, gate: usize, value: f64) {
        let gates = self.pass.plan.graph.gates;
        self.gates[(n - self.first) * gates + gate] += value;
    }

    /// `<d, x>` over an image's real channels.
    fn product(&self, d: &[f32], x: &[f32], node: ValueId) -> f64 {
        let mut products = vec![0.0; self.pass.plan.channels[node]];
        dot(self.pass.plan.level, d, x, &mut products);
        products[..self.pass.plan.graph.shape(node).channels].iter().map(|&p| f64::from(p)).sum()
    }

    /// The sums that rest on a complete gradient: of normalisations, of constant gates, of a sum's unstored inputs.
    fn sums(&mut self, h: Holder, n: usize) {
        let (pass, plan) = (self.pass, self.pass.plan);
        let d = pass.grad(h, n);
        let node = plan.node_of(h);
        let c = plan.channels[node];
        for (i, &norm) in pass.norms.iter().enumerate().filter(|(_, norm)| plan.norm_source[**norm].holder == h) {
            // SAFETY: image `n` belongs to this task alone.
            let (sums, products) = unsafe { pass.norm_parts[i].slice(n * 2 * c, 2 * c) }.split_at_mut(c);
            let z = pass.values.image(plan.norms[norm].base, n);
            norm_sums(plan.level, d, z, &pass.tape.norms[norm].mean, sums, products);
        }
        let Op::Sum(sum) = &plan.graph.nodes[node].op else { return };
        if !pass.wants.gates || h != node {
            return;
        }
        if !sum.constant.is_empty() {
            let mut sums = vec![0.0; c];
            norm_sums(plan.level, d, &[], &[], &mut sums, &mut []);
            let all: f64 = sums[..plan.graph.shape(node).channels].iter().map(|&s| f64::from(s)).sum();
            sum.constant.iter().for_each(|&g| self.add_gate(n, g, all));
        }
        for (slot, &input) in plan.graph.nodes[node].inputs.iter().enumerate() {
            let Some(gate) = sum.gates[slot] else { continue };
            let view = plan.input(node, slot);
            let plain = view.norm.is_none() && !view.relu && !plan.inline[input];
            if plain && plan.source[view.base].holder != view.base && plan.source[view.base].norm.is_none() {
                let value = self.product(d, pass.values.image(view.base, n), node);
                self.add_gate(n, gate, value);
            }
        }
    }

    /// Adds one use's contribution to a holder's gradient (overwrites unless `add`); true if it wrote.
    fn pull(&mut self, h: Holder, u: Use, images: Range<usize>, add: bool) -> bool {
        let (pass, plan) = (self.pass, self.pass.plan);
        let up = pass.needs.up[h];
        match u {
            Use::Norm(norm) => {
                if up {
                    let source = Source { norm: Some(norm), ..plan.norm_source[norm] };
                    let frame = flat(plan, h);
                    let mut scratch = Buffer::new(frame.len());
                    for n in images {
                        pass.slope(h, source, n, &frame, &mut scratch);
                        axpy(plan.level, pass.grad_mut(h, n), &scratch, 1.0, add);
                    }
                }
                up
            }
            Use::Node { node, slot, relu } => {
                if let Some(pointwise) = plan.pointwise_after(node) {
                    self.pull_separable(h, [node, pointwise], relu, images, add);
                } else if plan.convs[node].is_some() {
                    self.pull_conv(h, node, relu, images, add);
                } else {
                    for n in images.filter(|_| plan.image(plan.node_of(h)) > 0) {
                        self.pull_image(h, node, slot, relu, n, add);
                    }
                }
                up
            }
        }
    }

    fn pull_conv(&mut self, h: Holder, node: ValueId, relu: bool, images: Range<usize>, add: bool) {
        let (pass, plan) = (self.pass, self.pass.plan);
        let conv = plan.convs[node].as_ref().expect("a convolution");
        let [want_weight, want_bias] = pass.needs.weight[node];
        let up = pass.needs.up[h];
        if !(up || want_weight || want_bias) || conv.output_frame().inner() == 0 {
            if up && !add {
                images.for_each(|n| pass.grad_mut(h, n).fill(0.0));
            }
            return;
        }
        let (len, c) = (conv.gradient_len(), plan.channels[node]);
        let part = pass.convs.iter().position(|&c| c == node);
        // SAFETY: chunk `chunk` of the parts belongs to this task alone.
        let part = part.map(|i| unsafe { pass.weight_parts[i].slice(self.chunk * (len + c), len + c) });
        let (dw, db) = part.map_or((Default::default(), Default::default()), |p| p.split_at_mut(len));
        let dw = if want_weight { dw } else { &mut [] };
        let source = plan.source[node];
        let weight = up.then(|| &**pass.weights[node].as_ref().expect("arranged where needed"));
        let view = View { relu, ..self.view(h) };
        let map = map_of(&pass.tape.norms, view);
        let mut add_bias = |gradient: &[f32]| {
            if want_bias {
                let mut sums = vec![0.0; c];
                norm_sums(plan.level, gradient, &[], &[], &mut sums, &mut []);
                db.iter_mut().zip(&sums).for_each(|(b, s)| *b += s);
            }
        };
        if conv.algorithm == Algorithm::Winograd {
            let first = images.start;
            conv.winograd_backward(
                images.len(),
                weight,
                dw,
                |i, frame, out| {
                    pass.slope(node, source, first + i, frame, out);
                    add_bias(&out[..frame.len()]);
                },
                |i, frame, out| pack(plan.level, out, pass.values.image(view.base, first + i), frame, map),
                |i, framed, frame| conv.add_frame(pass.grad_mut(h, first + i), framed, frame, add),
            );
            return;
        }
        if conv.is_pointwise() {
            let (i, o) = (plan.channels[view.base], c);
            let at_once = conv.pixels_at_once();
            let mut gradient = Buffer::new(at_once * o);
            let mut input = Buffer::new(if want_weight && !map.is_identity() { at_once * i } else { 0 });
            for n in images {
                let x = pass.values.image(view.base, n);
                for start in (0..x.len() / i).step_by(at_once) {
                    let pixels = at_once.min(x.len() / i - start);
                    let gradient = &mut gradient[..pixels * o];
                    pass.slope_from(node, source, n, start * o, &Frame::run(pixels, o), gradient);
                    add_bias(gradient);
                    if want_weight {
                        let x = &x[start * i..][..pixels * i];
                        if map.is_identity() {
                            conv.pointwise_weight(dw, x, gradient);
                        } else {
                            pack(plan.level, &mut input, x, &Frame::run(pixels, i), map);
                            conv.pointwise_weight(dw, &input, gradient);
                        }
                    }
                    if let Some(weight) = weight {
                        let dx = &mut pass.grad_mut(h, n)[start * i..][..pixels * i];
                        conv.pointwise_backward(dx, gradient, weight, add);
                    }
                }
            }
            return;
        }
        let (input_frame, output_frame) = (conv.input_frame(), conv.output_frame());
        let mut gradient = Buffer::new(output_frame.len());
        output_frame.clear_border(&mut gradient);
        let unframed = map.is_identity() && input_frame.len() == input_frame.inner();
        let mut input = Buffer::new(if want_weight && !unframed { input_frame.len() } else { 0 });
        if !input.is_empty() {
            input_frame.clear_border(&mut input);
        }
        for n in images {
            pass.slope(node, source, n, &output_frame, &mut gradient);
            add_bias(&gradient);
            if want_weight {
                let image = pass.values.image(view.base, n);
                if !unframed {
                    pack(plan.level, &mut input, image, &input_frame, map);
                }
                conv.backward_weight_image(dw, if unframed { image } else { &input }, &gradient);
            }
            if let Some(weight) = weight {
                conv.backward(pass.grad_mut(h, n), &gradient, weight, add);
            }
        }
    }

    fn pull_image(&mut self, h: Holder, node: ValueId, slot: usize, relu: bool, n: usize, add: bool) {
        let (pass, plan) = (self.pass, self.pass.plan);
        let source = plan.source[node];
        let (d, factor) = (pass.grad(source.holder, n), pass.gate(source));
        let up = pass.needs.up[h];
        let view = View { relu, ..self.view(h) };
        let value = plan.node_of(h);
        let (level, c) = (plan.level, plan.channels[value]);
        let read = |scratch| read(&pass.values, &pass.tape.norms, view, n, scratch);
        let mut scratch = None;
        let op = &plan.graph.nodes[node].op;
        match op {
            Op::Sum(sum) => {
                let gate = sum.gates[slot];
                if up {
                    axpy(level, pass.grad_mut(h, n), d, gate.map_or(1.0, |g| pass.tape.gates[g]), add);
                }
                if let Some(gate) = gate.filter(|_| pass.wants.gates) {
                    let value = self.product(d, read(&mut scratch), value);
                    self.add_gate(n, gate, value);
                }
            }
            Op::AvgPool(_) | Op::MaxPool(_) => {
                let table = plan.pools[node].as_ref().expect("every pool has its table");
                let average = matches!(op, Op::AvgPool(_));
                let back = |dx: &mut [f32], x: &[f32], factor: f32, add: bool| {
                    pool_back(level, table, average, dx, d, x, factor, add);
                };
                let gate = source.gate.filter(|_| pass.wants.gates && plan.inline[node]);
                let x = if gate.is_some() || !average { read(&mut scratch) } else { &[] };
                if let Some(gate) = gate {
                    // <d, pool(x)> = <adjoint of pool(d), x>.
                    let mut spread = Buffer::new(plan.image(value));
                    back(&mut spread, x, 1.0, false);
                    let product = self.product(&spread, x, value);
                    if up {
                        axpy(level, pass.grad_mut(h, n), &spread, factor, add);
                    }
                    self.add_gate(n, gate, product);
                } else if up {
                    back(pass.grad_mut(h, n), x, factor, add);
                }
            }
            _ if !up => {}
            Op::Relu | Op::Norm { .. } => axpy(level, pass.grad_mut(h, n), d, 1.0, add),
            Op::ScaleImages { mask } => {
                axpy(level, pass.grad_mut(h, n), d, pass.tape.masks[mask * pass.tape.batch + n], add);
            }
            Op::Shift => {
                let dx = pass.grad_mut(h, n);
                if !add {
                    dx.fill(0.0);
                }
                let line = plan.graph.nodes[node].shape.width * c;
                for (to, from) in dx.chunks_exact_mut(line).skip(1).zip(d.chunks_exact(line)) {
                    to[c..].iter_mut().zip(from).for_each(|(x, d)| *x += d);
                }
            }
            Op::Concat => {
                let dx = pass.grad_mut(h, n);
                let inputs = &plan.graph.nodes[node].inputs;
                let start: usize = inputs[..slot].iter().map(|&i| plan.graph.shape(i).channels).sum();
                let real = plan.graph.shape(inputs[slot]).channels;
                let dx_pixels = dx.len() / c;
                if !add && real < c {
                    dx.fill(0.0);
                }
                channels(level, dx, c, &d[start..], plan.channels[node], dx_pixels, real, add);
            }
            Op::GlobalAvgPool => {
                let dx = pass.grad_mut(h, n);
                let share = c as f32 / dx.len() as f32;
                for to in dx.chunks_exact_mut(c) {
                    for (x, d) in to.iter_mut().zip(d) {
                        *x = if add { *x } else { 0.0 } + d * share;
                    }
                }
            }
            Op::Image | Op::Conv { .. } => unreachable!("no pull per image"),
        }
    }
}

fn pool_back(
    level: super::simd::Level,
    table: &PoolTable,
    average: bool,
    dx: &mut [f32],
    d: &[f32],
    x: &[f32],
    factor: f32,
    add: bool,
) {
    if average {
        average_back(level, dx, d, table, factor, add);
        return;
    }
    if !add {
        dx.fill(0.0);
    }
    maximum_back(level, dx, d, x, table, factor);
}
