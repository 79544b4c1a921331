//! ONNX files, readable by ONNX Runtime, OpenVINO, TensorRT, browsers and others.
//!
//! [`model_to_onnx`] writes a trained network that takes raw pixels: the normalisation is part of the file.
//! [`to_onnx`] writes a graph that takes normalised images. The batch size is free in both.
//!
//! | | [`model_to_onnx`] | [`to_onnx`] |
//! | --- | --- | --- |
//! | input `images` | `uint8` or `float32` in 0..255, `[batch, channels, height, width]` or channels last | `float32`, `[batch, channels, height, width]`, normalised as in training |
//! | output `logits` | `float32 [batch, classes]` | the same |
//! | output `probabilities` | their softmax, `float32 [batch, classes]` | none |

mod attributes;
mod writer;

use gdas::data::Statistics;
use gdas::train::TrainedModel;
use gdas_kernels::graph::Graph;
use serde_json::json;

use super::int8::Int8Network;
use super::protobuf::Message;
use super::{ExportError, Weights, exportable, metadata};
use attributes::{FLOAT, UINT8, int, ints, value_info};
use writer::Writer;

/// Version of the ONNX operator set that is written.
pub const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Metadata key of a quantised file.
pub(crate) const QUANTIZATION: &str = "quantization";

/// Prefix of the names of constants that convert pixels to the network's input; they are not weights of the network.
pub(crate) const INPUT_PREFIX: &str = "input.";

/// Element type of the pixels that a file takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelType {
    /// Bytes, as image files are decoded to.
    #[default]
    Uint8,
    /// `float32`, in 0..255.
    Float32,
}

/// Order of the axes of the images that a file takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelLayout {
    /// `[batch, channels, height, width]`.
    #[default]
    ChannelsFirst,
    /// `[batch, height, width, channels]`, as image libraries deliver them.
    ChannelsLast,
}

/// Input format of an ONNX file, and whether it averages over mirror images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelInput {
    /// Element type of the pixels.
    pub kind: PixelType,
    /// Order of their axes.
    pub layout: PixelLayout,
    /// Whether the logits are the mean over each image and its mirror image (test-time flip). It doubles the time.
    pub flip: bool,
}

