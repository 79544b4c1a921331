//! Names of arrays in AutoDL's networks, turned into this project's.

use super::StateDict;

/// What AutoDL's modules within a candidate of the benchmark are called here: `op` is ReLU, convolution, norm.
const MODULES: [(&str, &str); 8] = [
    ("conv_a.op.1", "a.conv"),
    ("conv_a.op.2", "a.norm"),
    ("conv_b.op.1", "b.conv"),
    ("conv_b.op.2", "b.norm"),
    ("downsample.1", "shortcut"),
    ("stem.0", "stem.conv"),
    ("stem.1", "stem.norm"),
    ("lastact.0", "head.norm"),
];

/// Whether these are the names of AutoDL's or DARTS's code rather than this project's.
pub(super) fn are_foreign(dict: &StateDict) -> bool {
    dict.arrays.contains_key("classifier.weight")
}

/// Whether they are of AutoDL's NAS-Bench-201 network (`TinyNetwork`), which is the same network as this project's.
pub(super) fn are_of_benchmark(dict: &StateDict) -> bool {
    dict.arrays.contains_key("lastact.0.weight") && dict.arrays.keys().any(|name| name.contains(".conv_a.op."))
}

/// Renames the arrays of AutoDL's NAS-Bench-201 network. `operations` are the cell's, in the order of the genotype's
/// text: AutoDL numbers the layers of a cell in that order. Names that are not of that network stay as they are, to be
/// told as unexpected.
pub(super) fn rename(dict: &mut StateDict, edges: &[(usize, usize, &str)]) {
    let arrays = std::mem::take(&mut dict.arrays);
    dict.arrays = arrays.into_iter().map(|(name, array)| (renamed(&name, edges).unwrap_or(name), array)).collect();
}

/// `edges` are (to, from, operation).
fn renamed(name: &str, edges: &[(usize, usize, &str)]) -> Option<String> {
    let (module, array) = name.rsplit_once('.')?;
    if module == "classifier" {
        return Some(format!("head.classifier.{array}"));
    }
    let known = |module: &str| MODULES.iter().find(|(theirs, _)| *theirs == module).map(|(_, ours)| *ours);
    let Some((cell, inner)) = module.strip_prefix("cells.").and_then(|rest| rest.split_once('.')) else {
        return Some(format!("{}.{array}", known(module)?));
    };
    if let Some(ours) = known(inner) {
        return Some(format!("cells.{cell}.{ours}.{array}"));
    }
    // cells.3.layers.4.op.1: layer 1 of the operation on the fifth edge.
    let (edge, layer) = inner.strip_prefix("layers.")?.split_once(".op.")?;
    let (to, from, operation) = edges.get(edge.parse::<usize>().ok()?)?;
    Some(format!("cells.{cell}.edge.{to}.{from}.{operation}.{layer}.{array}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_benchmark_network() {
        let edges = [(1, 0, "nor_conv_3x3"), (2, 0, "none"), (2, 1, "nor_conv_1x1")];
        let name = |name| renamed(name, &edges);
        assert_eq!(name("stem.1.running_mean").as_deref(), Some("stem.norm.running_mean"));
        assert_eq!(name("cells.5.downsample.1.weight").as_deref(), Some("cells.5.shortcut.weight"));
        let layer = "cells.0.layers.2.op.2.bias";
        assert_eq!(name(layer).as_deref(), Some("cells.0.edge.2.1.nor_conv_1x1.2.bias"));
        assert_eq!(name("classifier.bias").as_deref(), Some("head.classifier.bias"));
        for other in ["cells.0.layers.9.op.2.bias", "cells.0", "x", "cells.0.layers.x.op.1.weight"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
