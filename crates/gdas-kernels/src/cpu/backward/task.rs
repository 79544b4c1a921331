//! One task of a backward stage: some images, for which it completes the stage's gradients one after another.

use std::ops::Range;

use super::reduce::NormSlope;
use super::required::Required;
use crate::cpu::elementwise::{Frame, Slope, axpy, dot, mask, mask_norm_sums, norm_sums, pack_slope};
use crate::cpu::plan::{Consumer, GradId, Plan, Upstream, View};
use crate::cpu::pool::Buffer;
use crate::cpu::values::{Values, flat, map_of};
use crate::cpu::{GradTargets, Tape};
use crate::graph::{Op, ValueId};

/// Inputs common to all tasks of a stage.
pub(super) struct StageContext<'a> {
    pub(super) tape: &'a Tape,
    pub(super) plan: &'a Plan,
    pub(super) targets: &'a GradTargets<'a>,
    pub(super) required: &'a Required,
    pub(super) values: Values<'a>,
    /// Gradients of earlier stages.
    pub(super) finished: &'a [Option<Buffer>],
    /// The gradients that this stage completes, in order.
    pub(super) items: &'a [GradId],
    pub(super) slopes: &'a [NormSlope],
    /// Per convolution, its weights for the input's gradient.
    pub(super) weights: &'a [Option<Buffer>],
    /// The gradient of the outputs, `[batch, sum of classes]`.
    pub(super) upstream: &'a [f32],
    /// Normalisations whose sums this stage computes.
    pub(super) norms: &'a [usize],
    /// Convolutions whose weight gradients this stage computes.
    pub(super) convs: &'a [ValueId],
}

impl StageContext<'_> {
    /// The value of the gradient `grad`, before any ReLU.
    pub(super) fn view(&self, grad: GradId) -> View {
        match grad.checked_sub(self.plan.graph.nodes.len()) {
            Some(n) => View { base: self.plan.norms[n].base, norm: Some(n), relu: false },
            None => View { base: grad, norm: None, relu: false },
        }
    }

    /// Value of the gate of an upstream gradient.
    pub(super) fn gate(&self, upstream: Upstream) -> f32 {
        upstream.gate.map_or(1.0, |g| self.tape.gates[g])
    }

    /// `<d, x>` over an image's real channels.
    pub(super) fn product(&self, d: &[f32], x: &[f32], node: ValueId) -> f64 {
        let mut products = vec![0.0; self.plan.channels[node]];
        dot(self.plan.level, d, x, &mut products);
        self.real_channels(&products, node)
    }

    /// The sum of values per channel without the padded ones.
    pub(super) fn real_channels(&self, values: &[f32], node: ValueId) -> f64 {
        values[..self.plan.graph.shape(node).channels].iter().map(|&v| f64::from(v)).sum()
    }
}

/// A gradient written by a task: all of its images, or one block of them at a time if no other stage reads it.
#[derive(Default)]
pub(super) struct Grad<'a> {
    pub(super) data: &'a mut [f32],
    /// Floats per image.
    pub(super) image: usize,
    /// The task's first image.
    pub(super) first: usize,
    /// Capacity in images.
    pub(super) room: usize,
}

impl Grad<'_> {
    fn start(&self, n: usize) -> usize {
        (n - self.first) % self.room * self.image
    }

    pub(super) fn image(&self, n: usize) -> &[f32] {
        &self.data[self.start(n)..][..self.image]
    }

    pub(super) fn image_mut(&mut self, n: usize) -> &mut [f32] {
        let start = self.start(n);
        &mut self.data[start..][..self.image]
    }

    /// The images of a block.
    pub(super) fn block_mut(&mut self, images: Range<usize>) -> &mut [f32] {
        let start = self.start(images.start);
        &mut self.data[start..][..images.len() * self.image]
    }
}

/// Access to complete gradients: those of earlier stages, and those of the task in this stage.
#[derive(Clone, Copy)]
pub(super) struct GradReader<'a> {
    pub(super) context: &'a StageContext<'a>,
    pub(super) own: &'a [Grad<'a>],
}

impl<'a> GradReader<'a> {
    /// One image of a gradient.
    pub(super) fn image(&self, grad: GradId, n: usize) -> &'a [f32] {
        let context = self.context;
        if let Some(batch) = &context.finished[grad] {
            let len = context.plan.image(context.plan.node_of(grad));
            return &batch[n * len..][..len];
        }
        let item = context.items.iter().position(|&item| item == grad).expect("a gradient is read after it was stored");
        self.own[item].image(n)
    }

    /// Writes the gradient of a node's result, image `n` from float `from` on, into a frame with a zero border.
    pub(super) fn unpack(
        &self,
        node: ValueId,
        upstream: Upstream,
        n: usize,
        from: usize,
        frame: &Frame,
        out: &mut [f32],
    ) {
        let context = self.context;
        let d = &self.image(upstream.grad, n)[from..];
        let level = context.plan.level;
        if let Some(norm) = upstream.norm {
            let s = &context.slopes[norm];
            let mean = &context.tape.norms[norm].mean;
            let slope = Slope { k1: &s.k1, k2: &s.k2, k3: &s.k3, mean };
            pack_slope(level, out, d, &context.values.image(node, n)[from..], frame, slope);
        } else {
            let k1 = vec![context.gate(upstream); frame.channels];
            pack_slope(level, out, d, &[], frame, Slope { k1: &k1, k2: &[], k3: &[], mean: &[] });
        }
    }
}

