//! The supernet: shared weights of all candidate operations, of which one sampled sub-network runs at a time.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Graph;
use gdas_kernels::{ForwardOutput, Inputs, Mode};

use crate::alpha::Alpha;
use crate::config::EdgeOutput;
use crate::network::{self, CellPlan, NetworkConfig, NetworkError, NodePlan, Term};
use crate::space::{Block, CellSpace, Genotype, Space};
use crate::weights::{Weights, flat};

/// The shared weights with the structure of the network.
#[derive(Clone, Debug)]
pub struct Supernet {
    /// The search space.
    pub space: Arc<Space>,
    /// The blocks of the network.
    pub blocks: Vec<Block>,
    /// Configuration of the network except its cells.
    pub config: NetworkConfig,
    /// Whether sampled skip connections have dropout per image (see [`Supernet::run_masked`]).
    pub drop_skips: bool,
    /// Weights of all candidates.
    pub weights: Weights,
}

/// A network with a part of a supernet's weights.
#[derive(Clone, Debug)]
pub struct SubNetwork {
    /// The graph of the network.
    pub graph: Arc<Graph>,
    /// Indices of its parameters in the supernet's weights.
    pub params: Vec<usize>,
}

impl Supernet {
    /// A supernet with initial weights. `cells` is N.
    ///
    /// # Errors
    /// If the space cannot be built, or a number of the configuration is out of range.
    pub fn new(
        space: impl Into<Arc<Space>>,
        cells: usize,
        config: NetworkConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        let space = space.into();
        network::check_cells(cells)?;
        let blocks = space.supernet_blocks(cells);
        network::check(&space, &blocks, &config)?;
        let mut supernet = Self { space, blocks, config, drop_skips: false, weights: Weights::new(seed, device) };
        // One pass per candidate declares all weights, in an order that depends only on the space.
        let widest = supernet.space.cells.iter().map(CellSpace::width).max().unwrap_or(0);
        for k in 0..widest {
            let picks = supernet.uniform_picks(k);
            let graph = supernet.sub_network_graph(&picks, EdgeOutput::PickedGate);
            supernet.weights.declare(&graph);
        }
        Ok(supernet)
    }

    /// Operation `k` on every edge of every table (the last one where a table has fewer).
    fn uniform_picks(&self, k: usize) -> Vec<Vec<usize>> {
        self.space.cells.iter().map(|cell| vec![k.min(cell.width() - 1); cell.edges().len()]).collect()
    }

    /// The sub-network with operation `picks[table][edge]` on every edge.
    pub fn sub_network(&self, picks: &[Vec<usize>], form: EdgeOutput) -> SubNetwork {
        self.locate(self.sub_network_graph(picks, form))
    }

    /// The sub-network of any graph with this supernet's weights.
    pub fn locate(&self, graph: Graph) -> SubNetwork {
        let params = self.weights.locate(&graph);
        SubNetwork { graph: Arc::new(graph), params }
    }

    /// The network of a genotype, without gates, with this supernet's weights.
    ///
    /// # Errors
    /// If the genotype is of another space, or does not fit this one.
    pub fn derived(&self, genotype: &Genotype) -> Result<SubNetwork, NetworkError> {
        genotype.check_structure(&self.space)?;
        Ok(self.locate(network::derive(&self.blocks, &self.config, genotype)?))
    }

    fn sub_network_graph(&self, picks: &[Vec<usize>], form: EdgeOutput) -> Graph {
        self.lower(|table, cell, first_gate| {
            (drawn_plan(cell, &picks[table], form, first_gate), 2 * picks[table].len())
        })
    }

    /// The network that computes all operations of every edge, each with a gate; gates are ordered by table, edge and
    /// operation.
    pub fn mixture(&self) -> SubNetwork {
        self.locate(self.lower(|_, cell, first_gate| (mixed_plan(cell, first_gate), cell.edges().len() * cell.width())))
    }

    /// Lowers the plans of all tables. `plan` returns the plan of a table and its number of gates, from the table's index, its
    /// cell and its first gate.
    fn lower(&self, plan: impl Fn(usize, &CellSpace, usize) -> (CellPlan, usize)) -> Graph {
        let mut first_gate = 0;
        let mut plans = Vec::new();
        for (table, cell) in self.space.cells.iter().enumerate() {
            let (mut nodes, gates) = plan(table, cell, first_gate);
            for node in &mut nodes {
                node.drop_skips = self.drop_skips;
            }
            first_gate += gates;
            plans.push(nodes);
        }
        let mut graph = network::build(&self.space, &self.blocks, &self.config, &plans);
        graph.gates = first_gate;
        graph
    }

