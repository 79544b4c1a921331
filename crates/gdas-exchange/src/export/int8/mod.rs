//! Static post-training quantisation to 8-bit weights and activations, for small devices.
//!
//! Batch normalisations are folded into the convolutions before them. Weights are signed bytes, symmetric, with one scale
//! per output channel; biases are 32-bit integers. Activations are unsigned bytes with one scale and zero point each,
//! from their ranges on calibration images, as in Krishnamoorthi, "Quantizing deep convolutional networks for efficient
//! inference" (2018), sections 2 and 3. The ONNX file expresses this by QuantizeLinear and DequantizeLinear nodes (QDQ),
//! which runtimes convert to integer arithmetic.

mod fold;
mod ranges;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use gdas_kernels::graph::{Graph, Op, ParamId, ValueId};
use gdas_kernels::{Inputs, Mode, reference};

use super::{ExportError, Weights, in_use};
use fold::fold_norms;
use gdas::data::{Batch, EvaluationBatches, Statistics, Subset};
use gdas::loss::{Metrics, cross_entropy};
use gdas::run::Interrupt;
use gdas::train::TrainedModel;
pub(crate) use ranges::Affine;
use ranges::Range;

/// Candidate fractions of an activation's values that are clipped. The one whose logits are nearest to those of float32 is
/// used.
const CLIPPED: [f64; 3] = [0.0, 1e-5, 1e-4];
/// Images per batch.
const BATCH: usize = 50;

/// A trained network quantised to 8 bits.
#[derive(Clone, Debug)]
pub struct Int8Network {
    pub(super) graph: Arc<Graph>,
    /// Dequantised weights and biases.
    pub(super) weights: Weights,
    /// Scales of the arrays that are stored as integers, one per output channel.
    pub(super) scales: BTreeMap<ParamId, Vec<f32>>,
    /// Quantisation of each value; `None` for one that stays float32.
    pub(super) activations: Vec<Option<Affine>>,
    statistics: Statistics,
}

impl Int8Network {
    /// Quantises a trained network with the ranges of its activations on `images`, a few hundred training images. `None` if
    /// interrupted.
    ///
    /// # Errors
    /// If there is no image, or a normalisation of the network keeps no running statistics.
    pub fn new(model: &TrainedModel, images: &Subset, interrupt: &Interrupt) -> Result<Option<Self>, ExportError> {
        Self::of(&model.graph, &model.export_weights(), &model.statistics, images, interrupt)
    }

