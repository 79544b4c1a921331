//! The two supernets of the comparison, for one choice of operations, built from graph primitives.

use gdas_kernels::graph::{Graph, Op, Shape, Sum, ValueId, Window};

/// Operations per edge of NAS-Bench-201.
const K201: usize = 5;
/// Operations per edge of the NASNet space.
const KNAS: usize = 8;

/// Multiply-adds of the convolutions per image.
pub(crate) fn macs(g: &Graph) -> f64 {
    let per_node = g.nodes.iter().map(|n| match &n.op {
        Op::Conv { window, groups, .. } => {
            let inputs = g.shape(n.inputs[0]).channels / groups * window.kernel[0] * window.kernel[1];
            (n.shape.elements() * inputs) as f64
        }
        _ => 0.0,
    });
    per_node.sum()
}

fn relu_conv_norm(g: &mut Graph, x: ValueId, name: &str, c: usize, w: Window, affine: bool) -> ValueId {
    let x = g.relu(x);
    let x = g.conv(x, &format!("{name}.conv"), c, w, 1, !affine);
    g.norm(x, &format!("{name}.norm"), affine, true)
}

fn head(g: &mut Graph, x: ValueId) {
    let x = g.norm(x, "head.norm", true, true);
    let x = g.relu(x);
    let x = g.global_avg_pool(x);
    let x = g.linear(x, "classifier", 10);
    g.outputs.push(x);
}

/// The largest images with the stem of CIFAR's networks; larger ones get ImageNet's, which divides their size by eight.
const CIFAR_STEM: usize = 64;

/// The stem for images of a size: the inputs of the first cell (older, newer), and whether the newer is half the older's size.
fn stem(g: &mut Graph, size: usize, wide: usize) -> (ValueId, ValueId, bool) {
    let conv_norm = |g: &mut Graph, x: ValueId, name: &str, c: usize, stride: usize| {
        let x = g.conv(x, name, c, Window::same(3, stride, 1), 1, false);
        g.norm(x, &format!("{name}.norm"), true, true)
    };
    if size <= CIFAR_STEM {
        let x = conv_norm(g, 0, "stem", wide, 1);
        return (x, x, false);
    }
    let x = conv_norm(g, 0, "stem.0", 8, 2);
    let x = g.relu(x);
    let older = conv_norm(g, x, "stem.1", 16, 2);
    let x = g.relu(older);
    (older, conv_norm(g, x, "stem.2", 16, 2), true)
}

/// The NAS-Bench-201 supernet (C = 16, N = 5) for square images, and the gates that are one.
pub(crate) fn nasbench201(size: usize, ops: &[usize]) -> (Graph, Vec<usize>) {
    let mut g = Graph::new(Shape::new(size, size, 3));
    let (_, mut x, _) = stem(&mut g, size, 16);
    for stage in 0..3 {
        let c = 16 << stage;
        if stage > 0 {
            let name = format!("reduction{stage}");
            let a = relu_conv_norm(&mut g, x, &format!("{name}.a"), c, Window::same(3, 2, 1), true);
            let b = relu_conv_norm(&mut g, a, &format!("{name}.b"), c, Window::same(3, 1, 1), true);
            let down = g.avg_pool(x, Window::valid(2, 2));
            let down = g.conv(down, &format!("{name}.down"), c, Window::valid(1, 1), 1, false);
            x = g.add(vec![down, b]);
        }
        for cell in 0..5 {
            x = cell201(&mut g, x, &format!("stage{stage}.cell{cell}"), c, ops);
        }
    }
    head(&mut g, x);
    g.gates = 6 * K201;
    (g, ops.iter().enumerate().map(|(e, o)| e * K201 + o).collect())
}

fn cell201(g: &mut Graph, x: ValueId, name: &str, c: usize, ops: &[usize]) -> ValueId {
    let mut nodes = vec![x];
    let mut edge = 0;
    let shape = g.shape(x);
    for to in 1..4 {
        let (mut inputs, mut sum) = (vec![], Sum::default());
        for from in 0..to {
            let (op, x, name) = (ops[edge], nodes[from], format!("{name}.edge{edge}.op{}", ops[edge]));
            let y = match op {
                0 => None,
                1 => Some(x),
                2 => Some(relu_conv_norm(g, x, &name, c, Window::valid(1, 1), false)),
                3 => Some(relu_conv_norm(g, x, &name, c, Window::same(3, 1, 1), false)),
                _ => Some(g.avg_pool(x, Window::same(3, 1, 1))),
            };
            let gate = edge * K201 + op;
            if let Some(y) = y {
                inputs.push(y);
                sum.gates.push(Some(gate));
            }
            sum.constant.extend((0..K201).map(|k| edge * K201 + k).filter(|&k| k != gate));
            edge += 1;
        }
        nodes.push(g.sum(inputs, sum, shape));
    }
    nodes[3]
}

