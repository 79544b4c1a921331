//! Interface between Burn and the fused engines: a backend extension with a hand-written backward pass.
//!
//! Burn sees one operation per network. Its parents are the images, the gates and the parameters; gradients are computed only
//! for those that Burn tracks. An architecture step, whose weights are plain tensors, computes no weight gradient.

use std::sync::Arc;

#[cfg(feature = "gpu")]
use burn::backend::Cube;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{Shape, TensorData};

use crate::cpu;
use crate::graph::Graph;
use crate::{Mode, Precision};

/// Arguments of a call other than its tensors.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The network.
    pub(crate) graph: Arc<Graph>,
    /// Batch or running statistics.
    pub(crate) mode: Mode,
    /// Number type of the values between operations, on engines that offer a choice.
    #[cfg_attr(not(feature = "gpu"), expect(dead_code, reason = "the engine of the processor offers none"))]
    pub(crate) precision: Precision,
}

/// Any number of float tensors as one argument of a backend extension.
#[derive(Clone, Debug)]
pub(crate) struct TensorList<B: Backend>(pub(crate) Vec<FloatTensor<B>>);

impl<B: Backend> ExtensionType<B> for TensorList<B> {
    type Target = TensorList<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        let wrap = |tensor| DispatchTensor { kind: map_kind(BackendTensor::Float(tensor)), autodiff };
        TensorList(self.0.into_iter().map(wrap).collect())
    }

    fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        Self(target.0.into_iter().map(|tensor| unwrap_kind(tensor).float()).collect())
    }

    fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first()
    }

    fn autodiff_context(target: &Self::Target) -> DispatchAutodiffContext {
        target.0.iter().fold(DispatchAutodiffContext::default(), |context, tensor| context.merge(tensor.autodiff))
    }
}

