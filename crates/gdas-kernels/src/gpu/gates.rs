//! Gated sums, and the gradients of their gates.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::backward::BackwardPass;
use super::kernels::{self, CUBE};
use super::norms::norms_backward;
use super::place::{Fold, Place, bits, bytes, element, launch, numbers, record, take_distinct, tensors};
use super::plan::{InSum, WORTH_A_THREAD};
use crate::graph::{Graph, Op, Sum, ValueId};

/// Largest number of cubes for the gradient of a gate, one part each.
const GATE_CUBES: usize = 256;

/// Terms per launch.
const TERMS: usize = 8;

/// A term of a sum.
pub(super) struct Term<'a> {
    pub(super) value: &'a CubeTensor,
    /// Index of the coefficients, if the sum normalises it while reading.
    pub(super) norm: Option<usize>,
}

/// A gated sum: one launch per [`TERMS`] terms.
pub(super) fn sum_forward(
    place: &Place,
    sum: &Sum,
    terms: &[Term],
    norms: &CubeTensor,
    gates: &CubeTensor,
    y: &CubeTensor,
) {
    let count = y.shape().num_elements();
    if count == 0 {
        return;
    }
    let pieces = terms.len().div_ceil(TERMS).max(1);
    for piece in 0..pieces {
        let own = piece * TERMS..((piece + 1) * TERMS).min(terms.len());
        let (of_terms, own) = (&sum.gates[own.clone()], &terms[own]);
        let normed = bits(own.iter().map(|term| term.norm.is_some()));
        // A kernel is compiled per number of channels; without a normalisation one serves all.
        let channels = if normed == 0 { 1 } else { y.shape()[3] };
        let constants: &[usize] = if piece == 0 { &sum.constant } else { &[] };
        record(bytes(y) * (own.len() + 1 + usize::from(piece > 0)));
        let (cubes, dim) = place.grid(count);
        kernels::sum_forward::launch(
            &place.client,
            cubes,
            dim,
            tensors(own.iter().map(|term| term.value)),
            norms.clone().into_tensor_arg(),
            gates.clone().into_tensor_arg(),
            y.clone().into_tensor_arg(),
            element(y.dtype),
            numbers(own.iter().map(|term| term.norm.unwrap_or(0))),
            numbers(of_terms.iter().map(|gate| gate.unwrap_or(0))),
            numbers(constants.iter().copied()),
            channels,
            normed,
            bits(of_terms.iter().map(Option::is_some)),
            piece > 0,
        );
    }
}

/// Accumulates the gates' gradients. Every gated term has a row of its own, since several terms may share a gate. The constants
/// of a sum share one row, since they have the same gradient.
pub(super) struct GateRows {
    /// Partial sums of the first `in_parts` rows, `[GATE_CUBES, in_parts]`; zero where a sum has fewer cubes.
    partial: CubeTensor,
    /// Number of rows that are computed in parts.
    in_parts: usize,
    /// Number of those rows in use.
    reached: usize,
    /// The gradient of every row: first those in parts, then those of terms that their sum normalises.
    sums: CubeTensor,
    /// Pairs of a row and its gate.
    pairs: Vec<(u32, u32)>,
    /// The next row of a normalised term.
    next_normed: usize,
}

