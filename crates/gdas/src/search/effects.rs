//! Effects of operations on edges of a supernet: the gate gradient used by straight-through, and the loss.
//!
//! Straight-through uses the derivative of the held-out loss with respect to the gate of a sampled operation (`dL/dh`). The
//! quantity of interest is the loss with that operation instead of another. Both are measured on the same cells and images,
//! for comparison with each other and with a benchmark's table.

use std::collections::BTreeSet;

use super::pass::GradTargets;
use super::picks;
use super::searcher::Searcher;
use crate::Error;
use crate::alpha::Alpha;
use crate::config::EdgeOutput;
use crate::data::{Batch, Dataset, EvaluationBatches, Subset};
use crate::rng::{Rng, Stream};
use crate::run::Interrupt;
use crate::space::{CellSpace, Space};

/// Means over uniformly sampled cells; matrices `[edges, operations]`, one per searched cell.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeEffects {
    /// Derivative of the held-out loss with respect to the gate of an operation, for cells with this operation.
    pub slope: Vec<Alpha>,
    /// Held-out loss of the cells with an operation on an edge, with the other edges as sampled.
    pub loss: Vec<Alpha>,
    /// For each searched cell and inner node: the sum of the derivatives of its incoming edges divided by the sum of their
    /// absolute values, averaged over sampled cells. Zero if the loss does not depend on the scale of the node's sum.
    pub balance: Vec<Vec<f64>>,
}

impl Searcher {
    /// Measures every operation on every edge in `contexts` uniformly sampled cells, each on another batch of `images`, by a
    /// forward and backward pass per context, edge and operation. Reports the number of finished contexts. `None` if
    /// interrupted.
    ///
    /// # Errors
    /// If a loss is not finite.
    pub fn edge_effects(
        &self,
        contexts: usize,
        dataset: &Dataset,
        images: &Subset,
        interrupt: &Interrupt,
        mut report: impl FnMut(usize),
    ) -> Result<Option<EdgeEffects>, Error> {
        let space = &self.supernet.space;
        let batches = EvaluationBatches::new(&dataset.statistics, &images.mixed(), self.config.batch_size);
        let zeros = || -> Vec<Alpha> { self.alpha.iter().map(Alpha::zeros_like).collect() };
        let (mut slope, mut drawn_times, mut loss) = (zeros(), zeros(), zeros());
        let mut balance: Vec<Vec<f64>> = space.cells.iter().map(|cell| vec![0.0; nodes(cell).len()]).collect();
        let share = 1.0 / contexts.max(1) as f64;
        for context in 0..contexts {
            let batch = batches.batch(context as u64 % batches.steps());
            let drawn = picks::uniform(space, &mut Rng::new(self.config.seed, Stream::Architectures, context as u64));
            let (_, slopes) = self.loss_and_slopes(&drawn, &batch)?;
            for (cell, balance) in balance.iter_mut().enumerate() {
                let values = balances(&space.cells[cell], &drawn[cell], &slopes[cell]);
                balance.iter_mut().zip(values).for_each(|(mean, value)| *mean += share * value);
            }
            for (cell, edge, operation) in places(space) {
                if interrupt.is_requested() {
                    return Ok(None);
                }
                let mut picks = drawn.clone();
                picks[cell][edge] = operation;
                let (value, slopes) = self.loss_and_slopes(&picks, &batch)?;
                loss[cell][(edge, operation)] += share * value;
                for (cell, picks) in picks.iter().enumerate() {
                    for place in picks.iter().copied().enumerate() {
                        slope[cell][place] += slopes[cell][place];
                        drawn_times[cell][place] += 1.0;
                    }
                }
            }
            report(context + 1);
        }
        for (slope, times) in slope.iter_mut().zip(&drawn_times) {
            slope.values_mut().iter_mut().zip(times.values()).for_each(|(slope, &times)| *slope /= times.max(1.0));
        }
        Ok(Some(EdgeEffects { slope, loss, balance }))
    }

