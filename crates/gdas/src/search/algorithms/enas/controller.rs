//! The controller of ENAS: an LSTM that generates a cell operation by operation, and its training by REINFORCE.

use crate::alpha::{Alpha, softmax};
use crate::config::SearchConfig;
use crate::optim::{Adam, AdamConfig};
use crate::rng::{Rng, Stream};
use crate::run::{Array, Checkpoint, RunError};
use crate::space::Space;

/// Size of the LSTM's state.
const HIDDEN: usize = 32;
/// Layers of the LSTM.
const LAYERS: usize = 2;
/// Logits are `TANH * tanh(logits / TEMPERATURE)`, which keeps the policy from becoming deterministic.
const TANH: f64 = 2.5;
/// See [`TANH`].
const TEMPERATURE: f64 = 5.0;
/// Weight of the policy's entropy (in nats) in the reward.
const ENTROPY_WEIGHT: f64 = 1e-4;
/// Decay of the baseline, an exponential mean of rewards.
const BASELINE_DECAY: f64 = 0.99;
/// Maximum norm of the controller's gradient.
const CLIP_NORM: f64 = 5.0;

/// The LSTM and the state of its training, in `f64` on the host, as it is small.
///
/// The parameters are one array: the first input `[HIDDEN]`; for each layer input weights `[4 HIDDEN, HIDDEN]`, state weights
/// `[4 HIDDEN, HIDDEN]` and two biases `[4 HIDDEN]`, gates in the order input, forget, cell, output; embeddings
/// `[operations, HIDDEN]`; output weights `[operations, HIDDEN]` and bias `[operations]`.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    /// Number of edges of each searched cell.
    edges: Vec<usize>,
    operations: usize,
    parameters: Vec<f64>,
    adam: Adam,
    /// Number of samples averaged in one step of Adam.
    samples: usize,
    /// Number of samples since the last step of Adam.
    gathered: usize,
    /// Sum of their gradients, divided by `samples`.
    gradient: Vec<f64>,
    /// Sum of their logits, for the report of the policy.
    logits: Vec<f64>,
    /// Baseline of the rewards of this epoch: the final one of the previous epoch.
    baseline: Option<f64>,
    /// Baseline updated with the last reward.
    next_baseline: Option<f64>,
    /// Number of samples of this epoch so far.
    of_epoch: usize,
    /// Number of samples per epoch.
    epoch: usize,
}

/// A sampled cell with the values for its backward pass.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    steps: Vec<Step>,
    log_probability: f64,
    entropy: f64,
}

#[derive(Clone, Debug)]
struct Step {
    /// The operation whose embedding is the input; `None` for the first.
    input: Option<usize>,
    layers: Vec<Memory>,
    /// `tanh(logits / TEMPERATURE)`.
    squashed: Vec<f64>,
    probabilities: Vec<f64>,
    pick: usize,
}

/// Values of one layer at one step.
#[derive(Clone, Debug)]
struct Memory {
    input: Vec<f64>,
    hidden_before: Vec<f64>,
    cell_before: Vec<f64>,
    /// Input, forget, cell and output gate after their activation functions.
    gates: [Vec<f64>; 4],
    cell: Vec<f64>,
    hidden: Vec<f64>,
}

const INPUT: usize = HIDDEN;
const LAYER: usize = 8 * HIDDEN * HIDDEN + 8 * HIDDEN;

