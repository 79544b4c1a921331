//! Batch normalisation: statistics in the forward pass, gradients in the backward pass. All normalisations that one sum reads share
//! their launches; their values have one shape.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;

use super::backward::BackwardPass;
use super::forward::computed;
use super::kernels::{self, COLUMNS};
use super::place::{Fold, Place, SINGLE, bits, bytes, element, launch, numbers, record, take_distinct, tensors};
use super::plan::{Norm, Plan, channel_parts, norm_of};
use crate::Mode;
use crate::extension::{Call, Tensors};
use crate::graph::ValueId;

/// Values per launch. Each needs two or three bindings, and every device offers that many.
const VALUES: usize = 8;

/// Statistics and coefficients of the normalisations, computed one after another.
pub(super) struct Statistics<'a> {
    call: &'a Call,
    plan: &'a Plan,
    tensors: &'a Tensors<Cube>,
    place: &'a Place,
    /// Mean and biased variance of every normalisation, `[2, channels]` from [`Plan::offsets`] on.
    pub(super) stats: CubeTensor,
    /// Mean, reciprocal of the standard deviation, gamma and beta, `[4, channels]` from twice that index on.
    pub(super) norms: CubeTensor,
    /// Per normalisation: whether it uses the batch's statistics.
    pub(super) batch_stats: Vec<bool>,
}

impl<'a> Statistics<'a> {
    pub(super) fn new(call: &'a Call, plan: &'a Plan, tensors: &'a Tensors<Cube>, place: &'a Place) -> Self {
        let total = plan.statistics.max(1);
        let batch_stats = vec![true; call.graph.norms.len()];
        Self { call, plan, tensors, place, stats: place.empty([total]), norms: place.empty([2 * total]), batch_stats }
    }

    /// Computes those of some normalisations, whose values have one shape.
    pub(super) fn compute(&mut self, which: &[ValueId], values: &[Option<CubeTensor>]) {
        let which = which.iter().filter_map(|&value| norm_of(&self.call.graph, value));
        let (running, own): (Vec<Norm>, Vec<Norm>) = which.partition(|norm| self.running(norm).is_some());
        for norm in running {
            self.use_running(&norm);
        }
        if !own.is_empty() {
            self.use_batch(&own, values);
        }
    }

    /// The running statistics that a normalisation uses, if it uses them.
    fn running(&self, norm: &Norm) -> Option<&CubeTensor> {
        let running = self.tensors.running.get(norm.index)?;
        (self.call.mode == Mode::Eval && running.shape().num_elements() > 1).then_some(running)
    }

    fn parameter(&self, id: Option<usize>) -> &CubeTensor {
        id.map_or(&self.place.none, |id| &self.tensors.params[id])
    }

    fn use_running(&mut self, norm: &Norm) {
        let Some(running) = self.running(norm) else { return };
        let (place, offset, c) = (self.place, self.plan.offsets[norm.index], self.call.graph.shape(norm.x).channels);
        let (gamma, beta) = (self.parameter(norm.scale), self.parameter(norm.shift));
        let (has_gamma, has_beta) = (norm.scale.is_some(), norm.shift.is_some());
        launch!(
            place,
            norm_of_running,
            c,
            [running, gamma, beta, self.stats, self.norms],
            offset,
            c,
            has_gamma,
            has_beta
        );
        self.batch_stats[norm.index] = false;
    }

    fn use_batch(&self, own: &[Norm], values: &[Option<CubeTensor>]) {
        let place = self.place;
        let first = computed(values, own[0].x);
        let c = first.shape()[3];
        let pixels = first.shape().num_elements() / c;
        let parts = channel_parts(pixels);
        let (firsts, partial) = (place.empty([own.len(), c]), place.empty([own.len(), parts, 2, c]));
        for (chunk, some) in own.chunks(VALUES).enumerate() {
            let before = chunk * VALUES;
            let xs = || some.iter().map(|norm| computed(values, norm.x));
            record(xs().map(bytes).sum::<usize>() + 2 * SINGLE * some.len() * parts * c);
            let (count, dim) = place.cubes(some.len() * parts * c.div_ceil(COLUMNS));
            kernels::moments::launch(
                &place.client,
                count,
                dim,
                tensors(xs()),
                firsts.clone().into_tensor_arg(),
                partial.clone().into_tensor_arg(),
                element(first.dtype),
                before,
                pixels,
                parts,
                c,
            );
            record((2 * parts + 8) * SINGLE * some.len() * c);
            let (count, dim) = place.cubes(some.len() * c.div_ceil(COLUMNS));
            kernels::moments_finish::launch(
                &place.client,
                count,
                dim,
                firsts.clone().into_tensor_arg(),
                partial.clone().into_tensor_arg(),
                tensors(some.iter().map(|norm| self.parameter(norm.scale))),
                tensors(some.iter().map(|norm| self.parameter(norm.shift))),
                self.stats.clone().into_tensor_arg(),
                self.norms.clone().into_tensor_arg(),
                numbers(some.iter().map(|norm| self.plan.offsets[norm.index])),
                before,
                pixels as f32,
                parts,
                c,
                bits(some.iter().map(|norm| norm.scale.is_some())),
                bits(some.iter().map(|norm| norm.shift.is_some())),
            );
        }
    }
}

/// A normalisation in the backward pass.
struct NormBackward {
    norm: Norm,
    gate: Option<usize>,
    /// The gradient of its input, and whether to add to it.
    slot: Option<(CubeTensor, bool)>,
    /// Index of its two sums, if they are needed.
    sums: Option<usize>,
}

