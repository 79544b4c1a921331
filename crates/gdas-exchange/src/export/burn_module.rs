//! A network as a Rust module on Burn's own layers (`burn::nn`).
//!
//! Divided into blocks like the PyTorch module, and formatted as by rustfmt's defaults. The module depends only on Burn
//! with one of its backends.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gdas_kernels::graph::{Graph, Op, ValueId, Window};

use super::blocks::{Block, blocks, part_name, same_as};
use super::{ExportError, exportable, is_linear};

/// Maximum width of a call chain that rustfmt keeps on one line.
const CHAIN: usize = 60;

/// Writes the module. `title` becomes the first line of its documentation, for example the genotype.
///
/// # Errors
/// For the graph of a search, or a normalisation without running statistics, which Burn lacks.
pub fn to_burn_module(graph: &Graph, title: &str) -> Result<String, ExportError> {
    let used = check(graph)?;
    let blocks = blocks(graph, &used);
    let mut classes: Vec<(Class, Vec<&str>)> = Vec::new();
    let mut class_of = Vec::new();
    for block in &blocks {
        let class = Class::new(graph, block);
        let index = classes.iter().position(|(known, _)| *known == class).unwrap_or_else(|| {
            classes.push((class, vec![]));
            classes.len() - 1
        });
        classes[index].1.push(&block.name);
        class_of.push(index);
    }

    let image = graph.shape(0);
    let mut out = String::new();
    for line in title.lines() {
        let _ = writeln!(out, "//! {line}");
    }
    let _ = write!(
        out,
        "//!\n//! Written by gdas {} for Burn 0.22. Input: images `[batch, {}, {}, {}]`, normalised as in\n\
         //! training; output: logits `[batch, {}]`.\n\n",
        env!("CARGO_PKG_VERSION"),
        image.channels,
        image.height,
        image.width,
        graph.shape(graph.outputs[0]).elements(),
    );
    let text: String = classes.iter().map(|(class, _)| class.forward.as_str()).collect();
    out.push_str(&imports(&text, &classes.iter().map(|(class, _)| class.init.as_str()).collect::<String>()));
    network(graph, &blocks, &class_of, &mut out);
    for (index, (class, users)) in classes.iter().enumerate() {
        class.write(&format!("Block{index}"), users, &mut out);
    }
    for (name, helper) in HELPERS {
        if text.contains(&format!("{name}(")) {
            out.push_str(helper);
        }
    }
    Ok(out)
}

/// Checks the conditions of this format and of all; returns which nodes the main output needs.
pub(super) fn check(graph: &Graph) -> Result<Vec<bool>, ExportError> {
    let used = exportable(graph)?;
    for (node, _) in graph.nodes.iter().zip(&used).filter(|(_, used)| **used) {
        if let Op::Norm { norm, .. } = node.op
            && !graph.norms[norm].track
        {
            return Err(ExportError::BatchStatistics(graph.norms[norm].name.clone()));
        }
    }
    Ok(used)
}

/// A dotted name as the name of a struct field.
pub(super) fn field(name: &str) -> String {
    name.replace('.', "_")
}

fn imports(forward: &str, init: &str) -> String {
    let pools = [("AvgPool2dConfig", "= avg_pool("), ("MaxPool2dConfig", "= max_pool(")];
    let mut used: Vec<&str> = pools.iter().filter(|(_, call)| forward.contains(call)).map(|(name, _)| *name).collect();
    if forward.contains("mean(") {
        used.insert(0, "AdaptiveAvgPool2dConfig");
    }
    let pools = match used[..] {
        [] => String::new(),
        [one] => format!("use burn::nn::pool::{one};\n"),
        _ => format!("use burn::nn::pool::{{{}}};\n", used.join(", ")),
    };
    let mut layers = vec!["BatchNorm", "BatchNormConfig"];
    if init.contains("LinearConfig") {
        layers.extend(["Linear", "LinearConfig"]);
    }
    if init.contains("PaddingConfig2d") || forward.contains("_pool(") {
        layers.push("PaddingConfig2d");
    }
    let activation = if forward.contains("relu(") { "use burn::tensor::activation::relu;\n" } else { "" };
    format!(
        "use std::path::Path;\n\nuse burn::module::Module;\nuse burn::nn::conv::{{Conv2d, Conv2dConfig}};\n{pools}\
         use burn::nn::{{{}}};\nuse burn::store::{{ModuleRecord, RecordError}};\n{activation}\
         use burn::tensor::{{Device, Tensor}};\n",
        layers.join(", ")
    )
}

