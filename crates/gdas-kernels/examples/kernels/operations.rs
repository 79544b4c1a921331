//! One graph per kernel that the comparison with PyTorch and the Criterion benches time. `bench/torch_kernels.py` has
//! the same operations under the same names.

use gdas_kernels::graph::{Graph, Init, Shape, Sum, ValueId, Window};

/// A kernel to time.
pub(crate) struct Kernel {
    /// The name that both sides use.
    pub(crate) name: &'static str,
    /// Image, operation, global average pool.
    pub(crate) graph: Graph,
}

fn around(name: &'static str, size: usize, channels: usize, op: impl FnOnce(&mut Graph) -> ValueId) -> Kernel {
    let mut graph = Graph::new(Shape::new(size, size, channels));
    let y = op(&mut graph);
    let y = graph.global_avg_pool(y);
    graph.outputs.push(y);
    Kernel { name, graph }
}

/// ReLU, convolution, batch normalisation.
fn dense(g: &mut Graph, to: usize, w: Window) -> ValueId {
    let x = g.relu(0);
    let x = g.conv(x, "conv", to, w, 1, true);
    g.norm(x, "norm", false, true)
}

/// ReLU, depthwise and pointwise convolution, batch normalisation.
fn separable(g: &mut Graph, w: Window) -> ValueId {
    let c = g.shape(0).channels;
    let x = g.relu(0);
    let x = g.conv(x, "depthwise", c, w, c, false);
    let x = g.conv(x, "pointwise", c, Window::valid(1, 1), 1, true);
    g.norm(x, "norm", false, true)
}

/// Two halves of the channels at stride 2, the second one pixel further.
fn factorized(g: &mut Graph) -> ValueId {
    let c = g.shape(0).channels;
    let x = g.relu(0);
    let a = g.conv(x, "a", c / 2, Window::valid(1, 2), 1, true);
    let shifted = g.shift(x);
    let b = g.conv(shifted, "b", c - c / 2, Window::valid(1, 2), 1, true);
    let both = g.concat(vec![a, b]);
    g.norm(both, "norm", false, true)
}

/// The fixed reduction cell's pair of grouped convolutions.
fn grouped(g: &mut Graph) -> ValueId {
    let c = g.shape(0).channels;
    let window = |kernel, stride, padding| Window { kernel, stride, padding, dilation: [1, 1] };
    let x = g.relu(0);
    let x = g.conv(x, "1x3", c, window([1, 3], [1, 2], [0, 1]), 8, false);
    let x = g.conv(x, "3x1", c, window([3, 1], [2, 1], [1, 0]), 8, false);
    g.norm(x, "norm", true, true)
}

/// A value and two normalisations of it, each behind a gate.
fn gated_sum(g: &mut Graph) -> ValueId {
    let a = g.norm(0, "a", false, true);
    let b = g.norm(0, "b", false, true);
    let shape = g.shape(0);
    g.sum(vec![0, a, b], Sum { gates: vec![Some(0), Some(1), Some(2)], constant: vec![] }, shape)
}

/// Every kernel.
pub(crate) fn all() -> Vec<Kernel> {
    vec![
        around("conv1x1 32x32x16", 32, 16, |g| dense(g, 16, Window::valid(1, 1))),
        around("conv1x1 32x32x64 to 16", 32, 64, |g| dense(g, 16, Window::valid(1, 1))),
        around("conv3x3 32x32x16", 32, 16, |g| dense(g, 16, Window::same(3, 1, 1))),
        around("conv3x3 16x16x32", 16, 32, |g| dense(g, 32, Window::same(3, 1, 1))),
        around("conv3x3 8x8x64", 8, 64, |g| dense(g, 64, Window::same(3, 1, 1))),
        around("conv3x3 stride 2 32x32x16 to 32", 32, 16, |g| dense(g, 32, Window::same(3, 2, 1))),
        around("separable 3x3 32x32x16", 32, 16, |g| separable(g, Window::same(3, 1, 1))),
        around("separable 5x5 32x32x16", 32, 16, |g| separable(g, Window::same(5, 1, 1))),
        around("separable 3x3 stride 2 32x32x32", 32, 32, |g| separable(g, Window::same(3, 2, 1))),
        around("dilated 3x3 32x32x16", 32, 16, |g| separable(g, Window::same(3, 1, 2))),
        around("dilated 5x5 16x16x32", 16, 32, |g| separable(g, Window::same(5, 1, 2))),
        around("avg_pool 32x32x16", 32, 16, |g| g.avg_pool(0, Window::same(3, 1, 1))),
        around("max_pool 32x32x16", 32, 16, |g| g.max_pool(0, Window::same(3, 1, 1))),
        around("factorized reduction 32x32x32", 32, 32, factorized),
        around("gated sum 32x32x16", 32, 16, gated_sum),
        around("grouped 1x3 3x1 16x16x64", 16, 64, grouped),
    ]
}

/// Uniform numbers in [-1, 1) from a counter.
pub(crate) fn noise(counter: &mut u64) -> f32 {
    *counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*counter ^ (*counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Images and parameters with numbers in them.
pub(crate) fn values(graph: &Graph, batch: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut counter = 1;
    let images = (0..batch * graph.shape(0).elements()).map(|_| noise(&mut counter)).collect();
    let params = graph.params.iter().map(|p| match p.init {
        Init::Uniform { bound: scale } | Init::Normal { std: scale } => {
            (0..p.len()).map(|_| scale * noise(&mut counter)).collect()
        }
        Init::Constant(v) => vec![v; p.len()],
    });
    let params = params.collect();
    (images, params)
}