    /// The gates of [`Supernet::mixture`] from the weights of the operations, `[edges, operations]` per searched cell.
    pub fn mixture_gates(&self, weights: &[Alpha]) -> Tensor<1> {
        flat(weights.iter().flat_map(Alpha::values).map(|&gate| gate as f32).collect(), self.weights.device())
    }

    /// The gradient of the operations' weights from that of the gates, `[edges, operations]` per searched cell; the backward
    /// pass of [`Supernet::mixture_gates`].
    pub fn mixture_gradients(&self, gradient: &[f32]) -> Vec<Alpha> {
        let mut gates = gradient.iter().map(|&x| f64::from(x));
        let mut next = || gates.next().unwrap_or(0.0);
        let cells = self.space.cells.iter();
        cells.map(|cell| Alpha::from_fn(cell.edges().len(), cell.width(), |_, _| next())).collect()
    }

    /// The gates of sampled edges: 1 for the sampled operation, 0 for the sum of the others.
    pub fn gates(&self) -> Tensor<1> {
        let edges: usize = self.space.cells.iter().map(|cell| cell.edges().len()).sum();
        flat((0..2 * edges).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect(), self.weights.device())
    }

    /// Distributes the gradient of [`Supernet::gates`] to the operations: `dL/dh`, `[edges, operations]` per searched cell.
    pub fn gate_gradients(&self, picks: &[Vec<usize>], gradient: &[f32]) -> Vec<Alpha> {
        let mut pairs = gradient.chunks_exact(2);
        let spread = picks.iter().zip(&self.space.cells).map(|(picks, cell)| {
            let pairs: Vec<&[f32]> = pairs.by_ref().take(picks.len()).collect();
            let gradient = |edge: usize, k: usize| f64::from(pairs[edge][usize::from(k != picks[edge])]);
            Alpha::from_fn(picks.len(), cell.width(), gradient)
        });
        spread.collect()
    }

    /// Runs a sub-network. `params` are its weights in the order of its parameters.
    pub fn run(
        &self,
        net: &SubNetwork,
        mode: Mode,
        image: Tensor<4>,
        params: Vec<Tensor<1>>,
        gates: Tensor<1>,
    ) -> ForwardOutput {
        self.run_masked(net, mode, image, params, gates, None)
    }

    /// As [`run`](Self::run), with dropout of skip connections: `masks` are the factors `[graph.masks, batch]`.
    pub fn run_masked(
        &self,
        net: &SubNetwork,
        mode: Mode,
        image: Tensor<4>,
        params: Vec<Tensor<1>>,
        gates: Tensor<1>,
        masks: Option<Tensor<2>>,
    ) -> ForwardOutput {
        let running = if mode == Mode::Eval { self.weights.running_of(&net.graph) } else { vec![] };
        let inputs = Inputs { image, params, gates: Some(gates), masks, running, precision: self.weights.precision() };
        gdas_kernels::run(&net.graph, mode, inputs)
    }
}

/// The plan of a sampled cell. Edge `e` has gate `2 e` for its operation and `2 e + 1` for the sum of the gates of the other
/// operations, counted from `first_gate`; an edge with `none` has only the latter.
fn drawn_plan(cell: &CellSpace, picks: &[usize], form: EdgeOutput, first_gate: usize) -> CellPlan {
    let mut plan = vec![NodePlan::default(); cell.nodes];
    for (i, (edge, &pick)) in cell.edges().iter().zip(picks).enumerate() {
        let gate = first_gate + 2 * i;
        let node = &mut plan[edge.to - cell.inputs];
        node.terms.push(Term { operation: cell.operations[pick].clone(), input: edge.from, gate: Some(gate) });
        if form == EdgeOutput::AllGates {
            node.constant.push(gate + 1);
        }
    }
    plan
}

/// The plan of a cell that computes all operations: operation `k` of edge `e` has gate `e K + k`, counted from `first_gate`.
/// The gates of `none` are not in the plan and have no gradient.
fn mixed_plan(cell: &CellSpace, first_gate: usize) -> CellPlan {
    let mut plan = vec![NodePlan::default(); cell.nodes];
    for (i, edge) in cell.edges().iter().enumerate() {
        let first = first_gate + i * cell.width();
        let terms = cell.operations.iter().enumerate();
        let terms =
            terms.map(|(k, operation)| Term { operation: operation.clone(), input: edge.from, gate: Some(first + k) });
        plan[edge.to - cell.inputs].terms.extend(terms);
    }
    plan
}
