//! Backward passes of operations other than convolutions, one image at a time.

use super::task::{Grad, Task};
use crate::cpu::elementwise::{axpy, channels};
use crate::cpu::plan::{GradId, View};
use crate::cpu::pool::Buffer;
use crate::cpu::pooling::{average_back, maximum_back};
use crate::graph::{Op, ValueId};

impl Task<'_> {
    /// Adds the contribution of input `slot` of a node to image `n` of a gradient, and the gradient of the slot's gate.
    pub(super) fn pull_image(
        &mut self,
        id: GradId,
        node: ValueId,
        slot: usize,
        relu: bool,
        grad: &mut Grad,
        n: usize,
        add: bool,
    ) {
        let (context, plan) = (self.context, self.context.plan);
        let upstream = plan.upstream[node];
        let factor = context.gate(upstream);
        let needed = context.required.gradient[id];
        let view = View { relu, ..context.view(id) };
        let value = plan.node_of(id);
        let (level, c) = (plan.level, plan.channels[value]);
        let mut scratch = None;
        let d = self.reader().image(upstream.grad, n);
        let read = |scratch| context.values.view(&context.tape.norms, view, n, scratch);
        let op = &plan.graph.nodes[node].op;
        // The gate whose gradient is computed as a by-product, and that gradient.
        let mut gate = None;
        match op {
            Op::Sum(sum) => {
                let factor = sum.gates[slot];
                if needed {
                    axpy(level, grad.image_mut(n), d, factor.map_or(1.0, |g| context.tape.gates[g]), add);
                }
                if let Some(g) = factor.filter(|_| context.targets.gates) {
                    gate = Some((g, context.product(d, read(&mut scratch), value)));
                }
            }
            Op::AvgPool(_) | Op::MaxPool(_) => {
                let table = plan.pools[node].as_ref().expect("every pool has its table");
                let average = matches!(op, Op::AvgPool(_));
                let own = upstream.gate.filter(|_| context.targets.gates && plan.inline[node]);
                let x = if own.is_some() || !average { read(&mut scratch) } else { &[] };
                // The gate's gradient is <d, pool(x)> = <adjoint of pool(d), x>.
                if average {
                    let mut products = vec![0.0; if own.is_some() { c } else { 0 }];
                    let dx = if needed { grad.image_mut(n) } else { &mut [] };
                    average_back(level, dx, d, x, &mut products, table, factor, add);
                    gate = own.map(|own| (own, context.real_channels(&products, value)));
                } else if let Some(own) = own {
                    let mut spread = Buffer::zeroed(plan.image(value));
                    maximum_back(level, &mut spread, d, x, table, 1.0);
                    gate = Some((own, context.product(&spread, x, value)));
                    if needed {
                        axpy(level, grad.image_mut(n), &spread, factor, add);
                    }
                } else if needed {
                    let dx = grad.image_mut(n);
                    if !add {
                        dx.fill(0.0);
                    }
                    maximum_back(level, dx, d, x, table, factor);
                }
            }
            _ if !needed => {}
            Op::Relu | Op::Norm { .. } => axpy(level, grad.image_mut(n), d, 1.0, add),
            Op::ScaleImages { mask } => {
                axpy(level, grad.image_mut(n), d, context.tape.masks[mask * context.tape.batch + n], add);
            }
            Op::Shift => {
                let dx = grad.image_mut(n);
                if !add {
                    dx.fill(0.0);
                }
                let line = plan.graph.nodes[node].shape.width * c;
                for (to, from) in dx.chunks_exact_mut(line).skip(1).zip(d.chunks_exact(line)) {
                    to[c..].iter_mut().zip(from).for_each(|(x, d)| *x += d);
                }
            }
            Op::Concat => {
                let dx = grad.image_mut(n);
                let inputs = &plan.graph.nodes[node].inputs;
                let start: usize = inputs[..slot].iter().map(|&i| plan.graph.shape(i).channels).sum();
                let real = plan.graph.shape(inputs[slot]).channels;
                let pixels = dx.len() / c;
                if !add && real < c {
                    dx.fill(0.0);
                }
                channels(level, dx, c, &d[start..], plan.channels[node], pixels, real, add);
            }
            Op::GlobalAvgPool => {
                let dx = grad.image_mut(n);
                let share = c as f32 / dx.len() as f32;
                for to in dx.chunks_exact_mut(c) {
                    for (x, d) in to.iter_mut().zip(d) {
                        *x = if add { *x } else { 0.0 } + d * share;
                    }
                }
            }
            Op::Image | Op::Conv { .. } => unreachable!("no pull per image"),
        }
        if let Some((gate, value)) = gate {
            self.gates.add(n, gate, value);
        }
    }
}
