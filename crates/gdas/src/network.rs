//! Lowering of a space, its skeleton and a choice of operations to a [`Graph`].
//!
//! The supernet for one sample and the network of a genotype are built by the same code, with the same parameter names, so
//! that weights can be transferred by name.

use std::sync::Arc;

use gdas_kernels::graph::{Graph, Shape, Sum, ValueId, Window};

use crate::space::{
    Block, Body, CellGenotype, CellOutput, CellSpace, Genotype, GenotypeError, Layer, Operation, Space, SpaceError,
    Wiring,
};

/// First layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// One 3x3 convolution that keeps the image size.
    Cifar,
    /// Three 3x3 convolutions of stride 2, which reduce height and width by a factor of eight.
    ImageNet,
}

impl Stem {
    /// The default stem for square images of this size.
    pub fn for_size(size: usize) -> Self {
        if size > 64 { Self::ImageNet } else { Self::Cifar }
    }
}

/// Configuration of a network except its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// Size of the images.
    pub image: Shape,
    /// Number of classes.
    pub classes: usize,
    /// Base channel count C.
    pub channels: usize,
    /// The first layers.
    pub stem: Stem,
    /// Whether the candidates' normalisations have scale and shift. If not, their convolutions have a bias.
    pub affine: bool,
    /// Whether the candidates' normalisations keep running statistics.
    pub track: bool,
    /// Whether there is an auxiliary classifier after the second reduction (training only).
    pub auxiliary: bool,
    /// Whether operations other than the identity have drop-path (training only).
    pub drop_path: bool,
}

/// Why a network cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The space cannot be built.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The genotype is not of the space.
    #[error(transparent)]
    Genotype(#[from] GenotypeError),
    /// A number of the configuration is out of range.
    #[error("{what} of the network: {value}, but must be between {low} and {high}")]
    Size {
        /// Name of the number.
        what: &'static str,
        /// Its value.
        value: usize,
        /// Minimum.
        low: usize,
        /// Maximum.
        high: usize,
    },
    /// A block refers to a cell that the space lacks, or to a kind of block that its skeleton lacks.
    #[error("block {index} ({block:?}) does not belong to space `{space}`")]
    Block {
        /// Index in the list.
        index: usize,
        /// The block.
        block: Block,
        /// The space.
        space: String,
    },
}

/// Maximum sizes: far above those of published networks, and small enough that their products do not overflow.
const MOST_PIXELS: usize = 1 << 14;
const MOST_CHANNELS: usize = 1 << 14;
const MOST_CELLS: usize = 1 << 10;
const MOST_CLASSES: usize = 1 << 24;

impl NetworkConfig {
    fn check(&self) -> Result<(), NetworkError> {
        for (what, value, high) in [
            ("image height", self.image.height, MOST_PIXELS),
            ("image width", self.image.width, MOST_PIXELS),
            ("image channels", self.image.channels, MOST_CHANNELS),
            ("classes", self.classes, MOST_CLASSES),
            ("channels", self.channels, MOST_CHANNELS),
        ] {
            if !(1..=high).contains(&value) {
                return Err(NetworkError::Size { what, value, low: 1, high });
            }
        }
        Ok(())
    }
}

/// An operation on an edge of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The operation.
    pub operation: Arc<Operation>,
    /// Index of the state that it reads.
    pub input: usize,
    /// Index of the gate by which its result is multiplied.
    pub gate: Option<usize>,
}

/// The terms of the sum of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePlan {
    /// Operations, in order.
    pub terms: Vec<Term>,
    /// Gates that are added with value zero but a non-zero gradient.
    pub constant: Vec<usize>,
    /// Whether skip connections into it have dropout per image; each then has a row of the masks.
    pub drop_skips: bool,
}

/// A cell to be lowered: one entry per inner node.
pub type CellPlan = Vec<NodePlan>;

fn cell_plan(genotype: &CellGenotype) -> CellPlan {
    let term = |c: &crate::space::Choice| Term { operation: c.operation.clone(), input: c.input, gate: None };
    let node = |node: &Vec<_>| NodePlan { terms: node.iter().map(term).collect(), ..NodePlan::default() };
    genotype.nodes.iter().map(node).collect()
}

