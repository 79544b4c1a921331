//! Runs networks described as [`graph::Graph`]s: plain Burn operations as the meaning, fused kernels for speed.
//!
//! [`run`] hands the whole network to the fused engine of the device: [`cpu`], or `gpu`
//! where a graphics processor is built in (features `vulkan`, `wgpu`, `metal`, `cuda`). On other devices, for other
//! number types, or with `GDAS_ENGINE=reference` in the environment, it goes through
//! [`reference`](mod@reference), operation by operation. [`sgd`] moves the parameters, with the same choice.

#![deny(missing_docs)]

pub mod cpu;
mod extension;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod graph;
pub mod loss;
pub mod mapped;
mod precision;
pub mod reference;
pub mod resident;
pub mod running;
pub mod sgd;

use std::sync::{Arc, OnceLock};

use burn::backend::{Dispatch, DispatchTensorKind};
#[cfg(feature = "gpu")]
use burn::tensor::Transaction;
use burn::tensor::{DType, Tensor, TensorData};

use extension::{Call, GraphOps, TensorList};
use graph::Graph;
pub use graph::Mode;
pub use precision::Precision;

/// The tensors that a network reads.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The images, `[batch, height, width, channels]`.
    pub image: Tensor<4>,
    /// Parameter values, flattened, in the order of [`Graph::params`].
    pub params: Vec<Tensor<1>>,
    /// Gate values; [`Graph::gates`] of them.
    pub gates: Option<Tensor<1>>,
    /// Factors per image, `[Graph::masks, batch]`.
    pub masks: Option<Tensor<2>>,
    /// Running mean and variance, `[2, channels]`, of each normalisation that keeps them (evaluation
    /// only; may be empty in training).
    pub running: Vec<Option<Tensor<2>>>,
    /// How a graphics device stores the values between operations.
    pub precision: Precision,
}

impl Inputs {
    /// Images and parameters alone, in float32.
    pub fn new(image: Tensor<4>, params: Vec<Tensor<1>>) -> Self {
        Self { image, params, gates: None, masks: None, running: vec![], precision: Precision::Float32 }
    }
}

/// What a network gives.
#[derive(Clone, Debug)]
pub struct ForwardOutput {
    /// Class scores `[batch, classes]`, one tensor per output of the graph.
    pub outputs: Vec<Tensor<2>>,
    /// Mean and biased variance `[2, channels]` that each normalisation used, without gradient.
    pub stats: Vec<Tensor<2>>,
}

fn reference_forced() -> bool {
    static FORCED: OnceLock<bool> = OnceLock::new();
    *FORCED.get_or_init(|| std::env::var("GDAS_ENGINE").is_ok_and(|engine| engine == "reference"))
}

/// Whether a tensor lies where there is an engine, with or without autodiff around it.
fn has_engine(kind: &DispatchTensorKind) -> bool {
    match kind {
        DispatchTensorKind::Flex(_) => true,
        #[cfg(feature = "gpu")]
        DispatchTensorKind::Cube(_) => true,
        DispatchTensorKind::Autodiff(inner) => has_engine(inner),
        #[allow(unreachable_patterns, reason = "which kinds are left depends on the features")]
        _ => false,
    }
}

/// Whether a tensor lies where the engine of graphics processors works on it, with or without autodiff around it.
#[cfg(feature = "gpu")]
fn on_graphics_device<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn is_one(kind: &DispatchTensorKind) -> bool {
        if let DispatchTensorKind::Autodiff(inner) = kind {
            return is_one(inner);
        }
        matches!(kind, DispatchTensorKind::Cube(_))
    }
    tensor.dtype() == DType::F32 && !reference_forced() && is_one(&tensor.clone().into_dispatch().kind)
}

/// Fetches the numbers of some tensors, all at once: on a graphics processor, each call makes the host wait until all that
/// was queued before is done, and is counted (`gpu::counters`).
pub fn read(tensors: &[Tensor<1>]) -> Vec<Vec<f32>> {
    #[cfg(feature = "gpu")]
    if tensors.iter().any(on_graphics_device) {
        gpu::record_read();
        // One read-back takes only tensors of one kind: all of them without autodiff.
        let all = tensors.iter().cloned().map(Tensor::inner).fold(Transaction::default(), Transaction::register);
        return all.execute().into_iter().map(numbers).collect();
    }
    tensors.iter().map(|tensor| numbers(tensor.to_data())).collect()
}

fn numbers(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().iter::<f32>().collect()
}

/// Runs the graph, differentiably in the images, the parameters and the gates: only tensors that require
/// a gradient cost one.
pub fn run(graph: &Arc<Graph>, mode: Mode, inputs: Inputs) -> ForwardOutput {
    let fused = has_engine(&inputs.image.clone().into_dispatch().kind);
    if !fused || inputs.image.dtype() != DType::F32 || reference_forced() {
        return reference::run(graph, mode, inputs);
    }
    let device = inputs.image.device();
    // One element where there is nothing to pass: not every device has tensors without any.
    let nothing = Tensor::<1>::zeros([1], &device).into_dispatch();
    let empty = || nothing.clone();
    let running = (0..graph.norms.len())
        .map(|i| inputs.running.get(i).cloned().flatten().map_or_else(empty, Tensor::into_dispatch));
    let (outputs, stats) = Dispatch::run_graph(
        inputs.image.into_dispatch(),
        TensorList(inputs.params.into_iter().map(Tensor::into_dispatch).collect()),
        inputs.gates.map_or_else(empty, Tensor::into_dispatch),
        inputs.masks.map_or_else(empty, Tensor::into_dispatch),
        TensorList(running.collect()),
        Call { graph: graph.clone(), mode, precision: inputs.precision },
    );
    let (outputs, stats) = (Tensor::<2>::from_dispatch(outputs), Tensor::<1>::from_dispatch(stats));
    let mut at = 0;
    let outputs = graph.outputs.iter().map(|&value| {
        let classes = graph.shape(value).channels;
        at += classes;
        // A part of the scores costs operations, also on the way back; the only output is all of them.
        if graph.outputs.len() == 1 { outputs.clone() } else { outputs.clone().narrow(1, at - classes, classes) }
    });
    let outputs = outputs.collect();
    let mut at = 0;
    let stats = graph.norms.iter().map(|norm| {
        at += 2 * norm.channels;
        stats.clone().narrow(0, at - 2 * norm.channels, 2 * norm.channels).reshape([2, norm.channels])
    });
    ForwardOutput { outputs, stats: stats.collect() }
}
