//! Runs networks described as [`graph::Graph`]s, differentiably.
//!
//! [`run`] passes the whole network to the fused engine of its device: [`cpu`], or `gpu` (features `vulkan`, `wgpu`, `metal`,
//! `cuda`). On other devices, for number types other than `f32`, and with `GDAS_ENGINE=reference` in the environment, it uses
//! [`reference`](mod@reference), which runs plain Burn operations one after another and defines what the engines compute.
//! [`sgd`] updates the parameters, with the same choice.

#![deny(missing_docs)]

pub mod cpu;
mod extension;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod graph;
pub mod loss;
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

/// Inputs of a forward pass.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The images, `[batch, height, width, channels]`.
    pub image: Tensor<4>,
    /// Parameter values, flattened, in the order of [`Graph::params`].
    pub params: Vec<Tensor<1>>,
    /// Gate values, `[Graph::gates]` or longer; `None` for a graph without gates.
    pub gates: Option<Tensor<1>>,
    /// Factors per image, `[Graph::masks, batch]`; `None` for a graph without masks.
    pub masks: Option<Tensor<2>>,
    /// Running mean and variance, `[2, channels]`, of each normalisation that keeps them (evaluation
    /// only; may be empty in training).
    pub running: Vec<Option<Tensor<2>>>,
    /// Number type in which a graphics device stores the values between operations.
    pub precision: Precision,
}

impl Inputs {
    /// Images and parameters alone, in float32.
    pub fn new(image: Tensor<4>, params: Vec<Tensor<1>>) -> Self {
        Self { image, params, gates: None, masks: None, running: vec![], precision: Precision::Float32 }
    }
}

/// Result of a forward pass.
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

/// Whether the tensor's backend has an engine, with or without autodiff around it.
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

/// Whether the engine of graphics devices works on a tensor, with or without autodiff around it.
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

/// Copies the elements of some tensors to the host, in one transfer. On a graphics device each call waits for all work that was
/// queued before; `gpu::counters` counts the calls.
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

/// Runs the graph forward. The result is differentiable in the images, the parameters and the gates; only the gradients of
/// tensors that require one are computed.
///
/// # Panics
/// If the tensors do not have the shapes that [`Inputs`] states, or a graph has more than 4,094 parameter arrays.
pub fn run(graph: &Arc<Graph>, mode: Mode, inputs: Inputs) -> ForwardOutput {
    let fused = has_engine(&inputs.image.clone().into_dispatch().kind);
    if !fused || inputs.image.dtype() != DType::F32 || reference_forced() {
        return reference::run(graph, mode, inputs);
    }
    let device = inputs.image.device();
    // One element stands for an absent tensor: not every device has empty ones.
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
        // Slicing costs operations, also in the backward pass, and is not needed for a single output.
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
