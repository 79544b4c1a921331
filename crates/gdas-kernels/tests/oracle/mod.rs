//! An independent oracle: every output element from the definition of its operation, in `f64`, one loop nest per operation, with
//! no code of any engine. Gradients are checked by finite differences.

#![allow(dead_code)]

pub(crate) mod cases;
pub(crate) mod random;

use gdas_kernels::Mode;
use gdas_kernels::graph::{Graph, NORM_EPSILON, Op, Shape};

/// Everything a forward pass reads, in `f64`.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) batch: usize,
    pub(crate) image: Vec<f64>,
    pub(crate) params: Vec<Vec<f64>>,
    pub(crate) gates: Vec<f64>,
    pub(crate) masks: Vec<f64>,
    pub(crate) running: Vec<Vec<f64>>,
}

/// `outputs` and `stats` as the engine lays them out.
pub(crate) fn forward(graph: &Graph, mode: Mode, data: &Data) -> (Vec<f64>, Vec<f64>) {
    let batch = data.batch;
    let mut values: Vec<Vec<f64>> = vec![];
    let mut stats: Vec<Vec<f64>> = vec![vec![]; graph.norms.len()];
    for node in &graph.nodes {
        let o = node.shape;
        let shape = |i: usize| graph.shape(node.inputs[i]);
        // Element of an input, or `outside` beyond its border.
        let get = |i: usize, n: usize, y: i64, x: i64, c: usize, outside: f64| {
            let s: Shape = shape(i);
            if y < 0 || x < 0 || y >= s.height as i64 || x >= s.width as i64 {
                return outside;
            }
            values[node.inputs[i]][((n * s.height + y as usize) * s.width + x as usize) * s.channels + c]
        };
        let mut out = Vec::with_capacity(batch * o.elements());
        let mut each = |f: &dyn Fn(usize, i64, i64, usize) -> f64| {
            for n in 0..batch {
                for y in 0..o.height {
                    for x in 0..o.width {
                        for c in 0..o.channels {
                            out.push(f(n, y as i64, x as i64, c));
                        }
                    }
                }
            }
        };
        let at = |w: &gdas_kernels::graph::Window, a: usize, o: i64, k: usize| {
            o * w.stride[a] as i64 + (k * w.dilation[a]) as i64 - w.padding[a] as i64
        };
        match &node.op {
            Op::Image => out.clone_from(&data.image),
            Op::Relu => each(&|n, y, x, c| {
                let v = get(0, n, y, x, c, 0.0);
                if v < 0.0 { 0.0 } else { v }
            }),
            Op::Conv { weight, bias, window, groups } => {
                let (ci, co) = (shape(0).channels / groups, o.channels / groups);
                each(&|n, y, x, c| {
                    let mut sum = bias.map_or(0.0, |b| data.params[b][c]);
                    for ky in 0..window.kernel[0] {
                        for kx in 0..window.kernel[1] {
                            for i in 0..ci {
                                let w = data.params[*weight][((ky * window.kernel[1] + kx) * ci + i) * o.channels + c];
                                let from = get(0, n, at(window, 0, y, ky), at(window, 1, x, kx), c / co * ci + i, 0.0);
                                sum += w * from;
                            }
                        }
                    }
                    sum
                });
            }
            Op::Norm { scale, shift, norm } => {
                let count = (batch * o.height * o.width).max(1) as f64;
                let running = data.running.get(*norm).filter(|r| mode == Mode::Eval && !r.is_empty());
                let used = running.cloned().unwrap_or_else(|| {
                    let x = &values[node.inputs[0]];
                    let sum = |f: &dyn Fn(f64, usize) -> f64| -> Vec<f64> {
                        (0..o.channels)
                            .map(|c| x.iter().skip(c).step_by(o.channels).map(|&v| f(v, c)).sum::<f64>() / count)
                            .collect()
                    };
                    let mean = sum(&|v, _| v);
                    let variance = sum(&|v, c| (v - mean[c]).powi(2));
                    [mean, variance].concat()
                });
                each(&|n, y, x, c| {
                    let gamma = scale.map_or(1.0, |p| data.params[p][c]);
                    let beta = shift.map_or(0.0, |p| data.params[p][c]);
                    let std = (used[o.channels + c] + f64::from(NORM_EPSILON)).sqrt();
                    (get(0, n, y, x, c, 0.0) - used[c]) / std * gamma + beta
                });
                stats[*norm] = used;
            }
            Op::AvgPool(w) => each(&|n, y, x, c| {
                let (mut sum, mut count) = (0.0, 0.0);
                for ky in 0..w.kernel[0] {
                    for kx in 0..w.kernel[1] {
                        let v = get(0, n, at(w, 0, y, ky), at(w, 1, x, kx), c, f64::INFINITY);
                        if v < f64::INFINITY {
                            sum += v;
                            count += 1.0;
                        }
                    }
                }
                sum / count
            }),
            Op::MaxPool(w) => each(&|n, y, x, c| {
                let mut best = f64::NEG_INFINITY;
                for ky in 0..w.kernel[0] {
                    for kx in 0..w.kernel[1] {
                        best = best.max(get(0, n, at(w, 0, y, ky), at(w, 1, x, kx), c, f64::NEG_INFINITY));
                    }
                }
                best
            }),
            Op::Shift => each(&|n, y, x, c| get(0, n, y + 1, x + 1, c, 0.0)),
            Op::Sum(sum) => each(&|n, y, x, c| {
                let constant: f64 = sum.constant.iter().map(|&g| data.gates[g]).sum();
                (0..node.inputs.len())
                    .map(|i| sum.gates[i].map_or(1.0, |g| data.gates[g]) * get(i, n, y, x, c, 0.0))
                    .sum::<f64>()
                    + constant
            }),
            Op::ScaleImages { mask } => each(&|n, y, x, c| data.masks[mask * batch + n] * get(0, n, y, x, c, 0.0)),
            Op::Concat => each(&|n, y, x, mut c| {
                let mut i = 0;
                while c >= shape(i).channels {
                    c -= shape(i).channels;
                    i += 1;
                }
                get(i, n, y, x, c, 0.0)
            }),
            Op::GlobalAvgPool => each(&|n, _, _, c| {
                let s = shape(0);
                let all = (0..s.height).flat_map(|y| (0..s.width).map(move |x| (y as i64, x as i64)));
                all.map(|(y, x)| get(0, n, y, x, c, 0.0)).sum::<f64>() / (s.height * s.width) as f64
            }),
        }
        values.push(out);
    }
    let mut outputs = vec![];
    for n in 0..batch {
        for &o in &graph.outputs {
            let c = graph.shape(o).elements();
            outputs.extend_from_slice(&values[o][n * c..][..c]);
        }
    }
    (outputs, stats.concat())
}
