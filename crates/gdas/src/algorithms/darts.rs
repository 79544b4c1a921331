//! DARTS (Liu, Simonyan and Yang, "DARTS: differentiable architecture search", ICLR 2019), first and second order.
//!
//! An edge is the mixture of all its operations, weighted by `softmax(alpha)`; both weights and alpha learn through it.
//! First order: weights, then alpha with these weights. Second order: alpha first, by the gradient of the held-out loss
//! after one step of the weights (equation 7), whose second derivative is a difference of two gradients (equation 8).
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/DARTS.config` (50 epochs, SGD as for GDAS) and
//! `exps/NAS-Bench-201-algos/DARTS-V1.py`, `DARTS-V2.py` (Adam for alpha 3e-4, betas 0.5 and 0.999, weight decay 1e-3;
//! the weights' gradient clipped to 5). Equation 8 with the published length gives the derivative where the loss is smooth
//! and a slope across the bends of ReLUs elsewhere; both are shown by tests. Different here: the second order's additional passes, whose weights are not the
//! supernet's, leave the running statistics alone; only the weight step moves them. No result depends on these.

use burn::tensor::Tensor;

use super::Taken;
use crate::Error;
use crate::data::{Batch, SearchBatch};
use crate::loss::Metrics;
use crate::sampler::{self, Draw, Table, argmax, softmax};
use crate::search::{Learned, Now, Of, Searcher};
use crate::supernet::SubNetwork;
use crate::weights::host;

/// Length of the step of the difference in equation 8, over the length of its direction (the paper's footnote).
const DIFFERENCE: f64 = 1e-2;

pub(super) fn first_order_step(searcher: &mut Searcher, pair: &SearchBatch, now: Now) -> Result<Taken, Error> {
    let net = searcher.supernet.mixture();
    let learned = learn(searcher, &net, &pair.weights, now)?;
    let (train, held_out) = move_alpha(searcher, &net, &pair.alpha, now, learned)?;
    Ok(Taken { train, held_out: Some(held_out), ..Taken::default() })
}

pub(super) fn second_order_step(searcher: &mut Searcher, pair: &SearchBatch, now: Now) -> Result<Taken, Error> {
    let net = searcher.supernet.mixture();
    let (held_out, gradients) = if searcher.alpha_rests(now.at) {
        let (gates, masks) = (gates(searcher), masks(searcher, &net, now, 1, &pair.alpha));
        (
            searcher.differentiate(&net, searcher.values(&net), gates, masks, &pair.alpha, Of::Nothing).metrics.get(),
            None,
        )
    } else {
        let (metrics, gradients) = unrolled_gradient(searcher, &net, &pair.weights, &pair.alpha, now);
        (metrics, Some(gradients))
    };
    Error::finite(held_out.loss, "the held-out loss after a step of the weights", now.at)?;
    if let Some(gradients) = gradients {
        searcher.descend(&gradients, now.at)?;
    }
    let train = learn(searcher, &net, &pair.weights, now)?.metrics(now.at)?;
    Ok(Taken { train: Some(train), held_out: Some(held_out), ..Taken::default() })
}

/// The weights of the whole mixture learn.
fn learn(searcher: &mut Searcher, net: &SubNetwork, batch: &Batch, now: Now) -> Result<Learned, Error> {
    let gates = gates(searcher);
    searcher.learn(net, gates, batch, now)
}

/// Alpha learns through the mixture, the weights being constants. Returns the metrics of the weights' step before and its
/// own.
pub(super) fn move_alpha(
    searcher: &mut Searcher,
    net: &SubNetwork,
    batch: &Batch,
    now: Now,
    learned: Learned,
) -> Result<(Option<Metrics>, Metrics), Error> {
    let gates = gates(searcher);
    let alpha = searcher.alpha.clone();
    searcher.move_alpha(net, gates, batch, now, Some(learned), |supernet, gates| {
        through_softmax(&alpha, &supernet.mixture_gradients(gates))
    })
}

/// Which images have their skip connections dropped, in the weights' batch (0) or alpha's (1).
fn masks(searcher: &Searcher, net: &SubNetwork, now: Now, which: u64, batch: &Batch) -> Option<Tensor<2>> {
    searcher.skip_masks(net, now.at, now.step, which, batch.len())
}

/// `softmax(alpha)` of every edge.
fn gates(searcher: &Searcher) -> Tensor<1> {
    let tables: Vec<Table> =
        searcher.alpha.iter().map(|table| table.iter().map(|row| softmax(row)).collect()).collect();
    searcher.supernet.mixture_gates(&tables)
}

/// The gradient of alpha from that of `softmax(alpha)`: a draw's without noise, at temperature 1.
fn through_softmax(alpha: &[Table], gradients: &[Table]) -> Vec<Table> {
    let tables = alpha.iter().zip(gradients).map(|(table, gradient)| {
        let probabilities = table.iter().map(|row| softmax(row)).collect();
        let picks = table.iter().map(|row| argmax(row)).collect();
        sampler::alpha_gradient(&Draw { picks, probabilities, tau: 1.0, redraws: 0 }, gradient)
    });
    tables.collect()
}

/// Equation 7: the gradient in alpha of the held-out loss at `w' = w - rate (momentum b + dL_train(w, alpha) + decay w)`,
/// the step that SGD would take, but neither clipped nor Nesterov's, as in the published code.
///
/// Returns the metrics of the held-out batch at `w'`, and the gradient.
pub(crate) fn unrolled_gradient(
    searcher: &Searcher,
    net: &SubNetwork,
    train: &Batch,
    held_out: &Batch,
    now: Now,
) -> (Metrics, Vec<Table>) {
    let (config, rate) = (searcher.config, now.rate);
    let weights = searcher.values(net);
    let dropped = masks(searcher, net, now, 0, train);
    let step = searcher.differentiate(net, weights.clone(), gates(searcher), dropped.clone(), train, Of::Weights);
    let unrolled: Vec<_> = weights
        .iter()
        .zip(step.weights)
        .zip(&net.params)
        .map(|((weight, gradient), &index)| {
            let mut direction = weight.clone() * config.weight_decay;
            if let Some(gradient) = gradient {
                direction = direction + gradient;
            }
            if let Some(momentum) = &searcher.sgd.momentum[index] {
                direction = direction + momentum.clone() * config.momentum;
            }
            weight.clone() - direction * rate
        })
        .collect();

    let of_held_out = masks(searcher, net, now, 1, held_out);
    let there = searcher.differentiate(net, unrolled, gates(searcher), of_held_out, held_out, Of::Both);
    let supernet = &searcher.supernet;
    let mut gradients = through_softmax(&searcher.alpha, &supernet.mixture_gradients(&there.gates.get()));
    let length = norm(&there.weights);
    if length > 0.0 && length.is_finite() {
        // Equation 8: the product of the mixed second derivative with the gradient at w'.
        let epsilon = DIFFERENCE / length;
        let beside = |by: f64| {
            let params = weights.iter().zip(&there.weights).map(|(weight, direction)| match direction {
                Some(direction) => weight.clone() + direction.clone() * by,
                None => weight.clone(),
            });
            let pass =
                searcher.differentiate(net, params.collect(), gates(searcher), dropped.clone(), train, Of::Gates);
            through_softmax(&searcher.alpha, &supernet.mixture_gradients(&pass.gates.get()))
        };
        let (above, below) = (beside(epsilon), beside(-epsilon));
        let differences = above.iter().flatten().flatten().zip(below.iter().flatten().flatten());
        for (gradient, (above, below)) in gradients.iter_mut().flatten().flatten().zip(differences) {
            *gradient -= rate * (above - below) / (2.0 * epsilon);
        }
    }
    (there.metrics.get(), gradients)
}