    /// The loss of a sub-network on a batch, and its gradient with respect to the gates.
    fn loss_and_slopes(&self, picks: &[Vec<usize>], batch: &Batch) -> Result<(f64, Vec<Alpha>), Error> {
        let net = self.supernet.sub_network(picks, EdgeOutput::PickedGate);
        let pass = self.pass(&net, self.weights_of(&net), self.supernet.gates(), None, batch, GradTargets::Gates);
        let loss = pass.metrics.get().loss;
        if !loss.is_finite() {
            return Err(Error::Unsuitable(format!("the loss of the network of {picks:?} is not finite")));
        }
        Ok((loss, self.supernet.gate_gradients(picks, &pass.gate_gradient.get())))
    }
}

/// Every operation of every edge of every searched cell.
fn places(space: &Space) -> Vec<(usize, usize, usize)> {
    let of_cell = |(index, cell): (usize, &CellSpace)| {
        let (edges, width) = (cell.edges().len(), cell.width());
        (0..edges).flat_map(move |edge| (0..width).map(move |operation| (index, edge, operation)))
    };
    space.cells.iter().enumerate().flat_map(of_cell).collect()
}

/// The inner nodes, which have incoming edges.
fn nodes(cell: &CellSpace) -> BTreeSet<usize> {
    cell.edges().iter().map(|edge| edge.to).collect()
}

/// For each inner node, the sum of the derivatives of its edges divided by the sum of their absolute values.
fn balances(cell: &CellSpace, picks: &[usize], slopes: &Alpha) -> Vec<f64> {
    let edges = cell.edges();
    let of_node = |node| {
        let ends_here = (0..edges.len()).filter(|&edge| edges[edge].to == node);
        let (mut sum, mut size) = (0.0, 0.0);
        for slope in ends_here.map(|edge| slopes[(edge, picks[edge])]) {
            sum += slope;
            size += slope.abs();
        }
        if size > 0.0 { sum / size } else { 0.0 }
    };
    nodes(cell).into_iter().map(of_node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, SearchConfig, resolve};
    use crate::data::digits;
    use crate::search::held_out;
    use burn::tensor::Device;

    /// The slope is the derivative of the loss in the gate, and the loss that of the network with the operation there.
    #[test]
    fn slopes_and_losses_are_those_of_single_networks() -> Result<(), Error> {
        let text = "preset = \"smoke\"\nchannels = 4\ncells = 1\nbatch_size = 16\n";
        let config: SearchConfig = resolve(&[Layer::file("test", text).expect("TOML")]).expect("a configuration");
        let dataset = digits();
        let searcher = Searcher::new(&config, &dataset, &Device::flex())?;
        let images = held_out(&config, &dataset)?.first(16);
        let effects = searcher.edge_effects(1, &dataset, &images, &Interrupt::default(), |_| {})?.expect("an end");
        let batch = EvaluationBatches::new(&dataset.statistics, &images.mixed(), 16).batch(0);
        let space = &searcher.supernet.space;
        let mut drawn = picks::uniform(space, &mut Rng::new(config.seed, Stream::Architectures, 0));
        for (edge, operation) in [(0, 3), (4, 1)] {
            let before = std::mem::replace(&mut drawn[0][edge], operation);
            let net = searcher.supernet.sub_network(&drawn, EdgeOutput::PickedGate);
            let loss = |gates| {
                let weights = searcher.weights_of(&net);
                searcher.pass(&net, weights, gates, None, &batch, GradTargets::Nothing).metrics.get().loss
            };
            assert!((loss(searcher.supernet.gates()) - effects.loss[0][(edge, operation)]).abs() < 1e-6);
            drawn[0][edge] = before;
        }
        // `none` passes nothing on, whatever its gate.
        for edge in 0..6 {
            assert_eq!(effects.slope[0][(edge, 0)], 0.0);
        }
        assert!(effects.slope[0].values().iter().any(|&slope| slope != 0.0));
        assert!(effects.balance[0].len() == 3 && effects.balance[0].iter().all(|value| value.abs() <= 1.0));
        Ok(())
    }
}
