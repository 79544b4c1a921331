//! Bias and variance of the estimators of alpha's gradient, against the exact gradient of the expected held-out loss.
//!
//!     cargo run --release -p gdas --example estimator_bias -- [STEPS] [DRAWS]
//!
//! A small NAS-Bench-201 supernet learns the embedded digits for STEPS steps of uniform draws. Then all edges but one keep a
//! random operation. With the five operations of that edge, p = softmax(alpha) and the loss L_k of operation k on one
//! held-out batch, the expected loss is `sum p_k L_k`, and its gradient `p_k (L_k - sum p_j L_j)` is known exactly. Every
//! estimator is drawn DRAWS times. The gradients of all edges, in three settings of the others, are one long vector, of
//! which is printed:
//!
//! - bias: length of (mean - exact) over the length of exact;
//! - deviation: root of the summed variances over the length of exact;
//! - cosine between mean and exact gradient: whether alpha moves the right way on average.
#![allow(clippy::print_stdout)]

use gdas::config::{EdgeOutput, Layer, SearchConfig, resolve};
use gdas::data::{BatchOptions, Position, SPLIT_SEED, SearchBatches, SearchSplit, SplitRule, digits};
use gdas::rng::{Rng, Stream};
use gdas::search::{
    Dirichlet, Draw, Estimator, GradTargets, Half, Progress, ReinMax, Searcher, StepContext, StraightThrough,
};
use gdas::{Alpha, Device};

type Failure = Box<dyn std::error::Error>;

/// What one edge's estimators are measured on: the loss of each of its operations, and the gradient of the gates.
struct Edge {
    /// Its place in the cell.
    index: usize,
    /// Operations of all edges; that of this one is exchanged.
    picks: Vec<usize>,
    logits: Vec<f64>,
    losses: Vec<f64>,
    /// `dL/dh` at each drawn operation, for the published forms of an edge and with all operations computed.
    slopes: [Vec<Vec<f64>>; 3],
}

/// Cells that the score function compares on one batch.
const CELLS: usize = 3;

const FORMS: [&str; 3] = ["all gates", "picked gate", "every operation computed"];

impl Edge {
    fn new(step: &StepContext<'_>, index: usize, picks: &[usize], logits: Vec<f64>) -> Result<Self, Failure> {
        let mut edge = Self { index, picks: picks.to_vec(), logits, losses: vec![], slopes: [vec![], vec![], vec![]] };
        for k in 0..edge.logits.len() {
            edge.picks[index] = k;
            let picks = vec![edge.picks.clone()];
            for (form, slopes) in [EdgeOutput::AllGates, EdgeOutput::PickedGate].into_iter().zip(0..) {
                let net = step.sub_network(&picks, form)?;
                let weights = step.weights_of(&net);
                let pass = step.pass_with(&net, weights, step.drawn_gates(), Half::HeldOut, GradTargets::Gates)?;
                let gates = step.supernet().gate_gradients(&picks, &pass.gate_gradient.get());
                edge.slopes[slopes].push(gates[0][index].to_vec());
                if slopes == 0 {
                    edge.losses.push(pass.metrics.get().loss);
                }
            }
            let (_, slopes) = mixture(step, &edge.one_hot())?;
            edge.slopes[2].push(slopes[index].to_vec());
        }
        Ok(edge)
    }

    /// Every edge's drawn operation with weight one.
    fn one_hot(&self) -> Alpha {
        Alpha::from_fn(self.picks.len(), self.logits.len(), |edge, k| f64::from(u8::from(self.picks[edge] == k)))
    }

    fn exact(&self) -> Vec<f64> {
        let p = softmax(&self.logits);
        let mean: f64 = p.iter().zip(&self.losses).map(|(p, loss)| p * loss).sum();
        p.iter().zip(&self.losses).map(|(p, loss)| p * (loss - mean)).collect()
    }

    fn alpha(&self) -> Alpha {
        Alpha::from_rows(&[&self.logits])
    }
}

/// The loss of a mixture with these weights, and its gradient in them.
fn mixture(step: &StepContext<'_>, weights: &Alpha) -> Result<(f64, Alpha), Failure> {
    let net = step.supernet().mixture();
    let gates = step.supernet().mixture_gates(std::slice::from_ref(weights));
    let pass = step.pass_with(&net, step.weights_of(&net), gates, Half::HeldOut, GradTargets::Gates)?;
    let slopes = step.supernet().mixture_gradients(&pass.gate_gradient.get());
    Ok((pass.metrics.get().loss, slopes.into_iter().next().ok_or("no cell")?))
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    Alpha::from_rows(&[logits]).softmax()[0].to_vec()
}