/// Length of all gradients together.
fn norm(gradients: &[Option<Tensor<1>>]) -> f64 {
    let squares = gradients.iter().flatten().map(|g| host(g).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>());
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{DType, Device, TensorData};
    use gdas_kernels::graph::Op;
    use gdas_kernels::{Inputs, Mode, reference};

    use super::*;
    use crate::config::{Layer, SearchConfig, resolve};
    use crate::data::{self, BatchOptions, Dataset, SPLIT_SEED, SearchBatches, SearchSplit, SplitRule};
    use crate::loss::cross_entropy;

    fn config() -> SearchConfig {
        let text = "preset = \"smoke\"\nalgorithm = \"darts-v2\"\nchannels = 2\nalpha_init_std = 1.0\nseed = 5\n\
                    weight_decay = 0.01\n";
        resolve(&[Layer::file("test", text).unwrap()]).unwrap()
    }

    /// A searcher whose weights have momentum, and a pair of batches.
    fn begun<'a>(config: &'a SearchConfig, dataset: &Dataset) -> (Searcher<'a>, SubNetwork, SearchBatch) {
        let split = SearchSplit::new(dataset, SplitRule::Halves, SPLIT_SEED).unwrap();
        let batches = SearchBatches::new(dataset, &split, &BatchOptions::for_dataset(dataset, 16), 0);
        let mut searcher = Searcher::new(config, dataset, &Device::flex()).unwrap();
        let net = searcher.supernet.mixture();
        for step in 0..3 {
            let at = data::Position { epoch: 0, step };
            learn(&mut searcher, &net, &batches.batch(0, step).weights, Now { at, step, tau: 1.0, rate: 0.02 })
                .unwrap();
        }
        (searcher, net, batches.batch(0, 3))
    }

    /// Moves one number of alpha.
    fn shifted(alpha: &[Table], edge: usize, k: usize, by: f64) -> Vec<Table> {
        let mut alpha = alpha.to_vec();
        alpha[0][edge][k] += by;
        alpha
    }

    /// The loss of the mixture in double precision, by plain Burn operations, and its gradient in the weights.
    fn exact(searcher: &Searcher, net: &SubNetwork, weights: &[Tensor<1>], batch: &Batch) -> (f64, Vec<Tensor<1>>) {
        let device = searcher.supernet.weights.device();
        let gates: Vec<f64> = searcher.alpha.iter().flatten().flat_map(|row| softmax(row)).collect();
        let count = gates.len();
        let params: Vec<_> = weights.iter().map(|w| w.clone().autodiff().require_grad()).collect();
        let inputs = Inputs {
            gates: Some(Tensor::from_data(TensorData::new(gates, [count]), (device, DType::F64))),
            ..Inputs::new(batch.tensor(device).cast(DType::F64), params.clone())
        };
        let scores = log_softmax(reference::run(&net.graph, Mode::Train, inputs).outputs[0].clone(), 1);
        let [images, classes] = scores.dims();
        let mut targets = vec![0.0; images * classes];
        for (i, &label) in batch.labels.iter().enumerate() {
            targets[i * classes + label as usize] = -1.0 / images as f64;
        }
        let targets = TensorData::new(targets, [images, classes]);
        let loss = (scores * Tensor::<2>::from_data(targets, (device, DType::F64))).sum();
        let value = loss.to_data().iter::<f64>().next().unwrap();
        let gradients = loss.backward();
        (value, params.iter().map(|param| param.grad(&gradients).unwrap()).collect())
    }

    fn in_double(searcher: &Searcher, net: &SubNetwork) -> Vec<Tensor<1>> {
        searcher.values(net).into_iter().map(|w| w.cast(DType::F64)).collect()
    }

    /// Compares with central differences of `loss`. Returns the distance over the size.
    fn compare(searcher: &Searcher, gradient: &[Table], loss: impl Fn(&Searcher) -> f64) -> f64 {
        let (mut difference, mut size) = (0.0, 0.0);
        for (edge, row) in gradient[0].iter().enumerate() {
            for (k, &found) in row.iter().enumerate() {
                let at = |by: f64| {
                    let mut other = searcher.clone();
                    other.alpha = shifted(&searcher.alpha, edge, k, by);
                    loss(&other)
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                difference += (found - numeric).powi(2);
                size += numeric * numeric;
            }
        }
        assert!(size > 1e-6, "a gradient that proves nothing");
        (difference / size).sqrt()
    }

    #[test]
    fn the_first_order_gradient_is_that_of_finite_differences() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let pass = searcher.differentiate(&net, searcher.values(&net), gates(&searcher), None, &pair.alpha, Of::Gates);
        let gradient = through_softmax(&searcher.alpha, &searcher.supernet.mixture_gradients(&pass.gates.get()));
        let weights = in_double(&searcher, &net);
        let off = compare(&searcher, &gradient, |searcher| exact(searcher, &net, &weights, &pair.alpha).0);
        assert!(off < 1e-3, "{off}");
    }

    /// The weights after the step of equation 7, in double precision.
    fn unrolled(searcher: &Searcher, net: &SubNetwork, batch: &Batch, rate: f64) -> Vec<Tensor<1>> {
        let weights = in_double(searcher, net);
        let (_, gradients) = exact(searcher, net, &weights, batch);
        let moved = weights.iter().zip(gradients).zip(&net.params).map(|((weight, gradient), &index)| {
            let momentum = searcher.sgd.momentum[index].clone().unwrap().cast(DType::F64);
            let decay = weight.clone() * searcher.config.weight_decay;
            weight.clone() - (gradient + decay + momentum * searcher.config.momentum) * rate
        });
        moved.collect()
    }

    /// The gradient in alpha of the loss at fixed weights, by central differences in double precision.
    fn numeric(searcher: &Searcher, net: &SubNetwork, weights: &[Tensor<1>], batch: &Batch) -> Vec<f64> {
        let at = |edge: usize, k: usize, by: f64| {
            let mut other = searcher.clone();
            other.alpha = shifted(&searcher.alpha, edge, k, by);
            exact(&other, net, weights, batch).0
        };
        let places = (0..searcher.alpha[0].len()).flat_map(|edge| (0..5).map(move |k| (edge, k)));
        places.map(|(edge, k)| (at(edge, k, 1e-6) - at(edge, k, -1e-6)) / 2e-6).collect()
    }

    /// Equations 7 and 8 put together from numerical derivatives, with this length of the difference.
    fn equations(searcher: &Searcher, net: &SubNetwork, pair: &SearchBatch, rate: f64, difference: f64) -> Vec<f64> {
        let there = unrolled(searcher, net, &pair.weights, rate);
        let (_, direction) = exact(searcher, net, &there, &pair.alpha);
        let square = |g: &Tensor<1>| g.to_data().iter::<f64>().map(|x| x * x).sum::<f64>();
        let epsilon = difference / direction.iter().map(square).sum::<f64>().sqrt();
        let weights = in_double(searcher, net);
        let beside = |by: f64| {
            let moved: Vec<_> = weights.iter().zip(&direction).map(|(w, d)| w.clone() + d.clone() * by).collect();
            numeric(searcher, net, &moved, &pair.weights)
        };
        let second = beside(epsilon).into_iter().zip(beside(-epsilon)).map(|(a, b)| (a - b) / (2.0 * epsilon));
        numeric(searcher, net, &there, &pair.alpha).iter().zip(second).map(|(first, s)| first - rate * s).collect()
    }

    /// Distance of two vectors over the size of the second.
    fn apart(a: &[f64], b: &[f64]) -> f64 {
        let square = |x: f64| x * x;
        let size: f64 = b.iter().map(|b| b * b).sum();
        (a.iter().zip(b).map(|(a, b)| square(a - b)).sum::<f64>() / size).sqrt()
    }

    /// The mixture with every ReLU the identity: smooth in weights and alpha.
    fn smooth(net: &SubNetwork) -> SubNetwork {
        let graph = net.graph.without(|op| *op == Op::Relu);
        SubNetwork { graph: std::sync::Arc::new(graph), params: net.params.clone() }
    }

    /// What the second order is after, by its definition: the derivative in alpha of the held-out loss at the weights
    /// that one step leads to, which depend on alpha themselves. By central differences in double precision.
    fn of_unrolled_loss(searcher: &Searcher, net: &SubNetwork, pair: &SearchBatch, rate: f64) -> Vec<f64> {
        let at = |edge: usize, k: usize, by: f64| {
            let mut other = searcher.clone();
            other.alpha = shifted(&searcher.alpha, edge, k, by);
            exact(&other, net, &unrolled(&other, net, &pair.weights, rate), &pair.alpha).0
        };
        let places = (0..searcher.alpha[0].len()).flat_map(|edge| (0..5).map(move |k| (edge, k)));
        places.map(|(edge, k)| (at(edge, k, 1e-6) - at(edge, k, -1e-6)) / 2e-6).collect()
    }

    /// Where the loss is smooth, the gradient is that of the unrolled loss itself. It would not be without the second
    /// term, nor with its sign turned.
    #[test]
    fn the_second_order_gradient_is_that_of_the_unrolled_loss() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let (net, rate) = (smooth(&net), 0.1);
        let now = Now { at: data::Position::START, step: 0, tau: 1.0, rate };
        let found = unrolled_gradient(&searcher, &net, &pair.weights, &pair.alpha, now).1[0].concat();
        let expected = of_unrolled_loss(&searcher, &net, &pair, rate);
        let off = apart(&found, &expected);
        assert!(off < 2e-3, "{off} from the derivative of the unrolled loss");
        let first = numeric(&searcher, &net, &unrolled(&searcher, &net, &pair.weights, rate), &pair.alpha);
        let turned: Vec<_> = first.iter().zip(&found).map(|(first, found)| 2.0 * first - found).collect();
        assert!(apart(&first, &expected) > 0.1 && apart(&turned, &expected) > 0.2, "a test that proves nothing");
    }

    /// With ReLUs the loss bends, and how far equation 8 is from the derivative depends on its length. A length that
    /// reaches over no bend gives the derivative; the published one reaches over many and gives a slope across them,
    /// which can be several times as long. So it is with the published algorithm, too: this is no fault of the code.
    #[test]
    fn the_published_difference_reaches_over_the_bends_of_relus() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let rate = 0.025;
        let now = Now { at: data::Position::START, step: 0, tau: 1.0, rate };
        let expected = of_unrolled_loss(&searcher, &net, &pair, rate);
        let short = apart(&equations(&searcher, &net, &pair, rate, 1e-5), &expected);
        assert!(short < 1e-3, "{short} with a short difference");
        let (_, found) = unrolled_gradient(&searcher, &net, &pair.weights, &pair.alpha, now);
        let published = apart(&found[0].concat(), &expected);
        assert!(published > 0.5, "{published} with the published difference");
    }

    /// The gradient is that of equations 7 and 8, every derivative in them taken numerically.
    #[test]
    fn the_second_order_gradient_is_that_of_the_equations() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let rate = 0.025;
        let now = Now { at: data::Position::START, step: 0, tau: 1.0, rate };
        let (_, gradient) = unrolled_gradient(&searcher, &net, &pair.weights, &pair.alpha, now);
        let published = equations(&searcher, &net, &pair, rate, DIFFERENCE);
        let off = apart(&gradient[0].concat(), &published);
        assert!(off < 0.02, "{off} from the equations");
    }

    /// The fused engine and plain Burn operations agree on the whole mixture: loss, and gradient of every gate and weight.
    #[test]
    fn the_mixture_is_the_same_in_both_engines() {
        for space in [crate::space::spaces::nas_bench_201(), crate::space::spaces::nasnet()] {
            let config = SearchConfig { space, ..config() };
            let dataset = data::digits().hold_out(0.2);
            let (searcher, net, pair) = begun(&config, &dataset);
            let fused =
                searcher.differentiate(&net, searcher.values(&net), gates(&searcher), None, &pair.alpha, Of::Both);
            let params: Vec<_> = searcher.values(&net).into_iter().map(|p| p.autodiff().require_grad()).collect();
            let gates = gates(&searcher).autodiff().require_grad();
            let image = pair.alpha.tensor(searcher.supernet.weights.device());
            let inputs = Inputs { gates: Some(gates.clone()), ..Inputs::new(image, params.clone()) };
            let outcome = reference::run(&net.graph, Mode::Train, inputs);
            let (loss, metrics) = cross_entropy(&outcome.outputs[0], &pair.alpha.labels, 0.0);
            let gradients = loss.backward();
            let loss = fused.metrics.known().unwrap().loss;
            assert!((metrics.loss - loss).abs() < 1e-4, "{} {loss}", metrics.loss);
            let close = |a: &Tensor<1>, b: &[f32], what: &str| {
                let a = host(a);
                let size = a.iter().map(|x| x.abs()).fold(1e-2, f32::max);
                let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart < 2e-3 * size, "{}, {what}: {apart} of {size}", config.space.name);
            };
            close(&gates.grad(&gradients).unwrap(), &fused.gates.get(), "gates");
            for (i, (param, fused)) in params.iter().zip(&fused.weights).enumerate() {
                let name = &searcher.supernet.weights.specs[net.params[i]].name;
                close(&param.grad(&gradients).unwrap(), &host(fused.as_ref().unwrap()), name);
            }
        }
    }
}
