//! Test cases that every engine must pass: random networks of each kind, special values and empty batches. A case takes the
//! function that runs the engine.

use gdas_kernels::Mode;
use gdas_kernels::graph::{Graph, Shape, Sum, Window};

use super::random::{self, Random};
use super::{Data, forward};

/// The gradients that a pass computes.
#[derive(Clone, Debug)]
pub(crate) struct GradTargets {
    pub(crate) params: Vec<bool>,
    pub(crate) gates: bool,
    pub(crate) image: bool,
}

impl GradTargets {
    pub(crate) fn all(graph: &Graph) -> Self {
        Self { params: vec![true; graph.params.len()], gates: true, image: true }
    }

    fn gates_alone(graph: &Graph) -> Self {
        Self { params: vec![false; graph.params.len()], gates: true, image: false }
    }
}

/// Result of both passes: outputs and statistics in the layout of [`forward`], and the gradients in [`GradTargets`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) outputs: Vec<f32>,
    pub(crate) stats: Vec<f32>,
    pub(crate) params: Vec<Option<Vec<f32>>>,
    pub(crate) gates: Option<Vec<f32>>,
    pub(crate) image: Option<Vec<f32>>,
}

impl Found {
    fn gradients(&self) -> impl Iterator<Item = f32> + '_ {
        self.params.iter().flatten().flatten().chain(self.gates.iter().flatten()).copied()
    }

    /// All of it, to be compared bit by bit.
    pub(crate) fn bits(&self) -> Vec<u32> {
        let forward = self.outputs.iter().chain(&self.stats).copied();
        forward.chain(self.gradients()).chain(self.image.iter().flatten().copied()).map(f32::to_bits).collect()
    }
}

/// Runs a network forward and, with the gradient of the outputs, back.
pub(crate) type Engine<'a> = &'a dyn Fn(&Graph, Mode, &Data, &[f32], &GradTargets) -> Found;

pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Compares outputs, statistics and the derivative along one random direction per input.
fn check(engine: Engine, g: &Graph, mode: Mode, data: &Data, r: &mut Random, tolerance: f64) {
    let (outputs, stats) = forward(g, mode, data);
    let upstream: Vec<f64> = outputs.iter().map(|_| r.normal()).collect();
    let ours = engine(g, mode, data, &single(&upstream), &GradTargets::all(g));
    let close = |what: &str, ours: &[f32], expected: &[f64]| {
        assert_eq!(ours.len(), expected.len(), "{what}: length");
        let largest = expected.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        for (i, (a, b)) in ours.iter().zip(expected).enumerate() {
            let error = (f64::from(*a) - b).abs();
            assert!(error <= tolerance * largest + 1e-6, "{what}[{i}]: {a} instead of {b} (largest {largest})");
        }
    };
    close("outputs", &ours.outputs, &outputs);
    close("stats", &ours.stats, &stats);

    let loss = |data: &Data| -> f64 { forward(g, mode, data).0.iter().zip(&upstream).map(|(o, u)| o * u).sum() };
    let mut along = |what: &str, gradient: &[f32], field: &dyn Fn(&mut Data) -> &mut Vec<f64>| {
        let mut moved = data.clone();
        let direction: Vec<f64> = (0..field(&mut moved).len()).map(|_| r.normal()).collect();
        assert_eq!(gradient.len(), direction.len(), "{what}: length of the gradient");
        let mut at = |step: f64| {
            moved.clone_from(data);
            field(&mut moved).iter_mut().zip(&direction).for_each(|(v, d)| *v += step * d);
            loss(&moved)
        };
        let step = 1e-7;
        let expected = (at(step) - at(-step)) / (2.0 * step);
        let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
        let got: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let scale = norm(&gradient).max(norm(&upstream) * 0.01);
        let error = (got - expected).abs();
        assert!(error <= 2.0 * tolerance * scale + 1e-5, "{what}: slope {got} instead of {expected} (norm {scale})");
    };
    along("image", ours.image.as_ref().unwrap(), &|d| &mut d.image);
    along("gates", ours.gates.as_ref().unwrap(), &|d| &mut d.gates);
    for (i, p) in g.params.iter().enumerate() {
        along(&p.name, ours.params[i].as_ref().unwrap(), &move |d| &mut d.params[i]);
    }
}

/// A network around one operation: stem, the operation, classifier.
fn around(r: &mut Random, build: impl FnOnce(&mut Graph, usize, &mut Random) -> usize) -> (Graph, Data) {
    let image = Shape::new(r.range(1, 17), r.range(1, 17), r.range(1, 4));
    let mut g = Graph::new(image);
    let channels = r.pick(&[1, 3, 8, 16, 17, 32, 36, 48, 64]);
    let stem = g.conv(0, "stem", channels, Window::valid(1, 1), 1, true);
    let y = build(&mut g, stem, r);
    // A second consumer of the stem, so that its gradient has two sources.
    random::finish(&mut g, y, 3);
    random::finish(&mut g, stem, 2);
    let batch = r.range(1, 5);
    let data = random::data(&g, batch, r);
    (g, data)
}