impl Controller {
    /// A controller with initial parameters as published: uniform in ±0.1 for the first input, the first layer's weights, the
    /// embeddings and the output weights; PyTorch's default, uniform in ±`1 / sqrt(HIDDEN)`, for the others.
    pub(super) fn new(config: &SearchConfig, space: &Space) -> Self {
        let edges = space.cells.iter().map(|cell| cell.edges().len()).collect();
        let operations = space.cells.iter().map(crate::space::CellSpace::width).max().unwrap_or(0);
        let count = INPUT + LAYERS * LAYER + 2 * operations * HIDDEN + operations;
        let mut rng = Rng::new(config.seed, Stream::Controller, 0);
        let default = 1.0 / (HIDDEN as f64).sqrt();
        let embeddings = INPUT + LAYERS * LAYER;
        let bound = |i: usize| {
            let first_weights = INPUT..INPUT + 8 * HIDDEN * HIDDEN;
            let tables = embeddings..embeddings + 2 * operations * HIDDEN;
            if i < INPUT || first_weights.contains(&i) || tables.contains(&i) { 0.1 } else { default }
        };
        let parameters: Vec<f64> = (0..count).map(|i| bound(i) * (2.0 * rng.uniform() - 1.0)).collect();
        let adam = AdamConfig {
            rate: config.alpha_learning_rate,
            betas: config.alpha_betas,
            epsilon: config.alpha_epsilon,
            weight_decay: config.alpha_weight_decay,
        };
        let adam = Adam::new(adam, &[Alpha::from_rows(&[&parameters])]);
        let mut controller = Self {
            edges,
            operations,
            adam,
            samples: config.controller_samples,
            gathered: 0,
            gradient: vec![0.0; count],
            logits: Vec::new(),
            baseline: None,
            next_baseline: None,
            of_epoch: 0,
            epoch: config.controller_steps * config.controller_samples,
            parameters,
        };
        controller.logits = vec![0.0; controller.length() * operations];
        controller
    }

    /// Number of edges of all searched cells.
    fn length(&self) -> usize {
        self.edges.iter().sum()
    }

    fn embeddings() -> usize {
        INPUT + LAYERS * LAYER
    }

    fn output(&self) -> usize {
        Self::embeddings() + self.operations * HIDDEN
    }

    /// Samples a cell.
    pub(super) fn sample(&self, rng: &mut Rng) -> Sample {
        self.write(|_, probabilities| {
            let mut left = rng.uniform();
            for (k, p) in probabilities.iter().enumerate() {
                left -= p;
                if left < 0.0 {
                    return k;
                }
            }
            probabilities.len() - 1
        })
    }

    /// Generates a cell; `choose` selects each operation, given its index and the probabilities.
    fn write(&self, mut choose: impl FnMut(usize, &[f64]) -> usize) -> Sample {
        let w = &self.parameters;
        let mut state = vec![(vec![0.0; HIDDEN], vec![0.0; HIDDEN]); LAYERS];
        let mut sample = Sample { steps: Vec::new(), log_probability: 0.0, entropy: 0.0 };
        let mut last: Option<usize> = None;
        for place in 0..self.length() {
            let at = last.map_or(0, |pick| Self::embeddings() + pick * HIDDEN);
            let mut x = w[at..at + HIDDEN].to_vec();
            let mut layers = Vec::with_capacity(LAYERS);
            for (layer, (hidden, cell)) in state.iter_mut().enumerate() {
                let memory = remember(&w[INPUT + layer * LAYER..][..LAYER], std::mem::take(&mut x), hidden, cell);
                x.clone_from(&memory.hidden);
                hidden.clone_from(&memory.hidden);
                cell.clone_from(&memory.cell);
                layers.push(memory);
            }
            let (rows, bias) = w[self.output()..].split_at(self.operations * HIDDEN);
            let squashed: Vec<f64> = rows
                .chunks_exact(HIDDEN)
                .zip(bias)
                .map(|(row, bias)| ((dot(row, &x) + bias) / TEMPERATURE).tanh())
                .collect();
            let logits: Vec<f64> = squashed.iter().map(|t| TANH * t).collect();
            let probabilities = softmax(&logits);
            let pick = choose(place, &probabilities);
            sample.log_probability += probabilities[pick].ln();
            sample.entropy += entropy(&probabilities);
            sample.steps.push(Step { input: last, layers, squashed, probabilities, pick });
            last = Some(pick);
        }
        sample
    }

    /// Operation per searched cell and edge.
    pub(super) fn picks(&self, sample: &Sample) -> Vec<Vec<usize>> {
        let mut picks = sample.steps.iter().map(|step| step.pick);
        self.edges.iter().map(|&edges| picks.by_ref().take(edges).collect()).collect()
    }

