//! The execution plan of a graph: which values are stored, which are views, in what order and with what barriers values and
//! gradients are computed, and where every gradient comes from.
//!
//! The results of ReLUs and normalisations are not stored: their readers apply them while reading ([`View`]). A normalisation
//! needs the statistics of its whole batch, so its readers wait for a barrier. Everything between two barriers (a [`Stage`])
//! runs image by image, which keeps an image's data in the cache from one step to the next.
//!
//! Gradients are pulled: the gradient of a stored value, or of a normalisation that something other than one sum reads, adds up
//! the contributions of its consumers. The gradient of a convolution that feeds one normalisation or one sum is not stored
//! either: it is an expression over stored gradients ([`Upstream`]).

use std::sync::Arc;

use super::conv::{Algorithm, Conv};
use super::pooling::PoolTable;
use super::simd::Level;
use crate::Mode;
use crate::graph::{Graph, Op, ValueId};

/// A value as a function of a stored one: an affine map per channel, then perhaps a ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) base: ValueId,
    pub(crate) norm: Option<usize>,
    pub(crate) relu: bool,
}

/// A normalisation and what it normalises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormPlan {
    pub(crate) node: ValueId,
    /// The stored value.
    pub(crate) base: ValueId,
    pub(crate) scale: Option<usize>,
    pub(crate) shift: Option<usize>,
    /// Whether it uses the statistics of the batch, not the running ones.
    pub(crate) batch_stats: bool,
}

/// Index of a stored gradient: `v` for the gradient of value `v`, `nodes + n` for that of the result of normalisation `n`.
pub(crate) type GradId = usize;

/// What reads a value or a normalisation, and so contributes to its gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Input `slot` of a node, through a ReLU or not.
    Node { node: ValueId, slot: usize, relu: bool },
    /// The normalisation of this value.
    Norm(usize),
}

/// The gradient of a node's result in terms of a stored one: `gate * grad`, passed back through a normalisation if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) grad: GradId,
    pub(crate) gate: Option<usize>,
    pub(crate) norm: Option<usize>,
}

/// Steps without a barrier between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    /// Values (forward) or [`GradId`]s (backward), in order.
    pub(crate) items: Vec<usize>,
    /// Images per task: enough to give the matrix products rows when images are small.
    pub(crate) block: usize,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Arc<Graph>,
    pub(crate) level: Level,
    /// Channels of a value in memory: whole vectors, the rest is padding.
    pub(crate) channels: Vec<usize>,
    pub(crate) view: Vec<View>,
    /// Whether the value has an array.
    pub(crate) stored: Vec<bool>,
    /// Computed inside the one node that reads it: a pool in a sum, a depthwise convolution in a pointwise one.
    pub(crate) inline: Vec<bool>,
    pub(crate) norms: Vec<NormPlan>,
    pub(crate) forward: Vec<Stage>,
    /// Per [`GradId`].
    pub(crate) consumers: Vec<Vec<Consumer>>,
    /// Per node that computes something: the gradient of its result.
    pub(crate) upstream: Vec<Upstream>,
    /// Per normalisation: the gradient of its result.
    pub(crate) norm_upstream: Vec<Upstream>,
    pub(crate) convs: Vec<Option<Conv>>,
    pub(crate) pools: Vec<Option<PoolTable>>,
}

