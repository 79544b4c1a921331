//! REINFORCE (Williams, 1992) with a categorical policy per edge and a running mean of the rewards as baseline, as in
//! AutoDL-Projects' `exps/NAS-Bench-201-algos/reinforce.py`.

use crate::{BenchmarkError, CANDIDATES as K, Cell, EDGES, Simulator};
use gdas::rng::Rng;

/// Settings of REINFORCE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reinforce {
    /// Learning rate of Adam (whose other settings are PyTorch's defaults: betas 0.9 and 0.999, epsilon 1e-8).
    pub learning_rate: f64,
    /// Momentum of the exponential mean of the rewards, the baseline.
    pub momentum: f64,
    /// Standard deviation of the initial logits.
    pub start: f64,
}

/// `--learning_rate 0.01` (AutoDL-Projects, `exps/NATS-algos/run-all.sh`), `--EMA_momentum 0.9` and logits of
/// 1e-3 N(0, 1) (`reinforce.py`).
impl Default for Reinforce {
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: 0.9, start: 1e-3 }
    }
}

impl Reinforce {
    /// Searches until the budget is spent. The reward is the accuracy in percent.
    pub fn search(&self, simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
        let mut logits = [[0.0; K]; EDGES];
        logits.iter_mut().flatten().for_each(|logit| *logit = self.start * rng.normal());
        let mut adam = Adam::default();
        // Numerator and denominator of the bias-corrected running mean.
        let (mut sum, mut weight) = (0.0, 0.0);
        loop {
            let policy = logits.map(softmax);
            let cell: Cell = policy.map(|probabilities| draw(&probabilities, rng) as u8);
            let Some(reward) = simulator.train(cell)? else { return Ok(()) };
            sum = self.momentum * sum + (1.0 - self.momentum) * reward;
            weight = self.momentum * weight + (1.0 - self.momentum);
            let advantage = reward - sum / weight;
            adam.step(&mut logits, &gradient(&policy, cell, advantage), self.learning_rate);
        }
    }
}

/// Gradient of `-advantage * ln p(cell)` with respect to the logits.
fn gradient(policy: &[[f64; K]; EDGES], cell: Cell, advantage: f64) -> [[f64; K]; EDGES] {
    std::array::from_fn(|edge| {
        std::array::from_fn(|k| {
            let picked = if usize::from(cell[edge]) == k { 1.0 } else { 0.0 };
            -advantage * (picked - policy[edge][k])
        })
    })
}

fn softmax(logits: [f64; K]) -> [f64; K] {
    let largest = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let exponentials = logits.map(|logit| (logit - largest).exp());
    let sum: f64 = exponentials.iter().sum();
    exponentials.map(|value| value / sum)
}

fn draw(probabilities: &[f64; K], rng: &mut Rng) -> usize {
    let mut left = rng.uniform();
    for (k, probability) in probabilities.iter().enumerate() {
        left -= probability;
        if left < 0.0 {
            return k;
        }
    }
    K - 1
}

#[derive(Default)]
struct Adam {
    first: [[f64; K]; EDGES],
    second: [[f64; K]; EDGES],
    steps: i32,
}

impl Adam {
    fn step(&mut self, values: &mut [[f64; K]; EDGES], gradient: &[[f64; K]; EDGES], rate: f64) {
        self.steps += 1;
        for edge in 0..EDGES {
            for k in 0..K {
                let g = gradient[edge][k];
                let (m, v) = (&mut self.first[edge][k], &mut self.second[edge][k]);
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (m, v) = (*m / (1.0 - 0.9f64.powi(self.steps)), *v / (1.0 - 0.999f64.powi(self.steps)));
                values[edge][k] -= rate * m / (v.sqrt() + 1e-8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EDGES, K, gradient, softmax};

    #[test]
    fn the_gradient_is_that_of_the_log_probability() {
        let logits: [[f64; K]; EDGES] = std::array::from_fn(|e| std::array::from_fn(|k| ((e * K + k) as f64).sin()));
        let cell = [0, 1, 2, 3, 4, 0];
        let loss = |logits: &[[f64; K]; EDGES]| -> f64 {
            (0..EDGES).map(|e| -2.5 * softmax(logits[e])[usize::from(cell[e])].ln()).sum()
        };
        let analytic = gradient(&logits.map(softmax), cell, 2.5);
        for e in 0..EDGES {
            for k in 0..K {
                let (mut up, mut down) = (logits, logits);
                up[e][k] += 1e-6;
                down[e][k] -= 1e-6;
                let numeric = (loss(&up) - loss(&down)) / 2e-6;
                assert!((numeric - analytic[e][k]).abs() < 1e-7, "edge {e}, operation {k}");
            }
        }
    }
}
