//! Batch normalisation: its statistics on the way forward, and the way back. Normalisations of values of one shape share their
//! launches: all those that one sum reads, or one by itself.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;

use super::backward::Back;
use super::forward::computed;
use super::kernels::{self, COLUMNS};
use super::place::{Fold, Place, SINGLE, bits, bytes, element, launch, numbers, record, take_distinct, tensors};
use super::plan::{Norm, Plan, channel_parts, norm_of};
use crate::Mode;
use crate::extension::{Call, Tensors};
use crate::graph::ValueId;

/// Values per launch: what every device can bind, two or three of each.
const VALUES: usize = 8;

/// What normalises, as it is found.
pub(super) struct Statistics<'a> {
    call: &'a Call,
    plan: &'a Plan,
    tensors: &'a Tensors<Cube>,
    place: &'a Place,
    /// Mean and variance of every normalisation, `[2, channels]` from its first statistic on.
    pub(super) stats: CubeTensor,
    /// Mean, reciprocal of the deviation, factor and summand, `[4, channels]` from twice that on.
    pub(super) norms: CubeTensor,
    /// Which use the batch's statistics.
    pub(super) of_batch: Vec<bool>,
}

impl<'a> Statistics<'a> {
    pub(super) fn new(call: &'a Call, plan: &'a Plan, tensors: &'a Tensors<Cube>, place: &'a Place) -> Self {
        let total = plan.statistics.max(1);
        let of_batch = vec![true; call.graph.norms.len()];
        Self { call, plan, tensors, place, stats: place.empty([total]), norms: place.empty([2 * total]), of_batch }
    }

    /// Finds those of some normalisations of values of one shape.
    pub(super) fn find(&mut self, which: &[ValueId], values: &[Option<CubeTensor>]) {
        let which = which.iter().filter_map(|&value| norm_of(&self.call.graph, value));
        let (running, own): (Vec<Norm>, Vec<Norm>) = which.partition(|norm| self.running(norm).is_some());
        for norm in running {
            self.of_running(&norm);
        }
        if !own.is_empty() {
            self.of_batch(&own, values);
        }
    }

    /// The running statistics that a normalisation uses, if it does.
    fn running(&self, norm: &Norm) -> Option<&CubeTensor> {
        let running = self.tensors.running.get(norm.index)?;
        (self.call.mode == Mode::Eval && running.shape().num_elements() > 1).then_some(running)
    }

    fn parameter(&self, id: Option<usize>) -> &CubeTensor {
        id.map_or(&self.place.none, |id| &self.tensors.params[id])
    }

    fn of_running(&mut self, norm: &Norm) {
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
        self.of_batch[norm.index] = false;
    }

    fn of_batch(&self, own: &[Norm], values: &[Option<CubeTensor>]) {
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

/// A normalisation on the way back.
struct Way {
    norm: Norm,
    gate: Option<usize>,
    /// Where the gradient of its input goes, and whether it is added to what is there.
    slot: Option<(CubeTensor, bool)>,
    /// Where its two sums stand, if they are needed.
    sums: Option<usize>,
}

/// The way back through normalisations that share a gradient: that of the sum that reads them times these gates, or one's own.
pub(super) fn norms_backward(back: &mut Back, which: &[(ValueId, Option<usize>)], dy: &CubeTensor) {
    let tape = back.tape;
    let graph = &*tape.call.graph;
    if dy.shape().num_elements() == 0 {
        return;
    }
    let c = dy.shape()[3];
    let mut summed = 0;
    let mut ways = Vec::new();
    for &(value, gate) in which {
        let Some(norm) = norm_of(graph, value) else { continue };
        let wanted = |id: Option<usize>| id.is_some_and(|id| back.targets.params[id]);
        let slot = back.grads.slot(norm.x);
        let needs = (tape.of_batch[norm.index] && slot.is_some())
            || wanted(norm.scale)
            || wanted(norm.shift)
            || (gate.is_some() && back.gates.is_some());
        let sums = needs.then_some(2 * c * summed);
        summed += usize::from(needs);
        ways.push(Way { norm, gate, slot, sums });
    }
    let sums = if summed == 0 { tape.place.none.clone() } else { batch_sums(back, &ways, summed, dy) };
    input_gradients(back, ways, &sums, dy);
}

/// Sums of the gradient, and of it times the normalised values, `[values, 2, channels]`. They are the gradients of summand and
/// factor; the second, over all channels, is the gate's.
fn batch_sums(back: &mut Back, ways: &[Way], summed: usize, dy: &CubeTensor) -> CubeTensor {
    let (tape, place) = (back.tape, &back.tape.place);
    let c = dy.shape()[3];
    let pixels = dy.shape().num_elements() / c;
    let parts = channel_parts(pixels);
    let (partial, sums) = (place.empty([summed, parts, 2, c]), place.empty([summed, 2, c]));
    let own: Vec<_> = ways.iter().filter(|way| way.sums.is_some()).collect();
    for (chunk, some) in own.chunks(VALUES).enumerate() {
        let xs = || some.iter().map(|way| computed(&tape.values, way.norm.x));
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
            numbers(some.iter().map(|way| tape.plan.norm_at(&way.norm))),
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
    for way in own {
        let Some(at) = way.sums else { continue };
        if let (Some(gate), Some(rows)) = (way.gate, &mut back.gates) {
            back.folds.push(rows.of_norm(gate, &sums, at + c, c));
        }
        for (id, start) in [(way.norm.shift, at), (way.norm.scale, at + c)] {
            if let Some(id) = id.filter(|&id| back.targets.params[id]) {
                let out = place.empty([c]);
                back.result.params[id] = Some(out.clone());
                back.folds.push(Fold::whole(sums.clone(), out, 1, 0, start));
            }
        }
    }
    sums
}

fn input_gradients(back: &Back, ways: Vec<Way>, sums: &CubeTensor, dy: &CubeTensor) {
    let (tape, place) = (back.tape, &back.tape.place);
    let c = dy.shape()[3];
    let elements = dy.shape().num_elements();
    let mut rest: Vec<_> = ways.into_iter().filter_map(|mut way| way.slot.take().map(|slot| (way, slot))).collect();
    while !rest.is_empty() {
        let own = take_distinct(&mut rest, VALUES, |(way, _)| way.norm.x);
        let xs = || own.iter().map(|(way, _)| computed(&tape.values, way.norm.x));
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
            numbers(own.iter().map(|(way, _)| tape.plan.norm_at(&way.norm))),
            numbers(own.iter().map(|(way, _)| way.sums.unwrap_or(0))),
            numbers(own.iter().map(|(way, _)| way.gate.unwrap_or(0))),
            bits(own.iter().map(|(_, (_, add))| *add)),
            (elements / c) as f32,
            c,
            bits(own.iter().map(|(way, _)| tape.of_batch[way.norm.index])),
            bits(own.iter().map(|(way, _)| way.gate.is_some())),
        );
    }
}
