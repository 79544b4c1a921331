//! Weights as a safetensors file, named and laid out as the [module](super) documents.

use std::collections::BTreeMap;

use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use gdas_kernels::graph::{Graph, Op};

use super::{ExportError, Weights, exportable, from_portable, in_use, portable_shape, to_portable};

/// Origin of an array of the network in use.
enum Source {
    Param(usize),
    Mean(usize),
    Variance(usize),
}

fn arrays(graph: &Graph, used: &[bool]) -> Vec<(String, Vec<usize>, Source)> {
    let mut arrays = Vec::new();
    let mut params = vec![false; graph.params.len()];
    for (_, node) in graph.nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
        gdas::cost::node_params(node).for_each(|param| params[param] = true);
        if let Op::Norm { norm, .. } = node.op
            && graph.norms[norm].track
        {
            let spec = &graph.norms[norm];
            arrays.push((format!("{}.running_mean", spec.name), vec![spec.channels], Source::Mean(norm)));
            arrays.push((format!("{}.running_var", spec.name), vec![spec.channels], Source::Variance(norm)));
        }
    }
    for (param, spec) in graph.params.iter().enumerate().filter(|(param, _)| params[*param]) {
        arrays.push((spec.name.clone(), portable_shape(graph, param), Source::Param(param)));
    }
    arrays
}

/// Encodes the weights of the network in use. `metadata` goes into the file's header.
pub fn to_safetensors(graph: &Graph, weights: &Weights, metadata: &[(&str, &str)]) -> Result<Vec<u8>, ExportError> {
    weights.check(graph)?;
    let used = exportable(graph)?;
    let arrays: Vec<(String, Vec<usize>, Vec<u8>)> = arrays(graph, &used)
        .into_iter()
        .map(|(name, shape, source)| {
            let values = match source {
                Source::Param(param) => to_portable(&graph.params[param].shape, &weights.params[param]),
                Source::Mean(norm) => weights.running[norm][..graph.norms[norm].channels].to_vec(),
                Source::Variance(norm) => weights.running[norm][graph.norms[norm].channels..].to_vec(),
            };
            (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let format = |error: ::safetensors::SafeTensorError| ExportError::Format(error.to_string());
    let mut views = Vec::new();
    for (name, shape, bytes) in &arrays {
        views.push((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(format)?));
    }
    let file = ::safetensors::serialize(views, None).map_err(format)?;
    with_metadata(&file, metadata).ok_or_else(|| ExportError::Format("its header cannot be extended".to_owned()))
}

/// The file with metadata in its header, ordered by key, as the order in which the crate writes them differs between
/// processes.
fn with_metadata(file: &[u8], metadata: &[(&str, &str)]) -> Option<Vec<u8>> {
    if metadata.is_empty() {
        return Some(file.to_vec());
    }
    let (length, rest) = file.split_first_chunk::<8>()?;
    let (header, arrays) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let sorted: BTreeMap<&str, &str> = metadata.iter().copied().collect();
    let entries = header.trim_ascii().strip_prefix(b"{")?;
    let mut extended = format!("{{\"__metadata__\":{}", serde_json::to_string(&sorted).ok()?).into_bytes();
    if entries != b"}" {
        extended.push(b',');
    }
    extended.extend_from_slice(entries);
    // Arrays are aligned to eight bytes.
    extended.resize(extended.len().next_multiple_of(8), b' ');
    Some([&(extended.len() as u64).to_le_bytes()[..], &extended, arrays].concat())
}

/// Decodes the weights of a network. Arrays of the network that are not in use (auxiliary heads) stay zero; other arrays of
/// the file are ignored.
pub fn from_safetensors(graph: &Graph, bytes: &[u8]) -> Result<Weights, ExportError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| ExportError::Format(error.to_string()))?;
    let mut fault = None;
    let weights = from_arrays(graph, |name, shape| {
        if fault.is_some() {
            return None;
        }
        match read(&file, name, shape) {
            Ok(values) => Some(values),
            Err(error) => {
                fault = Some(error);
                None
            }
        }
    });
    fault.map_or(Ok(weights), Err)
}

fn read(file: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, ExportError> {
    let Ok(view) = file.tensor(name) else { return Err(ExportError::Missing { name: name.to_owned() }) };
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        let found = format!("{:?} of shape {:?}", view.dtype(), view.shape());
        let expected = format!("F32 of shape {shape:?}");
        return Err(ExportError::Mismatch { name: name.to_owned(), expected, found });
    }
    Ok(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// Weights from arrays in PyTorch's layout. `find` is called with name and shape of every array of the network in use; if
/// it returns `None`, and for arrays that are not in use (auxiliary heads), the values are zero.
///
/// # Panics
/// If `find` returns an array whose length does not match the shape.
pub fn from_arrays(graph: &Graph, mut find: impl FnMut(&str, &[usize]) -> Option<Vec<f32>>) -> Weights {
    let mut weights = Weights {
        params: graph.params.iter().map(|spec| vec![0.0; spec.len()]).collect(),
        running: graph.norms.iter().map(|spec| vec![0.0; if spec.track { 2 * spec.channels } else { 0 }]).collect(),
    };
    for (name, shape, source) in arrays(graph, &in_use(graph)) {
        let Some(values) = find(&name, &shape) else { continue };
        assert_eq!(values.len(), shape.iter().product::<usize>(), "array `{name}`");
        match source {
            Source::Param(param) => weights.params[param] = from_portable(&graph.params[param].shape, &values),
            Source::Mean(norm) => weights.running[norm][..values.len()].copy_from_slice(&values),
            Source::Variance(norm) => weights.running[norm][graph.norms[norm].channels..].copy_from_slice(&values),
        }
    }
    weights
}
