//! Random small networks and data.

use gdas_kernels::graph::{Graph, Shape, Sum, ValueId, Window};

use super::Data;

/// A small generator, so that a failing seed can be replayed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `low..=high`.
    pub(crate) fn range(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() - 1)]
    }

    /// Roughly normal, representable in `f32`.
    pub(crate) fn normal(&mut self) -> f64 {
        let sum: f64 = (0..6).map(|_| (self.next() >> 40) as f64 / (1u64 << 24) as f64 - 0.5).sum();
        f64::from((sum * 1.4) as f32)
    }
}

/// Values for every input of a graph.
pub(crate) fn data(graph: &Graph, batch: usize, r: &mut Random) -> Data {
    let mut normals = |n: usize, scale: f64, shift: f64| -> Vec<f64> {
        (0..n).map(|_| f64::from((r.normal() * scale + shift) as f32)).collect()
    };
    Data {
        batch,
        image: normals(batch * graph.shape(0).elements(), 1.0, 0.2),
        params: graph
            .params
            .iter()
            .map(|p| {
                let fan_in: usize = p.shape[..p.shape.len() - 1].iter().product();
                normals(p.len(), 1.0 / (fan_in.max(1) as f64).sqrt(), 0.3 * f64::from(p.shape.len() == 1))
            })
            .collect(),
        gates: normals(graph.gates, 0.5, 0.5),
        masks: normals(graph.masks * batch, 0.5, 1.0),
        running: graph
            .norms
            .iter()
            .map(|n| {
                if !n.track {
                    return vec![];
                }
                let mut values = normals(n.channels, 0.3, 0.0);
                values.extend(normals(n.channels, 0.2, 0.8).into_iter().map(f64::abs));
                values
            })
            .collect(),
    }
}

/// Ends a network: the last value becomes a result.
pub(crate) fn finish(g: &mut Graph, last: ValueId, classes: usize) {
    let pooled = g.global_avg_pool(last);
    let name = format!("classifier{}", g.outputs.len());
    let out = g.linear(pooled, &name, classes);
    g.outputs.push(out);
}

/// A window that fits the image.
pub(crate) fn window(r: &mut Random, shape: Shape) -> Window {
    loop {
        let kernel = [r.range(1, 5), r.range(1, 5)];
        let dilation = [r.range(1, 2), r.range(1, 2)];
        let reach: [usize; 2] = std::array::from_fn(|a| dilation[a] * (kernel[a] - 1) + 1);
        let padding = std::array::from_fn(|a| r.range(0, reach[a] / 2));
        let w = Window { kernel, dilation, padding, stride: [r.range(1, 3), r.range(1, 3)] };
        if w.output([shape.height, shape.width]).iter().all(|&s| s > 0) {
            return w;
        }
    }
}

/// Usual windows: 1x1, 3x3 and 5x5 with padding, stride 1 or 2, sometimes dilated.
pub(crate) fn usual_window(r: &mut Random) -> Window {
    Window::same(r.pick(&[1, 3, 3, 3, 5]), r.pick(&[1, 1, 2]), r.pick(&[1, 1, 2]))
}

/// A random network of about `steps` steps with every operation.
pub(crate) fn network(r: &mut Random, image: Shape, steps: usize) -> Graph {
    let mut g = Graph::new(image);
    let width = r.pick(&[1, 3, 8, 16, 17, 32, 36]);
    let mut values = vec![g.conv(0, "stem", width, Window::same(3, 1, 1), 1, false)];
    for step in 0..steps {
        let x = r.pick(&values);
        let s = g.shape(x);
        let name = format!("s{step}");
        let y = match r.range(0, 13) {
            0 => g.relu(x),
            1 | 2 => {
                let x = if r.range(0, 2) > 0 { g.relu(x) } else { x };
                let w = usual_window(r);
                let c = g.conv(x, &name, r.pick(&[s.channels, s.channels, 5, 16]), w, 1, r.range(0, 1) > 0);
                g.norm(c, &format!("{name}.norm"), r.range(0, 1) > 0, r.range(0, 1) > 0)
            }
            3 => {
                let x = g.relu(x);
                let w = usual_window(r);
                let c = g.conv(x, &name, s.channels, w, s.channels, false);
                let c = g.conv(c, &format!("{name}.point"), s.channels, Window::valid(1, 1), 1, r.range(0, 1) > 0);
                g.norm(c, &format!("{name}.norm"), r.range(0, 1) > 0, true)
            }
            4 => {
                let groups = (1..=8).rev().find(|k| s.channels.is_multiple_of(*k)).unwrap_or(1);
                let w = window(r, s);
                g.conv(x, &name, s.channels, w, groups, true)
            }
            5 => {
                let w = pool(r, s);
                g.avg_pool(x, w)
            }
            6 => {
                let w = pool(r, s);
                g.max_pool(x, w)
            }
            7 => g.shift(x),
            8 | 9 => {
                let same: Vec<_> = values.iter().copied().filter(|&v| g.shape(v) == s).collect();
                let inputs: Vec<_> = (0..r.range(0, 3)).map(|_| r.pick(&same)).collect();
                let first = g.gates;
                let gates = inputs.iter().enumerate().map(|(i, _)| (r.range(0, 2) > 0).then_some(first + i)).collect();
                let constant = (0..r.range(0, 2)).map(|_| r.range(0, first + 1)).collect();
                g.sum(inputs, Sum { gates, constant }, s)
            }
            10 => g.scale_images(x),
            11 => {
                let same = |v: &&ValueId| (g.shape(**v).height, g.shape(**v).width) == (s.height, s.width);
                let same: Vec<_> = values.iter().filter(same).copied().collect();
                let inputs: Vec<_> = (0..r.range(1, 3)).map(|_| r.pick(&same)).collect();
                g.concat(inputs)
            }
            12 => g.norm(x, &name, r.range(0, 1) > 0, r.range(0, 1) > 0),
            _ => {
                // A factorized reduction.
                let x = g.relu(x);
                let half = s.channels.div_ceil(2);
                let a = g.conv(x, &format!("{name}.a"), half, Window::valid(1, 2), 1, false);
                let shifted = g.shift(x);
                let b = g.conv(shifted, &format!("{name}.b"), half, Window::valid(1, 2), 1, false);
                let both = g.concat(vec![a, b]);
                g.norm(both, &format!("{name}.norm"), false, true)
            }
        };
        if g.shape(y).channels <= 96 {
            values.push(y);
        }
        if r.range(0, 7) == 0 {
            finish(&mut g, y, r.range(1, 5));
        }
    }
    let last = values[values.len() - 1];
    finish(&mut g, last, 3);
    g
}

/// A window of which every position holds at least one element of the image.
fn pool(r: &mut Random, shape: Shape) -> Window {
    loop {
        let mut w = window(r, shape);
        w.dilation = [1; 2];
        w.padding = std::array::from_fn(|a| w.padding[a].min(w.kernel[a] / 2));
        if w.output([shape.height, shape.width]).iter().all(|&s| s > 0) {
            return w;
        }
    }
}
