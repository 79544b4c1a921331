//! A pass of one batch through a network by the processor's engine, on any device's search.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::cpu::{self, Forward, Inputs};
use gdas_kernels::graph::{Graph, Mode};

use crate::data::Batch;
use crate::weights::host;

/// A network, its weights and a batch, as the engine takes them.
pub(super) struct Pass {
    pub(super) graph: Arc<Graph>,
    images: usize,
    image: Vec<f32>,
    params: Vec<Vec<f32>>,
}

impl Pass {
    pub(super) fn new(graph: &Graph, params: &[Tensor<1>], batch: &Batch) -> Self {
        let image = host(&batch.tensor(&Device::flex()).flatten(0, 3));
        Self { graph: Arc::new(graph.clone()), images: batch.len(), image, params: params.iter().map(host).collect() }
    }

    /// The parameters' values, in the graph's order.
    pub(super) fn params(&self) -> Vec<&[f32]> {
        self.params.iter().map(Vec::as_slice).collect()
    }

    /// Runs forward with the batch's statistics and keeps what a backward pass needs. Gates and masks are one: a
    /// derived network has none.
    pub(super) fn forward(&self) -> Forward {
        let Self { graph, images, image, .. } = self;
        let (gates, masks) = (vec![1.0; graph.gates], vec![1.0; graph.masks * images]);
        let inputs =
            Inputs { batch: *images, image, params: &self.params(), gates: &gates, masks: &masks, running: &[] };
        cpu::forward(graph, Mode::Train, &inputs, true)
    }
}
