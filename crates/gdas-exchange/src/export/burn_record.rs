//! Weights as a record of Burn (burnpack), for the module that [`super::to_burn_module`] writes.

use burn::tensor::{Bytes, DType};
use burn_pack::{Tensor, Writer};
use gdas_kernels::graph::{Graph, Op};

use super::blocks::{blocks, part_name};
use super::burn_module::{check, field};
use super::{ExportError, Weights, is_linear, portable_shape, to_portable};

/// Encodes the weights of the network in use. An array's path is that in the module: block, layer, array, as in
/// `cells_0.edge_1_0_nor_conv_3x3_1.weight`. `metadata` goes into the file's header.
///
/// # Errors
/// For weights of another network, the graph of a search, or a normalisation without running statistics, which Burn lacks.
pub fn to_burn_record(graph: &Graph, weights: &Weights, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ExportError> {
    weights.check(graph)?;
    let used = check(graph)?;
    let mut tensors = Vec::new();
    let mut put = |path: String, shape: Vec<usize>, values: &[f32]| {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push(Tensor::new(path, DType::F32, shape, None, Bytes::from_bytes_vec(bytes)));
    };
    for block in blocks(graph, &used) {
        for &index in &block.nodes {
            let node = &graph.nodes[index];
            let Some(part) = part_name(graph, node, &block.name) else { continue };
            let path = |array: &str| format!("{}.{}.{array}", field(&block.name), field(&part));
            match &node.op {
                Op::Conv { weight, bias, .. } => {
                    let (values, shape) = (&weights.params[*weight], &graph.params[*weight].shape);
                    if is_linear(graph, index) {
                        // Burn multiplies from the right: `[in, out]`, as the engine does.
                        put(path("weight"), shape[2..].to_vec(), values);
                    } else {
                        put(path("weight"), portable_shape(graph, *weight), &to_portable(shape, values));
                    }
                    if let Some(bias) = bias {
                        put(path("bias"), graph.params[*bias].shape.clone(), &weights.params[*bias]);
                    }
                }
                Op::Norm { scale, shift, norm } => {
                    let channels = graph.norms[*norm].channels;
                    // Burn's normalisation is always affine.
                    for (array, param, default) in [("gamma", scale, 1.0), ("beta", shift, 0.0)] {
                        let fixed = vec![default; channels];
                        put(path(array), vec![channels], param.map_or(&fixed, |param| &weights.params[param]));
                    }
                    let (mean, variance) = weights.running[*norm].split_at(channels);
                    put(path("running_mean"), vec![channels], mean);
                    put(path("running_var"), vec![channels], variance);
                }
                _ => {}
            }
        }
    }
    let writer = metadata.iter().fold(Writer::new(tensors), |writer, (key, value)| writer.with_metadata(key, value));
    let bytes = writer.into_bytes().map_err(|error| ExportError::Format(error.to_string()))?;
    Ok(bytes.to_vec())
}