    /// Records the accuracy of a sample. When enough are recorded for a controller update, returns the mean
    /// of their logits, one row per edge.
    ///
    /// The loss is `-log p (reward - baseline)` with `reward = accuracy + ENTROPY_WEIGHT entropy`. During an epoch, the baseline
    /// is that of the previous epoch updated with the current reward only; in the first epoch it is the accuracy. This follows
    /// the published code, including the gradient of the entropy.
    pub(super) fn reinforce(&mut self, sample: &Sample, accuracy: f64) -> Option<Vec<Vec<f64>>> {
        let reward = accuracy + ENTROPY_WEIGHT * sample.entropy;
        let (baseline, share) = match self.baseline {
            None => (accuracy, 1.0),
            Some(before) => (before - (1.0 - BASELINE_DECAY) * (before - reward), BASELINE_DECAY),
        };
        let scale = 1.0 / self.samples as f64;
        let of_log_probability = -(reward - baseline) * scale;
        let of_entropy = -sample.log_probability * share * ENTROPY_WEIGHT * scale;
        self.add_gradient(sample, of_log_probability, of_entropy);
        for (sum, t) in self.logits.iter_mut().zip(sample.steps.iter().flat_map(|step| &step.squashed)) {
            *sum += TANH * t;
        }
        self.next_baseline = Some(baseline);
        self.of_epoch += 1;
        self.gathered += 1;
        let moved = self.gathered == self.samples;
        let policy = moved.then(|| self.descend());
        if self.of_epoch == self.epoch {
            (self.baseline, self.of_epoch) = (self.next_baseline, 0);
        }
        policy
    }

    fn descend(&mut self) -> Vec<Vec<f64>> {
        let norm = self.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let factor = (CLIP_NORM / (norm + 1e-6)).min(1.0);
        let gradient: Vec<f64> = self.gradient.iter().map(|g| g * factor).collect();
        let mut parameters = [Alpha::from_rows(&[&self.parameters])];
        self.adam.step(&mut parameters, &[Alpha::from_rows(&[gradient])]);
        self.parameters.copy_from_slice(parameters[0].values());
        let policy = self.logits.chunks_exact(self.operations);
        let policy = policy.map(|row| row.iter().map(|sum| sum / self.samples as f64).collect()).collect();
        self.gathered = 0;
        self.gradient.fill(0.0);
        self.logits.fill(0.0);
        policy
    }

    /// Adds the gradient of `of_log_probability * log p + of_entropy * entropy` by backpropagation through all steps.
    fn add_gradient(&mut self, sample: &Sample, of_log_probability: f64, of_entropy: f64) {
        let (w, gradient) = (&self.parameters, &mut self.gradient);
        let output = INPUT + LAYERS * LAYER + self.operations * HIDDEN;
        let mut after = vec![(vec![0.0; HIDDEN], vec![0.0; HIDDEN]); LAYERS];
        for step in sample.steps.iter().rev() {
            let top = &step.layers[LAYERS - 1].hidden;
            let entropy = entropy(&step.probabilities);
            let mut upstream = vec![0.0; HIDDEN];
            for (k, (&p, &t)) in step.probabilities.iter().zip(&step.squashed).enumerate() {
                let one = f64::from(u8::from(k == step.pick));
                let of_logit = of_log_probability * (one - p) - of_entropy * p * (p.ln() + entropy);
                let of_raw = of_logit * TANH * (1.0 - t * t) / TEMPERATURE;
                let row = output + k * HIDDEN;
                for i in 0..HIDDEN {
                    gradient[row + i] += of_raw * top[i];
                    upstream[i] += of_raw * w[row + i];
                }
                gradient[output + self.operations * HIDDEN + k] += of_raw;
            }
            for layer in (0..LAYERS).rev() {
                let at = INPUT + layer * LAYER;
                let (hidden, cell) = &mut after[layer];
                hidden.iter_mut().zip(&upstream).for_each(|(h, u)| *h += u);
                upstream = forget(&w[at..at + LAYER], &step.layers[layer], hidden, cell, &mut gradient[at..at + LAYER]);
            }
            let at = step.input.map_or(0, |pick| INPUT + LAYERS * LAYER + pick * HIDDEN);
            gradient[at..at + HIDDEN].iter_mut().zip(&upstream).for_each(|(g, u)| *g += u);
        }
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) {
        let mut insert = |name: &str, values: Vec<f64>| {
            checkpoint.insert(format!("controller/{name}"), Array::f64(&[values.len()], values));
        };
        insert("parameters", self.parameters.clone());
        insert("first", self.adam.first[0].values().to_vec());
        insert("second", self.adam.second[0].values().to_vec());
        insert("gradient", self.gradient.clone());
        insert("logits", self.logits.clone());
        let flag = |value: Option<f64>| [f64::from(u8::from(value.is_some())), value.unwrap_or(0.0)];
        insert("baselines", [flag(self.baseline), flag(self.next_baseline)].concat());
        let counts = vec![self.adam.steps, self.gathered as u64, self.of_epoch as u64];
        checkpoint.insert("controller/counts", Array::u64(&[3], counts));
    }

