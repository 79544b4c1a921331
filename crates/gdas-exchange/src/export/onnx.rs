//! ONNX files, readable by ONNX Runtime, OpenVINO, TensorRT, browsers and most else.
//!
//! Input `images`: float32 `[batch, channels, height, width]`, normalised as in training; output `logits`: float32
//! `[batch, classes]`. The batch size is free.

use std::collections::BTreeSet;

use gdas_kernels::graph::{Graph, NORM_EPSILON, Node, Op, Window};

use super::protobuf::Message;
use super::{ExportError, Weights, exportable, portable_shape, to_portable};

/// Version of the ONNX operator set that is written.
pub const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// Encodes a network. `metadata` (such as class names or the pixels' mean) is stored as the model's properties.
pub fn to_onnx(graph: &Graph, weights: &Weights, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ExportError> {
    weights.check(graph)?;
    let used = exportable(graph)?;
    let mut writer = Writer { graph, weights, nodes: vec![], initializers: vec![], declared: BTreeSet::new() };
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
        writer.node(index, node);
    }
    let main = graph.outputs[0];
    writer.op("Flatten", &[&value(main)], "logits", vec![int("axis", 1)]);

    let image = graph.shape(0);
    let input = value_info("images", &[image.channels, image.height, image.width]);
    let output = value_info("logits", &[graph.shape(main).elements()]);
    let network = Message::new()
        .each(writer.nodes, |m, node| m.message(1, &node))
        .text(2, "network")
        .each(writer.initializers, |m, tensor| m.message(5, &tensor))
        .message(11, &input)
        .message(12, &output);
    let entry = |(key, value): &(&str, &str)| Message::new().text(1, key).text(2, value);
    let model = Message::new()
        .int(1, IR_VERSION)
        .text(2, "gdas")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &network)
        .message(8, &Message::new().text(1, "").int(2, OPSET))
        .each(metadata, |m, pair| m.message(14, &entry(pair)));
    Ok(model.into_bytes())
}

struct Writer<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    declared: BTreeSet<String>,
}

fn value(index: usize) -> String {
    if index == 0 { "images".to_owned() } else { format!("v{index}") }
}