const STRICT: f64 = 2e-4;

pub(crate) fn dense_convolution_with_any_window(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let (g, data) = around(r, |g, x, r| {
        let x = if r.range(0, 1) > 0 { g.relu(x) } else { x };
        let w = random::window(r, g.shape(x));
        let channels = r.pick(&[1, 4, 16, 31, 64]);
        g.conv(x, "conv", channels, w, 1, r.range(0, 1) > 0)
    });
    check(engine, &g, Mode::Train, &data, r, STRICT);
}

pub(crate) fn relu_convolution_norm(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let (g, data) = around(r, |g, x, r| {
        let x = g.relu(x);
        let w = random::usual_window(r);
        let channels = r.pick(&[g.shape(x).channels, 16, 32, 5]);
        let c = g.conv(x, "conv", channels, w, 1, r.range(0, 1) > 0);
        let c = g.norm(c, "norm", r.range(0, 1) > 0, r.range(0, 1) > 0);
        let gate = Sum { gates: vec![Some(0), None], constant: vec![1] };
        let shape = g.shape(c);
        let c = g.sum(vec![c, c], gate, shape);
        if r.range(0, 1) > 0 { g.relu(c) } else { c }
    });
    let mode = r.pick(&[Mode::Train, Mode::Eval]);
    check(engine, &g, mode, &data, r, 1e-3);
}

pub(crate) fn depthwise_and_pointwise_convolution(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let (g, data) = around(r, |g, x, r| {
        let x = if r.range(0, 3) > 0 { g.relu(x) } else { x };
        let c = g.shape(x).channels;
        let w = if r.range(0, 1) > 0 { random::usual_window(r) } else { random::window(r, g.shape(x)) };
        let x = g.conv(x, "depth", c, w, c, r.range(0, 3) == 0);
        if r.range(0, 3) == 0 {
            return x;
        }
        let channels = r.pick(&[c, c, 7]);
        let x = g.conv(x, "point", channels, Window::valid(1, 1), 1, r.range(0, 1) > 0);
        g.norm(x, "norm", r.range(0, 1) > 0, false)
    });
    check(engine, &g, Mode::Train, &data, r, 1e-3);
}

pub(crate) fn grouped_convolution(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let (g, data) = around(r, |g, x, r| {
        let c = g.shape(x).channels;
        let groups = (1..=8).rev().find(|k| c.is_multiple_of(*k)).unwrap();
        let w = random::window(r, g.shape(x));
        // Few and many channels per group: dense, in blocks of groups, or a block per group.
        let multiple = r.pick(&[1, 2, c / groups, c / groups, 8, 16]);
        g.conv(x, "conv", groups * multiple, w, groups, r.range(0, 1) > 0)
    });
    check(engine, &g, Mode::Train, &data, r, STRICT);
}

pub(crate) fn whole_networks(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let image = Shape::new(r.range(1, 12), r.range(1, 12), r.range(1, 4));
    let steps = r.range(1, 14);
    let g = random::network(r, image, steps);
    let batch = r.range(1, 4);
    let data = random::data(&g, batch, r);
    let mode = r.pick(&[Mode::Train, Mode::Train, Mode::Eval]);
    check(engine, &g, mode, &data, r, 1e-2);
}

pub(crate) fn only_the_gradients_asked_for_and_the_same_ones(engine: Engine, seed: u64) {
    let r = &mut Random::new(seed);
    let g = random::network(r, Shape::new(6, 7, 3), 10);
    let data = random::data(&g, 2, r);
    let (outputs, _) = forward(&g, Mode::Train, &data);
    let upstream: Vec<f32> = outputs.iter().map(|_| r.normal() as f32).collect();
    let all = engine(&g, Mode::Train, &data, &upstream, &GradTargets::all(&g));
    let params = g.params.iter().map(|_| r.range(0, 1) > 0).collect();
    let targets = GradTargets { params, gates: r.range(0, 1) > 0, image: r.range(0, 1) > 0 };
    let some = engine(&g, Mode::Train, &data, &upstream, &targets);
    for i in 0..g.params.len() {
        assert_eq!(
            some.params[i],
            if targets.params[i] { all.params[i].clone() } else { None },
            "{}",
            g.params[i].name
        );
    }
    assert_eq!(some.gates, if targets.gates { all.gates } else { None });
    assert_eq!(some.image, if targets.image { all.image } else { None });
}