/// Encodes a graph that takes normalised images. `metadata` (such as class names or the pixels' mean) is stored as the
/// model's properties.
///
/// # Errors
/// If the weights belong to another network, or an operation has no ONNX form.
pub fn to_onnx(graph: &Graph, weights: &Weights, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ExportError> {
    weights.check(graph)?;
    let mut writer = Writer::new(graph, weights, "images");
    write_nodes(&mut writer, graph, "logits")?;
    let image = graph.shape(0);
    let input = value_info("images", FLOAT, &[image.channels, image.height, image.width]);
    let classes = graph.shape(graph.outputs[0]).elements();
    Ok(encode(writer, &input, &[value_info("logits", FLOAT, &[classes])], metadata))
}

/// Encodes a trained network that takes pixels in 0..255, with its [`metadata`](metadata()) and a description of the
/// preprocessing. With `int8`, which must be the same network in 8 bits, the file contains integers instead of floats.
///
/// # Errors
/// If an operation of the network has no ONNX form.
pub fn model_to_onnx(
    model: &TrainedModel,
    input: PixelInput,
    int8: Option<&Int8Network>,
) -> Result<Vec<u8>, ExportError> {
    let mut metadata = metadata(model);
    metadata.push(("preprocessing", preprocessing(model, input)));
    if int8.is_some() {
        metadata.push((QUANTIZATION, "int8".to_owned()));
    }
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    if let Some(network) = int8 {
        return int8_to_onnx(network, &model.statistics, input, &metadata);
    }
    pixels_to_onnx(&model.graph, &model.export_weights(), &model.statistics, input, &metadata)
}

/// The preprocessing that images need, as JSON.
fn preprocessing(model: &TrainedModel, input: PixelInput) -> String {
    let colour = if model.image.channels == 1 { "grey" } else { "RGB" };
    json!({
        "type": match input.kind { PixelType::Uint8 => "uint8", PixelType::Float32 => "float32" },
        "layout": match input.layout { PixelLayout::ChannelsFirst => "NCHW", PixelLayout::ChannelsLast => "NHWC" },
        "range": [0, 255],
        "colour": colour,
        "size": [model.image.height, model.image.width],
        "resize": "bilinear, antialiased, proportions not kept",
        "normalization": "inside",
        "flip": input.flip,
    })
    .to_string()
}

/// As [`to_onnx`], for pixels in 0..255, which the file normalises by `statistics`.
pub(super) fn pixels_to_onnx(
    graph: &Graph,
    weights: &Weights,
    statistics: &Statistics,
    input: PixelInput,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, ExportError> {
    weights.check(graph)?;
    pixels(Writer::new(graph, weights, &ready(input)), graph, statistics, input, metadata)
}

/// As [`pixels_to_onnx`], with integers.
pub(super) fn int8_to_onnx(
    network: &Int8Network,
    statistics: &Statistics,
    input: PixelInput,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, ExportError> {
    pixels(Writer::of_int8(network, &ready(input)), &network.graph, statistics, input, metadata)
}

fn named(part: &str) -> String {
    format!("{INPUT_PREFIX}{part}")
}

/// Name of the normalised images that the network's first layers read.
fn ready(input: PixelInput) -> String {
    named(if input.flip { "both" } else { "normalized" })
}

fn pixels(
    mut writer: Writer,
    graph: &Graph,
    statistics: &Statistics,
    input: PixelInput,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, ExportError> {
    let image = graph.shape(0);
    let mut pixels = "images".to_owned();
    if input.layout == PixelLayout::ChannelsLast {
        writer.op("Transpose", &[&pixels], &named("planes"), vec![ints("perm", &[0, 3, 1, 2])]);
        pixels = named("planes");
    }
    if input.kind == PixelType::Uint8 {
        writer.op("Cast", &[&pixels], &named("floats"), vec![int("to", FLOAT)]);
        pixels = named("floats");
    }
    let shape = [1, image.channels, 1, 1];
    let mean = writer.tensor(named("mean"), &shape, &statistics.mean);
    let std = writer.tensor(named("std"), &shape, &statistics.std);
    writer.op("Sub", &[&pixels, &mean], &named("centred"), vec![]);
    writer.op("Div", &[&named("centred"), &std], &named("normalized"), vec![]);
    if input.flip {
        mirror(&mut writer, &named("normalized"), &ready(input));
        write_nodes(&mut writer, graph, "logits.both")?;
        mean_of_both(&mut writer, graph.shape(graph.outputs[0]).elements());
    } else {
        write_nodes(&mut writer, graph, "logits")?;
    }
    writer.op("Softmax", &["logits"], "probabilities", vec![int("axis", 1)]);

    let sizes = match input.layout {
        PixelLayout::ChannelsFirst => [image.channels, image.height, image.width],
        PixelLayout::ChannelsLast => [image.height, image.width, image.channels],
    };
    let kind = if input.kind == PixelType::Uint8 { UINT8 } else { FLOAT };
    let classes = graph.shape(graph.outputs[0]).elements();
    let outputs = ["logits", "probabilities"].map(|name| value_info(name, FLOAT, &[classes]));
    Ok(encode(writer, &value_info("images", kind, &sizes), &outputs, metadata))
}

/// Writes the concatenation of the images and their mirror images.
fn mirror(writer: &mut Writer, images: &str, both: &str) {
    let constants = [("starts", -1), ("ends", i64::MIN), ("axes", 3), ("steps", -1)];
    let [starts, ends, axes, steps] =
        constants.map(|(name, value)| writer.constant(&format!("{INPUT_PREFIX}mirror.{name}"), &[value]));
    let mirrored = format!("{INPUT_PREFIX}mirrored");
    writer.op("Slice", &[images, &starts, &ends, &axes, &steps], &mirrored, vec![]);
    writer.op("Concat", &[images, &mirrored], both, vec![int("axis", 0)]);
}

/// Writes the mean over the halves of `logits.both` (images and mirror images) as `logits`.
fn mean_of_both(writer: &mut Writer, classes: usize) {
    let shape = writer.constant("logits.pairs.shape", &[2, -1, classes as i64]);
    writer.op("Reshape", &["logits.both", &shape], "logits.pairs", vec![]);
    writer.op("ReduceMean", &["logits.pairs"], "logits", vec![ints("axes", &[0]), int("keepdims", 0)]);
}

/// Writes the nodes that the main output needs, and the output as a matrix.
fn write_nodes(writer: &mut Writer, graph: &Graph, output: &str) -> Result<(), ExportError> {
    let used = exportable(graph)?;
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
        writer.node(index, node);
    }
    let main = writer.value(graph.outputs[0]);
    writer.op("Flatten", &[&main], output, vec![int("axis", 1)]);
    Ok(())
}

fn encode(writer: Writer, input: &Message, outputs: &[Message], metadata: &[(&str, &str)]) -> Vec<u8> {
    let network = Message::new()
        .each(writer.nodes, |m, node| m.message(1, &node))
        .text(2, "network")
        .each(writer.initializers, |m, tensor| m.message(5, &tensor))
        .message(11, input)
        .each(outputs, |m, output| m.message(12, output));
    let entry = |(key, value): &(&str, &str)| Message::new().text(1, key).text(2, value);
    let model = Message::new()
        .int(1, IR_VERSION)
        .text(2, "gdas")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &network)
        .message(8, &Message::new().text(1, "").int(2, OPSET))
        .each(metadata, |m, pair| m.message(14, &entry(pair)));
    model.into_bytes()
}