impl Plan {
    pub(crate) fn new(graph: &Arc<Graph>, mode: Mode, level: Level, tracked: &[bool]) -> Self {
        let nodes = &graph.nodes;
        let output = |v: ValueId| graph.outputs.contains(&v);

        let mut stored: Vec<bool> = nodes.iter().map(|n| !matches!(n.op, Op::Relu | Op::Norm { .. })).collect();
        graph.outputs.iter().for_each(|&o| stored[o] = true);
        for node in nodes {
            if matches!(node.op, Op::Norm { .. }) && matches!(nodes[node.inputs[0]].op, Op::Relu | Op::Norm { .. }) {
                stored[node.inputs[0]] = true;
            }
        }

        let mut view = Vec::with_capacity(nodes.len());
        let mut norms: Vec<Option<NormPlan>> = vec![None; graph.norms.len()];
        for (id, node) in nodes.iter().enumerate() {
            let through = view_through(&view, node, id);
            if let Op::Norm { scale, shift, norm } = node.op {
                let batch_stats = mode == Mode::Train || !tracked[norm];
                norms[norm] = Some(NormPlan { node: id, base: through.base, scale, shift, batch_stats });
            }
            view.push(if stored[id] { View { base: id, norm: None, relu: false } } else { through });
        }
        let norms: Vec<NormPlan> =
            norms.into_iter().map(|n| n.expect("every normalisation of a graph has its node")).collect();

        // Who reads what.
        let mut consumers: Vec<Vec<Consumer>> = vec![vec![]; nodes.len() + norms.len()];
        norms.iter().enumerate().for_each(|(n, norm)| consumers[norm.base].push(Consumer::Norm(n)));
        for (id, node) in nodes.iter().enumerate().filter(|(id, _)| stored[*id]) {
            for slot in 0..node.inputs.len() {
                let v = match node.op {
                    Op::Relu | Op::Norm { .. } => view_through(&view, node, id),
                    _ => view[node.inputs[slot]],
                };
                let grad = v.norm.map_or(v.base, |n| nodes.len() + n);
                consumers[grad].push(Consumer::Node { node: id, slot, relu: v.relu });
            }
        }

        let only_sum = |grad: GradId| match consumers[grad].as_slice() {
            [Consumer::Node { node, slot, relu: false }] => match &nodes[*node].op {
                Op::Sum(sum) => Some((*node, sum.gates[*slot])),
                _ => None,
            },
            _ => None,
        };
        let norm_upstream: Vec<Upstream> = (0..norms.len())
            .map(|n| match only_sum(nodes.len() + n) {
                Some((grad, gate)) => Upstream { grad, gate, norm: None },
                None => Upstream { grad: nodes.len() + n, gate: None, norm: None },
            })
            .collect();
        let mut inline = vec![false; nodes.len()];
        let upstream: Vec<Upstream> = (0..nodes.len())
            .map(|id| {
                let own = Upstream { grad: id, gate: None, norm: None };
                if output(id) || !stored[id] {
                    return own;
                }
                let sum = only_sum(id).map(|(grad, gate)| Upstream { grad, gate, norm: None });
                match (&nodes[id].op, consumers[id].as_slice()) {
                    (Op::Conv { .. }, [Consumer::Norm(n)]) => Upstream { norm: Some(*n), ..norm_upstream[*n] },
                    (Op::Conv { .. }, _) => sum.unwrap_or(own),
                    (Op::AvgPool(_) | Op::MaxPool(_), _) if sum.is_some() => {
                        inline[id] = true;
                        sum.unwrap_or(own)
                    }
                    _ => own,
                }
            })
            .collect();
        let convs = nodes.iter().map(|n| match n.op {
            Op::Conv { window, groups, .. } => {
                Some(Conv::new(level, window, groups, graph.shape(n.inputs[0]), n.shape))
            }
            _ => None,
        });
        let convs: Vec<Option<Conv>> = convs.collect();
        for id in 0..nodes.len() {
            // Its result is cheap to compute again, so it is neither stored nor read from memory in the backward pass.
            inline[id] |= matches!(
                (&nodes[id].op, consumers[id].as_slice(), &convs[id]),
                (Op::Conv { bias: None, .. }, [Consumer::Node { node, relu: false, .. }], Some(conv))
                    if conv.algorithm == Algorithm::Depthwise
                        && convs[*node].as_ref().is_some_and(Conv::is_pointwise)
                        && !output(id)
            );
            stored[id] &= !inline[id];
        }
        let pools = nodes.iter().map(|n| match &n.op {
            Op::AvgPool(w) | Op::MaxPool(w) => {
                let channels = n.shape.channels.next_multiple_of(level.lanes());
                Some(PoolTable::new(graph.shape(n.inputs[0]), n.shape, w, channels))
            }
            _ => None,
        });
        let pools = pools.collect();
        let channels = nodes.iter().map(|n| n.shape.channels.next_multiple_of(level.lanes())).collect();
        let mut plan = Self {
            graph: graph.clone(),
            level,
            channels,
            view,
            stored,
            inline,
            norms,
            forward: vec![],
            consumers,
            upstream,
            norm_upstream,
            convs,
            pools,
        };
        plan.forward = plan.forward_stages();
        plan
    }