/// The NASNet supernet (C = 16, N = 2) for square images, and the gates that are one; gates of the reduction table follow the normal
/// ones.
pub(crate) fn nasnet(size: usize, ops: &[usize]) -> (Graph, Vec<usize>) {
    let mut g = Graph::new(Shape::new(size, size, 3));
    let (mut older, mut newer, mut before) = stem(&mut g, size, 48);
    for (i, (c, reduction)) in
        [(16, false), (16, false), (32, true), (32, false), (64, true), (64, false)].into_iter().enumerate()
    {
        let table = if reduction { 14 } else { 0 };
        let y = cell_nas(&mut g, [older, newer], &format!("cell{i}"), c, reduction, before, &ops[table..table + 14]);
        (older, newer, before) = (newer, y, reduction);
    }
    head(&mut g, newer);
    g.gates = 28 * KNAS;
    (g, ops.iter().enumerate().map(|(e, o)| e * KNAS + o).collect())
}

fn factorized(g: &mut Graph, x: ValueId, name: &str, c: usize) -> ValueId {
    let x = g.relu(x);
    let a = g.conv(x, &format!("{name}.a"), c / 2, Window::valid(1, 2), 1, true);
    let shifted = g.shift(x);
    let b = g.conv(shifted, &format!("{name}.b"), c - c / 2, Window::valid(1, 2), 1, true);
    let both = g.concat(vec![a, b]);
    g.norm(both, &format!("{name}.norm"), false, true)
}

fn separable(g: &mut Graph, x: ValueId, name: &str, w: Window) -> ValueId {
    let c = g.shape(x).channels;
    let x = g.relu(x);
    let x = g.conv(x, &format!("{name}.depthwise"), c, w, c, false);
    let x = g.conv(x, &format!("{name}.pointwise"), c, Window::valid(1, 1), 1, true);
    g.norm(x, &format!("{name}.norm"), false, true)
}

fn cell_nas(
    g: &mut Graph,
    inputs: [ValueId; 2],
    name: &str,
    c: usize,
    reduction: bool,
    before: bool,
    ops: &[usize],
) -> ValueId {
    let first = if before {
        factorized(g, inputs[0], &format!("{name}.pre0"), c)
    } else {
        relu_conv_norm(g, inputs[0], &format!("{name}.pre0"), c, Window::valid(1, 1), false)
    };
    let second = relu_conv_norm(g, inputs[1], &format!("{name}.pre1"), c, Window::valid(1, 1), false);
    let mut states = vec![first, second];
    let mut edge = 0;
    for node in 0..4 {
        let (mut terms, mut sum) = (vec![], Sum::default());
        let mut shape = g.shape(first);
        if reduction {
            (shape.height, shape.width) = (shape.height / 2, shape.width / 2);
        }
        for from in 0..2 + node {
            let stride = if reduction && from < 2 { 2 } else { 1 };
            let (op, x, name) = (ops[edge], states[from], format!("{name}.edge{edge}.op{}", ops[edge]));
            let twice = |g: &mut Graph, k: usize| {
                let y = separable(g, x, &format!("{name}.0"), Window::same(k, stride, 1));
                separable(g, y, &format!("{name}.1"), Window::same(k, 1, 1))
            };
            let y = match op {
                0 => None,
                1 if stride == 1 => Some(x),
                1 => Some(factorized(g, x, &name, c)),
                2 => Some(twice(g, 3)),
                3 => Some(twice(g, 5)),
                4 => Some(separable(g, x, &name, Window::same(3, stride, 2))),
                5 => Some(separable(g, x, &name, Window::same(5, stride, 2))),
                6 => Some(g.avg_pool(x, Window::same(3, stride, 1))),
                _ => Some(g.max_pool(x, Window::same(3, stride, 1))),
            };
            if let Some(y) = y {
                terms.push(y);
                sum.gates.push(Some((edge + if reduction { 14 } else { 0 }) * KNAS + op));
            }
            edge += 1;
        }
        let y = g.sum(terms, sum, shape);
        states.push(y);
    }
    g.concat(states[2..].to_vec())
}
