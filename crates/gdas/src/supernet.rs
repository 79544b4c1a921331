//! The supernet: shared weights of every candidate, of which one drawn sub-network runs at a time.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::Graph;
use gdas_kernels::{ForwardOutput, Inputs, Mode};

use crate::alpha::Alpha;
use crate::config::EdgeOutput;
use crate::network::{self, CellPlan, NetworkConfig, NetworkError, NodePlan, Term};
use crate::space::{Block, CellSpace, Genotype, Space};
use crate::weights::{Weights, flat};

/// Shared weights, and how they are wired.
#[derive(Clone, Debug)]
pub struct Supernet {
    /// The space that is searched.
    pub space: Arc<Space>,
    /// Its stages.
    pub blocks: Vec<Block>,
    /// Everything but the cells.
    pub config: NetworkConfig,
    /// Whether drawn skip connections can be dropped per image (see [`Supernet::run_masked`]).
    pub drop_skips: bool,
    /// Every candidate's weights.
    pub weights: Weights,
}

/// A network drawn from a supernet.
#[derive(Clone, Debug)]
pub struct SubNetwork {
    /// Its wiring.
    pub graph: Arc<Graph>,
    /// Where its parameters stand among the supernet's weights.
    pub params: Vec<usize>,
}

impl Supernet {
    /// A supernet with fresh weights. `cells` is N.
    ///
    /// # Errors
    /// The space cannot be built, or a number of the configuration is out of range.
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
        // One pass per candidate declares all weights, in an order that depends on nothing but the space.
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

    /// The sub-network that takes operation `picks[table][edge]` on every edge.
    pub fn sub_network(&self, picks: &[Vec<usize>], form: EdgeOutput) -> SubNetwork {
        self.locate(self.sub_network_graph(picks, form))
    }

    /// A sub-network of any plan over this supernet's weights.
    pub fn locate(&self, graph: Graph) -> SubNetwork {
        let params = self.weights.locate(&graph);
        SubNetwork { graph: Arc::new(graph), params }
    }

    /// The network of a genotype of this space, without gates, over this supernet's weights.
    ///
    /// # Errors
    /// The genotype is of another space, or does not fit this one.
    pub fn derived(&self, genotype: &Genotype) -> Result<SubNetwork, NetworkError> {
        genotype.check_structure(&self.space)?;
        Ok(self.locate(network::derive(&self.blocks, &self.config, genotype)?))
    }

    fn sub_network_graph(&self, picks: &[Vec<usize>], form: EdgeOutput) -> Graph {
        self.lower(|table, cell, first_gate| {
            (drawn_plan(cell, &picks[table], form, first_gate), 2 * picks[table].len())
        })
    }

    /// The network that computes every operation of every edge, each with a gate of its own; gates count by table, edge
    /// and operation.
    pub fn mixture(&self) -> SubNetwork {
        self.locate(self.lower(|_, cell, first_gate| (mixed_plan(cell, first_gate), cell.edges().len() * cell.width())))
    }

    /// Lowers the plans of all tables; `plan` makes one from the table's number, its cell and its first gate, and says
    /// how many gates it has.
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

    /// Weights of the operations, `[edges, operations]` per searched cell, as the gates of [`Supernet::mixture`].
    pub fn mixture_gates(&self, weights: &[Alpha]) -> Tensor<1> {
        flat(weights.iter().flat_map(Alpha::values).map(|&gate| gate as f32).collect(), self.weights.device())
    }

    /// The gradient of [`Supernet::mixture_gates`], `[edges, operations]` per searched cell.
    pub fn mixture_gradients(&self, gradient: &[f32]) -> Vec<Alpha> {
        let mut gates = gradient.iter().map(|&x| f64::from(x));
        let mut next = || gates.next().unwrap_or(0.0);
        let cells = self.space.cells.iter();
        cells.map(|cell| Alpha::from_fn(cell.edges().len(), cell.width(), |_, _| next())).collect()
    }

    /// The gates of drawn edges: the drawn operation's is one, the sum of the others' is zero.
    pub fn gates(&self) -> Tensor<1> {
        let edges: usize = self.space.cells.iter().map(|cell| cell.edges().len()).sum();
        flat((0..2 * edges).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect(), self.weights.device())
    }

    /// Spreads the gradient of [`Supernet::gates`] over the operations: `dL/dh`, `[edges, operations]` per searched cell.
    pub fn gate_gradients(&self, picks: &[Vec<usize>], gradient: &[f32]) -> Vec<Alpha> {
        let mut pairs = gradient.chunks_exact(2);
        let spread = picks.iter().zip(&self.space.cells).map(|(picks, cell)| {
            let pairs: Vec<&[f32]> = pairs.by_ref().take(picks.len()).collect();
            let gradient = |edge: usize, k: usize| f64::from(pairs[edge][usize::from(k != picks[edge])]);
            Alpha::from_fn(picks.len(), cell.width(), gradient)
        });
        spread.collect()
    }

    /// Runs a sub-network. `params` are its weights in its own order.
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

    /// As [`run`](Self::run), where skip connections can be dropped: `masks` has a factor per such connection and
    /// image, `[graph.masks, batch]`.
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

/// The plan of a drawn cell. Edge `e` has gate `2 e` for its operation and `2 e + 1` for the sum of the gates
/// that were not picked, counted from `first_gate`; an edge that drew `none` has the latter only.
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

/// The plan of a cell that computes everything: operation `k` of edge `e` has gate `e K + k`, counted from
/// `first_gate`. A gate of `none` multiplies nothing, so it is not in the plan and has no gradient.
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