/// Gradients of the gates, one row per image of a task.
pub(super) struct GateSums<'a> {
    pub(super) rows: &'a mut [f64],
    /// Length of a row.
    pub(super) gates: usize,
    /// The task's first image.
    pub(super) first: usize,
}

impl GateSums<'_> {
    pub(super) fn add(&mut self, n: usize, gate: usize, value: f64) {
        self.rows[(n - self.first) * self.gates + gate] += value;
    }
}

/// A chunk of the batch in one stage, and its results.
pub(super) struct Task<'a> {
    pub(super) context: &'a StageContext<'a>,
    /// Per item of the stage.
    pub(super) grads: Vec<Grad<'a>>,
    /// Per normalisation of [`StageContext::norms`]: `[image, 2, channels]`.
    pub(super) norm_sums: Vec<&'a mut [f32]>,
    /// Per convolution of [`StageContext::convs`]: its weight's gradient in its algorithm's layout, then its bias's.
    pub(super) weights: Vec<&'a mut [f32]>,
    pub(super) gates: GateSums<'a>,
    /// The first image.
    pub(super) first: usize,
}

impl<'a> Task<'a> {
    /// Completes a gradient for some images, and all sums that depend on it.
    pub(super) fn complete(&mut self, item: usize, images: Range<usize>) {
        // Taken out while it is written, so that the task can read its other gradients.
        let mut grad = std::mem::take(&mut self.grads[item]);
        self.complete_into(self.context.items[item], &mut grad, images);
        self.grads[item] = grad;
    }

    fn complete_into(&mut self, id: GradId, grad: &mut Grad, images: Range<usize>) {
        let (context, plan) = (self.context, self.context.plan);
        let needed = context.required.gradient[id];
        let mut written = false;
        let reached = |consumer: &&Consumer| {
            let upstream = match **consumer {
                Consumer::Node { node, .. } => plan.upstream[node],
                Consumer::Norm(n) => plan.norm_upstream[n],
            };
            context.required.reached[upstream.grad] && context.required.gradient[upstream.grad]
        };
        // First the contributions through a ReLU, then its mask, then the others.
        let through_relu = |consumer: &&Consumer| matches!(consumer, Consumer::Node { relu: true, .. });
        for consumer in plan.consumers[id].iter().filter(reached).filter(through_relu) {
            written |= self.pull(id, *consumer, grad, images.clone(), written);
        }
        let only_through_relu = plan.consumers[id].iter().filter(reached).all(|c| through_relu(&c));
        if written && only_through_relu && self.mask_and_sums(id, grad, images.clone()) {
            return;
        }
        if written {
            let view = context.view(id);
            let map = map_of(&context.tape.norms, view);
            for n in images.clone() {
                mask(plan.level, grad.image_mut(n), context.values.image(view.base, n), map);
            }
        }
        for consumer in plan.consumers[id].iter().filter(reached).filter(|c| !through_relu(c)) {
            written |= self.pull(id, *consumer, grad, images.clone(), written);
        }
        if needed {
            if !written {
                images.clone().for_each(|n| grad.image_mut(n).fill(0.0));
            }
            self.add_outputs(id, grad, images.clone());
            images.for_each(|n| self.sums(id, grad.image(n), n));
        }
    }

    /// Applies the ReLU's mask and computes the sums of the normalisation before it in one pass, if the gradient is complete
    /// after the mask and nothing else depends on it. Returns false without effect otherwise.
    fn mask_and_sums(&mut self, id: GradId, grad: &mut Grad, images: Range<usize>) -> bool {
        let (context, plan) = (self.context, self.context.plan);
        let Some(norm) = id.checked_sub(plan.graph.nodes.len()) else { return false };
        let Some(part) = context.norms.iter().position(|&n| n == norm) else { return false };
        let others = context.norms.iter().filter(|&&n| plan.norm_upstream[n].grad == id).count() > 1;
        if others || plan.graph.outputs.contains(&plan.norms[norm].node) {
            return false;
        }
        let state = &context.tape.norms[norm];
        let c = plan.channels[plan.norms[norm].node];
        let map = map_of(&context.tape.norms, context.view(id));
        for n in images {
            let (sums, products) = self.norm_sums(part, n, c);
            let z = context.values.image(plan.norms[norm].base, n);
            mask_norm_sums(plan.level, grad.image_mut(n), z, map, &state.mean, sums, products);
        }
        true
    }