/// The network of a genotype with these blocks, such as those of [`Space::derived_blocks`].
///
/// # Errors
/// If the space cannot be built, the genotype is not of it, or the blocks or the configuration do not fit.
pub fn derive(blocks: &[Block], config: &NetworkConfig, genotype: &Genotype) -> Result<Graph, NetworkError> {
    check(&genotype.space, blocks, config)?;
    genotype.check_structure(&genotype.space)?;
    let plans: Vec<CellPlan> = genotype.cells.iter().map(cell_plan).collect();
    Ok(build(&genotype.space, blocks, config, &plans))
}

/// The network in which the cells of each alpha table follow its plan, for the supernet: with gates, and with any number
/// of operations per edge.
///
/// # Errors
/// If the space cannot be built, or the blocks, the configuration or the plans do not fit it.
pub fn lower(
    space: &Space,
    blocks: &[Block],
    config: &NetworkConfig,
    plans: &[CellPlan],
) -> Result<Graph, NetworkError> {
    check(space, blocks, config)?;
    let misfit = |reason: String| NetworkError::Genotype(GenotypeError::Misfit { space: space.name.clone(), reason });
    if plans.len() != space.cells.len() {
        return Err(misfit(format!("{} plans for {} cells", plans.len(), space.cells.len())));
    }
    for (plan, cell) in plans.iter().zip(&space.cells) {
        if plan.len() != cell.nodes {
            return Err(misfit(format!("a plan of {} nodes for cell `{}` of {}", plan.len(), cell.name, cell.nodes)));
        }
        for (node, term) in plan.iter().enumerate().flat_map(|(i, node)| node.terms.iter().map(move |term| (i, term))) {
            if term.input >= cell.inputs + node || !cell.operations.contains(&term.operation) {
                let (state, name) = (cell.inputs + node, &term.operation.name);
                return Err(misfit(format!(
                    "node {state} of cell `{}` cannot have `{name}~{}`",
                    cell.name, term.input
                )));
            }
        }
    }
    Ok(build(space, blocks, config, plans))
}

/// Checks a number of cells per stage.
///
/// # Errors
/// If it is above the maximum.
pub(crate) fn check_cells(cells: usize) -> Result<(), NetworkError> {
    let (low, high) = (0, MOST_CELLS);
    if cells <= high { Ok(()) } else { Err(NetworkError::Size { what: "cells per stage", value: cells, low, high }) }
}

/// Checks that blocks and configuration describe a valid network of a valid space.
///
/// # Errors
/// The first violation.
pub(crate) fn check(space: &Space, blocks: &[Block], config: &NetworkConfig) -> Result<(), NetworkError> {
    space.validate()?;
    config.check()?;
    for (index, &block) in blocks.iter().enumerate() {
        let (wiring, tables) = (space.skeleton.wiring, space.cells.len());
        let (fits, width) = match block {
            Block::Cell { table, width, reduction } => (table < tables && !(reduction && table == 0), width),
            Block::Residual { width } => (wiring == Wiring::Residual, width),
            Block::FixedReduction { width } => (wiring != Wiring::Residual, width),
        };
        if !fits {
            return Err(NetworkError::Block { index, block, space: space.name.clone() });
        }
        let value = width.saturating_mul(config.channels);
        if !(1..=MOST_CHANNELS).contains(&value) {
            return Err(NetworkError::Size { what: "channels of a stage", value, low: 1, high: MOST_CHANNELS });
        }
    }
    Ok(())
}