/// Runs a whole network as one operation. Returns the classifier outputs `[batch, sum of classes]` and the
/// statistics that the normalisations used, `[sum over norms of 2 * channels]`, which carry no gradient.
#[cfg_attr(not(feature = "gpu"), backend_extension(Flex, Autodiff))]
#[cfg_attr(feature = "gpu", backend_extension(Flex, Cube, Autodiff))]
pub(crate) trait GraphOps: Backend {
    /// `gates` and `masks` have at least one element each; unused ones are ignored. An untracked
    /// normalisation has an entry of one element in `running`.
    fn run_graph(
        image: FloatTensor<Self>,
        #[extension_type] params: TensorList<Self>,
        gates: FloatTensor<Self>,
        masks: FloatTensor<Self>,
        #[extension_type] running: TensorList<Self>,
        call: Call,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The tensors of one call.
pub(crate) struct Tensors<B: Backend> {
    pub(crate) image: FloatTensor<B>,
    pub(crate) params: Vec<FloatTensor<B>>,
    pub(crate) gates: FloatTensor<B>,
    pub(crate) masks: FloatTensor<B>,
    pub(crate) running: Vec<FloatTensor<B>>,
}

/// Which gradients a backward pass computes.
pub(crate) struct GradTargets {
    pub(crate) params: Vec<bool>,
    /// The length of the tensor of gates if its gradient is wanted; it may be longer than the graph needs.
    pub(crate) gates: Option<usize>,
    pub(crate) image: bool,
}

/// The gradients that a backward pass computed.
pub(crate) struct GraphGradients<B: Backend> {
    pub(crate) params: Vec<Option<FloatTensor<B>>>,
    pub(crate) gates: Option<FloatTensor<B>>,
    pub(crate) image: Option<FloatTensor<B>>,
}

/// A Burn backend that runs whole networks.
pub(crate) trait Engine: Backend {
    /// What a forward pass saves for the backward pass.
    type Tape: std::fmt::Debug + Send + Sync + 'static;

    /// The tensor with its elements in order.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Outputs `[batch, sum of classes]`, statistics, and a tape if `save`.
    fn forward(
        call: &Call,
        tensors: &Tensors<Self>,
        save: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<Self::Tape>);

    /// The gradients in `targets`, given that of the outputs.
    fn backward(
        tape: &Self::Tape,
        params: &[FloatTensor<Self>],
        upstream: &FloatTensor<Self>,
        targets: &GradTargets,
    ) -> GraphGradients<Self>;
}

impl Engine for Flex {
    type Tape = cpu::Tape;

    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
    }

    fn forward(call: &Call, tensors: &Tensors<Self>, save: bool) -> (FlexTensor, FlexTensor, Option<cpu::Tape>) {
        let batch = tensors.image.shape()[0];
        let params: Vec<_> = tensors.params.iter().map(slice).collect();
        let running: Vec<_> = tensors.running.iter().map(slice).map(|r| if r.len() > 1 { r } else { &[] }).collect();
        let inputs = cpu::Inputs {
            batch,
            image: slice(&tensors.image),
            params: &params,
            gates: &slice(&tensors.gates)[..call.graph.gates],
            masks: &slice(&tensors.masks)[..call.graph.masks * batch],
            running: &running,
        };
        let result = cpu::forward(&call.graph, call.mode, &inputs, save);
        let classes = result.outputs.len() / batch.max(1);
        let stats = result.stats.len();
        (tensor(result.outputs, [batch, classes]), tensor(result.stats, [stats]), result.tape)
    }

    fn backward(
        tape: &cpu::Tape,
        params: &[FlexTensor],
        upstream: &FlexTensor,
        targets: &GradTargets,
    ) -> GraphGradients<Self> {
        let values: Vec<_> = params.iter().map(slice).collect();
        let asked = cpu::GradTargets { params: &targets.params, gates: targets.gates.is_some(), image: targets.image };
        let mut result = cpu::backward(tape, &values, slice(upstream), &asked);
        if let (Some(gates), Some(length)) = (&mut result.gates, targets.gates) {
            gates.resize(length, 0.0);
        }
        let flat = |values: Vec<f32>| {
            let length = values.len();
            tensor(values, [length])
        };
        GraphGradients {
            params: result.params.into_iter().map(|gradient| gradient.map(flat)).collect(),
            gates: result.gates.map(flat),
            image: result.image.map(flat),
        }
    }
}

pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("tensors are made contiguous before a call")
}

pub(crate) fn tensor<const D: usize>(data: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape))
}

#[cfg(feature = "gpu")]
impl Engine for Cube {
    type Tape = crate::gpu::Tape;

    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        burn_cubecl::kernel::into_contiguous(tensor)
    }

    fn forward(
        call: &Call,
        tensors: &Tensors<Self>,
        save: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<Self::Tape>) {
        crate::gpu::forward(call, tensors, save)
    }

    fn backward(
        tape: &Self::Tape,
        params: &[FloatTensor<Self>],
        upstream: &FloatTensor<Self>,
        targets: &GradTargets,
    ) -> GraphGradients<Self> {
        crate::gpu::backward(tape, params, upstream, targets)
    }
}

macro_rules! without_gradient {
    ($backend:ty) => {
        impl GraphOps for $backend {
            fn run_graph(
                image: FloatTensor<Self>,
                params: TensorList<Self>,
                gates: FloatTensor<Self>,
                masks: FloatTensor<Self>,
                running: TensorList<Self>,
                call: Call,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let list = |list: TensorList<Self>| list.0.into_iter().map(Self::contiguous).collect();
                let [image, gates, masks] = [image, gates, masks].map(Self::contiguous);
                let tensors = Tensors { image, params: list(params), gates, masks, running: list(running) };
                let (outputs, stats, _) = Self::forward(&call, &tensors, false);
                (outputs, stats)
            }
        }
    };
}

without_gradient!(Flex);
#[cfg(feature = "gpu")]
without_gradient!(Cube);