/// Functions that blocks may call; only those called are written.
const HELPERS: [(&str, &str); 4] = [
    (
        "avg_pool",
        "
/// Mean over a window; padding is not counted.
fn avg_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Tensor<4> {
    let [y, x_pad] = pad;
    AvgPool2dConfig::new(kernel)
        .with_strides(stride)
        .with_padding(PaddingConfig2d::Explicit(y, x_pad, y, x_pad))
        .with_count_include_pad(false)
        .init()
        .forward(x)
}
",
    ),
    (
        "max_pool",
        "
/// Maximum over a window.
fn max_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Tensor<4> {
    let [y, x_pad] = pad;
    MaxPool2dConfig::new(kernel)
        .with_strides(stride)
        .with_padding(PaddingConfig2d::Explicit(y, x_pad, y, x_pad))
        .init()
        .forward(x)
}
",
    ),
    (
        "shift",
        "
/// The image moved up and left by one pixel, zeros following.
fn shift(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.slice([0..batch, 0..channels, 1..height, 1..width])
        .pad((0, 1, 0, 1), 0.0)
}
",
    ),
    (
        "mean",
        "
/// Mean over height and width.
fn mean(x: Tensor<4>) -> Tensor<4> {
    AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x)
}
",
    ),
];

/// Writes the struct of the whole network.
fn network(graph: &Graph, blocks: &[Block], class_of: &[usize], out: &mut String) {
    out.push_str("\n/// The whole network.\n#[derive(Module, Debug)]\npub struct Network {\n");
    for (block, class) in blocks.iter().zip(class_of) {
        let _ = writeln!(out, "    {}: Block{class},", field(&block.name));
    }
    out.push_str(
        "}\n\nimpl Network {\n    /// The network with random weights.\n    pub fn new(device: &Device) -> Self {\n        \
         Self {\n",
    );
    for (block, class) in blocks.iter().zip(class_of) {
        let _ = writeln!(out, "            {}: Block{class}::new(device),", field(&block.name));
    }
    out.push_str(
        "        }\n    }\n\n    /// The network with the weights of a record that gdas wrote.\n    \
         pub fn load(record: impl AsRef<Path>, device: &Device) -> Result<Self, RecordError> {\n        \
         Self::new(device).try_load_record(ModuleRecord::load(record)?)\n    }\n\n    \
         /// Logits of each image.\n    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {\n",
    );
    let name = |v: ValueId| if v == 0 { "images".to_owned() } else { format!("x{v}") };
    let mut uses = Uses::default();
    let main = graph.outputs[0];
    blocks.iter().flat_map(|block| &block.inputs).for_each(|&v| uses.add(&name(v)));
    uses.add(&name(main));
    for block in blocks {
        let inputs: Vec<String> = block.inputs.iter().map(|&v| uses.take(&name(v))).collect();
        let call = format!("self.{}.forward({})", field(&block.name), inputs.join(", "));
        let outputs: Vec<String> = block.outputs.iter().map(|&v| name(v)).collect();
        let _ = match &outputs[..] {
            [_] if block.outputs == [main] && is_linear(graph, main) => writeln!(out, "        {call}"),
            [one] => writeln!(out, "        let {one} = {call};"),
            all => writeln!(out, "        let ({}) = {call};", all.join(", ")),
        };
    }
    if !is_linear(graph, main) {
        let _ = writeln!(out, "        {}.flatten(1, 3)", name(main));
    }
    out.push_str("    }\n}\n");
}

