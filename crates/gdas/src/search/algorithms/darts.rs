//! DARTS (Liu, Simonyan and Yang, "DARTS: differentiable architecture search", ICLR 2019), first and second order.
//!
//! The output of an edge is the mixture of all its operations, weighted by `softmax(alpha)`; weights and alpha are updated
//! by its gradient. First order: the weights, then alpha with these weights. Second order: first alpha, by the gradient of
//! the held-out loss after one step of the weights (equation 7), in which the second derivative is approximated by a
//! difference of two gradients (equation 8).
//!
//! Settings: AutoDL-Projects, `configs/nas-benchmark/algos/DARTS.config` (50 epochs, SGD as for GDAS) and
//! `exps/NAS-Bench-201-algos/DARTS-V1.py`, `DARTS-V2.py` (Adam for alpha 3e-4, betas 0.5 and 0.999, weight decay 1e-3;
//! the weights' gradient clipped to 5). Equation 8 with the published length gives the derivative where the loss is smooth
//! and a slope across the bends of ReLUs elsewhere; both are shown by tests. Different here: the second order's additional passes, whose weights are not the
//! supernet's, leave the running statistics alone; only the weight step moves them. No result depends on these.

use burn::tensor::Tensor;

use super::Algorithm;
use crate::Error;
use crate::alpha::{Alpha, softmax_gradient};
use crate::loss::Metrics;
use crate::search::context::{HeldOutPass, PendingWeightStep, StepContext, StepReport};
use crate::search::pass::GradTargets;
use crate::search::progress::Half;
use crate::supernet::SubNetwork;
use crate::weights::host;

/// Step of the finite difference in equation 8, divided by the norm of its direction (the paper's footnote).
const DIFFERENCE: f64 = 1e-2;

/// DARTS, first or second order.
#[derive(Clone, Copy, Debug)]
pub struct Darts {
    second_order: bool,
}

impl Darts {
    /// First-order DARTS: a weight step, then an alpha step with the new weights.
    pub fn first_order() -> Self {
        Self { second_order: false }
    }

    /// Second-order DARTS: an alpha step by the gradient of the held-out loss after a virtual weight step, then a weight step.
    pub fn second_order() -> Self {
        Self { second_order: true }
    }
}

impl Algorithm for Darts {
    fn name(&self) -> &'static str {
        if self.second_order { "darts-v2" } else { "darts-v1" }
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        if self.second_order { second_order_step(step) } else { first_order_step(step) }
    }
}

fn first_order_step(step: &mut StepContext<'_>) -> Result<StepReport, Error> {
    let net = step.supernet().mixture();
    let trained = step.train(&net, gates(step))?;
    let held_out = move_alpha(step, &net, trained)?;
    Ok(StepReport { training: held_out.training, held_out: Some(held_out.metrics), ..StepReport::default() })
}

fn second_order_step(step: &mut StepContext<'_>) -> Result<StepReport, Error> {
    let net = step.supernet().mixture();
    let what = "the held-out loss after a step of the weights";
    let held_out = if step.alpha_rests() {
        let held_out = step.pass(&net, gates(step), Half::HeldOut)?.metrics.get();
        step.check_finite(held_out.loss, what)?;
        held_out
    } else {
        let (held_out, gradients) = unrolled_gradient(step, &net)?;
        step.check_finite(held_out.loss, what)?;
        step.update_alpha(&gradients)?;
        held_out
    };
    let training = step.train(&net, gates(step))?.finish()?;
    Ok(StepReport { training: Some(training), held_out: Some(held_out), ..StepReport::default() })
}

/// Updates alpha by the gradient of the mixture, with constant weights.
pub(super) fn move_alpha(
    step: &mut StepContext<'_>,
    net: &SubNetwork,
    trained: PendingWeightStep,
) -> Result<HeldOutPass, Error> {
    let held_out = step.held_out_pass(net, gates(step), Some(trained))?;
    if let Some(gates) = &held_out.gate_gradient {
        step.update_alpha(&through_softmax(step.alpha(), &step.supernet().mixture_gradients(gates)))?;
    }
    Ok(held_out)
}

/// `softmax(alpha)` of every edge.
fn gates(step: &StepContext<'_>) -> Tensor<1> {
    let probabilities: Vec<Alpha> = step.alpha().iter().map(Alpha::softmax).collect();
    step.supernet().mixture_gates(&probabilities)
}

/// The gradient with respect to alpha from that with respect to `softmax(alpha)`.
fn through_softmax(alpha: &[Alpha], gradients: &[Alpha]) -> Vec<Alpha> {
    alpha.iter().zip(gradients).map(|(alpha, gradient)| softmax_gradient(&alpha.softmax(), gradient, 1.0)).collect()
}