    /// The slices for the two sums of one image of a normalisation of this stage.
    fn norm_sums(&mut self, part: usize, n: usize, channels: usize) -> (&mut [f32], &mut [f32]) {
        self.norm_sums[part][(n - self.first) * 2 * channels..][..2 * channels].split_at_mut(channels)
    }

    /// Adds the gradient of the network's outputs.
    fn add_outputs(&self, id: GradId, grad: &mut Grad, images: Range<usize>) {
        let plan = self.context.plan;
        let graph = &plan.graph;
        let total: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
        let mut start = 0;
        for &o in &graph.outputs {
            let classes = graph.shape(o).elements();
            if o == id {
                for n in images.clone() {
                    let from = &self.context.upstream[n * total + start..][..classes];
                    let pixels = grad.image_mut(n).chunks_exact_mut(plan.channels[o]);
                    for (to, from) in pixels.zip(from.chunks_exact(graph.shape(o).channels)) {
                        to.iter_mut().zip(from).for_each(|(d, u)| *d += u);
                    }
                }
            }
            start += classes;
        }
    }

    /// Computes the sums that depend on a complete gradient `d`: of normalisations, constant gates, and a sum's unstored inputs.
    fn sums(&mut self, id: GradId, d: &[f32], n: usize) {
        let (context, plan) = (self.context, self.context.plan);
        let node = plan.node_of(id);
        let c = plan.channels[node];
        for (part, &norm) in context.norms.iter().enumerate().filter(|(_, norm)| plan.norm_upstream[**norm].grad == id)
        {
            let (sums, products) = self.norm_sums(part, n, c);
            let z = context.values.image(plan.norms[norm].base, n);
            norm_sums(plan.level, d, z, &context.tape.norms[norm].mean, sums, products);
        }
        let Op::Sum(sum) = &plan.graph.nodes[node].op else { return };
        if !context.targets.gates || id != node {
            return;
        }
        if !sum.constant.is_empty() {
            let mut sums = vec![0.0; c];
            norm_sums(plan.level, d, &[], &[], &mut sums, &mut []);
            let all: f64 = sums[..plan.graph.shape(node).channels].iter().map(|&s| f64::from(s)).sum();
            sum.constant.iter().for_each(|&g| self.gates.add(n, g, all));
        }
        for (slot, &input) in plan.graph.nodes[node].inputs.iter().enumerate() {
            let Some(gate) = sum.gates[slot] else { continue };
            let view = plan.input(node, slot);
            let plain = view.norm.is_none() && !view.relu && !plan.inline[input];
            if plain && plan.upstream[view.base].grad != view.base && plan.upstream[view.base].norm.is_none() {
                let value = context.product(d, context.values.image(view.base, n), node);
                self.gates.add(n, gate, value);
            }
        }
    }

    /// Adds a consumer's contribution to a gradient (overwrites unless `add`), and computes the gradients of the consumer's
    /// weights and gates. Returns whether it wrote.
    fn pull(&mut self, id: GradId, consumer: Consumer, grad: &mut Grad, images: Range<usize>, add: bool) -> bool {
        let (context, plan) = (self.context, self.context.plan);
        let needed = context.required.gradient[id];
        match consumer {
            Consumer::Norm(norm) if needed => {
                let upstream = Upstream { norm: Some(norm), ..plan.norm_upstream[norm] };
                let frame = flat(plan, id);
                let mut scratch = Buffer::new(frame.len());
                let reader = self.reader();
                for n in images {
                    reader.unpack(id, upstream, n, 0, &frame, &mut scratch);
                    axpy(plan.level, grad.image_mut(n), &scratch, 1.0, add);
                }
            }
            Consumer::Norm(_) => {}
            Consumer::Node { node, slot, relu } => {
                if let Some(pointwise) = plan.pointwise_after(node) {
                    self.pull_separable(id, [node, pointwise], relu, grad, images, add);
                } else if plan.convs[node].is_some() {
                    self.pull_conv(id, node, relu, grad, images, add);
                } else {
                    for n in images.filter(|_| plan.image(plan.node_of(id)) > 0) {
                        self.pull_image(id, node, slot, relu, grad, n, add);
                    }
                }
            }
        }
        needed
    }

    /// Access to complete gradients.
    pub(super) fn reader(&self) -> GradReader<'_> {
        GradReader { context: self.context, own: &self.grads }
    }

    /// Takes the slice of a convolution's weight and bias gradients; empty if this stage computes none.
    pub(super) fn take_weights(&mut self, conv: ValueId) -> &'a mut [f32] {
        let part = self.context.convs.iter().position(|&c| c == conv);
        part.map(|part| std::mem::take(&mut self.weights[part])).unwrap_or_default()
    }

    /// Returns the slice of [`Task::take_weights`].
    pub(super) fn return_weights(&mut self, conv: ValueId, place: &'a mut [f32]) {
        if let Some(part) = self.context.convs.iter().position(|&c| c == conv) {
            self.weights[part] = place;
        }
    }
}