    /// An input of a node as a view of a stored value.
    pub(crate) fn input(&self, node: ValueId, slot: usize) -> View {
        match self.graph.nodes[node].op {
            Op::Relu | Op::Norm { .. } => view_through(&self.view, &self.graph.nodes[node], node),
            _ => self.view[self.graph.nodes[node].inputs[slot]],
        }
    }

    /// The pointwise convolution that a depthwise one is computed in.
    pub(crate) fn pointwise_after(&self, depthwise: ValueId) -> Option<ValueId> {
        match self.consumers[depthwise].as_slice() {
            [Consumer::Node { node, .. }] if self.inline[depthwise] && self.convs[depthwise].is_some() => Some(*node),
            _ => None,
        }
    }

    /// Floats of one image of a value in memory.
    pub(crate) fn image(&self, v: ValueId) -> usize {
        let s = self.graph.shape(v);
        s.height * s.width * self.channels[v]
    }

    /// The node whose shape a gradient has.
    pub(crate) fn node_of(&self, grad: GradId) -> ValueId {
        if grad < self.graph.nodes.len() { grad } else { self.norms[grad - self.graph.nodes.len()].node }
    }

    /// Floats per image that the passes read from and write to arrays of the batch, each array once per step that
    /// needs it: `[forward, backward with every gradient]`. Scratch that stays in a core's cache is not counted.
    pub(crate) fn traffic(&self) -> [usize; 2] {
        let (mut forward, mut backward) = (0, 0);
        for id in 0..self.graph.nodes.len() {
            if self.stored[id] {
                forward += self.image(id);
            }
            if self.stored[id] || self.inline[id] {
                let read = (0..self.graph.nodes[id].inputs.len()).map(|s| self.input(id, s).base);
                forward += read.filter(|&v| !self.inline[v]).map(|v| self.image(v)).sum::<usize>();
            }
        }
        let inline = |grad: GradId| self.inline.get(grad).is_some_and(|&inline| inline);
        for (grad, consumers) in
            self.consumers.iter().enumerate().filter(|(grad, consumers)| !consumers.is_empty() && !inline(*grad))
        {
            let node = self.node_of(grad);
            for u in consumers {
                // The consumer's gradient and, behind a normalisation, its value; then the value itself.
                backward += match *u {
                    Consumer::Node { node, .. } => {
                        let node = self.pointwise_after(node).unwrap_or(node);
                        let upstream = self.upstream[node];
                        self.image(node) * (1 + usize::from(upstream.norm.is_some()))
                    }
                    Consumer::Norm(_) => 0,
                };
                backward += self.image(node);
            }
            let own = grad >= self.graph.nodes.len() || self.upstream[grad].grad == grad;
            backward += if own { self.image(node) } else { 0 };
        }
        // The sums of each normalisation: gradient and value.
        backward += self.norms.iter().map(|n| 2 * self.image(n.base)).sum::<usize>();
        [forward, backward]
    }

    /// Whether the bias of a convolution only shifts the mean that a normalisation subtracts again.
    pub(crate) fn bias_cancels(&self, conv: ValueId) -> bool {
        matches!(self.consumers[conv].as_slice(), [Consumer::Norm(n)] if self.norms[*n].batch_stats)
            && !self.graph.outputs.contains(&conv)
    }

