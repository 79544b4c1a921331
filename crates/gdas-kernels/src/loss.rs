//! Cross-entropy on a graphics device: the loss, its gradient and the numbers of correct images, without a transfer to the host.

use burn::tensor::Tensor;

/// Result of [`cross_entropy`], on the device.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Mean loss over the images, `[1]`, differentiable.
    pub mean: Tensor<1>,
    /// Sums over the images, `[3]`, without gradient: the loss, the images that are correct (top 1), and those whose class is
    /// among the five highest scores (top 5).
    pub sums: Tensor<1>,
}

/// Cross-entropy of scores `[batch, classes]` with label smoothing in `0..1`: the share of the target that is spread over all
/// classes. `None` on devices without this engine, and with `GDAS_ENGINE=reference`.
///
/// Of equal scores that of the lower class counts as higher. An image whose score for its class is not finite is incorrect.
pub fn cross_entropy(scores: &Tensor<2>, labels: &[u32], smoothing: f64) -> Option<Loss> {
    #[cfg(feature = "gpu")]
    if crate::on_graphics_device(scores) {
        let call = ops::Call { labels: labels.to_vec(), smoothing: smoothing as f32 };
        let (mean, sums) = ops::of(scores.clone(), call);
        return Some(Loss { mean, sums });
    }
    let _ = (scores, labels, smoothing);
    None
}

#[cfg(feature = "gpu")]
pub(crate) mod ops {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, Backend, Cube, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    use crate::gpu;

    /// The arguments other than the scores.
    #[derive(Clone, Debug)]
    pub(crate) struct Call {
        pub(crate) labels: Vec<u32>,
        pub(crate) smoothing: f32,
    }

    /// Mean and sums; see [`super::Loss`].
    pub(super) fn of(scores: Tensor<2>, call: Call) -> (Tensor<1>, Tensor<1>) {
        let (mean, sums) = Dispatch::cross_entropy(scores.into_dispatch(), call);
        (Tensor::from_dispatch(mean), Tensor::from_dispatch(sums))
    }

    #[backend_extension(Cube, Autodiff)]
    pub(crate) trait LossOps: Backend {
        fn cross_entropy(scores: FloatTensor<Self>, call: Call) -> (FloatTensor<Self>, FloatTensor<Self>);
    }

    impl LossOps for Cube {
        fn cross_entropy(scores: FloatTensor<Self>, call: Call) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let found = gpu::cross_entropy(scores, &call.labels, call.smoothing);
            (found.mean, found.sums)
        }
    }

    impl<C: CheckpointStrategy> LossOps for Autodiff<Cube, C> {
        fn cross_entropy(scores: FloatTensor<Self>, call: Call) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let (scores, node) = scores.into_parts();
            let found = gpu::cross_entropy(scores, &call.labels, call.smoothing);
            let mean = match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(found.gradient, found.mean),
                OpsKind::UnTracked(prep) => prep.finish(found.mean),
            };
            (mean, FloatTensor::<Self>::new(found.sums))
        }
    }

    #[derive(Debug)]
    struct CrossEntropy;

    impl Backward<Cube, 1> for CrossEntropy {
        /// The gradient of the scores if that of the mean is one.
        type State = FloatTensor<Cube>;

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let upstream = grads.consume::<Cube>(&ops.node);
            if let [Some(node)] = &ops.parents {
                grads.register::<Cube>(node.id, gpu::scaled(&ops.state, &upstream));
            }
        }
    }
}
