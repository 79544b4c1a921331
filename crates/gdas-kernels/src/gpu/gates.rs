//! Gated sums on the way back, and the gradients of their gates.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::backward::Grads;
use super::forward::Tape;
use super::place::{Place, launch};
use crate::graph::{Graph, Op, Sum, ValueId};

/// Parts of a gate's gradient, and how many of them are summed at once.
const GATE_PARTS: usize = 8192;
const GATE_FOLD: usize = 128;

/// The gates' gradients in parts: every gated term that the way back reaches has a row of its own, since several terms
/// may have the same gate.
pub(super) struct GateParts {
    /// `[GATE_PARTS, rows]`.
    partial: CubeTensor,
    /// The gate of each row so far.
    gate_of: Vec<f32>,
    /// Rows that there will be at most; 0 if no gate's gradient is wanted.
    rows: usize,
}

/// One launch per term: its input's gradient and its gate's.
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
    let terms = inputs.iter().zip(&sum.gates).map(|(&x, gate)| (Some(x), *gate));
    for (x, gate) in terms.chain(sum.constant.iter().map(|&gate| (None, Some(gate)))) {
        let slot = x.and_then(|x| grads.slot(&tape.call.graph, tape.batch, x));
        let wants_gate = gates.rows > 0 && gate.is_some();
        let row = gates.gate_of.len();
        if wants_gate {
            gates.gate_of.push(gate.unwrap_or(0) as f32);
        }
        let (wants_x, add) = (slot.is_some(), slot.as_ref().is_some_and(|(_, add)| *add));
        if !wants_x && !wants_gate {
            continue;
        }
        let dx = slot.map_or_else(|| place.none.clone(), |(dx, _)| dx);
        // A dummy stands in for what is not read: the value counts only for its gate's gradient.
        let value = x.filter(|_| wants_gate).and_then(|x| tape.values[x].clone());
        let value = value.unwrap_or_else(|| place.none.clone());
        let partial = if wants_gate { gates.partial.clone() } else { place.none.clone() };
        // Where there is a gate, every part must be written; else each element gets a thread of its own.
        let parts = if wants_gate { GATE_PARTS } else { elements };
        launch!(
            place,
            term_backward,
            parts,
            [value, dy, tape.gates, dx, partial],
            gate.unwrap_or(0),
            row,
            gates.rows.max(1),
            parts,
            gate.is_some(),
            x.is_none(),
            wants_gate,
            wants_x,
            add,
        );
    }
}

impl GateParts {
    pub(super) fn new(graph: &Graph, place: &Place, wanted: bool) -> Self {
        let terms = |op: &Op| match op {
            Op::Sum(Sum { gates, constant }) => gates.iter().flatten().count() + constant.len(),
            _ => 0,
        };
        let rows = if wanted { graph.nodes.iter().map(|node| terms(&node.op)).sum() } else { 0 };
        let partial = if rows > 0 { place.empty([GATE_PARTS, rows]) } else { place.none.clone() };
        Self { partial, gate_of: Vec::with_capacity(rows), rows }
    }

    /// Sums the parts to the gradients of all gates, `[gates]`; zero where no term was reached.
    pub(super) fn finish(self, place: &Place, gates: usize) -> CubeTensor {
        let out = place.empty([gates]);
        let reached = self.gate_of.len();
        if reached == 0 {
            launch!(place, fill_zero, gates, [out]);
            return out;
        }
        // Rows of sums that no gradient reached hold nothing; they come last and no gate asks for them.
        let groups = GATE_PARTS / GATE_FOLD;
        let folded = place.empty([groups, self.rows]);
        launch!(place, fold, groups * self.rows, [self.partial, folded], GATE_FOLD, self.rows);
        let sums = place.fold(&folded, groups, self.rows);
        let gate_of = place.from_host(self.gate_of);
        launch!(place, spread_gates, gates, [sums, gate_of, out], reached);
        out
    }
}
