//! The seam between Burn and the fused engine: a backend extension with a hand-written backward pass.
//!
//! Burn sees one operation per network: its parents are the images, the gates and the parameters. The
//! engine asks which of them are tracked and computes no other gradient, so an architecture step, whose
//! weights are plain tensors, pays for no weight gradient.

use std::sync::Arc;

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
use burn::tensor::TensorData;

use crate::Mode;
use crate::cpu;
use crate::graph::Graph;

/// What a call runs, beside its tensors.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The network.
    pub(crate) graph: Arc<Graph>,
    /// Batch or running statistics.
    pub(crate) mode: Mode,
}

/// Any number of float tensors as one argument, which Burn's macro does not offer of itself.
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
#[backend_extension(Flex, Autodiff)]
pub(crate) trait GraphOps: Backend {
    /// `gates` and `masks` have at least one element each; unused ones are ignored. An untracked
    /// normalisation has an empty entry in `running`.
    fn run_graph(
        image: FloatTensor<Self>,
        #[extension_type] params: TensorList<Self>,
        gates: FloatTensor<Self>,
        masks: FloatTensor<Self>,
        #[extension_type] running: TensorList<Self>,
        call: Call,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("tensors are made contiguous before a call")
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

fn tensor<const D: usize>(data: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape))
}

/// The tensors of one call on the CPU.
struct Tensors {
    image: FlexTensor,
    params: Vec<FlexTensor>,
    gates: FlexTensor,
    masks: FlexTensor,
    running: Vec<FlexTensor>,
}

impl Tensors {
    fn forward(&self, call: &Call, save: bool) -> (FlexTensor, FlexTensor, Option<cpu::Tape>) {
        let batch = self.image.shape()[0];
        let params: Vec<_> = self.params.iter().map(slice).collect();
        let running: Vec<_> = self.running.iter().map(slice).collect();
        let inputs = cpu::Inputs {
            batch,
            image: slice(&self.image),
            params: &params,
            gates: &slice(&self.gates)[..call.graph.gates],
            masks: &slice(&self.masks)[..call.graph.masks * batch],
            running: &running,
        };
        let result = cpu::forward(&call.graph, call.mode, &inputs, save);
        let classes = result.outputs.len() / batch.max(1);
        let stats = result.stats.len();
        (tensor(result.outputs, [batch, classes]), tensor(result.stats, [stats]), result.tape)
    }
}

impl GraphOps for Flex {
    fn run_graph(
        image: FlexTensor,
        params: TensorList<Self>,
        gates: FlexTensor,
        masks: FlexTensor,
        running: TensorList<Self>,
        call: Call,
    ) -> (FlexTensor, FlexTensor) {
        let params = params.0.into_iter().map(contiguous).collect();
        let tensors = Tensors { image: contiguous(image), params, gates, masks, running: running.0 };
        let (outputs, stats, _) = tensors.forward(&call, false);
        (outputs, stats)
    }
}

impl<C: CheckpointStrategy> GraphOps for Autodiff<Flex, C> {
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
            contiguous(primitive)
        };
        let tensors = Tensors {
            image: part(image),
            gates: part(gates),
            params: params.0.into_iter().map(part).collect(),
            masks: masks.into_primitive(),
            running: running.0.into_iter().map(FloatTensor::<Self>::into_primitive).collect(),
        };
        // Burn's backward step has a fixed number of parents: take the next size and fill up.
        match parents.len() {
            0..=32 => tracked::<32, C>(parents, tensors, &call),
            33..=128 => tracked::<128, C>(parents, tensors, &call),
            129..=512 => tracked::<512, C>(parents, tensors, &call),
            513..=4096 => tracked::<4096, C>(parents, tensors, &call),
            count => panic!("a network of {count} parameter arrays is beyond the 4,094 that one call takes"),
        }
    }
}

/// A tensor of the CPU under autodiff; the same type for every checkpointing strategy.
type Tracked = FloatTensor<Autodiff<Flex>>;

fn tracked<const N: usize, C: CheckpointStrategy>(
    mut parents: Vec<NodeGuard>,
    tensors: Tensors,
    call: &Call,
) -> (Tracked, Tracked) {
    while parents.len() < N {
        parents.push(Tracked::new(tensor(vec![0.0], [1])).node());
    }
    let parents: [NodeGuard; N] = parents.try_into().expect("filled up to N");
    let (outputs, stats) = match Network.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (outputs, stats, tape) = tensors.forward(call, true);
            let Tensors { image, params, gates, .. } = tensors;
            let tape = Arc::new(tape.expect("a tape was asked for"));
            let saved = Saved { tape, params, image: image.shape().to_vec(), gates: gates.shape().num_elements() };
            (prep.finish(saved, outputs), stats)
        }
        OpsKind::UnTracked(prep) => {
            let (outputs, stats, _) = tensors.forward(call, false);
            (prep.finish(outputs), stats)
        }
    };
    (outputs, Tracked::new(stats))
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    tape: Arc<cpu::Tape>,
    params: Vec<FlexTensor>,
    image: Vec<usize>,
    gates: usize,
}

#[derive(Debug)]
struct Network;

impl<const N: usize> Backward<Flex, N> for Network {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = contiguous(grads.consume::<Flex>(&ops.node));
        let saved = ops.state;
        let [image, gates] = [&ops.parents[0], &ops.parents[1]];
        let params = &ops.parents[2..2 + saved.params.len()];
        let wanted: Vec<bool> = params.iter().map(Option::is_some).collect();
        let values: Vec<_> = saved.params.iter().map(slice).collect();
        let wants = cpu::Wants { params: &wanted, gates: gates.is_some(), image: image.is_some() };
        let result = cpu::backward(&saved.tape, &values, slice(&upstream), &wants);
        for (parent, gradient) in params.iter().zip(result.params) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                let length = gradient.len();
                grads.register::<Flex>(node.id, tensor(gradient, [length]));
            }
        }
        if let (Some(node), Some(mut gradient)) = (gates, result.gates) {
            gradient.resize(saved.gates, 0.0);
            grads.register::<Flex>(node.id, tensor(gradient, [saved.gates]));
        }
        if let (Some(node), Some(gradient)) = (image, result.image) {
            let shape: [usize; 4] = saved.image.try_into().expect("images have four axes");
            grads.register::<Flex>(node.id, tensor(gradient, shape));
        }
    }
}