/// Equation 7: the gradient with respect to alpha of the held-out loss at
/// `w' = w - rate (momentum b + dL_train(w, alpha) + decay w)`, a step of SGD without clipping and Nesterov momentum, as in
/// the published code.
///
/// Returns the metrics of the held-out batch at `w'`, and the gradient.
fn unrolled_gradient(step: &StepContext<'_>, net: &SubNetwork) -> Result<(Metrics, Vec<Alpha>), Error> {
    let (config, rate) = (step.config(), step.progress().learning_rate);
    let weights = step.weights_of(net);
    let trained = step.pass(net, gates(step), Half::Training)?;
    let mut gradients = trained.weight_gradients.into_iter();
    let unrolled: Vec<_> = weights
        .iter()
        .zip(step.momentum_of(net))
        .map(|(weight, momentum)| {
            let mut direction = weight.clone() * config.weight_decay;
            if let Some(gradient) = gradients.next().flatten() {
                direction = direction + gradient;
            }
            if let Some(momentum) = momentum {
                direction = direction + momentum * config.momentum;
            }
            weight.clone() - direction * rate
        })
        .collect();

    let there = step.pass_with(net, unrolled, gates(step), Half::HeldOut, GradTargets::Both)?;
    let supernet = step.supernet();
    let mut gradients = through_softmax(step.alpha(), &supernet.mixture_gradients(&there.gate_gradient.get()));
    let length = norm(&there.weight_gradients);
    if length > 0.0 && length.is_finite() {
        // Equation 8: the product of the mixed second derivative with the gradient at w'.
        let epsilon = DIFFERENCE / length;
        let beside = |by: f64| -> Result<Vec<Alpha>, Error> {
            let weights = weights.iter().zip(&there.weight_gradients).map(|(weight, direction)| match direction {
                Some(direction) => weight.clone() + direction.clone() * by,
                None => weight.clone(),
            });
            let pass = step.pass_with(net, weights.collect(), gates(step), Half::Training, GradTargets::Gates)?;
            Ok(through_softmax(step.alpha(), &supernet.mixture_gradients(&pass.gate_gradient.get())))
        };
        let (above, below) = (beside(epsilon)?, beside(-epsilon)?);
        let differences = above.iter().flat_map(Alpha::values).zip(below.iter().flat_map(Alpha::values));
        for (gradient, (above, below)) in gradients.iter_mut().flat_map(Alpha::values_mut).zip(differences) {
            *gradient -= rate * (above - below) / (2.0 * epsilon);
        }
    }
    Ok((there.metrics.get(), gradients))
}