/// Gradients of a sum's inputs and gates: one launch per [`TERMS`] terms, and one more for each repetition of an input.
pub(super) fn sum_backward(pass: &mut BackwardPass, sum: &Sum, inputs: &[ValueId], dy: &CubeTensor) {
    let elements = dy.shape().num_elements();
    if elements == 0 {
        return;
    }
    let terms = inputs.iter().copied().zip(sum.gates.iter().copied());
    let (normed, mut rest): (Vec<_>, Vec<_>) = terms.partition(|&(x, _)| pass.tape.plan.in_sum[x].is_some());
    norms_backward(pass, &normed, dy);
    let (tape, place) = (pass.tape, &pass.tape.place);
    let BackwardPass { grads, gates, .. } = pass;
    let wants_gates = gates.is_some();
    let mut constants = if wants_gates { sum.constant.as_slice() } else { &[] };
    while !rest.is_empty() || !constants.is_empty() {
        // Two terms of one launch must not write the same gradient.
        let own = take_distinct(&mut rest, TERMS, |(x, _)| *x);
        let slots: Vec<_> = own.iter().map(|&(x, _)| grads.slot(x)).collect();
        let gated = bits(own.iter().map(|(_, gate)| gate.is_some()));
        let wants_x = bits(slots.iter().map(Option::is_some));
        let of_gates = wants_gates && (gated != 0 || !constants.is_empty());
        if wants_x == 0 && !of_gates {
            continue;
        }
        let (mut partial, mut first_row, mut rows) = (&place.none, 0, 1);
        if let Some(gates) = gates {
            first_row = gates.reached;
            gates.in_launch(own.iter().filter_map(|(_, gate)| *gate), constants);
            (partial, rows) = (&gates.partial, gates.in_parts);
        }
        // A dummy stands for a value that is not read: only the gradient of a gate needs the value.
        let values = own.iter().map(|&(x, gate)| {
            let value = tape.values[x].as_ref().filter(|_| wants_gates && gate.is_some());
            value.unwrap_or(&place.none)
        });
        let values: Vec<_> = values.collect();
        let dx: Vec<_> = slots.iter().map(|slot| slot.as_ref().map_or(&place.none, |(dx, _)| dx)).collect();
        // Without a gate's sum, each element has its own thread.
        let cubes = (elements / (CUBE * WORTH_A_THREAD)).clamp(1, GATE_CUBES);
        let threads = if of_gates { cubes * CUBE } else { elements };
        record(values.iter().chain(&dx).map(|tensor| bytes(tensor)).sum::<usize>() + bytes(dy));
        let (count, dim) = if of_gates { place.cubes(cubes) } else { place.grid(elements) };
        kernels::sum_backward::launch(
            &place.client,
            count,
            dim,
            tensors(values.iter().copied()),
            dy.clone().into_tensor_arg(),
            tape.gates.clone().into_tensor_arg(),
            tensors(dx.iter().copied()),
            partial.clone().into_tensor_arg(),
            element(dy.dtype),
            numbers(own.iter().map(|(_, gate)| gate.unwrap_or(0))),
            bits(slots.iter().map(|slot| slot.as_ref().is_some_and(|(_, add)| *add))),
            first_row,
            rows,
            threads,
            gated,
            wants_x,
            of_gates,
            !constants.is_empty(),
        );
        constants = &[];
    }
}

impl GateRows {
    pub(super) fn new(graph: &Graph, in_sum: &[Option<InSum>], place: &Place) -> Self {
        let normed = in_sum.iter().flatten().filter(|norm| norm.gate.is_some()).count();
        let terms = |op: &Op| match op {
            Op::Sum(Sum { gates, constant }) => gates.iter().flatten().count() + usize::from(!constant.is_empty()),
            _ => 0,
        };
        let in_parts = graph.nodes.iter().map(|node| terms(&node.op)).sum::<usize>() - normed;
        let (partial, sums) = (place.zeros([GATE_CUBES, in_parts.max(1)]), place.empty([(in_parts + normed).max(1)]));
        Self { partial, in_parts, reached: 0, sums, pairs: Vec::new(), next_normed: in_parts }
    }

    /// Assigns the next rows to these gates, one each, and one row to all constants.
    fn in_launch(&mut self, gates: impl Iterator<Item = usize>, constants: &[usize]) {
        for gate in gates {
            self.pairs.push((self.reached as u32, gate as u32));
            self.reached += 1;
        }
        self.pairs.extend(constants.iter().map(|&gate| (self.reached as u32, gate as u32)));
        self.reached += usize::from(!constants.is_empty());
    }

    /// Assigns a row to a normalised term: the sum of `channels` elements of `sums` from `start` on.
    pub(super) fn of_norm(&mut self, gate: usize, sums: &CubeTensor, start: usize, channels: usize) -> Fold {
        let row = self.next_normed;
        self.next_normed += 1;
        self.pairs.push((row as u32, gate as u32));
        let (partial, out) = (sums.clone(), self.sums.clone());
        Fold { partial, out, parts: channels, stride: 1, start, to: row, length: 1 }
    }

    /// The sum over the parts that is still to be launched.
    pub(super) fn fold(&self) -> Option<Fold> {
        // Rows of sums that no gradient reached have no meaning; they come last, and no gate reads them.
        let (partial, out, length) = (self.partial.clone(), self.sums.clone(), self.in_parts);
        (self.reached > 0).then_some(Fold { partial, out, parts: GATE_CUBES, stride: length, start: 0, to: 0, length })
    }

    /// The gradients of all gates, `[gates]`, once all sums over parts are launched; zero for a gate that no gradient reached.
    pub(super) fn finish(self, place: &Place, gates: usize) -> CubeTensor {
        if self.pairs.is_empty() {
            return place.zeros([gates]);
        }
        let out = place.empty([gates]);
        let (rows, gate_of): (Vec<_>, Vec<_>) = self.pairs.iter().copied().unzip();
        let (row_of, gate_of) = (place.words(&rows), place.words(&gate_of));
        launch!(place, spread_gates, gates, [self.sums, row_of, gate_of, out], self.pairs.len());
        out
    }
}