    pub(super) fn load(&mut self, checkpoint: &mut Checkpoint) -> Result<(), RunError> {
        let mut take = |name: &str, count: usize| checkpoint.take_f64(&format!("controller/{name}"), &[count]);
        let count = self.parameters.len();
        self.parameters = take("parameters", count)?;
        self.adam.first = vec![Alpha::from_rows(&[take("first", count)?])];
        self.adam.second = vec![Alpha::from_rows(&[take("second", count)?])];
        self.gradient = take("gradient", count)?;
        self.logits = take("logits", self.logits.len())?;
        let baselines = take("baselines", 4)?;
        let read = |pair: &[f64]| (pair[0] > 0.0).then_some(pair[1]);
        (self.baseline, self.next_baseline) = (read(&baselines[..2]), read(&baselines[2..]));
        let counts = checkpoint.take_u64("controller/counts", &[3])?;
        self.adam.steps = counts[0];
        (self.gathered, self.of_epoch) = (counts[1] as usize, counts[2] as usize);
        Ok(())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn entropy(probabilities: &[f64]) -> f64 {
    -probabilities.iter().map(|p| p * p.ln()).sum::<f64>()
}

/// Forward pass of one layer for one step (PyTorch's `LSTM`). `w` are the layer's parameters.
fn remember(w: &[f64], input: Vec<f64>, hidden: &[f64], cell: &[f64]) -> Memory {
    let square = 4 * HIDDEN * HIDDEN;
    let raw = |row: usize| {
        let bias = w[2 * square + row] + w[2 * square + 4 * HIDDEN + row];
        dot(&w[row * HIDDEN..][..HIDDEN], &input) + dot(&w[square + row * HIDDEN..][..HIDDEN], hidden) + bias
    };
    let gates: [Vec<f64>; 4] = std::array::from_fn(|gate| {
        let values = (0..HIDDEN).map(|i| raw(gate * HIDDEN + i));
        if gate == 2 { values.map(f64::tanh).collect() } else { values.map(|x| 1.0 / (1.0 + (-x).exp())).collect() }
    });
    let now: Vec<f64> = (0..HIDDEN).map(|i| gates[1][i] * cell[i] + gates[0][i] * gates[2][i]).collect();
    let out = (0..HIDDEN).map(|i| gates[3][i] * now[i].tanh()).collect();
    Memory { input, hidden_before: hidden.to_vec(), cell_before: cell.to_vec(), gates, cell: now, hidden: out }
}

/// Backward pass of one layer for one step. `hidden` and `cell` are the gradients of the layer's state after the step, and
/// are replaced by those of its state before. Adds to the parameters' gradient; returns that of the input.
fn forget(w: &[f64], memory: &Memory, hidden: &mut [f64], cell: &mut [f64], gradient: &mut [f64]) -> Vec<f64> {
    let square = 4 * HIDDEN * HIDDEN;
    let [input, forgotten, candidate, output] = &memory.gates;
    let mut raw = vec![0.0; 4 * HIDDEN];
    for i in 0..HIDDEN {
        let t = memory.cell[i].tanh();
        let of_cell = cell[i] + hidden[i] * output[i] * (1.0 - t * t);
        raw[i] = of_cell * candidate[i] * input[i] * (1.0 - input[i]);
        raw[HIDDEN + i] = of_cell * memory.cell_before[i] * forgotten[i] * (1.0 - forgotten[i]);
        raw[2 * HIDDEN + i] = of_cell * input[i] * (1.0 - candidate[i] * candidate[i]);
        raw[3 * HIDDEN + i] = hidden[i] * t * output[i] * (1.0 - output[i]);
        cell[i] = of_cell * forgotten[i];
    }
    hidden.fill(0.0);
    let mut of_input = vec![0.0; HIDDEN];
    for (row, &r) in raw.iter().enumerate() {
        let (a, b) = (row * HIDDEN, square + row * HIDDEN);
        for i in 0..HIDDEN {
            gradient[a + i] += r * memory.input[i];
            gradient[b + i] += r * memory.hidden_before[i];
            of_input[i] += r * w[a + i];
            hidden[i] += r * w[b + i];
        }
        gradient[2 * square + row] += r;
        gradient[2 * square + 4 * HIDDEN + row] += r;
    }
    of_input
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Layer, resolve};
    use crate::space::spaces;

    fn controller(extra: &str) -> Controller {
        let text = format!("preset = \"smoke\"\nalgorithm = \"enas\"\n{extra}");
        let config: SearchConfig = resolve(&[Layer::file("test", &text).unwrap()]).unwrap();
        Controller::new(&config, &spaces::nas_bench_201())
    }

    /// Back through two layers and six steps, against differences of the forward pass.
    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let mut controller = controller("");
        // Away from the small start, so that every path matters.
        let mut rng = Rng::new(4, Stream::Controller, 1);
        controller.parameters.iter_mut().for_each(|w| *w = 0.5 * rng.normal());
        let sample = controller.sample(&mut Rng::new(2, Stream::DrawAlpha, 0));
        let picks: Vec<usize> = sample.steps.iter().map(|step| step.pick).collect();
        let (a, b) = (1.3, -0.7);
        let value = |controller: &Controller| {
            let sample = controller.write(|place, _| picks[place]);
            a * sample.log_probability + b * sample.entropy
        };
        controller.add_gradient(&sample, a, b);
        let count = controller.parameters.len();
        let mut seen = 0;
        for i in (0..count).step_by(13).chain(count - 330..count) {
            let shifted = |by: f64| {
                let mut other = controller.clone();
                other.parameters[i] += by;
                value(&other)
            };
            let numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!((controller.gradient[i] - numeric).abs() < 1e-8, "{i}: {} {numeric}", controller.gradient[i]);
            seen += usize::from(numeric.abs() > 1e-6);
        }
        assert!(seen > 500, "{seen}");
    }

