//! Forward-mode derivative of a linear network along its weights, in double precision.
//!
//! Every value has two planes: the value, and its derivative in `t` at `t = 0` when the weights of all convolutions and of
//! the classifier are scaled by `1 + t`. One forward pass computes both.

use std::rc::Rc;

use gdas_kernels::cpu::Convolution;
use gdas_kernels::graph::{Graph, Node, Op, Shape, Window};

/// Number of planes: value and derivative.
const PLANES: usize = 2;

/// `[height, width, PLANES, channels]`.
type Planes = Rc<Vec<f64>>;

/// Sum of the derivatives of the main outputs for an image of ones, with normalisations omitted. No parameter may be
/// negative, so that no value is and every ReLU is an identity. Biases are not scaled.
pub(super) fn derivative_along_weights(graph: &Graph, params: &[Vec<f64>]) -> f64 {
    let mut last_use = vec![0; graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&x| last_use[x] = id);
    }
    let output = graph.outputs.first().copied().unwrap_or_default();
    last_use[output] = graph.nodes.len();
    let mut values: Vec<Planes> = Vec::with_capacity(graph.nodes.len());
    for (id, node) in graph.nodes.iter().enumerate() {
        let value = value(graph, node, params, &values);
        values.push(value);
        for &x in node.inputs.iter().filter(|&&x| last_use[x] == id) {
            values[x] = Planes::default();
        }
    }
    let channels = graph.shape(output).channels;
    let derivatives = values[output].chunks_exact(PLANES * channels).flat_map(|pixel| &pixel[channels..]);
    derivatives.sum()
}

fn value(graph: &Graph, node: &Node, params: &[Vec<f64>], values: &[Planes]) -> Planes {
    let shape = node.shape;
    let inputs: Vec<&[f64]> = node.inputs.iter().map(|&x| values[x].as_slice()).collect();
    let pixel = PLANES * shape.channels;
    let mut out = vec![0.0; shape.height * shape.width * pixel];
    match &node.op {
        Op::Image => out.chunks_exact_mut(pixel).for_each(|to| to[..shape.channels].fill(1.0)),
        // Identities for non-negative values and omitted normalisations.
        Op::Relu | Op::Norm { .. } | Op::ScaleImages { .. } => return values[node.inputs[0]].clone(),
        Op::Conv { weight, bias, window, groups } => {
            let input = graph.shape(node.inputs[0]);
            let conv = Convolution { input, output: shape, window: *window, groups: *groups, planes: PLANES };
            out = conv.run(inputs[0], &params[*weight]);
            for to in out.chunks_exact_mut(pixel) {
                let (value, derivative) = to.split_at_mut(shape.channels);
                derivative.iter_mut().zip(&*value).for_each(|(d, v)| *d += v);
                if let Some(bias) = bias {
                    value.iter_mut().zip(&params[*bias]).for_each(|(v, b)| *v += b);
                }
            }
        }
        Op::Sum(_) => {
            for x in inputs {
                out.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
        }
        Op::AvgPool(window) => {
            let windows = windows(window, graph.shape(node.inputs[0]), shape);
            for (to, window) in out.chunks_exact_mut(pixel).zip(windows) {
                for &at in &window {
                    to.iter_mut().zip(&inputs[0][at * pixel..]).for_each(|(y, x)| *y += x);
                }
                for y in to {
                    *y /= window.len() as f64;
                }
            }
        }
        Op::MaxPool(window) => {
            let windows = windows(window, graph.shape(node.inputs[0]), shape);
            for (to, window) in out.chunks_exact_mut(pixel).zip(windows) {
                for c in 0..shape.channels {
                    let value = |at: usize| inputs[0][at * pixel + c];
                    // Of equal values the first determines the derivative.
                    let largest = window.iter().copied().reduce(|a, b| if value(b) > value(a) { b } else { a });
                    let Some(largest) = largest else { continue };
                    to[c] = value(largest);
                    to[shape.channels + c] = inputs[0][largest * pixel + shape.channels + c];
                }
            }
        }
        Op::Shift => {
            let line = shape.width * pixel;
            for (to, from) in out.chunks_exact_mut(line).zip(inputs[0].chunks_exact(line).skip(1)) {
                to[..line - pixel].copy_from_slice(&from[pixel..]);
            }
        }
        Op::Concat => {
            let mut start = 0;
            for (x, &input) in inputs.iter().zip(&node.inputs) {
                let channels = graph.shape(input).channels;
                for (to, from) in out.chunks_exact_mut(shape.channels).zip(x.chunks_exact(channels)) {
                    to[start..start + channels].copy_from_slice(from);
                }
                start += channels;
            }
        }
        Op::GlobalAvgPool => {
            let pixels = inputs[0].chunks_exact(pixel);
            let count = pixels.len() as f64;
            pixels.for_each(|from| out.iter_mut().zip(from).for_each(|(y, x)| *y += x / count));
        }
    }
    Planes::new(out)
}

/// For each output pixel, row by row, the input pixels in its window.
fn windows(window: &Window, input: Shape, output: Shape) -> impl Iterator<Item = Vec<usize>> {
    let window = *window;
    let along = move |axis: usize, at: usize, size: usize| {
        (0..window.kernel[axis])
            .map(move |k| at * window.stride[axis] + k * window.dilation[axis])
            .filter_map(move |at| at.checked_sub(window.padding[axis]).filter(|&at| at < size))
    };
    (0..output.height).flat_map(move |y| {
        (0..output.width).map(move |x| {
            let rows = along(0, y, input.height);
            rows.flat_map(|row| along(1, x, input.width).map(move |column| row * input.width + column)).collect()
        })
    })
}