    pub(super) fn of(
        graph: &Graph,
        weights: &Weights,
        statistics: &Statistics,
        images: &Subset,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>, ExportError> {
        if images.is_empty() {
            return Err(ExportError::NoCalibration);
        }
        let (graph, weights) = fold_norms(graph, weights)?;
        let stored = stored_as_bytes(&graph);
        let float = Simulation::new(&graph, &weights, vec![None; graph.nodes.len()]);
        let batches = EvaluationBatches::new(statistics, images, BATCH);
        let mut ranges = vec![Range::default(); graph.nodes.len()];
        let mut expected = Vec::new();
        for pass in [Range::widen, Range::count] {
            expected.clear();
            for step in 0..batches.steps() {
                if interrupt.is_requested() {
                    return Ok(None);
                }
                let logits = float.run(&batches.batch(step), &mut |value, x| {
                    if stored[value] {
                        pass(&mut ranges[value], &x.to_data().iter::<f32>().collect::<Vec<f32>>());
                    }
                });
                expected.push(logits);
            }
        }
        let mut best: Option<(f64, Self)> = None;
        for left_out in CLIPPED {
            let activations = ranges.iter().zip(&stored).map(|(range, stored)| stored.then(|| range.affine(left_out)));
            let network = Self::rounded(&graph, &weights, activations.collect(), statistics);
            let simulation = network.simulation();
            let mut error = 0.0;
            for (step, expected) in expected.iter().enumerate() {
                if interrupt.is_requested() {
                    return Ok(None);
                }
                let logits = simulation.run(&batches.batch(step as u64), &mut |_, _| {});
                error += (logits - expected.clone()).powi_scalar(2).sum().into_data().iter::<f64>().sum::<f64>();
            }
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, network));
            }
        }
        Ok(best.map(|(_, network)| network))
    }

    /// Rounds weights and biases to the values that integers represent.
    fn rounded(graph: &Graph, weights: &Weights, activations: Vec<Option<Affine>>, statistics: &Statistics) -> Self {
        let (mut weights, mut scales) = (weights.clone(), BTreeMap::new());
        for node in &graph.nodes {
            let Op::Conv { weight, bias, .. } = node.op else { continue };
            let Some(input) = activations[node.inputs[0]] else { continue };
            let channels = node.shape.channels;
            let filter = &mut weights.params[weight];
            let mut largest = vec![0f32; channels];
            for (at, value) in filter.iter().enumerate() {
                largest[at % channels] = largest[at % channels].max(value.abs());
            }
            let mut scale: Vec<f32> = largest.iter().map(|&most| if most > 0.0 { most / 127.0 } else { 1.0 }).collect();
            if let Some(bias) = bias {
                // The scale of a bias is the product of those of weights and input; its integers must fit into 31 bits.
                for (scale, value) in scale.iter_mut().zip(&weights.params[bias]) {
                    *scale = scale.max(value.abs() / (input.scale * (1u32 << 30) as f32));
                }
            }
            let filter = &mut weights.params[weight];
            for (at, value) in filter.iter_mut().enumerate() {
                *value = to_step(*value, scale[at % channels], 127.0);
            }
            if let Some(bias) = bias {
                let steps: Vec<f32> = scale.iter().map(|scale| scale * input.scale).collect();
                for (value, &step) in weights.params[bias].iter_mut().zip(&steps) {
                    *value = to_step(*value, step, (1u32 << 30) as f32);
                }
                scales.insert(bias, steps);
            }
            scales.insert(weight, scale);
        }
        Self { graph: Arc::new(graph.clone()), weights, scales, activations, statistics: statistics.clone() }
    }

    fn simulation(&self) -> Simulation {
        Simulation::new(&self.graph, &self.weights, self.activations.clone())
    }

    /// Logits of a batch, `[batch, classes]`; see [`evaluate`](Self::evaluate).
    #[cfg(test)]
    pub(super) fn logits(&self, batch: &Batch, flip: bool) -> Vec<f32> {
        self.simulation().scores(batch, flip).into_data().iter::<f32>().collect()
    }

    /// Loss and accuracy on `images`, with every activation rounded as in the file (simulated in float32). With `flip`, the
    /// logits are the mean over each image and its mirror image. `None` if interrupted.
    pub fn evaluate(&self, images: &Subset, flip: bool, interrupt: &Interrupt) -> Option<Metrics> {
        let simulation = self.simulation();
        let batches = EvaluationBatches::new(&self.statistics, images, BATCH);
        let mut parts = Vec::new();
        for step in 0..batches.steps() {
            if interrupt.is_requested() {
                return None;
            }
            let batch = batches.batch(step);
            parts.push(cross_entropy(&simulation.scores(&batch, flip), &batch.labels, 0.0).1);
        }
        Some(Metrics::over(&parts))
    }
}

/// The nearest multiple of `scale`, limited to `most` steps.
fn to_step(value: f32, scale: f32, most: f32) -> f32 {
    (value / scale).round_ties_even().clamp(-most, most) * scale
}

/// For each value, whether it is quantised: the inputs of operations with an integer form. The logits stay float32, as do
/// values that only ReLUs read, since the results of these are quantised.
fn stored_as_bytes(graph: &Graph) -> Vec<bool> {
    let used = in_use(graph);
    let mut stored = vec![false; graph.nodes.len()];
    for (node, _) in graph.nodes.iter().zip(&used).filter(|(_, used)| **used) {
        if !matches!(node.op, Op::Relu | Op::Norm { .. }) {
            node.inputs.iter().for_each(|&input| stored[input] = true);
        }
    }
    stored
}

/// A network run in float32 with its values rounded to those that bytes represent.
struct Simulation {
    graph: Graph,
    params: Vec<Tensor<1>>,
    running: Vec<Option<Tensor<2>>>,
    activations: Vec<Option<Affine>>,
    device: Device,
}

