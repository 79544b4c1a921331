//! Forward and backward pass of a batch by the CPU engine, whatever the device of the search.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::cpu::{self, Forward, Inputs};
use gdas_kernels::graph::{Graph, Mode};

use crate::data::Batch;
use crate::weights::host;

/// A network, its parameters and a batch, in the engine's form.
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

    /// The values of the parameters in the graph's order.
    pub(super) fn params(&self) -> Vec<&[f32]> {
        self.params.iter().map(Vec::as_slice).collect()
    }

    /// Forward pass with batch statistics that keeps the values for a backward pass. Gates and masks are 1, as a derived
    /// network has none.
    pub(super) fn forward(&self) -> Forward {
        let Self { graph, images, image, .. } = self;
        let (gates, masks) = (vec![1.0; graph.gates], vec![1.0; graph.masks * images]);
        let inputs =
            Inputs { batch: *images, image, params: &self.params(), gates: &gates, masks: &masks, running: &[] };
        cpu::forward(graph, Mode::Train, &inputs, true)
    }
}