/// Euclidean norm of all gradients together.
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
    use crate::alpha::softmax;
    use crate::config::{Layer, SearchConfig, resolve};
    use crate::data::{
        self, Batch, BatchOptions, Dataset, SPLIT_SEED, SearchBatch, SearchBatches, SearchSplit, SplitRule,
    };
    use crate::loss::cross_entropy;
    use crate::search::progress::Progress;
    use crate::search::searcher::Searcher;

    fn config() -> SearchConfig {
        let text = "preset = \"smoke\"\nalgorithm = \"darts-v2\"\nchannels = 2\nalpha_init_std = 1.0\nseed = 5\n\
                    weight_decay = 0.01\n";
        resolve(&[Layer::file("test", text).unwrap()]).unwrap()
    }

    /// A searcher whose weights have momentum, and a pair of batches.
    fn begun(config: &SearchConfig, dataset: &Dataset) -> (Searcher, SubNetwork, SearchBatch) {
        let split = SearchSplit::new(dataset, SplitRule::Halves, SPLIT_SEED).unwrap();
        let batches = SearchBatches::new(dataset, &split, &BatchOptions::for_dataset(dataset, 16), 0);
        let mut searcher = Searcher::new(config, dataset, &Device::flex()).unwrap();
        let net = searcher.supernet.mixture();
        for step in 0..3 {
            let pair = batches.batch(0, step);
            let mut context = context(&mut searcher, &pair, step, 0.02);
            context.train(&net, gates(&context)).unwrap();
        }
        (searcher, net, batches.batch(0, 3))
    }

    /// A step of a searcher on these batches.
    fn context<'a>(
        searcher: &'a mut Searcher,
        pair: &'a SearchBatch,
        step: u64,
        learning_rate: f64,
    ) -> StepContext<'a> {
        let at = data::Position { epoch: 0, step };
        let progress = Progress { at, step, epochs: 1, tau: 1.0, learning_rate };
        StepContext::new(searcher, &pair.weights, &pair.alpha, progress)
    }

    /// The held-out loss's metrics after a step, and the second order's gradient in alpha.
    fn second_order(searcher: &Searcher, net: &SubNetwork, pair: &SearchBatch, rate: f64) -> Alpha {
        let mut searcher = searcher.clone();
        let (_, mut gradients) = unrolled_gradient(&context(&mut searcher, pair, 0, rate), net).unwrap();
        gradients.remove(0)
    }

    /// Moves one number of alpha.
    fn shifted(alpha: &[Alpha], edge: usize, k: usize, by: f64) -> Vec<Alpha> {
        let mut alpha = alpha.to_vec();
        alpha[0][edge][k] += by;
        alpha
    }

    /// The loss of the mixture in double precision, by plain Burn operations, and its gradient in the weights.
    fn exact(searcher: &Searcher, net: &SubNetwork, weights: &[Tensor<1>], batch: &Batch) -> (f64, Vec<Tensor<1>>) {
        let device = searcher.supernet.weights.device();
        let gates: Vec<f64> = searcher.alpha.iter().flat_map(|alpha| alpha.rows().flat_map(softmax)).collect();
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
        searcher.weights_of(net).into_iter().map(|w| w.cast(DType::F64)).collect()
    }

    /// Compares with central differences of `loss`. Returns the distance over the size.
    fn compare(searcher: &Searcher, gradient: &Alpha, loss: impl Fn(&Searcher) -> f64) -> f64 {
        let (mut difference, mut size) = (0.0, 0.0);
        for (edge, row) in gradient.rows().enumerate() {
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
        let (mut searcher, net, pair) = begun(&config, &dataset);
        let step = context(&mut searcher, &pair, 0, 0.0);
        let pass = step.pass(&net, gates(&step), Half::HeldOut).unwrap();
        let mixed = step.supernet().mixture_gradients(&pass.gate_gradient.get());
        let gradient = through_softmax(step.alpha(), &mixed).remove(0);
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
        let places = (0..searcher.alpha[0].edges()).flat_map(|edge| (0..5).map(move |k| (edge, k)));
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
        let places = (0..searcher.alpha[0].edges()).flat_map(|edge| (0..5).map(move |k| (edge, k)));
        places.map(|(edge, k)| (at(edge, k, 1e-6) - at(edge, k, -1e-6)) / 2e-6).collect()
    }

    /// Where the loss is smooth, the gradient is that of the unrolled loss itself. It would not be without the second
    /// term, nor with its sign turned.
    #[test]
    fn the_second_order_gradient_is_that_of_the_unrolled_loss() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let (net, rate) = (smooth(&net), 0.1);
        let found = second_order(&searcher, &net, &pair, rate);
        let found = found.values();
        let expected = of_unrolled_loss(&searcher, &net, &pair, rate);
        let off = apart(found, &expected);
        assert!(off < 2e-3, "{off} from the derivative of the unrolled loss");
        let first = numeric(&searcher, &net, &unrolled(&searcher, &net, &pair.weights, rate), &pair.alpha);
        let turned: Vec<_> = first.iter().zip(found).map(|(first, found)| 2.0 * first - found).collect();
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
        let expected = of_unrolled_loss(&searcher, &net, &pair, rate);
        let short = apart(&equations(&searcher, &net, &pair, rate, 1e-5), &expected);
        assert!(short < 1e-3, "{short} with a short difference");
        let published = apart(second_order(&searcher, &net, &pair, rate).values(), &expected);
        assert!(published > 0.5, "{published} with the published difference");
    }

    /// The gradient is that of equations 7 and 8, every derivative in them taken numerically.
    #[test]
    fn the_second_order_gradient_is_that_of_the_equations() {
        let (config, dataset) = (config(), data::digits().hold_out(0.2));
        let (searcher, net, pair) = begun(&config, &dataset);
        let rate = 0.025;
        let gradient = second_order(&searcher, &net, &pair, rate);
        let published = equations(&searcher, &net, &pair, rate, DIFFERENCE);
        let off = apart(gradient.values(), &published);
        assert!(off < 0.02, "{off} from the equations");
    }

    /// The fused engine and plain Burn operations agree on the whole mixture: loss, and gradient of every gate and weight.
    #[test]
    fn the_mixture_is_the_same_in_both_engines() {
        for space in [crate::space::spaces::nas_bench_201(), crate::space::spaces::nasnet()] {
            let config = SearchConfig { space, ..config() };
            let dataset = data::digits().hold_out(0.2);
            let (mut searcher, net, pair) = begun(&config, &dataset);
            let step = context(&mut searcher, &pair, 0, 0.0);
            let fused =
                step.pass_with(&net, step.weights_of(&net), gates(&step), Half::HeldOut, GradTargets::Both).unwrap();
            let params: Vec<_> = step.weights_of(&net).into_iter().map(|p| p.autodiff().require_grad()).collect();
            let gates = gates(&step).autodiff().require_grad();
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
            close(&gates.grad(&gradients).unwrap(), &fused.gate_gradient.get(), "gates");
            for (i, (param, fused)) in params.iter().zip(&fused.weight_gradients).enumerate() {
                let name = &searcher.supernet.weights.specs[net.params[i]].name;
                close(&param.grad(&gradients).unwrap(), &host(fused.as_ref().unwrap()), name);
            }
        }
    }
}