/// One network with every usual block, used by the cases of special values.
pub(crate) fn every_block() -> Graph {
    let mut g = Graph::new(Shape::new(9, 9, 3));
    let stem = g.conv(0, "stem", 16, Window::same(3, 1, 1), 1, false);
    let x = g.norm(stem, "stem.norm", true, true);
    let mut terms = vec![x, g.avg_pool(x, Window::same(3, 1, 1)), g.max_pool(x, Window::same(3, 1, 1))];
    for kernel in [1, 3] {
        let y = g.relu(x);
        let y = g.conv(y, &format!("conv{kernel}"), 16, Window::same(kernel, 1, 1), 1, true);
        terms.push(g.norm(y, &format!("norm{kernel}"), false, true));
    }
    let y = g.relu(x);
    let y = g.conv(y, "depth", 16, Window::same(5, 1, 2), 16, false);
    let y = g.conv(y, "point", 16, Window::valid(1, 1), 1, false);
    terms.push(g.norm(y, "norm.point", false, true));
    let gates = (0..terms.len()).map(Some).collect();
    let shape = g.shape(x);
    let y = g.sum(terms, Sum { gates, constant: vec![6] }, shape);
    random::finish(&mut g, y, 4);
    g
}

/// As the architecture step of a search asks: nothing but the gates, with nothing wanted before the first of them.
pub(crate) fn the_gates_alone_have_the_gradients_that_they_have_among_all(engine: Engine) {
    let g = every_block();
    let r = &mut Random::new(3);
    let data = random::data(&g, 3, r);
    let upstream: Vec<f32> = (0..3 * 4).map(|_| r.normal() as f32).collect();
    for mode in [Mode::Train, Mode::Eval] {
        let all = engine(&g, mode, &data, &upstream, &GradTargets::all(&g));
        let some = engine(&g, mode, &data, &upstream, &GradTargets::gates_alone(&g));
        assert_eq!(some.gates, all.gates, "{mode:?}");
        assert!(some.gates.unwrap().iter().all(|&v| v != 0.0), "{mode:?}: a gate without a gradient");
    }
}

pub(crate) fn an_empty_batch_gives_empty_outputs_and_zero_gradients(engine: Engine) {
    let g = every_block();
    let data = random::data(&g, 0, &mut Random::new(1));
    let found = engine(&g, Mode::Train, &data, &[], &GradTargets::all(&g));
    assert!(found.outputs.is_empty());
    assert!(found.gradients().all(|v| v == 0.0));
}

pub(crate) fn nan_and_infinity_in_any_input_reach_the_outputs(engine: Engine) {
    let g = every_block();
    let clean = random::data(&g, 2, &mut Random::new(2));
    for bad in [f64::NAN, f64::INFINITY] {
        let fields: [&dyn Fn(&mut Data) -> &mut f64; 4] = [
            &|d| &mut d.image[100],
            &|d| &mut d.params[0][5],
            &|d| &mut d.gates[2],
            // A constant gate: added to every element.
            &|d| &mut d.gates[6],
        ];
        for (i, field) in fields.iter().enumerate() {
            let mut data = clean.clone();
            *field(&mut data) = bad;
            let found = engine(&g, Mode::Train, &data, &[1.0; 8], &GradTargets::all(&g));
            assert!(found.outputs.iter().any(|v| !v.is_finite()), "{bad} in input {i} is lost going forward");
            assert!(found.gradients().any(|v| !v.is_finite()), "{bad} in input {i} is lost going backward");
        }
    }
    let found = engine(&g, Mode::Train, &clean, &[f32::NAN; 8], &GradTargets::all(&g));
    let lost = |p: &Vec<f32>| p.len() != 16 && !p.iter().any(|v| v.is_nan());
    assert!(!found.params.iter().flatten().any(lost));
}

/// Images so large that a thread of a graphics device takes 8, 4 and 2 pixels, none of which divides their number.
pub(crate) fn large_images(engine: Engine) {
    let r = &mut Random::new(12);
    let mut g = Graph::new(Shape::new(131, 127, 3));
    let x = g.conv(0, "16", 16, Window::valid(1, 1), 1, true);
    let x = g.relu(x);
    let x = g.conv(x, "8", 8, Window::valid(1, 1), 1, false);
    let x = g.relu(x);
    let x = g.conv(x, "4", 4, Window::same(3, 1, 1), 1, true);
    let x = g.relu(x);
    random::finish(&mut g, x, 3);
    let data = random::data(&g, 4, r);
    check(engine, &g, Mode::Train, &data, r, STRICT);
}

/// An operation between a convolution and the classifier.
pub(crate) fn one_operation(engine: Engine, make: fn(&mut Graph, usize) -> usize) {
    let r = &mut Random::new(1);
    let mut g = Graph::new(Shape::new(7, 6, 3));
    let x = g.conv(0, "first", 6, Window::valid(1, 1), 1, true);
    let y = make(&mut g, x);
    random::finish(&mut g, y, 3);
    let data = random::data(&g, 3, r);
    for mode in [Mode::Train, Mode::Eval] {
        check(engine, &g, mode, &data, r, STRICT);
    }
}