    /// Images per task for a value: about 32 Winograd tiles.
    fn block(&self, v: ValueId) -> usize {
        let s = self.graph.shape(v);
        512_usize.div_ceil((s.height * s.width).max(1)).clamp(1, 8)
    }

    /// Groups items by the barrier after which they can run.
    fn stages(&self, items: impl Iterator<Item = (usize, usize)>) -> Vec<Stage> {
        let mut stages: Vec<Stage> = vec![];
        for (item, at) in items {
            if stages.len() <= at {
                stages.resize_with(at + 1, Stage::default);
            }
            stages[at].items.push(item);
            stages[at].block = stages[at].block.max(1).max(self.block(self.node_of(item)));
        }
        stages.retain(|s| !s.items.is_empty());
        stages
    }

    fn forward_stages(&self) -> Vec<Stage> {
        let nodes = &self.graph.nodes;
        let mut after = vec![0; nodes.len()];
        for id in 0..nodes.len() {
            if !self.stored[id] && !self.inline[id] {
                continue;
            }
            after[id] = (0..nodes[id].inputs.len())
                .map(|slot| {
                    let v = self.input(id, slot);
                    after[v.base] + usize::from(v.norm.is_some_and(|n| self.norms[n].batch_stats))
                })
                .max()
                .unwrap_or(0);
        }
        self.stages((0..nodes.len()).filter(|&id| self.stored[id]).map(|id| (id, after[id])))
    }

    /// Per value the last forward stage that reads it; beyond all of them for outputs.
    pub(crate) fn last_readers(&self) -> Vec<usize> {
        let mut last = vec![0; self.graph.nodes.len()];
        for (at, stage) in self.forward.iter().enumerate() {
            for &id in &stage.items {
                last[id] = last[id].max(at);
                let mut reads = vec![id];
                while let Some(reader) = reads.pop() {
                    for slot in 0..self.graph.nodes[reader].inputs.len() {
                        let base = self.input(reader, slot).base;
                        last[base] = last[base].max(at);
                        if self.inline[base] {
                            reads.push(base);
                        }
                    }
                }
            }
        }
        self.graph.outputs.iter().for_each(|&output| last[output] = self.forward.len());
        last
    }

    /// The backward stages of the gradients for which `active` holds.
    pub(crate) fn backward_stages(&self, active: &[bool]) -> Vec<Stage> {
        let mut after = vec![0; self.consumers.len()];
        let mut order = vec![];
        let grad_of_norm = |id: usize| match self.graph.nodes[id].op {
            Op::Norm { norm, .. } => Some(self.graph.nodes.len() + norm),
            _ => None,
        };
        for id in (0..self.graph.nodes.len()).rev() {
            // A stored normalisation is read before its own result exists, so its value comes first.
            for grad in [Some(id), grad_of_norm(id)].into_iter().flatten() {
                let ready =
                    |s: Upstream| after[s.grad] + usize::from(s.norm.is_some_and(|n| self.norms[n].batch_stats));
                after[grad] = self.consumers[grad]
                    .iter()
                    .map(|u| match *u {
                        Consumer::Node { node, .. } => ready(self.upstream[node]),
                        Consumer::Norm(n) => ready(Upstream { norm: Some(n), ..self.norm_upstream[n] }),
                    })
                    .max()
                    .unwrap_or(0);
                if active[grad] {
                    order.push((grad, after[grad]));
                }
            }
        }
        self.stages(order.into_iter())
    }
}

/// The view that a ReLU or normalisation is of its input's view; the input's own view for other nodes.
fn view_through(view: &[View], node: &crate::graph::Node, id: ValueId) -> View {
    let Some(&input) = node.inputs.first() else { return View { base: id, norm: None, relu: false } };
    match node.op {
        Op::Relu => View { relu: true, ..view[input] },
        Op::Norm { norm, .. } => View { norm: Some(norm), ..view[input] },
        _ => view[input],
    }
}
