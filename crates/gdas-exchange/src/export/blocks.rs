//! Division of a graph into blocks by its parameters' names, for the modules written for PyTorch and Burn.

use gdas_kernels::graph::{Graph, Node, Op, ValueId};

/// Consecutive nodes whose names share a block.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) nodes: Vec<ValueId>,
    /// Values of earlier blocks that it reads, in order of first use.
    pub(super) inputs: Vec<ValueId>,
    /// Values that later blocks (or the caller) read.
    pub(super) outputs: Vec<ValueId>,
}

impl Block {
    /// Name of a value within the block's code: `x0` is its first input, `v3` its fourth node. Equal blocks thus have equal
    /// code.
    pub(super) fn local(&self, graph: &Graph, mut value: ValueId) -> String {
        while let (Some(source), false) = (same_as(graph, value), self.inputs.contains(&value)) {
            value = source;
        }
        match self.inputs.iter().position(|&i| i == value) {
            Some(index) => format!("x{index}"),
            None => format!("v{}", self.nodes.iter().position(|&n| n == value).unwrap_or(value)),
        }
    }
}

/// The input of a node that is an identity: a sum of one value, or drop-path in evaluation mode.
pub(super) fn same_as(graph: &Graph, index: ValueId) -> Option<ValueId> {
    let node = &graph.nodes[index];
    match (&node.op, &node.inputs[..]) {
        (Op::Sum(_) | Op::ScaleImages { .. }, &[source]) => Some(source),
        _ => None,
    }
}

/// Full name of a node's layer, without the array's own last component.
fn layer_name<'a>(graph: &'a Graph, node: &Node) -> Option<&'a str> {
    match &node.op {
        Op::Conv { weight, .. } => graph.params[*weight].name.rsplit_once('.').map(|(layer, _)| layer),
        Op::Norm { norm, .. } => Some(&graph.norms[*norm].name),
        _ => None,
    }
}

/// Name of a node's layer within its block.
pub(super) fn part_name(graph: &Graph, node: &Node, block: &str) -> Option<String> {
    let full = layer_name(graph, node)?;
    Some(full.strip_prefix(block).and_then(|rest| rest.strip_prefix('.')).unwrap_or(full).to_owned())
}

/// The block of a layer: `cells.3` of `cells.3.edge...`, `stem` of `stem.conv`.
fn block_name(layer: &str) -> String {
    let depth = if layer.starts_with("cells.") { 2 } else { 1 };
    layer.split('.').take(depth).collect::<Vec<_>>().join(".")
}

/// Divides the used part of the graph into blocks of consecutive nodes.
pub(super) fn blocks(graph: &Graph, used: &[bool]) -> Vec<Block> {
    let mut blocks: Vec<(String, Vec<ValueId>)> = Vec::new();
    // Nodes without a name since the last named one.
    let mut waiting: Vec<ValueId> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().skip(1).filter(|(index, _)| used[*index]) {
        let Some(name) = layer_name(graph, node).map(block_name) else {
            waiting.push(index);
            continue;
        };
        match blocks.last_mut() {
            Some((last, nodes)) if *last == name => nodes.append(&mut waiting),
            last => {
                // Sums and concatenations end a block; the other nodes (ReLU, pools) start the next one.
                let joins = |&i: &ValueId| matches!(graph.nodes[i].op, Op::Sum(_) | Op::Concat);
                let ours = waiting.iter().rposition(joins).map_or(0, |p| p + 1);
                let rest = waiting.split_off(ours);
                match last {
                    Some((_, nodes)) => nodes.append(&mut waiting),
                    None if !waiting.is_empty() => blocks.push(("input".to_owned(), std::mem::take(&mut waiting))),
                    None => {}
                }
                blocks.push((name, rest));
            }
        }
        if let Some((_, nodes)) = blocks.last_mut() {
            nodes.push(index);
        }
    }
    match blocks.last_mut() {
        Some((_, nodes)) => nodes.append(&mut waiting),
        None => blocks.push(("network".to_owned(), waiting)),
    }
    let reads = |nodes: &[ValueId], v: ValueId| nodes.iter().any(|&n| graph.nodes[n].inputs.contains(&v));
    let wired = blocks.iter().enumerate().map(|(position, (name, nodes))| {
        let mut inputs = Vec::new();
        for v in nodes.iter().flat_map(|&n| &graph.nodes[n].inputs) {
            if !nodes.contains(v) && !inputs.contains(v) {
                inputs.push(*v);
            }
        }
        let zeros = |&n: &ValueId| graph.nodes[n].inputs.is_empty();
        if inputs.is_empty() && nodes.iter().any(zeros) {
            inputs.push(0);
        }
        let later = |v: ValueId| blocks[position + 1..].iter().any(|(_, nodes)| reads(nodes, v));
        let outputs = nodes.iter().copied().filter(|&v| later(v) || v == graph.outputs[0]).collect();
        Block { name: name.clone(), nodes: nodes.clone(), inputs, outputs }
    });
    wired.collect()
}