/// Remaining reads of each value: the last read moves it, the others clone it.
#[derive(Default)]
struct Uses(BTreeMap<String, usize>);

impl Uses {
    fn add(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    fn take(&mut self, name: &str) -> String {
        match self.0.get_mut(name) {
            Some(left) if *left > 1 => {
                *left -= 1;
                format!("{name}.clone()")
            }
            _ => name.to_owned(),
        }
    }
}

/// Code of a block's struct; blocks with the same layers share one.
#[derive(PartialEq)]
struct Class {
    fields: String,
    init: String,
    signature: String,
    forward: String,
}

impl Class {
    fn new(graph: &Graph, block: &Block) -> Self {
        let local = |v: ValueId| block.local(graph, v);
        let steps: Vec<ValueId> = block.nodes.iter().copied().filter(|&i| same_as(graph, i).is_none()).collect();
        let mut uses = Uses::default();
        for &index in &steps {
            let inputs = &graph.nodes[index].inputs;
            for &v in inputs {
                uses.add(&local(v));
            }
            if inputs.is_empty() {
                uses.add("x0");
            }
        }
        block.outputs.iter().for_each(|&v| uses.add(&local(v)));

        let (mut fields, mut init, mut forward) = (String::new(), String::new(), String::new());
        let outputs: Vec<String> = block.outputs.iter().map(|&v| local(v)).collect();
        for (position, &index) in steps.iter().enumerate() {
            let node = &graph.nodes[index];
            let part = part_name(graph, node, &block.name).map(|part| field(&part));
            if let (Some(part), Some((layer, config))) = (&part, layer(graph, index)) {
                let _ = writeln!(fields, "    {part}: {layer},");
                let _ = writeln!(init, "            {part}: {config},");
            }
            let value = expression(graph, index, part.as_deref(), &local, &mut uses);
            let result = local(index);
            let _ = if position + 1 == steps.len() && outputs == [result.clone()] {
                writeln!(forward, "        {value}")
            } else {
                writeln!(forward, "        let {result} = {value};")
            };
        }
        match &outputs[..] {
            [one] if steps.last().is_some_and(|&last| local(last) == *one) => {}
            [one] => {
                let _ = writeln!(forward, "        {one}");
            }
            all => {
                let all: Vec<String> = all.iter().map(|name| uses.take(name)).collect();
                let _ = writeln!(forward, "        ({})", all.join(", "));
            }
        }
        let rank = |v: ValueId| if is_linear(graph, v) { "Tensor<2>" } else { "Tensor<4>" };
        let ranks: Vec<&str> = block.outputs.iter().map(|&v| rank(v)).collect();
        let result = if let [one] = ranks[..] { one.to_owned() } else { format!("({})", ranks.join(", ")) };
        let mut signature = String::from("fn forward(&self");
        for i in 0..block.inputs.len() {
            let _ = write!(signature, ", x{i}: Tensor<4>");
        }
        let _ = write!(signature, ") -> {result}");
        Self { fields, init, signature, forward }
    }