impl Writer<'_> {
    fn node(&mut self, index: usize, node: &Node) {
        let out = value(index);
        let inputs: Vec<String> = node.inputs.iter().map(|&i| value(i)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match &node.op {
            Op::Image => {}
            Op::Relu => self.op("Relu", &inputs, &out, vec![]),
            Op::Conv { weight, bias, window, groups } => {
                // A convolution keeps four axes, so the classifier's matrix is written as a 1x1 filter.
                let [kh, kw, per_group, channels] = self.graph.params[*weight].shape[..] else { return };
                let weight = self.param_shaped(*weight, &[channels, per_group, kh, kw]);
                let bias = bias.map(|b| self.param(b));
                let operands: Vec<&str> = [inputs[0], &weight].into_iter().chain(bias.as_deref()).collect();
                let mut attributes = geometry(window);
                attributes.push(ints("dilations", &window.dilation));
                attributes.push(int("group", *groups as i64));
                self.op("Conv", &operands, &out, attributes);
            }
            Op::Norm { scale, shift, norm } => self.norm(inputs[0], &out, *scale, *shift, *norm),
            Op::AvgPool(window) => {
                let mut attributes = geometry(window);
                attributes.push(int("count_include_pad", 0));
                self.op("AveragePool", &inputs, &out, attributes);
            }
            Op::MaxPool(window) => self.op("MaxPool", &inputs, &out, geometry(window)),
            Op::Shift => {
                let [starts, ends, axes] = [[1, 1], [i64::MAX; 2], [2, 3]];
                let operands = [
                    inputs[0].to_owned(),
                    self.constant("shift.starts", &starts),
                    self.constant("shift.ends", &ends),
                    self.constant("shift.axes", &axes),
                ];
                let cut = format!("{out}.cut");
                self.op("Slice", &operands.each_ref().map(String::as_str), &cut, vec![]);
                let pads = self.constant("shift.pads", &[0, 0, 0, 0, 0, 0, 1, 1]);
                self.op("Pad", &[&cut, &pads], &out, vec![]);
            }
            Op::Sum(_) if inputs.is_empty() => {
                // Zeros of the batch's size.
                let (batch, size) = (format!("{out}.batch"), format!("{out}.shape"));
                self.op("Shape", &["images"], &batch, vec![int("start", 0), int("end", 1)]);
                let shape = node.shape;
                let rest = [shape.channels as i64, shape.height as i64, shape.width as i64];
                let rest = self.constant(&format!("{out}.rest"), &rest);
                self.op("Concat", &[&batch, &rest], &size, vec![int("axis", 0)]);
                self.op("ConstantOfShape", &[&size], &out, vec![]);
            }
            Op::Sum(_) if inputs.len() == 1 => self.op("Identity", &inputs, &out, vec![]),
            Op::Sum(_) => self.op("Sum", &inputs, &out, vec![]),
            // Nothing is dropped once training is over.
            Op::ScaleImages { .. } => self.op("Identity", &inputs, &out, vec![]),
            Op::Concat => self.op("Concat", &inputs, &out, vec![int("axis", 1)]),
            Op::GlobalAvgPool => self.op("GlobalAveragePool", &inputs, &out, vec![]),
        }
    }

    fn norm(&mut self, input: &str, out: &str, scale: Option<usize>, shift: Option<usize>, norm: usize) {
        let spec = &self.graph.norms[norm];
        let channels = spec.channels;
        let scale = match scale {
            Some(param) => self.param(param),
            None => self.tensor(format!("{}.ones", spec.name), &[channels], &vec![1.0; channels]),
        };
        let shift = match shift {
            Some(param) => self.param(param),
            None => self.tensor(format!("{}.zeros", spec.name), &[channels], &vec![0.0; channels]),
        };
        let running = &self.weights.running[norm];
        if spec.track {
            let mean = self.tensor(format!("{}.running_mean", spec.name), &[channels], &running[..channels]);
            let variance = self.tensor(format!("{}.running_var", spec.name), &[channels], &running[channels..]);
            let operands = [input, &scale, &shift, &mean, &variance];
            self.op("BatchNormalization", &operands, out, vec![float("epsilon", NORM_EPSILON)]);
            return;
        }
        // By the statistics of the batch: (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + shift.
        let name = |part: &str| format!("{out}.{part}");
        let axes = || vec![ints("axes", &[0, 2, 3]), int("keepdims", 1)];
        let epsilon = self.tensor("epsilon".to_owned(), &[1], &[NORM_EPSILON]);
        self.op("ReduceMean", &[input], &name("mean"), axes());
        self.op("Sub", &[input, &name("mean")], &name("centred"), vec![]);
        self.op("Mul", &[&name("centred"), &name("centred")], &name("squared"), vec![]);
        self.op("ReduceMean", &[&name("squared")], &name("variance"), axes());
        self.op("Add", &[&name("variance"), &epsilon], &name("safe"), vec![]);
        self.op("Sqrt", &[&name("safe")], &name("deviation"), vec![]);
        let broadcast = self.constant("channel.shape", &[1, -1, 1, 1]);
        self.op("Div", &[&name("centred"), &name("deviation")], &name("unit"), vec![]);
        self.op("Reshape", &[&scale, &broadcast], &name("scale"), vec![]);
        self.op("Reshape", &[&shift, &broadcast], &name("shift"), vec![]);
        self.op("Mul", &[&name("unit"), &name("scale")], &name("scaled"), vec![]);
        self.op("Add", &[&name("scaled"), &name("shift")], out, vec![]);
    }

    fn op(&mut self, kind: &str, inputs: &[&str], output: &str, attributes: Vec<Message>) {
        let node = Message::new()
            .each(inputs, |m, input| m.text(1, input))
            .text(2, output)
            .text(3, output)
            .text(4, kind)
            .each(attributes, |m, attribute| m.message(5, &attribute));
        self.nodes.push(node);
    }

    fn param(&mut self, param: usize) -> String {
        let shape = portable_shape(self.graph, param);
        self.param_shaped(param, &shape)
    }

    fn param_shaped(&mut self, param: usize, shape: &[usize]) -> String {
        let spec = &self.graph.params[param];
        let values = to_portable(&spec.shape, &self.weights.params[param]);
        self.tensor(spec.name.clone(), shape, &values)
    }

    fn tensor(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.declare(name, shape, FLOAT, &raw)
    }

    fn constant(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.declare(name.to_owned(), &[values.len()], INT64, &raw)
    }

    /// Each name is stored once, however often it is used.
    fn declare(&mut self, name: String, shape: &[usize], kind: i64, raw: &[u8]) -> String {
        if self.declared.insert(name.clone()) {
            let tensor =
                Message::new().each(shape, |m, &size| m.int(1, size as i64)).int(2, kind).text(8, &name).bytes(9, raw);
            self.initializers.push(tensor);
        }
        name
    }
}

fn geometry(window: &Window) -> Vec<Message> {
    let [top, left] = window.padding;
    vec![ints("kernel_shape", &window.kernel), ints("strides", &window.stride), ints("pads", &[top, left, top, left])]
}

fn int(name: &str, value: i64) -> Message {
    Message::new().text(1, name).int(3, value).int(20, 2)
}

fn float(name: &str, value: f32) -> Message {
    Message::new().text(1, name).float(2, value).int(20, 1)
}

fn ints(name: &str, values: &[usize]) -> Message {
    Message::new().text(1, name).each(values, |m, &v| m.int(8, v as i64)).int(20, 7)
}

/// A float tensor with a free batch axis followed by the given sizes.
fn value_info(name: &str, sizes: &[usize]) -> Message {
    let batch = Message::new().text(2, "batch");
    let sizes = sizes.iter().map(|&size| Message::new().int(1, size as i64));
    let shape = Message::new().each(std::iter::once(batch).chain(sizes), |m, dim| m.message(1, &dim));
    let tensor = Message::new().int(1, FLOAT).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}
