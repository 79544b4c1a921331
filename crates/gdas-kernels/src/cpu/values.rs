//! Access to activations in both passes: a stored array, or a [`View`] of one through a normalisation and a ReLU.

use super::Tape;
use super::elementwise::{Frame, Map, pack};
use super::norm::NormState;
use super::plan::{Plan, View};
use super::pool::Buffer;
use crate::graph::ValueId;

/// The stored values that a task can read: whole batches of finished stages, and its own images of the running stage.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) plan: &'a Plan,
    /// Per value: its batch, once its stage has finished.
    finished: &'a [Option<Buffer>],
    /// Values of the running stage, and the task's images of each, the first of which is image `first` of the batch.
    items: &'a [ValueId],
    own: &'a [&'a mut [f32]],
    first: usize,
}

impl<'a> Values<'a> {
    /// The values that a task of a forward stage reads.
    pub(crate) fn of_task(
        plan: &'a Plan,
        finished: &'a [Option<Buffer>],
        items: &'a [ValueId],
        own: &'a [&'a mut [f32]],
        first: usize,
    ) -> Self {
        Self { plan, finished, items, own, first }
    }

    /// The values that a forward pass saved.
    pub(crate) fn of_tape(tape: &'a Tape) -> Self {
        Self { plan: &tape.plan, finished: &tape.values, items: &[], own: &[], first: 0 }
    }

    /// One image of a stored value.
    pub(crate) fn image(&self, v: ValueId, n: usize) -> &'a [f32] {
        let len = self.plan.image(v);
        if let Some(batch) = &self.finished[v] {
            return &batch[n * len..][..len];
        }
        let item = self.items.iter().position(|&item| item == v).expect("a value is read after it was stored");
        &self.own[item][(n - self.first) * len..][..len]
    }

    /// One image of a view: the stored image itself, or its map written to `scratch`.
    pub(crate) fn view<'b>(
        &self,
        norms: &[NormState],
        view: View,
        n: usize,
        scratch: &'b mut Option<Buffer>,
    ) -> &'b [f32]
    where
        'a: 'b,
    {
        let map = map_of(norms, view);
        let image = self.image(view.base, n);
        if map.is_identity() {
            return image;
        }
        let out = scratch.insert(Buffer::new(image.len()));
        pack(self.plan.level, out, image, &flat(self.plan, view.base), map);
        out
    }
}

/// The map of a view. The statistics of its normalisation must be complete.
pub(crate) fn map_of(norms: &[NormState], view: View) -> Map<'_> {
    let (scale, shift): (&[f32], &[f32]) = view.norm.map_or((&[], &[]), |n| (&norms[n].scale, &norms[n].shift));
    Map { scale, shift, relu: view.relu }
}

/// The frame of one image of a value, without a border.
pub(crate) fn flat(plan: &Plan, v: ValueId) -> Frame {
    let s = plan.graph.shape(v);
    let channels = plan.channels[v];
    Frame { rows: s.height, columns: s.width, top: 0, left: 0, height: s.height, width: s.width, channels }
}
