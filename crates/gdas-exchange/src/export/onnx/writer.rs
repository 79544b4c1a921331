//! Nodes and constants of an ONNX graph.

use std::collections::BTreeSet;

use gdas_kernels::graph::{Graph, NORM_EPSILON, Node, Op};

use super::super::int8::{Affine, Int8Network};
use super::super::protobuf::Message;
use super::super::{Weights, portable_shape, to_portable};
use super::attributes::{FLOAT, INT8, INT32, INT64, UINT8, float, geometry, int, ints};

/// Builder of the nodes and constants of an ONNX graph.
pub(super) struct Writer<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    /// Name of the normalised images, value 0 of the graph.
    image: String,
    pub(super) nodes: Vec<Message>,
    pub(super) initializers: Vec<Message>,
    declared: BTreeSet<String>,
    /// The quantised network, if the file is one of 8 bits.
    int8: Option<&'a Int8Network>,
}

impl<'a> Writer<'a> {
    /// A writer without nodes, for a network whose normalised images are called `image`.
    pub(super) fn new(graph: &'a Graph, weights: &'a Weights, image: &str) -> Self {
        let (nodes, initializers) = (vec![], vec![]);
        Self { graph, weights, image: image.to_owned(), nodes, initializers, declared: BTreeSet::new(), int8: None }
    }

    /// As [`new`](Self::new), for a network of 8 bits.
    pub(super) fn of_int8(network: &'a Int8Network, image: &str) -> Self {
        Self { int8: Some(network), ..Self::new(&network.graph, &network.weights, image) }
    }

    /// Name of a value of the graph.
    pub(super) fn value(&self, index: usize) -> String {
        if index == 0 { self.image.clone() } else { format!("v{index}") }
    }

    fn stored(&self, index: usize) -> Option<Affine> {
        self.int8.and_then(|network| network.activations[index])
    }

    /// Name under which other nodes read a value: the dequantised one if it is quantised.
    fn read(&self, index: usize) -> String {
        let suffix = if self.stored(index).is_some() { ".dequantized" } else { "" };
        self.value(index) + suffix
    }

    /// Writes one node of the graph, and the quantisation of its value.
    pub(super) fn node(&mut self, index: usize, node: &Node) {
        self.operation(index, node);
        let Some(Affine { scale, zero }) = self.stored(index) else { return };
        let (value, out) = (self.value(index), self.read(index));
        let scale = self.declare(format!("{value}.scale"), &[], FLOAT, &scale.to_le_bytes());
        let zero = self.declare(format!("{value}.zero"), &[], UINT8, &[zero]);
        let bytes = format!("{value}.quantized");
        self.op("QuantizeLinear", &[&value, &scale, &zero], &bytes, vec![]);
        self.op("DequantizeLinear", &[&bytes, &scale, &zero], &out, vec![]);
    }

    fn operation(&mut self, index: usize, node: &Node) {
        let out = self.value(index);
        let inputs: Vec<String> = node.inputs.iter().map(|&i| self.read(i)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        match &node.op {
            Op::Image => {}
            Op::Relu => self.op("Relu", &inputs, &out, vec![]),
            Op::Conv { weight, bias, window, groups } => {
                // The classifier is a convolution of four axes, so its matrix is written as a 1x1 filter.
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
                // Zeros with the batch size of the input.
                let (batch, size) = (format!("{out}.batch"), format!("{out}.shape"));
                let image = self.image.clone();
                self.op("Shape", &[&image], &batch, vec![int("start", 0), int("end", 1)]);
                let shape = node.shape;
                let rest = [shape.channels as i64, shape.height as i64, shape.width as i64];
                let rest = self.constant(&format!("{out}.rest"), &rest);
                self.op("Concat", &[&batch, &rest], &size, vec![int("axis", 0)]);
                self.op("ConstantOfShape", &[&size], &out, vec![]);
            }
            Op::Sum(_) if inputs.len() == 1 => self.op("Identity", &inputs, &out, vec![]),
            // Runtimes have an integer form of the sum of two values.
            Op::Sum(_) if inputs.len() == 2 && self.int8.is_some() => self.op("Add", &inputs, &out, vec![]),
            Op::Sum(_) => self.op("Sum", &inputs, &out, vec![]),
            // Drop-path is an identity in evaluation mode.
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
        // With the statistics of the batch: (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + shift.
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

    /// Appends a node with one output, whose name is also the node's.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str], output: &str, attributes: Vec<Message>) {
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
        match self.int8.and_then(|network| network.scales.get(&param)) {
            Some(scales) => self.integers(&spec.name, shape, &values, scales),
            None => self.tensor(spec.name.clone(), shape, &values),
        }
    }

    /// A filter as signed bytes, or a bias as 32-bit integers, with one scale for each output channel (the first axis).
    fn integers(&mut self, name: &str, shape: &[usize], values: &[f32], scales: &[f32]) -> String {
        let (channels, per_channel) = (scales.len(), values.len() / scales.len().max(1));
        let steps = values.iter().enumerate().map(|(at, value)| (value / scales[at / per_channel]).round());
        let is_bias = shape.len() == 1;
        let (kind, raw): (i64, Vec<u8>) = if is_bias {
            (INT32, steps.flat_map(|step| (step as i32).to_le_bytes()).collect())
        } else {
            (INT8, steps.flat_map(|step| (step as i8).to_le_bytes()).collect())
        };
        let zeros = vec![0; channels * if is_bias { 4 } else { 1 }];
        let bytes = self.declare(format!("{name}.quantized"), shape, kind, &raw);
        let scale = self.tensor(format!("{name}.scale"), &[channels], scales);
        let zero = self.declare(format!("{name}.zero"), &[channels], kind, &zeros);
        self.op("DequantizeLinear", &[&bytes, &scale, &zero], name, vec![int("axis", 0)]);
        name.to_owned()
    }

    /// A constant of floats; returns its name.
    pub(super) fn tensor(&mut self, name: String, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.declare(name, shape, FLOAT, &raw)
    }

    /// A constant vector of integers; returns its name.
    pub(super) fn constant(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.declare(name.to_owned(), &[values.len()], INT64, &raw)
    }

    /// Stores a constant unless its name is stored already; returns the name.
    fn declare(&mut self, name: String, shape: &[usize], kind: i64, raw: &[u8]) -> String {
        if self.declared.insert(name.clone()) {
            let tensor =
                Message::new().each(shape, |m, &size| m.int(1, size as i64)).int(2, kind).text(8, &name).bytes(9, raw);
            self.initializers.push(tensor);
        }
        name
    }
}
