//! Every operation as plain loops: correct for any geometry, parallel over images.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Gradients, Inputs, Wants};
use crate::Mode;
use crate::graph::{Graph, NORM_EPSILON, Op, Shape, Window};

/// Images per partial weight gradient: fixed, so that the order of summation does not depend on the threads.
const CHUNK: usize = 8;

type PerImage<'a> = dyn Fn(usize, &mut [f32], &[f32]) + Sync + 'a;

#[derive(Debug)]
pub(super) struct Tape {
    graph: Arc<Graph>,
    batch: usize,
    values: Vec<Vec<f32>>,
    gates: Vec<f32>,
    masks: Vec<f32>,
    /// Mean, inverse standard deviation, and whether they came from the batch.
    norms: Vec<(Vec<f32>, Vec<f32>, bool)>,
}

pub(super) fn forward(graph: &Arc<Graph>, mode: Mode, inputs: &Inputs) -> (Vec<f32>, Vec<f32>, Tape) {
    let batch = inputs.batch;
    let mut values: Vec<Vec<f32>> = Vec::with_capacity(graph.nodes.len());
    let mut norms = vec![(vec![], vec![], false); graph.norms.len()];
    let mut stats: Vec<Vec<f32>> = graph.norms.iter().map(|n| vec![0.0; 2 * n.channels]).collect();
    for node in &graph.nodes {
        let out = node.shape;
        let x = |i: usize| values[node.inputs[i]].as_slice();
        let shape = |i: usize| graph.shape(node.inputs[i]);
        let mut y = vec![0.0f32; batch * out.elements()];
        let images = |y: &mut [f32], f: &(dyn Fn(usize, &mut [f32]) + Sync)| {
            if !y.is_empty() {
                y.par_chunks_mut(out.elements()).enumerate().for_each(|(n, y)| f(n, y));
            }
        };
        match &node.op {
            Op::Image => y.copy_from_slice(inputs.image),
            Op::Relu => y.iter_mut().zip(x(0)).for_each(|(y, &x)| *y = if x <= 0.0 { 0.0 } else { x }),
            Op::Conv { weight, bias, window, groups } => {
                let (x, s) = (x(0), shape(0));
                let (w, b) = (inputs.params[*weight], bias.map(|b| inputs.params[b]));
                images(&mut y, &|n, y| {
                    if let Some(b) = b {
                        y.chunks_exact_mut(out.channels).for_each(|y| y.copy_from_slice(b));
                    }
                    let x = &x[n * s.elements()..][..s.elements()];
                    taps(s, out, window, |from, to, k| {
                        let (ci, co) = (s.channels / groups, out.channels / groups);
                        for g in 0..*groups {
                            for c in 0..ci {
                                let v = x[from * s.channels + g * ci + c];
                                let w = &w[(k * ci + c) * out.channels + g * co..][..co];
                                let y = &mut y[to * out.channels + g * co..][..co];
                                y.iter_mut().zip(w).for_each(|(y, w)| *y += v * w);
                            }
                        }
                    });
                });
            }
            Op::Norm { scale, shift, norm } => {
                let (x, c) = (x(0), out.channels);
                let running = inputs.running.get(*norm).copied().unwrap_or(&[]);
                let of_batch = mode == Mode::Train || running.is_empty();
                if of_batch {
                    let count = (x.len() / c).max(1) as f64;
                    let mut sums = vec![0.0f64; c];
                    x.chunks_exact(c).for_each(|x| sums.iter_mut().zip(x).for_each(|(s, &x)| *s += x as f64));
                    for s in &mut sums {
                        *s /= count;
                    }
                    let mut squares = vec![0.0f64; c];
                    for x in x.chunks_exact(c) {
                        for i in 0..c {
                            squares[i] += (x[i] as f64 - sums[i]).powi(2);
                        }
                    }
                    for i in 0..c {
                        stats[*norm][i] = sums[i] as f32;
                        stats[*norm][c + i] = (squares[i] / count) as f32;
                    }
                } else {
                    stats[*norm].copy_from_slice(running);
                }
                let mean = stats[*norm][..c].to_vec();
                let inverse: Vec<f32> = stats[*norm][c..].iter().map(|v| 1.0 / (v + NORM_EPSILON).sqrt()).collect();
                images(&mut y, &|n, y| {
                    for (p, y) in y.chunks_exact_mut(c).enumerate() {
                        let x = &x[n * out.elements() + p * c..][..c];
                        for i in 0..c {
                            let gamma = scale.map_or(1.0, |s| inputs.params[s][i]);
                            let beta = shift.map_or(0.0, |s| inputs.params[s][i]);
                            y[i] = (x[i] - mean[i]) * inverse[i] * gamma + beta;
                        }
                    }
                });
                norms[*norm] = (mean, inverse, of_batch);
            }
            Op::AvgPool(window) => {
                let (x, s, c) = (x(0), shape(0), out.channels);
                let counts = counts(s, out, window);
                images(&mut y, &|n, y| {
                    let x = &x[n * s.elements()..];
                    taps(s, out, window, |from, to, _| {
                        for i in 0..c {
                            y[to * c + i] += x[from * c + i] / counts[to];
                        }
                    });
                });
            }
            Op::MaxPool(window) => {
                let (x, s, c) = (x(0), shape(0), out.channels);
                images(&mut y, &|n, y| {
                    let x = &x[n * s.elements()..];
                    for (to, from) in winners(s, out, window, x).into_iter().enumerate() {
                        y[to] = from.map_or(f32::NEG_INFINITY, |from| x[from * c + to % c]);
                    }
                });
            }
            Op::Shift => {
                let (x, c) = (x(0), out.channels);
                images(&mut y, &|n, y| {
                    let x = &x[n * out.elements()..];
                    for i in 1..out.height {
                        for j in 1..out.width {
                            let to = ((i - 1) * out.width + j - 1) * c;
                            y[to..to + c].copy_from_slice(&x[(i * out.width + j) * c..][..c]);
                        }
                    }
                });
            }
            Op::Sum(sum) => {
                let constant: f32 = sum.constant.iter().map(|&g| inputs.gates[g]).sum();
                y.fill(constant);
                for (i, gate) in sum.gates.iter().enumerate() {
                    let gate = gate.map_or(1.0, |g| inputs.gates[g]);
                    y.iter_mut().zip(x(i)).for_each(|(y, x)| *y += gate * x);
                }
            }
            Op::ScaleImages { mask } => {
                let x = x(0);
                images(&mut y, &|n, y| {
                    let factor = inputs.masks[mask * batch + n];
                    y.iter_mut().zip(&x[n * out.elements()..]).for_each(|(y, x)| *y = factor * x);
                });
            }
            Op::Concat => {
                let mut start = 0;
                for i in 0..node.inputs.len() {
                    let c = shape(i).channels;
                    for (y, x) in y.chunks_exact_mut(out.channels).zip(x(i).chunks_exact(c)) {
                        y[start..start + c].copy_from_slice(x);
                    }
                    start += c;
                }
            }
            Op::GlobalAvgPool => {
                let (x, s, c) = (x(0), shape(0), out.channels);
                images(&mut y, &|n, y| {
                    for x in x[n * s.elements()..][..s.elements()].chunks_exact(c) {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y += x / (s.height * s.width) as f32);
                    }
                });
            }
        }
        values.push(y);
    }
    let mut outputs = vec![];
    for n in 0..batch {
        for &o in &graph.outputs {
            let c = graph.shape(o).elements();
            outputs.extend_from_slice(&values[o][n * c..][..c]);
        }
    }
    let tape =
        Tape { graph: graph.clone(), batch, values, gates: inputs.gates.to_vec(), masks: inputs.masks.to_vec(), norms };
    (outputs, stats.concat(), tape)
}

