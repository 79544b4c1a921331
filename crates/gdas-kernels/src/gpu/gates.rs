//! Gated sums, and the gradients of their gates.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{LaunchArg, SequenceArg, TensorArg};

use super::backward::Grads;
use super::forward::Tape;
use super::kernels;
use super::place::{Place, bytes, element, launch, record};
use crate::graph::{Graph, Op, Sum, ValueId};

/// Parts of a gate's gradient, and how many of them are summed at once.
const GATE_PARTS: usize = 8192;
const GATE_FOLD: usize = 128;

/// Terms per launch.
const TERMS: usize = 8;

fn bits(flags: impl Iterator<Item = bool>) -> u32 {
    flags.enumerate().map(|(i, flag)| u32::from(flag) << i).sum()
}

fn tensors<'a, T: LaunchArg<RuntimeArg = TensorArg>>(list: impl Iterator<Item = &'a CubeTensor>) -> SequenceArg<T> {
    list.map(|tensor| tensor.clone().into_tensor_arg()).collect()
}

fn numbers(list: impl Iterator<Item = usize>) -> SequenceArg<usize> {
    list.collect()
}

/// One launch per sum, unless it has many terms.
pub(super) fn sum_forward(place: &Place, sum: &Sum, terms: &[&CubeTensor], gates: &CubeTensor, y: &CubeTensor) {
    let count = y.shape().num_elements();
    if count == 0 {
        return;
    }
    let pieces = terms.len().div_ceil(TERMS).max(1);
    for piece in 0..pieces {
        let own = piece * TERMS..((piece + 1) * TERMS).min(terms.len());
        let of_terms = &sum.gates[own.clone()];
        let constants: &[usize] = if piece == 0 { &sum.constant } else { &[] };
        record(bytes(y) * (own.len() + 1 + usize::from(piece > 0)));
        let (cubes, dim) = place.grid(count);
        kernels::sum_forward::launch(
            &place.client,
            cubes,
            dim,
            tensors(terms[own].iter().copied()),
            gates.clone().into_tensor_arg(),
            y.clone().into_tensor_arg(),
            element(y.dtype),
            numbers(of_terms.iter().map(|gate| gate.unwrap_or(0))),
            numbers(constants.iter().copied()),
            bits(of_terms.iter().map(Option::is_some)),
            piece > 0,
        );
    }
}

/// The gates' gradients in parts: every gated term that the way back reaches has a row of its own, since several terms
/// may have the same gate; the constants of a sum, whose gradient is one and the same, share one.
pub(super) struct GateParts {
    /// `[GATE_PARTS, rows]`.
    partial: CubeTensor,
    /// Which row belongs to which gate, so far.
    pairs: Vec<(u32, u32)>,
    /// Rows in use so far.
    reached: usize,
    /// Rows that there will be at most; 0 if no gate's gradient is wanted.
    rows: usize,
}

