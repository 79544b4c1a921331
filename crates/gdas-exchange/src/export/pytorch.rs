//! A network as a PyTorch module in one readable file.
//!
//! The graph is divided into blocks by its parameters' names (stem, cells, head); blocks with the same layers share one
//! class. Submodules carry the parameters' dotted names, so the safetensors file of the same network is its
//! state dictionary.

use std::fmt::Write as _;

use gdas_kernels::graph::{Graph, NORM_EPSILON, Node, Op, ValueId, Window};

use super::blocks::{Block, blocks, part_name, same_as};
use super::{ExportError, exportable, is_linear};

/// Writes the module. `title` becomes the first line of its documentation, for example the genotype.
pub fn to_pytorch(graph: &Graph, title: &str) -> Result<String, ExportError> {
    let used = exportable(graph)?;
    let blocks = blocks(graph, &used);
    let mut out = String::from("\"\"\"");
    // The title must not terminate the string that contains it.
    let _ = writeln!(out, "{}\n", title.replace('\\', "\\\\").replace('"', "'"));
    let image = graph.shape(0);
    let _ = write!(
        out,
        "Written by gdas {}. Input: float32 images [batch, {}, {}, {}], normalised as in training;\n\
         output: logits [batch, {}].\n\"\"\"\n\n{PRELUDE}",
        env!("CARGO_PKG_VERSION"),
        image.channels,
        image.height,
        image.width,
        graph.shape(graph.outputs[0]).elements(),
    );

    let mut classes: Vec<(String, String)> = Vec::new();
    let mut users: Vec<Vec<&str>> = Vec::new();
    let mut class_of = Vec::new();
    for block in &blocks {
        let body = class_body(graph, block);
        let known = classes.iter().position(|(_, other)| *other == body);
        let index = known.unwrap_or_else(|| {
            classes.push((format!("Block{}", classes.len()), body));
            users.push(vec![]);
            classes.len() - 1
        });
        users[index].push(&block.name);
        class_of.push(index);
    }
    for ((name, body), users) in classes.iter().zip(&users) {
        let _ = write!(out, "\n\nclass {name}(Block):\n    \"\"\"{}\"\"\"\n\n{body}", users.join(", "));
    }

    out.push_str("\n\nclass Network(Block):\n    \"\"\"The whole network.\"\"\"\n\n    def __init__(self):\n        super().__init__()\n");
    for (block, &class) in blocks.iter().zip(&class_of) {
        let _ = writeln!(out, "        self.put(\"{}\", {}())", block.name, classes[class].0);
    }
    out.push_str("\n    def forward(self, images):\n");
    let value = |v: ValueId| if v == 0 { "images".to_owned() } else { format!("x{v}") };
    for block in &blocks {
        let list = |values: &[ValueId]| values.iter().map(|&v| value(v)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            out,
            "        {} = self.get_submodule(\"{}\")({})",
            list(&block.outputs),
            block.name,
            list(&block.inputs)
        );
    }
    let _ = writeln!(out, "        return torch.flatten({}, 1)", value(graph.outputs[0]));
    out.push_str(EPILOGUE);
    Ok(out)
}

const PRELUDE: &str = r#"import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A module whose parts may have dotted names, as in its state dictionary."""

    def put(self, name, part):
        *path, last = name.split(".")
        parent = self
        for step in path:
            if not hasattr(parent, step):
                parent.add_module(step, nn.Module())
            parent = getattr(parent, step)
        if hasattr(parent, last):  # a container that holds deeper parts already
            for child, module in getattr(parent, last).named_children():
                part.add_module(child, module)
        parent.add_module(last, part)
"#;

const EPILOGUE: &str = r#"

def load(path):
    """The network with the weights of a safetensors file, ready for evaluation."""
    from safetensors.torch import load_file

    network = Network()
    missing, unexpected = network.load_state_dict(load_file(path), strict=False)
    # PyTorch counts the batches of every normalisation; nothing reads that count here.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"weights of another network: missing {missing}, unexpected {unexpected}")
    return network.eval()
"#;

