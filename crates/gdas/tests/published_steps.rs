//! Whole search steps against the published code: this project's supernet, draw, losses, clipping, SGD and Adam against
//! what AutoDL-Projects' own classes compute in float64 from the same weights, images and noise. See
//! `fixtures/published-steps/README.md`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use gdas::config::{Layer, SearchConfig, resolve};
use gdas::data::{Batch, Dataset, Files, Format, Images, Position, Statistics};
use gdas::search::step::{alpha_step, weight_step};
use gdas::search::{Draw, Progress, Searcher, StepContext, StraightThrough};
use gdas::{Alpha, Device};
use safetensors::{Dtype, SafeTensors};

const SIDE: usize = 8;
const CLASSES: usize = 10;
const STEPS: u64 = 3;
const TAU: f64 = 3.0;
const RATE: f64 = 0.025;

// Most that float32 may differ from float64.
/// A loss, in parts of it.
const LOSS: f64 = 1e-6;
/// The gradient of alpha, in parts of its largest entry: each is a small difference of large sums.
const GRADIENT: f64 = 2e-5;
/// The norm of the weights' gradient, in parts of it.
const NORM: f64 = 2e-6;
/// Alpha after Adam's steps of 3e-4 each.
const ALPHA: f64 = 1e-7;
/// The sum of an array of weights, in parts of what it is if all have the same sign.
const WEIGHTS: f64 = 1e-6;

/// Arrays of a fixture by name.
struct Fixture(SafeTensors<'static>);

impl Fixture {
    fn open(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/published-steps/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes: &'static [u8] = std::fs::read(path).unwrap().leak();
        Self(SafeTensors::deserialize(bytes).unwrap())
    }

    /// Names below `prefix`, in alphabetical order.
    fn names_below(&self, prefix: &str) -> Vec<String> {
        let names = self.0.names().into_iter().filter_map(|name| name.strip_prefix(prefix));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        let view = self.0.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        view.data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()
    }

    fn f64(&self, name: &str) -> Vec<f64> {
        let view = self.0.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F64, "{name}");
        view.data().as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect()
    }

    fn indices(&self, name: &str) -> Vec<usize> {
        let view = self.0.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::U64, "{name}");
        view.data().as_chunks().0.iter().map(|&x| u64::from_le_bytes(x) as usize).collect()
    }

    /// `{prefix}.0`, `{prefix}.1` and so on, as many as there are.
    fn tables(&self, prefix: &str) -> Vec<Alpha> {
        let names = (0..).map(|t| format!("{prefix}.{t}")).take_while(|name| self.0.tensor(name).is_ok());
        let tables = names.map(|name| {
            let shape = self.0.tensor(&name).unwrap().shape().to_vec();
            Alpha::from_values(shape[0], shape[1], self.f64(&name)).unwrap()
        });
        tables.collect()
    }

    /// The images and labels of one half of a step.
    fn batch(&self, at: &str) -> Batch {
        let mut batch = Batch::default();
        batch.images = self.f32(&format!("{at}.images"));
        batch.labels = self.indices(&format!("{at}.labels")).into_iter().map(|label| label as u32).collect();
        (batch.height, batch.width, batch.channels) = (SIDE, SIDE, 3);
        assert_eq!(batch.images.len(), batch.labels.len() * SIDE * SIDE * 3);
        batch
    }

    /// The draws that the noise of one half of a step gives.
    fn draws(&self, at: &str, alpha: &[Alpha]) -> Vec<Draw> {
        let noise = self.tables(&format!("{at}.gumbel"));
        assert_eq!(noise.len(), alpha.len());
        let draw = |(alpha, noise)| StraightThrough::draw_with_noise(alpha, noise, TAU).unwrap();
        let draws: Vec<Draw> = alpha.iter().zip(&noise).map(draw).collect();
        for (table, draw) in draws.iter().enumerate() {
            assert_eq!(draw.picks, self.indices(&format!("{at}.picks.{table}")), "{at}: picks of table {table}");
        }
        draws
    }
}

/// What a search needs to know of its images; those of the steps come from the fixture.
fn dataset() -> Dataset {
    let count = 2 * CLASSES;
    let images = Arc::new(Images {
        height: SIDE,
        width: SIDE,
        channels: 3,
        pixels: (0..count * SIDE * SIDE * 3).map(|i| (i % 251) as u8).collect(),
        labels: (0..count).map(|i| (i % CLASSES) as u32).collect(),
    });
    Dataset {
        name: "random".into(),
        format: Format::Images,
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        statistics: Statistics::of(&images),
        train: images,
        test: None,
        held_out: false,
        files: Files::default(),
        flip: false,
        notes: vec![],
    }
}

/// The settings of the fixtures' metadata.
fn config(space: &str, channels: usize, edge_output: &str, undrawn: &str) -> SearchConfig {
    let text = format!(
        "space = \"{space}\"\npreset = \"paper\"\nchannels = {channels}\ncells = 1\naffine = false\n\
         edge_output = \"{edge_output}\"\nundrawn = \"{undrawn}\"\nmomentum = 0.9\nnesterov = true\n\
         weight_decay = 5e-4\nclip_norm = 5.0\nalpha_learning_rate = 3e-4\nalpha_betas = [0.5, 0.999]\n\
         alpha_epsilon = 1e-8\nalpha_weight_decay = 1e-3\n"
    );
    resolve(&[Layer::file("test", &text).unwrap()]).unwrap()
}

fn largest(tables: &[Alpha]) -> f64 {
    tables.iter().flat_map(Alpha::values).fold(0.0, |most, x| x.abs().max(most))
}