/// One launch per sum, unless it has many terms, or one value in several: its inputs' gradients and its gates'.
pub(super) fn sum_backward(
    tape: &Tape,
    sum: &Sum,
    inputs: &[ValueId],
    dy: &CubeTensor,
    grads: &mut Grads,
    gates: &mut GateParts,
) {
    let place = &tape.place;
    let elements = dy.shape().num_elements();
    let wants_gates = gates.rows > 0;
    if elements == 0 {
        return;
    }
    let mut rest: Vec<(ValueId, Option<usize>)> = inputs.iter().copied().zip(sum.gates.iter().copied()).collect();
    let mut constants = if wants_gates { sum.constant.as_slice() } else { &[] };
    while !rest.is_empty() || !constants.is_empty() {
        // Gradients that are added to must not be written by two terms of one launch.
        let (mut own, mut later) = (Vec::<(ValueId, Option<usize>)>::new(), Vec::new());
        for term in rest {
            let fits = own.len() < TERMS && own.iter().all(|(value, _)| *value != term.0);
            if fits { own.push(term) } else { later.push(term) }
        }
        rest = later;
        let slots: Vec<_> = own.iter().map(|&(x, _)| grads.slot(&tape.call.graph, tape.batch, x)).collect();
        let gated = bits(own.iter().map(|(_, gate)| gate.is_some()));
        let wants_x = bits(slots.iter().map(Option::is_some));
        let of_gates = wants_gates && (gated != 0 || !constants.is_empty());
        if wants_x == 0 && !of_gates {
            continue;
        }
        let first_row = gates.reached;
        if wants_gates {
            for &gate in own.iter().filter_map(|(_, gate)| gate.as_ref()) {
                gates.pairs.push((gates.reached as u32, gate as u32));
                gates.reached += 1;
            }
            gates.pairs.extend(constants.iter().map(|&gate| (gates.reached as u32, gate as u32)));
            gates.reached += usize::from(!constants.is_empty());
        }
        // A dummy stands in for what is not read: a value counts only for its gate's gradient.
        let values = own.iter().map(|&(x, gate)| {
            let value = tape.values[x].as_ref().filter(|_| wants_gates && gate.is_some());
            value.unwrap_or(&place.none)
        });
        let values: Vec<_> = values.collect();
        let dx: Vec<_> = slots.iter().map(|slot| slot.as_ref().map_or(&place.none, |(dx, _)| dx)).collect();
        // Where there are gates, every part must be written; else each element gets a thread of its own.
        let parts = if of_gates { GATE_PARTS } else { elements };
        record(values.iter().chain(&dx).map(|tensor| bytes(tensor)).sum::<usize>() + bytes(dy));
        let (cubes, dim) = place.grid(parts);
        kernels::sum_backward::launch(
            &place.client,
            cubes,
            dim,
            tensors(values.iter().copied()),
            dy.clone().into_tensor_arg(),
            tape.gates.clone().into_tensor_arg(),
            tensors(dx.iter().copied()),
            gates.partial.clone().into_tensor_arg(),
            element(dy.dtype),
            numbers(own.iter().map(|(_, gate)| gate.unwrap_or(0))),
            bits(slots.iter().map(|slot| slot.as_ref().is_some_and(|(_, add)| *add))),
            first_row,
            gates.rows.max(1),
            parts,
            gated,
            wants_x,
            of_gates,
            !constants.is_empty(),
        );
        constants = &[];
    }
}

impl GateParts {
    pub(super) fn new(graph: &Graph, place: &Place, wanted: bool) -> Self {
        let terms = |op: &Op| match op {
            Op::Sum(Sum { gates, constant }) => gates.iter().flatten().count() + usize::from(!constant.is_empty()),
            _ => 0,
        };
        let rows = if wanted { graph.nodes.iter().map(|node| terms(&node.op)).sum() } else { 0 };
        let partial = if rows > 0 { place.empty([GATE_PARTS, rows]) } else { place.none.clone() };
        Self { partial, pairs: Vec::new(), reached: 0, rows }
    }

    /// Sums the parts to the gradients of all gates times a factor, `[gates]`; zero where no term was reached.
    pub(super) fn finish(self, place: &Place, gates: usize, factor: f32) -> CubeTensor {
        let out = place.empty([gates]);
        if self.pairs.is_empty() {
            launch!(place, fill_zero, gates, [out]);
            return out;
        }
        // Rows of sums that no gradient reached hold nothing; they come last and no gate asks for them.
        let groups = GATE_PARTS / GATE_FOLD;
        let folded = place.empty([groups, self.rows]);
        launch!(place, fold, groups * self.rows, [self.partial, folded], GATE_FOLD, self.rows);
        let sums = place.fold(&folded, groups, self.rows);
        let (rows, gate_of): (Vec<_>, Vec<_>) = self.pairs.iter().copied().unzip();
        let (row_of, gate_of) = (place.words(&rows), place.words(&gate_of));
        launch!(place, spread_gates, gates, [sums, row_of, gate_of, out], self.pairs.len(), factor);
        out
    }
}