/// Gradients of normalisations from one upstream gradient `dy`: that of the sum that reads them, times their gates, or that of a
/// single normalisation.
pub(super) fn norms_backward(pass: &mut BackwardPass, which: &[(ValueId, Option<usize>)], dy: &CubeTensor) {
    let tape = pass.tape;
    let graph = &*tape.call.graph;
    if dy.shape().num_elements() == 0 {
        return;
    }
    let c = dy.shape()[3];
    let mut summed = 0;
    let mut entries = Vec::new();
    for &(value, gate) in which {
        let Some(norm) = norm_of(graph, value) else { continue };
        let wanted = |id: Option<usize>| id.is_some_and(|id| pass.targets.params[id]);
        let slot = pass.grads.slot(norm.x);
        let needs = (tape.batch_stats[norm.index] && slot.is_some())
            || wanted(norm.scale)
            || wanted(norm.shift)
            || (gate.is_some() && pass.gates.is_some());
        let sums = needs.then_some(2 * c * summed);
        summed += usize::from(needs);
        entries.push(NormBackward { norm, gate, slot, sums });
    }
    let sums = if summed == 0 { tape.place.none.clone() } else { batch_sums(pass, &entries, summed, dy) };
    input_gradients(pass, entries, &sums, dy);
}

/// Sums of `dy` and of `dy` times the normalised values, `[values, 2, channels]`: the gradients of beta and gamma. The second sum
/// over all channels is the gradient of the gate.
fn batch_sums(pass: &mut BackwardPass, entries: &[NormBackward], summed: usize, dy: &CubeTensor) -> CubeTensor {
    let (tape, place) = (pass.tape, &pass.tape.place);
    let c = dy.shape()[3];
    let pixels = dy.shape().num_elements() / c;
    let parts = channel_parts(pixels);
    let (partial, sums) = (place.empty([summed, parts, 2, c]), place.empty([summed, 2, c]));
    let own: Vec<_> = entries.iter().filter(|entry| entry.sums.is_some()).collect();
    for (chunk, some) in own.chunks(VALUES).enumerate() {
        let xs = || some.iter().map(|entry| computed(&tape.values, entry.norm.x));
        record(xs().map(bytes).sum::<usize>() + some.len() * bytes(dy) + 2 * SINGLE * some.len() * parts * c);
        let (count, dim) = place.cubes(some.len() * parts * c.div_ceil(COLUMNS));
        kernels::norm_backward_sums::launch(
            &place.client,
            count,
            dim,
            tensors(xs()),
            dy.clone().into_tensor_arg(),
            tape.norms.clone().into_tensor_arg(),
            partial.clone().into_tensor_arg(),
            element(dy.dtype),
            numbers(some.iter().map(|entry| tape.plan.norm_at(&entry.norm))),
            chunk * VALUES,
            pixels,
            parts,
            c,
        );
    }
    record(bytes(&partial) + bytes(&sums));
    let (count, dim) = place.cubes(summed * (2 * c).div_ceil(COLUMNS));
    let (from, to) = (partial.into_tensor_arg(), sums.clone().into_tensor_arg());
    kernels::fold::launch(&place.client, count, dim, from, to, summed, parts, 2 * c);
    for entry in own {
        let Some(at) = entry.sums else { continue };
        if let (Some(gate), Some(rows)) = (entry.gate, &mut pass.gates) {
            pass.folds.push(rows.of_norm(gate, &sums, at + c, c));
        }
        for (id, start) in [(entry.norm.shift, at), (entry.norm.scale, at + c)] {
            if let Some(id) = id.filter(|&id| pass.targets.params[id]) {
                let out = place.empty([c]);
                pass.result.params[id] = Some(out.clone());
                pass.folds.push(Fold::whole(sums.clone(), out, 1, 0, start));
            }
        }
    }
    sums
}

fn input_gradients(pass: &BackwardPass, entries: Vec<NormBackward>, sums: &CubeTensor, dy: &CubeTensor) {
    let (tape, place) = (pass.tape, &pass.tape.place);
    let c = dy.shape()[3];
    let elements = dy.shape().num_elements();
    let mut rest: Vec<_> =
        entries.into_iter().filter_map(|mut entry| entry.slot.take().map(|slot| (entry, slot))).collect();
    while !rest.is_empty() {
        let own = take_distinct(&mut rest, VALUES, |(entry, _)| entry.norm.x);
        let xs = || own.iter().map(|(entry, _)| computed(&tape.values, entry.norm.x));
        let dxs = || own.iter().map(|(_, (dx, _))| dx);
        record(bytes(dy) + xs().chain(dxs()).map(bytes).sum::<usize>());
        let (count, dim) = place.grid(elements);
        kernels::norm_backward::launch(
            &place.client,
            count,
            dim,
            tensors(xs()),
            dy.clone().into_tensor_arg(),
            tape.norms.clone().into_tensor_arg(),
            sums.clone().into_tensor_arg(),
            tape.gates.clone().into_tensor_arg(),
            tensors(dxs()),
            element(dy.dtype),
            numbers(own.iter().map(|(entry, _)| tape.plan.norm_at(&entry.norm))),
            numbers(own.iter().map(|(entry, _)| entry.sums.unwrap_or(0))),
            numbers(own.iter().map(|(entry, _)| entry.gate.unwrap_or(0))),
            bits(own.iter().map(|(_, (_, add))| *add)),
            (elements / c) as f32,
            c,
            bits(own.iter().map(|(entry, _)| tape.batch_stats[entry.norm.index])),
            bits(own.iter().map(|(entry, _)| entry.gate.is_some())),
        );
    }
}