/// Mean and variance of vectors.
#[derive(Default)]
struct Moments {
    count: f64,
    sum: Vec<f64>,
    squares: f64,
}

impl Moments {
    fn add(&mut self, values: &[f64]) {
        self.sum.resize(values.len(), 0.0);
        self.count += 1.0;
        self.sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        self.squares += values.iter().map(|value| value * value).sum::<f64>();
    }

    fn against(&self, exact: &[f64]) -> Comparison {
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / self.count).collect();
        let squares = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let difference: Vec<f64> = mean.iter().zip(exact).map(|(a, b)| a - b).collect();
        Comparison {
            difference: squares(&difference),
            variance: (self.squares / self.count - squares(&mean)).max(0.0),
            product: mean.iter().zip(exact).map(|(a, b)| a * b).sum(),
            mean: squares(&mean),
            exact: squares(exact),
        }
    }
}

/// An estimator's mean beside the exact gradient: squared lengths, and the scalar product. Those of several edges are added.
#[derive(Clone, Copy, Debug, Default)]
struct Comparison {
    difference: f64,
    variance: f64,
    product: f64,
    mean: f64,
    exact: f64,
}

impl Comparison {
    fn add(&mut self, other: Self) {
        self.difference += other.difference;
        self.variance += other.variance;
        self.product += other.product;
        self.mean += other.mean;
        self.exact += other.exact;
    }

    /// Bias, deviation, cosine.
    fn numbers(self) -> [f64; 3] {
        let exact = self.exact.max(1e-300);
        let cosine = self.product / (self.mean * exact).sqrt().max(1e-300);
        [(self.difference / exact).sqrt(), (self.variance / exact).sqrt(), cosine]
    }
}

/// All estimators on one edge: name, and how they compare with the exact gradient.
fn measure(step: &StepContext<'_>, edge: &Edge, draws: u64) -> Result<Vec<(String, Comparison)>, Failure> {
    let (alpha, exact) = (edge.alpha(), edge.exact());
    let mut rows = Vec::new();
    let discrete: [(&str, &dyn Estimator, f64); 4] = [
        ("straight-through, tau 10", &StraightThrough, 10.0),
        ("straight-through, tau 1", &StraightThrough, 1.0),
        ("straight-through, tau 0.1", &StraightThrough, 0.1),
        ("reinmax, tau 1", &ReinMax, 1.0),
    ];
    for (name, estimator, tau) in discrete {
        for (form, slopes) in FORMS.iter().zip(&edge.slopes) {
            let mut moments = Moments::default();
            for seed in 0..draws {
                let draw = estimator.draw(&alpha, tau, &mut Rng::new(seed, Stream::DrawAlpha, edge.index as u64))?;
                let gates = Alpha::from_rows(&[&slopes[draw.picks[0]]]);
                moments.add(&estimator.gradient(&alpha, &draw, &gates)[0]);
            }
            rows.push((format!("{name}, {form}"), moments.against(&exact)));
        }
    }
    let p = softmax(&edge.logits);
    let mean: f64 = p.iter().zip(&edge.losses).map(|(p, loss)| p * loss).sum();
    for (name, baseline) in [("score function, no baseline", 0.0), ("score function, mean loss as baseline", mean)] {
        let mut moments = Moments::default();
        for seed in 0..draws {
            let draw = StraightThrough.draw(&alpha, 1.0, &mut Rng::new(seed, Stream::DrawAlpha, edge.index as u64))?;
            let pick = draw.picks[0];
            let score = |k: usize| (edge.losses[pick] - baseline) * (f64::from(u8::from(k == pick)) - p[k]);
            moments.add(&(0..p.len()).map(score).collect::<Vec<_>>());
        }
        rows.push((name.to_owned(), moments.against(&exact)));
    }
    // Three cells on the same images, each with the mean loss of the others as its baseline (`score_cells = 3`).
    let mut moments = Moments::default();
    for seed in 0..draws {
        let mut rng = Rng::new(seed, Stream::DrawAlpha, edge.index as u64);
        let picks: Vec<usize> = (0..CELLS)
            .map(|_| StraightThrough.draw(&alpha, 1.0, &mut rng).map(|draw| draw.picks[0]))
            .collect::<Result<_, _>>()?;
        let sum: f64 = picks.iter().map(|&pick| edge.losses[pick]).sum();
        let advantage = |pick: usize| edge.losses[pick] - (sum - edge.losses[pick]) / (CELLS - 1) as f64;
        let score = |k: usize| -> f64 {
            let of_cell = |&pick: &usize| advantage(pick) * (f64::from(u8::from(k == pick)) - p[k]);
            picks.iter().map(of_cell).sum::<f64>() / CELLS as f64
        };
        moments.add(&(0..p.len()).map(score).collect::<Vec<_>>());
    }
    rows.push(("score function, three cells as each other's baseline".to_owned(), moments.against(&exact)));
    // Mixtures need a pass for every draw, so there are fewer of them.
    let relaxed: [(&str, &dyn Estimator, f64); 2] =
        [("SNAS, tau 1", &StraightThrough, 1.0), ("DrNAS, Dirichlet", &Dirichlet, 1.0)];
    for (name, estimator, tau) in relaxed {
        let mut moments = Moments::default();
        for seed in 0..draws.div_ceil(20) {
            let draw: Draw = estimator.draw(&alpha, tau, &mut Rng::new(seed, Stream::DrawAlpha, edge.index as u64))?;
            let mut weights = edge.one_hot();
            weights[edge.index].copy_from_slice(&draw.probabilities[0]);
            let (_, slopes) = mixture(step, &weights)?;
            let gates = Alpha::from_rows(&[&slopes[edge.index]]);
            moments.add(&estimator.gradient(&alpha, &draw, &gates)[0]);
        }
        rows.push((name.to_owned(), moments.against(&exact)));
    }
    Ok(rows)
}