impl<B: Engine, C: CheckpointStrategy> GraphOps for Autodiff<B, C> {
    fn run_graph(
        image: FloatTensor<Self>,
        params: TensorList<Self>,
        gates: FloatTensor<Self>,
        masks: FloatTensor<Self>,
        running: TensorList<Self>,
        call: Call,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let mut parents = Vec::with_capacity(params.0.len() + 2);
        let mut part = |tensor: FloatTensor<Self>| {
            let (primitive, guard) = tensor.into_parts();
            parents.push(guard);
            B::contiguous(primitive)
        };
        let constant = |tensor: FloatTensor<Self>| B::contiguous(tensor.into_primitive());
        let tensors = Tensors {
            image: part(image),
            gates: part(gates),
            params: params.0.into_iter().map(part).collect(),
            masks: constant(masks),
            running: running.0.into_iter().map(constant).collect(),
        };
        // Burn's backward step has a fixed number of parents: take the next size and fill up.
        match parents.len() {
            0..=32 => tracked::<B, 32, C>(parents, tensors, &call),
            33..=128 => tracked::<B, 128, C>(parents, tensors, &call),
            129..=512 => tracked::<B, 512, C>(parents, tensors, &call),
            513..=4096 => tracked::<B, 4096, C>(parents, tensors, &call),
            count => panic!("a network of {count} parameter arrays is beyond the 4,094 that one call takes"),
        }
    }
}

/// A tensor under autodiff; the same type for every checkpointing strategy.
type Tracked<B> = FloatTensor<Autodiff<B>>;

fn tracked<B: Engine, const N: usize, C: CheckpointStrategy>(
    mut parents: Vec<NodeGuard>,
    tensors: Tensors<B>,
    call: &Call,
) -> (Tracked<B>, Tracked<B>) {
    while parents.len() < N {
        parents.push(Tracked::<B>::new(tensors.gates.clone()).node());
    }
    let parents: [NodeGuard; N] = parents.try_into().expect("filled up to N");
    let (outputs, stats) = match Network.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (outputs, stats, tape) = B::forward(call, &tensors, true);
            let Tensors { image, params, gates, .. } = tensors;
            let tape = Arc::new(tape.expect("a tape was asked for"));
            let saved = Saved { tape, params, image: image.shape(), gates: gates.shape() };
            (prep.finish(saved, outputs), stats)
        }
        OpsKind::UnTracked(prep) => {
            let (outputs, stats, _) = B::forward(call, &tensors, false);
            (prep.finish(outputs), stats)
        }
    };
    (outputs, Tracked::<B>::new(stats))
}

/// State of the autodiff node between the passes.
#[derive(Debug)]
struct Saved<B: Engine> {
    tape: Arc<B::Tape>,
    params: Vec<FloatTensor<B>>,
    image: Shape,
    gates: Shape,
}

impl<B: Engine> Clone for Saved<B> {
    fn clone(&self) -> Self {
        let Self { tape, params, image, gates } = self;
        Self { tape: tape.clone(), params: params.clone(), image: image.clone(), gates: gates.clone() }
    }
}

#[derive(Debug)]
struct Network;

impl<B: Engine, const N: usize> Backward<B, N> for Network {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = B::contiguous(grads.consume::<B>(&ops.node));
        let saved = ops.state;
        let [image, gates] = [&ops.parents[0], &ops.parents[1]];
        let params = &ops.parents[2..2 + saved.params.len()];
        let targets = GradTargets {
            params: params.iter().map(Option::is_some).collect(),
            gates: gates.is_some().then(|| saved.gates.num_elements()),
            image: image.is_some(),
        };
        let result = B::backward(&saved.tape, &saved.params, &upstream, &targets);
        for (parent, gradient) in params.iter().zip(result.params) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
        if let (Some(node), Some(gradient)) = (gates, result.gates) {
            grads.register::<B>(node.id, B::float_reshape(gradient, saved.gates));
        }
        if let (Some(node), Some(gradient)) = (image, result.image) {
            grads.register::<B>(node.id, B::float_reshape(gradient, saved.image));
        }
    }
}
