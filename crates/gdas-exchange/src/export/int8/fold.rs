//! Folding of batch normalisations into the convolutions before them.

use gdas_kernels::graph::{Graph, Init, NORM_EPSILON, Op, ParamId, ParamSpec, ValueId};

use super::super::blocks::same_as;
use super::super::{ExportError, Weights, exportable, in_use};

/// The network in use without identities, with every normalisation directly after a convolution folded into the filter and
/// bias. The outputs are equal up to rounding.
///
/// # Errors
/// If the weights belong to another network, or a normalisation keeps no running statistics.
pub(super) fn fold_norms(graph: &Graph, weights: &Weights) -> Result<(Graph, Weights), ExportError> {
    weights.check(graph)?;
    let used = exportable(graph)?;
    let (mut graph, mut weights) = (graph.clone(), weights.clone());
    graph.outputs.truncate(1);
    let readers = readers(&graph, &used);
    // For each value, the value that replaces it.
    let mut same: Vec<ValueId> = (0..graph.nodes.len()).collect();
    for index in (0..graph.nodes.len()).filter(|&index| used[index]) {
        for input in &mut graph.nodes[index].inputs {
            *input = same[*input];
        }
        if let Some(source) = same_as(&graph, index) {
            same[index] = source;
            continue;
        }
        let Op::Norm { scale, shift, norm } = graph.nodes[index].op else { continue };
        if !graph.norms[norm].track {
            return Err(ExportError::BatchStatistics(graph.norms[norm].name.clone()));
        }
        let conv = graph.nodes[index].inputs[0];
        if readers[conv] != 1 || !matches!(graph.nodes[conv].op, Op::Conv { .. }) {
            continue;
        }
        let (mean, variance) = weights.running[norm].split_at(graph.norms[norm].channels);
        let factor = |channel: usize| {
            let scale = scale.map_or(1.0, |scale| weights.params[scale][channel]);
            f64::from(scale) / (f64::from(variance[channel]) + f64::from(NORM_EPSILON)).sqrt()
        };
        let factors: Vec<f64> = (0..mean.len()).map(factor).collect();
        let offset = |channel: usize| {
            let shift = shift.map_or(0.0, |shift| weights.params[shift][channel]);
            f64::from(shift) - f64::from(mean[channel]) * factors[channel]
        };
        let offsets: Vec<f64> = (0..mean.len()).map(offset).collect();
        fold(&mut graph, &mut weights, conv, &factors, &offsets);
        same[index] = conv;
    }
    graph.outputs[0] = same[graph.outputs[0]];
    Ok(only_used(&graph, &weights))
}

/// Number of used nodes that read each value; the output counts as one more.
fn readers(graph: &Graph, used: &[bool]) -> Vec<usize> {
    let mut readers = vec![0; graph.nodes.len()];
    for (node, _) in graph.nodes.iter().zip(used).filter(|(_, used)| **used) {
        node.inputs.iter().for_each(|&input| readers[input] += 1);
    }
    readers[graph.outputs[0]] += 1;
    readers
}

/// Scales the output channels of a convolution by `factors` and adds `offsets`.
fn fold(graph: &mut Graph, weights: &mut Weights, conv: ValueId, factors: &[f64], offsets: &[f64]) {
    let Op::Conv { weight, bias, .. } = &mut graph.nodes[conv].op else { return };
    let channels = factors.len();
    for (at, value) in weights.params[*weight].iter_mut().enumerate() {
        *value = (f64::from(*value) * factors[at % channels]) as f32;
    }
    let bias = *bias.get_or_insert_with(|| {
        let name = &graph.params[*weight].name;
        let name = format!("{}.bias", name.strip_suffix(".weight").unwrap_or(name));
        graph.params.push(ParamSpec { name, shape: vec![channels], init: Init::Constant(0.0) });
        weights.params.push(vec![0.0; channels]);
        graph.params.len() - 1
    });
    for (channel, value) in weights.params[bias].iter_mut().enumerate() {
        *value = (f64::from(*value) * factors[channel] + offsets[channel]) as f32;
    }
}

/// The same graph without the nodes that the output does not need, and without their parameters and normalisations.
fn only_used(graph: &Graph, weights: &Weights) -> (Graph, Weights) {
    let used = in_use(graph);
    let mut kept = Graph::default();
    let mut kept_weights = Weights { params: Vec::new(), running: Vec::new() };
    let mut numbers = vec![0; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| used[*index]) {
        numbers[index] = kept.nodes.len();
        let mut param = |id: &mut ParamId| {
            let spec = &graph.params[*id];
            let position = kept.params.iter().position(|known| known.name == spec.name);
            *id = position.unwrap_or_else(|| {
                kept_weights.params.push(weights.params[*id].clone());
                kept.params.push(spec.clone());
                kept.params.len() - 1
            });
        };
        let mut node = node.clone();
        match &mut node.op {
            Op::Conv { weight, bias, .. } => {
                param(weight);
                bias.iter_mut().for_each(param);
            }
            Op::Norm { scale, shift, norm } => {
                scale.iter_mut().chain(shift).for_each(param);
                kept_weights.running.push(weights.running[*norm].clone());
                kept.norms.push(graph.norms[*norm].clone());
                *norm = kept.norms.len() - 1;
            }
            _ => {}
        }
        node.inputs.iter_mut().for_each(|input| *input = numbers[*input]);
        kept.nodes.push(node);
    }
    kept.outputs = vec![numbers[graph.outputs[0]]];
    (kept, kept_weights)
}