/// Prints the table.
fn run(steps: u64, draws: u64, settings: u64) -> Result<Vec<(String, [f64; 3])>, Failure> {
    let text = "preset = \"digits\"\nchannels = 8\ncells = 1\nbatch_size = 64\nalpha_warmup_epochs = 1\nepochs = 2\n";
    let config: SearchConfig = resolve(&[Layer::file("example", text)?])?;
    let dataset = digits();
    let split = SearchSplit::new(&dataset, SplitRule::Halves, SPLIT_SEED)?;
    let batches = SearchBatches::new(&dataset, &split, &BatchOptions::for_dataset(&dataset, config.batch_size), 0);
    let mut searcher = Searcher::new(&config, &dataset, &Device::flex())?;
    for step in 0..steps {
        let batch = batches.batch(step / batches.steps(), step % batches.steps());
        let at = Position { epoch: 0, step };
        searcher.weight_step(&batch.weights, at, step, 10.0, config.learning_rate)?;
    }
    let batch = batches.batch(1, 0);
    let at = Position { epoch: 1, step: 0 };
    let progress = Progress { at, step: steps, epochs: 2, tau: 1.0, learning_rate: config.learning_rate };
    let step = StepContext::new(&mut searcher, &batch.weights, &batch.alpha, progress);
    let mut table: Vec<(String, Comparison)> = Vec::new();
    let (edges, operations) = (step.alpha()[0].edges(), step.alpha()[0].operations());
    for setting in 0..settings {
        let mut rng = Rng::new(setting, Stream::Architectures, 0);
        for index in 0..edges {
            let picks: Vec<usize> = (0..edges).map(|_| rng.below(operations)).collect();
            let logits: Vec<f64> = (0..operations).map(|_| 0.5 * rng.normal()).collect();
            let edge = Edge::new(&step, index, &picks, logits)?;
            for (row, (name, comparison)) in measure(&step, &edge, draws)?.into_iter().enumerate() {
                if table.len() == row {
                    table.push((name, Comparison::default()));
                }
                table[row].1.add(comparison);
            }
        }
    }
    let table: Vec<_> = table.into_iter().map(|(name, comparison)| (name, comparison.numbers())).collect();
    println!("| estimator | bias | deviation | cosine |\n| --- | --- | --- | --- |");
    for (name, [bias, deviation, cosine]) in &table {
        println!("| {name} | {bias:.2} | {deviation:.2} | {cosine:.2} |");
    }
    Ok(table)
}

fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (steps, draws) = (numbers.next().transpose()?.unwrap_or(300), numbers.next().transpose()?.unwrap_or(2000));
    run(steps, draws, 3)?;
    Ok(())
}

/// The score function is unbiased, and its baseline takes variance away.
#[test]
fn it_runs() -> Result<(), Failure> {
    let table = run(3, 400, 1)?;
    let row = |name: &str| table.iter().find(|row| row.0 == name).map(|row| row.1).ok_or("no such row");
    let (without, with) = (row("score function, no baseline")?, row("score function, mean loss as baseline")?);
    assert!(with[0] < 0.5 * with[1] && with[1] < without[1], "{with:?} {without:?}");
    let cells = row("score function, three cells as each other's baseline")?;
    assert!(cells[0] < 0.5 * cells[1] && cells[1] < with[1], "{cells:?} {with:?}");
    Ok(())
}
