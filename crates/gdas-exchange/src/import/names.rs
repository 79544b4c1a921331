//! Conversion of other programs' array names to this project's.

use std::collections::BTreeMap;

use super::StateDict;

/// Prefixes that wrappers of PyTorch add to names: `torch.compile`, `DataParallel` and similar (also the moving average
/// `AveragedModel`), sharding, and activation checkpointing.
const WRAPPERS: [&str; 4] = ["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Removes the prefixes of wrappers, and then a common first part that is not of the network: an attribute of an outer
/// module, as in `model.stem.conv.weight`.
///
/// # Errors
/// If two arrays would have the same name.
pub(super) fn unwrap(dict: &mut StateDict) -> Result<(), String> {
    // The update counter of the moving average is not an array of the network.
    dict.arrays.remove("n_averaged");
    let bare = |name: &String| -> String {
        name.split('.').filter(|part| !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".")
    };
    let mut names: Vec<String> = dict.arrays.keys().map(bare).collect();
    while let Some(outer) = outer(&names) {
        let length = outer.len() + 1;
        names = names.iter().map(|name| name[length..].to_owned()).collect();
    }
    let before = std::mem::take(&mut dict.arrays);
    let mut origins: BTreeMap<String, String> = BTreeMap::new();
    for ((old, array), name) in before.into_iter().zip(names) {
        if let Some(other) = origins.insert(name.clone(), old.clone()) {
            return Err(format!("arrays `{other}` and `{old}` are both `{name}` without the names of wrappers"));
        }
        dict.arrays.insert(name, array);
    }
    Ok(())
}

/// The common first part of all names, unless it is of the network itself.
fn outer(names: &[String]) -> Option<String> {
    let (first, _) = names.first()?.split_once('.')?;
    let shared = names.iter().all(|name| name.split_once('.').is_some_and(|(part, _)| part == first));
    let own = ["stem", "cells", "head", "auxiliary"].contains(&first);
    (shared && !own).then(|| first.to_owned())
}

/// A name with underscores replaced by dots. Names are compared in this form, as fields of a Rust struct cannot contain
/// dots.
pub(super) fn dotted(name: &str) -> String {
    name.replace('_', ".")
}

/// Names of AutoDL's modules within an operation, with this project's; `op` is ReLU, convolution, norm.
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

/// Whether the names are those of AutoDL's or DARTS's code.
pub(super) fn are_foreign(dict: &StateDict) -> bool {
    dict.arrays.contains_key("classifier.weight")
}

/// Whether the names are those of AutoDL's NAS-Bench-201 network (`TinyNetwork`), which equals this project's.
pub(super) fn are_of_benchmark(dict: &StateDict) -> bool {
    dict.arrays.contains_key("lastact.0.weight") && dict.arrays.keys().any(|name| name.contains(".conv_a.op."))
}

/// Renames the arrays of AutoDL's NAS-Bench-201 network. `operations` are the cell's, in the order of the genotype's
/// text, in which AutoDL numbers the layers of a cell. Other names are unchanged, to be reported as unexpected.
pub(super) fn rename(dict: &mut StateDict, edges: &[(usize, usize, &str)]) {
    let arrays = std::mem::take(&mut dict.arrays);
    dict.arrays = arrays.into_iter().map(|(name, array)| (renamed(&name, edges).unwrap_or(name), array)).collect();
}

/// The new name; `edges` are (target node, source node, operation).
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

    fn unwrapped(names: &[&str]) -> Result<Vec<String>, String> {
        let array = super::super::Array { shape: vec![], values: vec![] };
        let arrays = names.iter().map(|name| ((*name).to_owned(), array.clone())).collect();
        let mut dict = StateDict { arrays, ..StateDict::default() };
        unwrap(&mut dict)?;
        Ok(dict.arrays.into_keys().collect())
    }

    #[test]
    fn wrapped_modules_have_the_names_of_what_they_wrap() {
        let own = ["cells.0.a.conv.weight", "stem.conv.weight"];
        for prefix in ["", "_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod.", "model.", "net.module."] {
            let wrapped = own.map(|name| format!("{prefix}{name}"));
            let names: Vec<&str> = wrapped.iter().map(String::as_str).chain(["n_averaged"]).collect();
            assert_eq!(unwrapped(&names).as_deref(), Ok(&own.map(str::to_owned)[..]), "{prefix}");
        }
        // Wrappers of parts of the network.
        let parts =
            ["cells.0._orig_mod.a._checkpoint_wrapped_module.conv.weight", "stem._fsdp_wrapped_module.conv.weight"];
        assert_eq!(unwrapped(&parts).as_deref(), Ok(&own.map(str::to_owned)[..]));
        assert_eq!(unwrapped(&["cells.0.a.conv.weight"]).map(|names| names[0].clone()), Ok(own[0].to_owned()));
        assert!(unwrapped(&["stem.conv.weight", "module.stem.conv.weight"]).is_err_and(|e| e.contains("both `stem")));
    }

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