/// As [`lower`], for checked arguments.
pub(crate) fn build(space: &Space, blocks: &[Block], config: &NetworkConfig, plans: &[CellPlan]) -> Graph {
    let mut builder = Builder { graph: Graph::new(config.image), config };
    let (mut older, mut newer, mut reduced) = builder.stem(space);
    let second_reduction = blocks.iter().rposition(|block| !matches!(block, Block::Cell { reduction: false, .. }));
    let mut auxiliary = None;
    for (index, block) in blocks.iter().enumerate() {
        let name = format!("cells.{index}");
        let output = match (*block, space.skeleton.wiring) {
            (Block::Residual { width }, _) => builder.residual(newer, &name, width * config.channels),
            (Block::FixedReduction { width }, _) => {
                builder.fixed_reduction([older, newer], &name, width * config.channels, reduced)
            }
            (Block::Cell { table, .. }, Wiring::Residual) => {
                builder.cell(&space.cells[table], &plans[table], &[newer], &name, false)
            }
            (Block::Cell { table, width, reduction }, Wiring::TwoInputs { .. }) => {
                let inputs = builder.preprocess([older, newer], &name, width * config.channels, reduced);
                builder.cell(&space.cells[table], &plans[table], &inputs, &name, reduction)
            }
        };
        reduced = matches!(block, Block::FixedReduction { .. } | Block::Cell { reduction: true, .. });
        (older, newer) = (newer, output);
        if config.auxiliary && Some(index) == second_reduction {
            auxiliary = Some(newer);
        }
    }
    let logits = builder.head(newer);
    let auxiliary = auxiliary.map(|value| builder.auxiliary_head(value));
    let mut graph = builder.graph;
    graph.outputs = std::iter::once(logits).chain(auxiliary).collect();
    graph
}

/// A network of one operation (or none) on values of this shape and a global mean, to measure its latency.
///
/// # Errors
/// If the operation cannot be built, or the shape is empty or too large.
pub fn operation_alone(operation: Option<&Operation>, input: Shape, stride: usize) -> Result<Graph, NetworkError> {
    operation.map_or(Ok(()), Operation::validate)?;
    let config = NetworkConfig {
        image: input,
        classes: 1,
        channels: input.channels,
        stem: Stem::Cifar,
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    config.check()?;
    let mut builder = Builder { graph: Graph::new(input), config: &config };
    let x = operation.map_or(0, |operation| builder.operation(0, &operation.name, operation, stride));
    let x = builder.graph.global_avg_pool(x);
    builder.graph.outputs = vec![x];
    Ok(builder.graph)
}

struct Builder<'a> {
    graph: Graph,
    config: &'a NetworkConfig,
}

