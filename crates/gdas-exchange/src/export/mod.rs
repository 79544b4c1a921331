//! Export of trained networks: ONNX, safetensors, a PyTorch module, a Burn module with its record.
//!
//! All formats contain the *network in use*: the main output, without auxiliary heads and drop-path, with batch
//! normalisation in evaluation mode. A normalisation without running statistics uses those of the batch in evaluation mode
//! too (as in the engine and in PyTorch), so the prediction for an image then depends on the other images of its batch;
//! [`depends_on_batch`] reports this.
//!
//! # Names and shapes of arrays
//!
//! Names are those of the [`Graph`]'s parameters; running statistics are `{normalisation}.running_mean` and
//! `.running_var`. Arrays have PyTorch's layout:
//!
//! | array | shape |
//! | --- | --- |
//! | weight of a convolution | `[out, in / groups, kernel height, kernel width]` |
//! | weight of the classifier | `[classes, channels]` |
//! | bias, scale, shift, statistics | `[channels]` |

mod blocks;
mod burn_module;
mod burn_record;
mod int8;
mod onnx;
pub mod protobuf;
mod pytorch;
mod safetensors;
mod usage;

pub use burn_module::to_burn_module;
pub use burn_record::to_burn_record;
pub use gdas::weights::PlainWeights as Weights;
pub use int8::Int8Network;
pub(crate) use onnx::{INPUT_PREFIX, QUANTIZATION};
pub use onnx::{OPSET, PixelInput, PixelLayout, PixelType, model_to_onnx, to_onnx};
pub use pytorch::to_pytorch;
pub use safetensors::{from_arrays, from_safetensors, to_safetensors};
pub use usage::{python_usage, rust_usage};

use gdas::train::TrainedModel;
use gdas::weights::WeightsMismatch;
use gdas_kernels::graph::{Graph, Op, ParamId};
use serde_json::json;

/// The metadata of a file that [`crate::import`] needs beside the weights: the cells (and their space, unless built in), the
/// class names, mean and deviation of the pixels (in 0..255), and height, width and channels of the images. The values are
/// JSON, except the cells.
pub fn metadata(model: &TrainedModel) -> Vec<(&'static str, String)> {
    let image = [model.image.height, model.image.width, model.image.channels];
    let mut metadata = vec![
        ("genotype", model.genotype.to_string()),
        ("classes", json!(model.classes).to_string()),
        ("mean", json!(model.statistics.mean).to_string()),
        ("std", json!(model.statistics.std).to_string()),
        ("image", json!(image).to_string()),
    ];
    if !model.genotype.space.is_built_in() {
        metadata.push(("space", json!(*model.genotype.space).to_string()));
    }
    metadata
}

/// Why a network could not be exported or read back.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph of a search, with gates.
    #[error("the network still has gates; export the network of a genotype, not a sampled supernet")]
    Gates,
    /// A graph without an output.
    #[error("the network has no output")]
    NoOutput,
    /// Weights that belong to another network.
    #[error(transparent)]
    Weights(#[from] WeightsMismatch),
    /// An array is missing in the file.
    #[error("the file has no array `{name}`; it belongs to another network")]
    Missing {
        /// Name of the array.
        name: String,
    },
    /// An array has another shape or type.
    #[error("array `{name}` is {found}, the network needs {expected}")]
    Mismatch {
        /// Name of the array.
        name: String,
        /// Shape and type needed.
        expected: String,
        /// Shape and type found.
        found: String,
    },
    /// The file cannot be read or written as safetensors.
    #[error("not a safetensors file: {0}")]
    Format(String),
    /// A dilated pool, which no target format supports.
    #[error("a pool with dilation {0:?} cannot be exported")]
    DilatedPool([usize; 2]),
    /// A normalisation without running statistics, which neither Burn's layer nor quantisation supports in evaluation mode.
    #[error(
        "normalisation `{0}` keeps no running statistics, so it cannot be a layer of Burn or be quantised; train the \
         network first"
    )]
    BatchStatistics(String),
    /// There are no images for the calibration of an 8-bit network.
    #[error("there is no image to calibrate the 8-bit network with")]
    NoCalibration,
}

/// Whether a prediction depends on the other images of its batch: true if the main output needs a normalisation without
/// running statistics.
pub fn depends_on_batch(graph: &Graph) -> bool {
    in_use(graph).iter().zip(&graph.nodes).any(|(used, node)| match node.op {
        Op::Norm { norm, .. } => *used && !graph.norms[norm].track,
        _ => false,
    })
}

/// For each node, whether the main output needs it.
fn in_use(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.nodes.len()];
    if let Some(&main) = graph.outputs.first() {
        used[main] = true;
        for index in (0..=main).rev() {
            if used[index] {
                graph.nodes[index].inputs.iter().for_each(|&input| used[input] = true);
            }
        }
        // The images are an input of the exported network even if it does not read them.
        used[0] = true;
    }
    used
}

/// Checks the conditions of all exports; returns which nodes the main output needs.
fn exportable(graph: &Graph) -> Result<Vec<bool>, ExportError> {
    if graph.outputs.is_empty() {
        return Err(ExportError::NoOutput);
    }
    if graph.gates > 0 {
        return Err(ExportError::Gates);
    }
    for node in &graph.nodes {
        if let Op::AvgPool(window) | Op::MaxPool(window) = &node.op
            && window.dilation != [1, 1]
        {
            return Err(ExportError::DilatedPool(window.dilation));
        }
    }
    Ok(in_use(graph))
}

/// Whether node `index` is the classifier: a 1x1 convolution of a 1x1 value that is an output.
fn is_linear(graph: &Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let single = |value: usize| (graph.shape(value).height, graph.shape(value).width) == (1, 1);
    matches!(&node.op, Op::Conv { window, groups: 1, .. } if window.kernel == [1, 1] && window.padding == [0, 0])
        && graph.outputs.contains(&index)
        && single(node.inputs[0])
}

/// Shape of a parameter in PyTorch's layout.
fn portable_shape(graph: &Graph, param: ParamId) -> Vec<usize> {
    let shape = &graph.params[param].shape;
    match shape[..] {
        [kh, kw, input, output] => {
            let is_classifier = graph.nodes.iter().enumerate().any(|(index, node)| {
                matches!(node.op, Op::Conv { weight, .. } if weight == param) && is_linear(graph, index)
            });
            if is_classifier { vec![output, input] } else { vec![output, input, kh, kw] }
        }
        _ => shape.clone(),
    }
}

/// Transposes `[kh, kw, in, out]` to `[out, in, kh, kw]`; arrays of another rank are unchanged.
fn to_portable(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let [kh, kw, input, output] = shape[..] else { return values.to_vec() };
    let mut out = Vec::with_capacity(values.len());
    for o in 0..output {
        for i in 0..input {
            for k in 0..kh * kw {
                out.push(values[(k * input + i) * output + o]);
            }
        }
    }
    out
}

/// The inverse of [`to_portable`]; `shape` is the engine's.
fn from_portable(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let [kh, kw, input, output] = shape[..] else { return values.to_vec() };
    let mut out = vec![0.0; values.len()];
    let mut read = values.iter();
    for o in 0..output {
        for i in 0..input {
            for k in 0..kh * kw {
                if let Some(&value) = read.next() {
                    out[(k * input + i) * output + o] = value;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