fn largest_difference(a: &[Alpha], b: &[Alpha]) -> f64 {
    let shapes = |tables: &[Alpha]| tables.iter().map(Alpha::shape).collect::<Vec<_>>();
    assert_eq!(shapes(a), shapes(b));
    let pairs = a.iter().flat_map(Alpha::values).zip(b.iter().flat_map(Alpha::values));
    pairs.fold(0.0, |most, (a, b)| (a - b).abs().max(most))
}

/// Goes through the steps of a fixture.
fn steps_are_the_published_ones(space: &str, channels: usize, edge_output: &str, undrawn: &str) {
    let fixture = Fixture::open(space);
    let config = config(space, channels, edge_output, undrawn);
    let dataset = dataset();
    let mut searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
    searcher.alpha = fixture.tables("alpha");

    let names = fixture.names_below("weights/");
    let mut places = Vec::new();
    for name in &names {
        let weights = &mut searcher.supernet.weights;
        let place = weights.find(name).unwrap_or_else(|| panic!("the supernet has no array {name}"));
        let array = format!("weights/{name}");
        assert_eq!(weights.specs[place].shape, fixture.0.tensor(&array).unwrap().shape(), "{name}");
        weights.set(place, fixture.f32(&array));
        places.push(place);
    }
    // What no step draws is on an edge, and stays as it is.
    let weights = &searcher.supernet.weights;
    let others: Vec<usize> = (0..weights.values.len()).filter(|place| !places.contains(place)).collect();
    assert!(others.iter().all(|&place| weights.specs[place].name.contains(".edge.")), "{space}: arrays are missing");
    let untouched: Vec<Vec<f32>> = others.iter().map(|&place| weights.to_vec(place)).collect();

    for step in 0..STEPS {
        let at = format!("step.{step}");
        let result = format!("{undrawn}/step.{step}");
        let number = |name: &str| fixture.f64(&format!("{result}/{name}"))[0];
        let at_step = Position { epoch: 0, step };
        let progress = Progress { at: at_step, step, epochs: config.epochs, tau: TAU, learning_rate: RATE };
        let check = |what: &str, difference: f64, most: f64| {
            assert!(difference <= most, "{space}, {undrawn}, step {step}: {what} differs by {difference:e}");
        };

        let train = format!("{at}/train");
        let draws = fixture.draws(&train, &searcher.alpha);
        let (batch, unused) = (fixture.batch(&train), Batch::default());
        let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
        let trained = weight_step(&mut StepContext::new(&mut searcher, &batch, &unused, progress), &picks).unwrap();
        let (metrics, norm) = trained.finish_with_norm().unwrap();
        let exact = number("train.loss");
        check("the training loss", (metrics.loss - exact).abs(), LOSS * exact);
        let exact = number("train.gradient_norm");
        check("the norm of the gradient", (norm - exact).abs(), NORM * exact);
        let after = fixture.f64(&format!("{result}/weights_after"));
        for ((name, &place), sums) in names.iter().zip(&places).zip(after.chunks_exact(2)) {
            let values = searcher.supernet.weights.to_vec(place);
            let sum: f64 = values.iter().map(|&x| f64::from(x)).sum();
            let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            let magnitude = (values.len() as f64 * sums[1]).sqrt();
            check(&format!("the sum of {name}"), (sum - sums[0]).abs(), WEIGHTS * magnitude);
            check(&format!("the sum of squares of {name}"), (squares - sums[1]).abs(), 2.0 * WEIGHTS * sums[1]);
        }
        for (&place, before) in others.iter().zip(&untouched) {
            let weights = &searcher.supernet.weights;
            assert_eq!(&weights.to_vec(place), before, "{} moved", weights.specs[place].name);
        }

        let held_out = format!("{at}/held_out");
        let draws = fixture.draws(&held_out, &searcher.alpha);
        let (alpha, moments) = (searcher.alpha.clone(), searcher.adam.first.clone());
        let batch = fixture.batch(&held_out);
        let mut context = StepContext::new(&mut searcher, &unused, &batch, progress);
        let metrics = alpha_step(&mut context, &draws, None).unwrap().metrics;
        let exact = number("held_out.loss");
        check("the held-out loss", (metrics.loss - exact).abs(), LOSS * exact);
        // Adam's first moment is `m' = b m + (1 - b) (gradient + decay alpha)`.
        let [beta, _] = config.alpha_betas;
        let mut gradient = searcher.adam.first.clone();
        let before = moments.iter().flat_map(Alpha::values).zip(alpha.iter().flat_map(Alpha::values));
        for (m, (old, a)) in gradient.iter_mut().flat_map(Alpha::values_mut).zip(before) {
            *m = (*m - beta * old) / (1.0 - beta) - config.alpha_weight_decay * a;
        }
        let exact = fixture.tables(&format!("{result}/alpha_gradient"));
        check("the gradient of alpha", largest_difference(&gradient, &exact), GRADIENT * largest(&exact));
        let exact = fixture.tables(&format!("{result}/alpha_after"));
        check("alpha", largest_difference(&searcher.alpha, &exact), ALPHA);
    }
}

#[test]
fn nas_bench_201_steps_are_the_published_ones() {
    steps_are_the_published_ones("nas-bench-201", 4, "all-gates", "skip");
}

/// With gradients zeroed instead of dropped, as in the PyTorch that the published figures were made with.
#[test]
fn steps_that_move_undrawn_weights_are_the_published_ones() {
    steps_are_the_published_ones("nas-bench-201", 4, "all-gates", "decay");
}

#[test]
fn nasnet_steps_are_the_published_ones() {
    steps_are_the_published_ones("nasnet", 4, "picked-gate", "skip");
}

/// The fixed reduction cell, too, has no scale and shift where the candidates have none, and biases instead.
#[test]
fn nasnet_frc_steps_are_the_published_ones() {
    steps_are_the_published_ones("nasnet-frc", 8, "picked-gate", "skip");
}