    /// If only one operation of the first edge is ever rewarded, the controller comes to like it.
    #[test]
    fn rewards_move_the_policy() {
        let mut controller = controller("controller_steps = 10\ncontroller_samples = 10\nalpha_learning_rate = 0.01\n");
        let probability = |controller: &Controller| controller.write(|_, _| 0).steps[0].probabilities[3];
        let before = probability(&controller);
        let mut moves = 0;
        for i in 0..1_000 {
            let sample = controller.sample(&mut Rng::new(0, Stream::DrawAlpha, i));
            let reward = f64::from(u8::from(sample.steps[0].pick == 3));
            moves += u32::from(controller.reinforce(&sample, reward).is_some());
        }
        assert_eq!(moves, 100);
        // TANH bounds the probability by e^2.5 / (e^2.5 + 4 e^-2.5) = 0.97.
        assert!(before < 0.3 && probability(&controller) > 0.8, "{before} {}", probability(&controller));
    }

    #[test]
    fn the_baseline_changes_between_epochs_only() {
        let mut controller = controller("controller_steps = 1\ncontroller_samples = 2\n");
        let sample = controller.sample(&mut Rng::new(0, Stream::DrawAlpha, 0));
        controller.reinforce(&sample, 0.5);
        assert_eq!(controller.baseline, None);
        controller.reinforce(&sample, 0.25);
        assert_eq!(controller.baseline, Some(0.25));
        controller.reinforce(&sample, 1.0);
        assert_eq!(controller.baseline, Some(0.25));
        controller.reinforce(&sample, 1.0);
        let reward = 1.0 + ENTROPY_WEIGHT * sample.entropy;
        let expected = 0.25 + (1.0 - BASELINE_DECAY) * (reward - 0.25);
        assert!(controller.baseline.is_some_and(|b| (b - expected).abs() < 1e-12), "{:?}", controller.baseline);
    }
}
