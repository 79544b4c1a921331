//! Runs a [`Graph`] in plain Burn operations, on any device, differentiated by Burn itself.
//!
//! It defines every operation: the fused engines are tested against it, and devices without fused kernels use it.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

use crate::graph::{Graph, NORM_EPSILON, Node, Op, ValueId};
use crate::{ForwardOutput, Inputs, Mode};

/// Runs the graph; see [`crate::run`].
pub fn run(graph: &Graph, mode: Mode, inputs: Inputs) -> ForwardOutput {
    run_observed(graph, mode, inputs, &mut |_, _| {})
}

/// As [`run`], and calls `observe` with every node and its value, `[batch, height, width, channels]`, once it is computed.
pub fn run_observed(
    graph: &Graph,
    mode: Mode,
    inputs: Inputs,
    observe: &mut dyn FnMut(&Node, &Tensor<4>),
) -> ForwardOutput {
    run_changed(graph, mode, inputs, &mut |index, value| {
        observe(&graph.nodes[index], &value);
        value
    })
}

/// As [`run`], with `change` in between: it takes the number of every node and its value, `[batch, height, width,
/// channels]`, and returns what later nodes read in its place.
pub fn run_changed(
    graph: &Graph,
    mode: Mode,
    inputs: Inputs,
    change: &mut dyn FnMut(ValueId, Tensor<4>) -> Tensor<4>,
) -> ForwardOutput {
    let mut state = State { mode, values: Vec::with_capacity(graph.nodes.len()), stats: Vec::new(), inputs };
    let mut last_use = vec![0; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&x| last_use[x] = i);
    }
    graph.outputs.iter().for_each(|&x| last_use[x] = graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let value = state.step(graph, node);
        state.values.push(Some(change(i, value)));
        // Values are dropped after their last reader, as evaluation of a large batch would fill the memory.
        for &x in node.inputs.iter().filter(|&&x| last_use[x] == i) {
            state.values[x] = None;
        }
    }
    let outputs = graph.outputs.iter().map(|&value| {
        let x = state.value(value);
        let [batch, _, _, channels] = x.dims();
        x.reshape([batch, channels])
    });
    ForwardOutput { outputs: outputs.collect(), stats: std::mem::take(&mut state.stats) }
}

struct State {
    mode: Mode,
    values: Vec<Option<Tensor<4>>>,
    stats: Vec<Tensor<2>>,
    inputs: Inputs,
}

impl State {
    fn value(&self, id: usize) -> Tensor<4> {
        self.values[id].clone().expect("a value is read only after it was computed")
    }

    fn param<const D: usize>(&self, id: usize, shape: [usize; D]) -> Tensor<D> {
        self.inputs.params[id].clone().reshape(shape)
    }

    fn gate(&self, id: usize) -> Tensor<4> {
        self.inputs.gates.clone().expect("the graph reads gates").narrow(0, id, 1).reshape([1, 1, 1, 1])
    }

    fn step(&mut self, graph: &Graph, node: &Node) -> Tensor<4> {
        let x = |i: usize| self.value(node.inputs[i]);
        let shape = node.shape;
        match &node.op {
            Op::Image => self.inputs.image.clone(),
            Op::Relu => burn::tensor::activation::relu(x(0)),
            Op::Conv { weight, bias, window, groups } => {
                let [kh, kw] = window.kernel;
                let inner = graph.shape(node.inputs[0]).channels / groups;
                let weight = self.param(*weight, [kh, kw, inner, shape.channels]).permute([3, 2, 0, 1]);
                let bias = bias.map(|bias| self.param(bias, [shape.channels]));
                let options = ConvOptions::new(window.stride, window.padding, window.dilation, *groups);
                to_nhwc(conv2d(to_nchw(x(0)), weight, bias, options))
            }
            Op::Norm { scale, shift, norm } => {
                let x = x(0);
                let channels = [1, 1, 1, shape.channels];
                let tracked = self.inputs.running.get(*norm).cloned().flatten();
                let (mean, variance) = if let (Mode::Eval, Some(running)) = (self.mode, tracked) {
                    (running.clone().narrow(0, 0, 1).reshape(channels), running.narrow(0, 1, 1).reshape(channels))
                } else {
                    let mean = mean_over_images(x.clone());
                    let variance = mean_over_images((x.clone() - mean.clone()).powi_scalar(2));
                    (mean, variance)
                };
                let row = [1, shape.channels];
                let used = [mean.clone().reshape(row), variance.clone().reshape(row)];
                self.stats.push(Tensor::cat(used.to_vec(), 0).detach());
                let mut y = (x - mean) / (variance + NORM_EPSILON).sqrt();
                if let Some(scale) = scale {
                    y = y * self.param(*scale, channels);
                }
                if let Some(shift) = shift {
                    y = y + self.param(*shift, channels);
                }
                y
            }
            Op::AvgPool(window) => {
                let options = AvgPoolOptions {
                    kernel_size: window.kernel,
                    stride: window.stride,
                    padding: window.padding.map(|p| (p, p)),
                    count_include_pad: false,
                    ceil_mode: false,
                };
                to_nhwc(avg_pool2d(to_nchw(x(0)), options))
            }
            Op::MaxPool(window) => {
                let options = MaxPoolOptions {
                    kernel_size: window.kernel,
                    stride: window.stride,
                    padding: window.padding.map(|p| (p, p)),
                    dilation: window.dilation,
                    ceil_mode: false,
                };
                to_nhwc(max_pool2d(to_nchw(x(0)), options))
            }
            Op::Shift => {
                let x = x(0);
                let [batch, h, w, c] = x.dims();
                let device = x.device();
                let options = (&device, x.dtype());
                let x = Tensor::cat(vec![x.narrow(1, 1, h - 1), Tensor::zeros([batch, 1, w, c], options)], 1);
                Tensor::cat(vec![x.narrow(2, 1, w - 1), Tensor::zeros([batch, h, 1, c], options)], 2)
            }
            Op::Sum(sum) => {
                let term = |i: usize| sum.gates[i].map_or_else(|| x(i), |gate| x(i) * self.gate(gate));
                let total = (0..node.inputs.len()).map(term).reduce(|a, b| a + b).unwrap_or_else(|| {
                    let image = &self.inputs.image;
                    let dims = [image.dims()[0], shape.height, shape.width, shape.channels];
                    Tensor::zeros(dims, (&image.device(), image.dtype()))
                });
                sum.constant.iter().fold(total, |total, &gate| total + self.gate(gate))
            }
            Op::ScaleImages { mask } => {
                let batch = self.inputs.image.dims()[0];
                let masks = self.inputs.masks.clone().expect("the graph reads masks");
                x(0) * masks.narrow(0, *mask, 1).reshape([batch, 1, 1, 1])
            }
            Op::Concat => Tensor::cat((0..node.inputs.len()).map(x).collect(), 3),
            Op::GlobalAvgPool => x(0).mean_dim(1).mean_dim(2),
        }
    }
}

fn mean_over_images(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(0).mean_dim(1).mean_dim(2)
}

fn to_nchw(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

fn to_nhwc(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}