impl Simulation {
    fn new(graph: &Graph, weights: &Weights, activations: Vec<Option<Affine>>) -> Self {
        let device = Device::flex();
        let row = |values: &Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &device);
        let params = weights.params.iter().map(row).collect();
        let running = graph.norms.iter().zip(&weights.running).map(|(norm, values)| {
            norm.track.then(|| Tensor::<2>::from_data(TensorData::new(values.clone(), [2, norm.channels]), &device))
        });
        Self { running: running.collect(), graph: graph.clone(), params, activations, device }
    }

    /// Logits `[batch, classes]`; `observe` is called with every value, `[batch, height, width, channels]`.
    fn run(&self, batch: &Batch, observe: &mut dyn FnMut(ValueId, &Tensor<4>)) -> Tensor<2> {
        self.run_images(batch.tensor(&self.device), observe)
    }

    fn run_images(&self, images: Tensor<4>, observe: &mut dyn FnMut(ValueId, &Tensor<4>)) -> Tensor<2> {
        let inputs = Inputs { running: self.running.clone(), ..Inputs::new(images, self.params.clone()) };
        let outcome = reference::run_changed(&self.graph, Mode::Eval, inputs, &mut |value, x| {
            observe(value, &x);
            self.activations[value].map_or_else(|| x.clone(), |affine| affine.round_trip(x.clone()))
        });
        outcome.outputs.into_iter().next().unwrap_or_else(|| Tensor::zeros([0, 0], &self.device))
    }

    fn scores(&self, batch: &Batch, flip: bool) -> Tensor<2> {
        let images = batch.tensor(&self.device);
        let run = |images| self.run_images(images, &mut |_, _| {});
        if flip { (run(images.clone()) + run(images.flip([2]))) * 0.5 } else { run(images) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{engine_logits, every_operation, random_images, random_weights};
    use super::*;

    #[test]
    fn folded_normalisations_compute_the_same() {
        let graph = every_operation(true);
        let weights = random_weights(&graph);
        let (folded, folded_weights) = fold_norms(&graph, &weights).unwrap();
        let (images, statistics) = random_images(graph.shape(0), 10);
        let batch = EvaluationBatches::new(&statistics, &Subset::all(&Arc::new(images)), 10).batch(0);
        let expected = engine_logits(&graph, &weights, &batch.images, 10);
        let found = engine_logits(&folded, &folded_weights, &batch.images, 10);
        let scale = expected.iter().fold(1f32, |most, value| most.max(value.abs()));
        let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4 * scale, "{worst} of {scale}");
        let norms = |graph: &Graph| graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm { .. })).count();
        // Of the four that the main output needs, two follow a convolution that nothing else reads.
        assert_eq!((norms(&graph), norms(&folded)), (4, 2));
        assert!(matches!(
            fold_norms(&every_operation(false), &weights),
            Err(ExportError::BatchStatistics(_) | ExportError::Weights(_))
        ));
    }

    #[test]
    fn eight_bits_are_close_to_floats_and_an_error_of_rounding_apart() {
        let graph = every_operation(true);
        let weights = random_weights(&graph);
        let (images, statistics) = random_images(graph.shape(0), 60);
        let images = Subset::all(&Arc::new(images));
        let network = Int8Network::of(&graph, &weights, &statistics, &images, &Interrupt::default()).unwrap().unwrap();
        let batch = EvaluationBatches::new(&statistics, &images, 60).batch(0);
        let expected = engine_logits(&graph, &weights, &batch.images, 60);
        let found = network.logits(&batch, false);
        let power = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>();
        let error =
            (power(&mut expected.iter().zip(&found).map(|(a, b)| a - b)) / power(&mut expected.iter().copied())).sqrt();
        assert!(error > 1e-5 && error < 0.1, "{error}");
        let none = Subset { indices: Arc::new([]), ..images };
        let refused = Int8Network::of(&graph, &weights, &statistics, &none, &Interrupt::default());
        assert_eq!(refused.err(), Some(ExportError::NoCalibration));
    }
}