pub(super) fn backward(tape: &Tape, params: &[&[f32]], upstream: &[f32], wants: &Wants) -> Gradients {
    let (graph, batch) = (&tape.graph, tape.batch);
    let mut grads: Vec<Option<Vec<f32>>> = vec![None; graph.nodes.len()];
    let mut dparams: Vec<Option<Vec<f32>>> =
        graph.params.iter().zip(wants.params).map(|(p, &w)| w.then(|| vec![0.0; p.len()])).collect();
    let mut dgates = vec![0.0f64; graph.gates];
    let total: usize = graph.outputs.iter().map(|&o| graph.shape(o).elements()).sum();
    let mut start = 0;
    for &o in &graph.outputs {
        let c = graph.shape(o).elements();
        let d = grads[o].get_or_insert_with(|| vec![0.0; batch * c]);
        for n in 0..batch {
            for i in 0..c {
                d[n * c + i] += upstream[n * total + start + i];
            }
        }
        start += c;
    }
    for (id, node) in graph.nodes.iter().enumerate().rev() {
        if id == 0 {
            continue;
        }
        let Some(dy) = grads[id].take() else { continue };
        let out = node.shape;
        let x = |i: usize| tape.values[node.inputs[i]].as_slice();
        let shape = |i: usize| graph.shape(node.inputs[i]);
        // One call per input: `f(image, dx, dy)`.
        let mut add = |i: usize, f: &PerImage| {
            let s = shape(i).elements();
            let dx = grads[node.inputs[i]].get_or_insert_with(|| vec![0.0; batch * s]);
            if batch * s * out.elements() > 0 {
                dx.par_chunks_mut(s)
                    .enumerate()
                    .for_each(|(n, dx)| f(n, dx, &dy[n * out.elements()..][..out.elements()]));
            }
        };
        match &node.op {
            Op::Image => {}
            Op::Relu => {
                let x = x(0);
                add(0, &|n, dx, dy| {
                    for ((dx, dy), &x) in dx.iter_mut().zip(dy).zip(&x[n * dy.len()..]) {
                        *dx += if x <= 0.0 { 0.0 } else { *dy };
                    }
                });
            }
            Op::Conv { weight, bias, window, groups } => {
                let (x, s, w) = (x(0), shape(0), params[*weight]);
                let (ci, co) = (s.channels / groups, out.channels / groups);
                add(0, &|_, dx, dy| {
                    taps(s, out, window, |from, to, k| {
                        for g in 0..*groups {
                            let dy = &dy[to * out.channels + g * co..][..co];
                            for c in 0..ci {
                                let w = &w[(k * ci + c) * out.channels + g * co..][..co];
                                let sum: f32 = dy.iter().zip(w).map(|(d, w)| d * w).sum();
                                dx[from * s.channels + g * ci + c] += sum;
                            }
                        }
                    });
                });
                if let Some(dw) = &mut dparams[*weight] {
                    let chunks = batch.div_ceil(CHUNK);
                    let parts: Vec<Vec<f32>> = (0..chunks)
                        .into_par_iter()
                        .map(|chunk| {
                            let mut part = vec![0.0f32; dw.len()];
                            for n in chunk * CHUNK..((chunk + 1) * CHUNK).min(batch) {
                                let (x, dy) = (&x[n * s.elements()..], &dy[n * out.elements()..]);
                                taps(s, out, window, |from, to, k| {
                                    for g in 0..*groups {
                                        let dy = &dy[to * out.channels + g * co..][..co];
                                        for c in 0..ci {
                                            let x = x[from * s.channels + g * ci + c];
                                            let dw = &mut part[(k * ci + c) * out.channels + g * co..][..co];
                                            dw.iter_mut().zip(dy).for_each(|(w, d)| *w += x * d);
                                        }
                                    }
                                });
                            }
                            part
                        })
                        .collect();
                    for part in parts {
                        dw.iter_mut().zip(part).for_each(|(w, p)| *w += p);
                    }
                }
                if let Some(db) = bias.and_then(|b| dparams[b].as_mut()) {
                    dy.chunks_exact(out.channels).for_each(|dy| db.iter_mut().zip(dy).for_each(|(b, d)| *b += d));
                }
            }
            Op::Norm { scale, shift, norm } => {
                let (x, c) = (x(0), out.channels);
                let (mean, inverse, of_batch) = &tape.norms[*norm];
                let count = (x.len() / c).max(1) as f64;
                let (mut s1, mut s2) = (vec![0.0f64; c], vec![0.0f64; c]);
                for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
                    for i in 0..c {
                        s1[i] += dy[i] as f64;
                        s2[i] += (dy[i] * (x[i] - mean[i]) * inverse[i]) as f64;
                    }
                }
                if let Some(d) = scale.and_then(|p| dparams[p].as_mut()) {
                    d.iter_mut().zip(&s2).for_each(|(d, s)| *d += *s as f32);
                }
                if let Some(d) = shift.and_then(|p| dparams[p].as_mut()) {
                    d.iter_mut().zip(&s1).for_each(|(d, s)| *d += *s as f32);
                }
                add(0, &|n, dx, dy| {
                    for p in 0..out.height * out.width {
                        for i in 0..c {
                            let at = p * c + i;
                            let gamma = scale.map_or(1.0, |s| params[s][i]);
                            let hat = (x[n * out.elements() + at] - mean[i]) * inverse[i];
                            let (m1, m2) = ((s1[i] / count) as f32, (s2[i] / count) as f32);
                            let centred = if *of_batch { dy[at] - m1 - hat * m2 } else { dy[at] };
                            dx[at] += gamma * inverse[i] * centred;
                        }
                    }
                });
            }
            Op::AvgPool(window) => {
                let (s, c) = (shape(0), out.channels);
                let counts = counts(s, out, window);
                add(0, &|_, dx, dy| {
                    taps(s, out, window, |from, to, _| {
                        for i in 0..c {
                            dx[from * c + i] += dy[to * c + i] / counts[to];
                        }
                    });
                });
            }
            Op::MaxPool(window) => {
                let (x, s, c) = (x(0), shape(0), out.channels);
                add(0, &|n, dx, dy| {
                    let winners = winners(s, out, window, &x[n * s.elements()..]);
                    for (to, from) in winners.into_iter().enumerate() {
                        if let Some(from) = from {
                            dx[from * c + to % c] += dy[to];
                        }
                    }
                });
            }
            Op::Shift => {
                let c = out.channels;
                add(0, &|_, dx, dy| {
                    for i in 1..out.height {
                        for j in 1..out.width {
                            let (from, to) = ((i * out.width + j) * c, ((i - 1) * out.width + j - 1) * c);
                            dx[from..from + c].iter_mut().zip(&dy[to..]).for_each(|(x, d)| *x += d);
                        }
                    }
                });
            }
            Op::Sum(sum) => {
                let all: f64 = dy.iter().map(|&d| d as f64).sum();
                sum.constant.iter().for_each(|&g| dgates[g] += all);
                for (i, gate) in sum.gates.iter().enumerate() {
                    if let Some(g) = *gate {
                        dgates[g] += dy.iter().zip(x(i)).map(|(d, x)| (d * x) as f64).sum::<f64>();
                    }
                    let gate = gate.map_or(1.0, |g| tape.gates[g]);
                    add(i, &|_, dx, dy| dx.iter_mut().zip(dy).for_each(|(x, d)| *x += gate * d));
                }
            }
            Op::ScaleImages { mask } => {
                let masks = &tape.masks[mask * batch..][..batch];
                add(0, &|n, dx, dy| dx.iter_mut().zip(dy).for_each(|(x, d)| *x += masks[n] * d));
            }
            Op::Concat => {
                let mut start = 0;
                for i in 0..node.inputs.len() {
                    let c = shape(i).channels;
                    add(i, &|_, dx, dy| {
                        for (dx, dy) in dx.chunks_exact_mut(c).zip(dy.chunks_exact(out.channels)) {
                            dx.iter_mut().zip(&dy[start..]).for_each(|(x, d)| *x += d);
                        }
                    });
                    start += c;
                }
            }
            Op::GlobalAvgPool => {
                let (s, c) = (shape(0), out.channels);
                add(0, &|_, dx, dy| {
                    for dx in dx.chunks_exact_mut(c) {
                        dx.iter_mut().zip(dy).for_each(|(x, d)| *x += d / (s.height * s.width) as f32);
                    }
                });
            }
        }
    }
    let image = wants.image.then(|| grads[0].take().unwrap_or_else(|| vec![0.0; tape.values[0].len()]));
    let gates = wants.gates.then(|| dgates.into_iter().map(|g| g as f32).collect());
    Gradients { params: dparams, gates, image }
}