    fn write(&self, name: &str, users: &[&str], out: &mut String) {
        out.push('\n');
        let mut line = String::from("///");
        for (index, user) in users.iter().enumerate() {
            let end = if index + 1 == users.len() { "." } else { "," };
            if line.len() + user.len() + 2 > 100 {
                let _ = writeln!(out, "{line}");
                line = String::from("///");
            }
            let _ = write!(line, " `{user}`{end}");
        }
        let _ = write!(
            out,
            "{line}\n#[derive(Module, Debug)]\nstruct {name} {{\n{}}}\n\nimpl {name} {{\n    fn new(device: &Device) -> \
             Self {{\n        Self {{\n{}        }}\n    }}\n\n    {} {{\n{}    }}\n}}\n",
            self.fields, self.init, self.signature, self.forward
        );
    }
}

/// Right-hand side for a node.
fn expression(
    graph: &Graph,
    index: ValueId,
    part: Option<&str>,
    local: &impl Fn(ValueId) -> String,
    uses: &mut Uses,
) -> String {
    let node = &graph.nodes[index];
    let inputs: Vec<String> = node.inputs.iter().map(|&v| uses.take(&local(v))).collect();
    let first = inputs.first().cloned().unwrap_or_default();
    let pool = |name: &str, w: &Window| format!("{name}({first}, {:?}, {:?}, {:?})", w.kernel, w.stride, w.padding);
    match (&node.op, part) {
        (Op::Conv { .. }, Some(part)) if is_linear(graph, index) => {
            let call = format!("self.{part}.forward({first}.flatten(1, 3))");
            if call.len() <= CHAIN { call } else { format!("self.{part}\n            .forward({first}.flatten(1, 3))") }
        }
        (Op::Conv { .. } | Op::Norm { .. }, Some(part)) => {
            let call = format!("self.{part}.forward({first})");
            if call.len() <= CHAIN { call } else { format!("self.{part}\n            .forward({first})") }
        }
        (Op::Relu, _) => format!("relu({first})"),
        (Op::AvgPool(window), _) => pool("avg_pool", window),
        (Op::MaxPool(window), _) => pool("max_pool", window),
        (Op::Shift, _) => format!("shift({first})"),
        (Op::Sum(_), _) if inputs.is_empty() => {
            let s = node.shape;
            // Every block has an input, which gives the batch size of the zeros.
            uses.take("x0");
            format!("Tensor::<4>::zeros([x0.dims()[0], {}, {}, {}], &x0.device())", s.channels, s.height, s.width)
        }
        (Op::Sum(_), _) => inputs.join(" + "),
        (Op::Concat, _) => format!("Tensor::cat(vec![{}], 1)", inputs.join(", ")),
        (Op::GlobalAvgPool, _) => format!("mean({first})"),
        // The others are identities, which the caller handles.
        _ => first,
    }
}

/// Type and constructor of a node's layer.
fn layer(graph: &Graph, index: ValueId) -> Option<(&'static str, String)> {
    let node = &graph.nodes[index];
    match &node.op {
        Op::Conv { bias, window, groups, .. } => {
            let (input, output) = (graph.shape(node.inputs[0]).channels, node.shape.channels);
            let mut calls = Vec::new();
            let bias = bias.is_none().then(|| ".with_bias(false)".to_owned());
            if is_linear(graph, index) {
                calls.extend(bias);
                return Some(("Linear", chain(&format!("LinearConfig::new({input}, {output})"), calls)));
            }
            let options = [("stride", window.stride), ("dilation", window.dilation)];
            for (name, value) in options.into_iter().filter(|(_, value)| *value != [1, 1]) {
                calls.push(format!(".with_{name}({value:?})"));
            }
            if *groups > 1 {
                calls.push(format!(".with_groups({groups})"));
            }
            if window.padding != [0, 0] {
                let [y, x] = window.padding;
                calls.push(format!(".with_padding(PaddingConfig2d::Explicit({y}, {x}, {y}, {x}))"));
            }
            calls.extend(bias);
            Some(("Conv2d", chain(&format!("Conv2dConfig::new([{input}, {output}], {:?})", window.kernel), calls)))
        }
        Op::Norm { norm, .. } => {
            Some(("BatchNorm", chain(&format!("BatchNormConfig::new({})", graph.norms[*norm].channels), vec![])))
        }
        _ => None,
    }
}

/// A call chain, on one line if it is short.
fn chain(head: &str, mut calls: Vec<String>) -> String {
    calls.push(".init(device)".to_owned());
    let line = format!("{head}{}", calls.concat());
    if line.len() <= CHAIN { line } else { format!("{head}\n                {}", calls.join("\n                ")) }
}