impl Builder<'_> {
    /// Convolution and normalisation of the fixed part: without bias, affine, with running statistics.
    fn conv_norm(&mut self, x: ValueId, name: &str, channels: usize, window: Window, groups: usize) -> ValueId {
        let conv = self.graph.conv(x, &format!("{name}.conv"), channels, window, groups, false);
        self.graph.norm(conv, &format!("{name}.norm"), true, true)
    }

    /// Normalisation of a candidate, a preprocessing layer or the fixed reduction cell, according to the configuration.
    fn candidate_norm(&mut self, x: ValueId, name: &str) -> ValueId {
        self.graph.norm(x, name, self.config.affine, self.config.track)
    }

    /// The inputs of the first cell (older, newer), and whether the newer is half the size of the older.
    fn stem(&mut self, space: &Space) -> (ValueId, ValueId, bool) {
        let (residual, image) = (space.skeleton.wiring == Wiring::Residual, 0);
        // Cells with one input keep the number of channels.
        let c = self.config.channels * if residual { space.skeleton.widths[0] } else { 1 };
        match self.config.stem {
            Stem::Cifar => {
                // Stem multiplier 3 in the NASNet space, 1 in NAS-Bench-201.
                let channels = if residual { c } else { 3 * c };
                let x = self.conv_norm(image, "stem", channels, Window::same(3, 1, 1), 1);
                (x, x, false)
            }
            Stem::ImageNet => {
                let x = self.conv_norm(image, "stem.0", c.div_ceil(2), Window::same(3, 2, 1), 1);
                let x = self.graph.relu(x);
                let older = self.conv_norm(x, "stem.1", c, Window::same(3, 2, 1), 1);
                let x = self.graph.relu(older);
                let newer = self.conv_norm(x, "stem.2", c, Window::same(3, 2, 1), 1);
                (older, newer, true)
            }
        }
    }

    /// Batch normalisation, ReLU, global average pool, linear layer, as in both published skeletons.
    fn head(&mut self, x: ValueId) -> ValueId {
        let x = self.graph.norm(x, "head.norm", true, true);
        let x = self.graph.relu(x);
        let x = self.graph.global_avg_pool(x);
        self.graph.linear(x, "head.classifier", self.config.classes)
    }

    /// DARTS's auxiliary head. The pooled image is averaged before the classifier; at the published size it is 1 x 1 there.
    fn auxiliary_head(&mut self, x: ValueId) -> ValueId {
        let stride = if self.config.stem == Stem::ImageNet { 2 } else { 3 };
        let shape = self.graph.shape(x);
        let x = self.graph.relu(x);
        let window = Window::valid(5.min(shape.height).min(shape.width), stride);
        let x = self.graph.avg_pool(x, window);
        let x = self.conv_norm(x, "auxiliary.0", 128, Window::valid(1, 1), 1);
        let x = self.graph.relu(x);
        let pooled = self.graph.shape(x);
        let x = self.conv_norm(x, "auxiliary.1", 768, Window::valid(2.min(pooled.height).min(pooled.width), 1), 1);
        let x = self.graph.relu(x);
        let x = self.graph.global_avg_pool(x);
        self.graph.linear(x, "auxiliary.classifier", self.config.classes)
    }

    /// NAS-Bench-201's residual block of stride 2.
    fn residual(&mut self, x: ValueId, name: &str, channels: usize) -> ValueId {
        let a = self.graph.relu(x);
        let a = self.conv_norm(a, &format!("{name}.a"), channels, Window::same(3, 2, 1), 1);
        let b = self.graph.relu(a);
        let b = self.conv_norm(b, &format!("{name}.b"), channels, Window::same(3, 1, 1), 1);
        // The benchmark has no odd sizes; padding makes the pool round up like the convolutions.
        let Shape { height, width, .. } = self.graph.shape(x);
        let pool = Window { padding: [height % 2, width % 2], ..Window::valid(2, 2) };
        let shortcut = self.graph.avg_pool(x, pool);
        let shortcut = self.graph.conv(shortcut, &format!("{name}.shortcut"), channels, Window::valid(1, 1), 1, false);
        self.graph.add(vec![b, shortcut])
    }

    /// ReLU, 1x1 convolution, normalisation.
    fn relu_conv_norm(&mut self, x: ValueId, name: &str, channels: usize) -> ValueId {
        let x = self.graph.relu(x);
        let x = self.graph.conv(x, &format!("{name}.conv"), channels, Window::valid(1, 1), 1, !self.config.affine);
        self.candidate_norm(x, &format!("{name}.norm"))
    }

    fn factorized_reduction(&mut self, x: ValueId, name: &str, channels: usize) -> ValueId {
        let bias = !self.config.affine;
        let x = self.graph.relu(x);
        let half = channels / 2;
        let a = self.graph.conv(x, &format!("{name}.a"), half, Window::valid(1, 2), 1, bias);
        let shifted = self.graph.shift(x);
        let b = self.graph.conv(shifted, &format!("{name}.b"), channels - half, Window::valid(1, 2), 1, bias);
        let x = self.graph.concat(vec![a, b]);
        self.candidate_norm(x, &format!("{name}.norm"))
    }

    /// Projects a cell's two inputs to its width, and the older one to the size of the newer one after a reduction.
    fn preprocess(&mut self, [older, newer]: [ValueId; 2], name: &str, channels: usize, reduced: bool) -> [ValueId; 2] {
        let name0 = format!("{name}.preprocess.0");
        let older = if reduced {
            self.factorized_reduction(older, &name0, channels)
        } else {
            self.relu_conv_norm(older, &name0, channels)
        };
        [older, self.relu_conv_norm(newer, &format!("{name}.preprocess.1"), channels)]
    }

    /// The fixed reduction cell of GDAS (FRC). As in the published supernet, its normalisations and convolutions are like those
    /// of the candidates: with scale and shift if `affine`, else with biases.
    fn fixed_reduction(&mut self, inputs: [ValueId; 2], name: &str, channels: usize, reduced: bool) -> ValueId {
        let inputs = self.preprocess(inputs, name, channels, reduced);
        let bias = !self.config.affine;
        // Eight groups as published, or the largest number that divides the channels.
        let groups = (1..=8).rev().find(|g| channels.is_multiple_of(*g)).unwrap_or(1);
        let window = |kernel, stride, padding| Window { kernel, stride, padding, dilation: [1, 1] };
        let mut parts = Vec::new();
        for (i, &x) in inputs.iter().enumerate() {
            let name = format!("{name}.convs.{i}");
            let x = self.graph.relu(x);
            let x = self.graph.conv(x, &format!("{name}.1"), channels, window([1, 3], [1, 2], [0, 1]), groups, bias);
            let x = self.graph.conv(x, &format!("{name}.2"), channels, window([3, 1], [2, 1], [1, 0]), groups, bias);
            let x = self.candidate_norm(x, &format!("{name}.3"));
            let x = self.graph.relu(x);
            let x = self.graph.conv(x, &format!("{name}.5"), channels, Window::valid(1, 1), 1, bias);
            parts.push(self.candidate_norm(x, &format!("{name}.6")));
        }
        for (i, &x) in inputs.iter().enumerate() {
            let x = self.graph.max_pool(x, Window::same(3, 2, 1));
            parts.push(self.candidate_norm(x, &format!("{name}.pools.{i}.1")));
        }
        self.graph.concat(parts)
    }

    fn cell(&mut self, cell: &CellSpace, plan: &CellPlan, inputs: &[ValueId], name: &str, reduction: bool) -> ValueId {
        let mut states = inputs.to_vec();
        let first = self.graph.shape(inputs[0]);
        let [height, width] = Window::same(3, if reduction { 2 } else { 1 }, 1).output([first.height, first.width]);
        let shape = Shape::new(height, width, first.channels);
        for (i, node) in plan.iter().enumerate() {
            let mut values = Vec::new();
            let mut sum = Sum { gates: Vec::new(), constant: node.constant.clone() };
            for term in node.terms.iter().filter(|term| term.operation.body != Body::Zero) {
                let stride = if reduction && term.input < cell.inputs { 2 } else { 1 };
                let to = cell.inputs + i;
                let name = format!("{name}.edge.{to}.{}.{}", term.input, term.operation.name);
                let x = states[term.input];
                let y = self.operation(x, &name, &term.operation, stride);
                let droppable = if y == x { node.drop_skips } else { self.config.drop_path };
                values.push(if droppable { self.graph.scale_images(y) } else { y });
                sum.gates.push(term.gate);
            }
            states.push(self.graph.sum(values, sum, shape));
        }
        match cell.output {
            CellOutput::Last => states[states.len() - 1],
            CellOutput::Concat => self.graph.concat(states.split_off(cell.inputs)),
        }
    }

    fn operation(&mut self, mut x: ValueId, name: &str, operation: &Operation, mut stride: usize) -> ValueId {
        let channels = self.graph.shape(x).channels;
        let bias = !self.config.affine;
        let layers = match &operation.body {
            Body::Skip if stride > 1 => return self.factorized_reduction(x, &format!("{name}.0"), channels),
            Body::Zero | Body::Skip => return x,
            Body::Layers(layers) => layers,
        };
        for (i, layer) in layers.iter().enumerate() {
            let name = format!("{name}.{i}");
            // The stride is applied by the first layer that supports it.
            let step = if layer.takes_stride() { std::mem::replace(&mut stride, 1) } else { 1 };
            x = match *layer {
                Layer::Relu => self.graph.relu(x),
                Layer::Conv { kernel } => self.graph.conv(x, &name, channels, Window::same(kernel, step, 1), 1, bias),
                Layer::Depthwise { kernel, dilation } => {
                    self.graph.conv(x, &name, channels, Window::same(kernel, step, dilation), channels, false)
                }
                Layer::Pointwise => self.graph.conv(x, &name, channels, Window::valid(1, 1), 1, bias),
                Layer::Norm => self.candidate_norm(x, &name),
                Layer::AvgPool { kernel } => self.graph.avg_pool(x, Window::same(kernel, step, 1)),
                Layer::MaxPool { kernel } => self.graph.max_pool(x, Window::same(kernel, step, 1)),
            };
        }
        x
    }
}