/// Calls `f(input pixel, output pixel, kernel position)` for every pair that a window joins.
fn taps(input: Shape, output: Shape, w: &Window, mut f: impl FnMut(usize, usize, usize)) {
    for oy in 0..output.height {
        for ky in 0..w.kernel[0] {
            let y = (oy * w.stride[0] + ky * w.dilation[0]).wrapping_sub(w.padding[0]);
            if y >= input.height {
                continue;
            }
            for ox in 0..output.width {
                for kx in 0..w.kernel[1] {
                    let x = (ox * w.stride[1] + kx * w.dilation[1]).wrapping_sub(w.padding[1]);
                    if x < input.width {
                        f(y * input.width + x, oy * output.width + ox, ky * w.kernel[1] + kx);
                    }
                }
            }
        }
    }
}

/// Elements of each window that are not padding.
fn counts(input: Shape, output: Shape, w: &Window) -> Vec<f32> {
    let mut counts = vec![0.0; output.height * output.width];
    taps(input, output, w, |_, to, _| counts[to] += 1.0);
    counts
}

/// Per output element the input pixel that holds the first largest element (or the first NaN).
fn winners(input: Shape, output: Shape, w: &Window, x: &[f32]) -> Vec<Option<usize>> {
    let c = output.channels;
    let mut best: Vec<Option<usize>> = vec![None; output.elements()];
    taps(input, output, w, |from, to, _| {
        for i in 0..c {
            let (b, v) = (&mut best[to * c + i], x[from * c + i]);
            match *b {
                Some(old) if !(v > x[old * c + i] || (v.is_nan() && !x[old * c + i].is_nan())) => {}
                _ => *b = Some(from),
            }
        }
    });
    best
}