fn class_body(graph: &Graph, block: &Block) -> String {
    let mut init = String::new();
    let mut forward = String::new();
    let local = |v: ValueId| block.local(graph, v);
    for &index in block.nodes.iter().filter(|&&index| same_as(graph, index).is_none()) {
        let node = &graph.nodes[index];
        let inputs: Vec<String> = node.inputs.iter().map(|&v| local(v)).collect();
        let result = local(index);
        let part = part_name(graph, node, &block.name);
        if let (Some(module), Some(part)) = (module(graph, index), &part) {
            let _ = writeln!(init, "        self.put(\"{part}\", {module})");
        }
        let expression = match (&node.op, part) {
            (Op::Conv { .. }, Some(part)) if is_linear(graph, index) => {
                format!("self.get_submodule(\"{part}\")(torch.flatten({}, 1))", inputs[0])
            }
            (Op::Conv { .. } | Op::Norm { .. }, Some(part)) => {
                format!("self.get_submodule(\"{part}\")({})", inputs[0])
            }
            _ => expression(node, &inputs),
        };
        let _ = writeln!(forward, "        {result} = {expression}");
    }
    let names: Vec<String> = (0..block.inputs.len()).map(|i| format!("x{i}")).collect();
    let outputs = block.outputs.iter().map(|&v| local(v)).collect::<Vec<_>>().join(", ");
    let init = if init.is_empty() {
        String::new()
    } else {
        format!("    def __init__(self):\n        super().__init__()\n{init}\n")
    };
    format!("{init}    def forward(self, {}):\n{forward}        return {outputs}\n", names.join(", "))
}

/// Right-hand side for a node without parameters.
fn expression(node: &Node, inputs: &[String]) -> String {
    let window = |w: &Window| {
        let [k, s, p] = [w.kernel, w.stride, w.padding].map(pair);
        format!("{}, {k}, stride={s}, padding={p}", inputs[0])
    };
    match &node.op {
        Op::Relu => format!("F.relu({})", inputs[0]),
        Op::AvgPool(w) => format!("F.avg_pool2d({}, count_include_pad=False)", window(w)),
        Op::MaxPool(w) => format!("F.max_pool2d({})", window(w)),
        Op::Shift => format!("F.pad({}[:, :, 1:, 1:], (0, 1, 0, 1))", inputs[0]),
        Op::Sum(_) if inputs.is_empty() => {
            let s = node.shape;
            // Every block has an input, which gives the batch size of the zeros.
            format!("x0.new_zeros(x0.shape[0], {}, {}, {})", s.channels, s.height, s.width)
        }
        Op::Sum(_) => inputs.join(" + "),
        Op::Concat => format!("torch.cat([{}], dim=1)", inputs.join(", ")),
        Op::GlobalAvgPool => format!("{}.mean((2, 3), keepdim=True)", inputs[0]),
        // The others are identities or have parameters, which the caller handles.
        Op::ScaleImages { .. } | Op::Image | Op::Conv { .. } | Op::Norm { .. } => inputs[0].clone(),
    }
}

/// Constructor of a node's submodule.
fn module(graph: &Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    match &node.op {
        Op::Conv { bias, window, groups, .. } => {
            let (input, output) = (graph.shape(node.inputs[0]).channels, node.shape.channels);
            let bias = if bias.is_some() { "" } else { ", bias=False" };
            if is_linear(graph, index) {
                return Some(format!("nn.Linear({input}, {output}{bias})"));
            }
            let mut text = format!("nn.Conv2d({input}, {output}, {}", pair(window.kernel));
            let options = [
                ("stride", window.stride, [1, 1]),
                ("padding", window.padding, [0, 0]),
                ("dilation", window.dilation, [1, 1]),
            ];
            for (name, value, default) in options.into_iter().filter(|(_, value, default)| value != default) {
                let _ = (write!(text, ", {name}={}", pair(value)), default);
            }
            if *groups > 1 {
                let _ = write!(text, ", groups={groups}");
            }
            Some(format!("{text}{bias})"))
        }
        Op::Norm { scale, norm, .. } => {
            let spec = &graph.norms[*norm];
            let affine = if scale.is_some() { "" } else { ", affine=False" };
            let track = if spec.track { "" } else { ", track_running_stats=False" };
            Some(format!("nn.BatchNorm2d({}, eps={NORM_EPSILON:e}{affine}{track})", spec.channels))
        }
        _ => None,
    }
}

fn pair([a, b]: [usize; 2]) -> String {
    if a == b { a.to_string() } else { format!("({a}, {b})") }
}
