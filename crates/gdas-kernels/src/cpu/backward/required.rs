//! The gradients that a backward pass must compute, determined before it runs.

use crate::cpu::GradTargets;
use crate::cpu::plan::{Consumer, GradId, Plan};
use crate::graph::{Op, ValueId};

pub(super) struct Required {
    /// Per [`GradId`]: whether the gradient is needed, because a target lies before it.
    pub(super) gradient: Vec<bool>,
    /// Per [`GradId`]: whether a gradient arrives and a task has to run, for the gradient itself or for a side effect (a weight's
    /// or a gate's gradient).
    pub(super) active: Vec<bool>,
    /// Per [`GradId`]: whether a gradient arrives from the outputs.
    pub(super) reached: Vec<bool>,
    /// Per node: whether the gradients of its weight and bias are needed.
    pub(super) weight: Vec<[bool; 2]>,
}

impl Required {
    pub(super) fn new(plan: &Plan, targets: &GradTargets) -> Self {
        let weight = weights(plan, targets);
        let gradient = gradients(plan, targets, &weight);
        let mut required =
            Self { active: vec![false; gradient.len()], reached: vec![false; gradient.len()], gradient, weight };
        let nodes = &plan.graph.nodes;
        for id in (0..nodes.len()).rev() {
            let norm = match nodes[id].op {
                Op::Norm { norm, .. } => Some(nodes.len() + norm),
                _ => None,
            };
            for grad in [Some(id), norm].into_iter().flatten() {
                required.visit(plan, targets, grad);
            }
        }
        required
    }

    /// Whether the weight or the bias of a convolution is a target.
    pub(super) fn any_weight(&self, node: ValueId) -> bool {
        self.weight[node] != [false; 2]
    }

    /// Sets `reached` and `active` of a gradient, given those of all gradients behind it.
    fn visit(&mut self, plan: &Plan, targets: &GradTargets, grad: GradId) {
        let nodes = &plan.graph.nodes;
        let arrives = |consumer: &&Consumer| {
            let upstream = match **consumer {
                Consumer::Node { node, .. } => plan.upstream[node],
                Consumer::Norm(n) => plan.norm_upstream[n],
            };
            self.reached[upstream.grad]
        };
        let reached = plan.graph.outputs.contains(&grad) || plan.consumers[grad].iter().any(|c| arrives(&c));
        let stored = match grad.checked_sub(nodes.len()) {
            Some(n) => plan.norm_upstream[n].grad == grad,
            None => plan.upstream[grad].grad == grad && !plan.inline[grad],
        };
        let gated = |id: ValueId, slot: usize| match &nodes[id].op {
            Op::Sum(sum) => targets.gates && sum.gates[slot].is_some(),
            _ => false,
        };
        let side_effect = plan.consumers[grad].iter().filter(arrives).any(|consumer| match *consumer {
            Consumer::Node { node, slot, .. } => {
                self.any_weight(node)
                    || plan.pointwise_after(node).is_some_and(|p| self.any_weight(p))
                    || gated(node, slot)
                    || (plan.inline[node] && plan.upstream[node].gate.is_some() && targets.gates)
            }
            Consumer::Norm(_) => false,
        });
        self.active[grad] = reached && stored && (self.gradient[grad] || side_effect);
        self.reached[grad] = reached;
    }
}

/// Per node: whether the gradients of its weight and bias are needed.
fn weights(plan: &Plan, targets: &GradTargets) -> Vec<[bool; 2]> {
    let needed = plan.graph.nodes.iter().enumerate().map(|(id, node)| match node.op {
        Op::Conv { weight, bias, .. } => {
            [targets.params[weight], bias.is_some_and(|b| targets.params[b]) && !plan.bias_cancels(id)]
        }
        _ => [false; 2],
    });
    needed.collect()
}

/// Per [`GradId`]: whether a target lies at or before it.
fn gradients(plan: &Plan, targets: &GradTargets, weight: &[[bool; 2]]) -> Vec<bool> {
    let nodes = &plan.graph.nodes;
    let wanted = |p: Option<usize>| p.is_some_and(|p| targets.params[p]);
    let mut needed = vec![false; plan.consumers.len()];
    for (id, node) in nodes.iter().enumerate() {
        let own = match &node.op {
            Op::Image => targets.image,
            // What is computed inside another convolution has its gradients made with that one's.
            Op::Conv { .. } => {
                weight[id] != [false; 2] || plan.pointwise_after(id).is_some_and(|p| weight[p] != [false; 2])
            }
            Op::Norm { scale, shift, .. } => wanted(*scale) || wanted(*shift),
            Op::Sum(sum) => targets.gates && (!sum.constant.is_empty() || sum.gates.iter().any(Option::is_some)),
            _ => false,
        };
        needed[id] = own || node.inputs.iter().any(|&i| needed[i]);
    }
    for (n, norm) in plan.norms.iter().enumerate() {
        needed[nodes.len() + n] = needed[norm.node];
    }
    needed
}
