//! Import of networks that were trained elsewhere.
//!
//! Weights are read from safetensors, PyTorch's files (`torch.save` of a state dictionary), ONNX or records of Burn, under
//! the names that [`crate::export`] documents or, for NAS-Bench-201's network, under AutoDL's. The genotype, the size of the
//! images, mean and deviation of the pixels and the class names do not follow from the arrays. They are read from the file's
//! metadata, which `gdas export` writes, or given by the caller.
//!
//! The result is a run directory like that of a finished training, usable wherever one is expected
//! ([`gdas::train::TrainedModel`], the exports).

mod burn_record;
mod names;
mod onnx;
mod torch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use gdas_kernels::graph::{Graph, Shape};

use crate::export;
use gdas::Error;
use gdas::config::{Layer, TrainConfig, resolve};
use gdas::data::Statistics;
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::run::RunDir;
use gdas::space::{Genotype, Space, Wiring, spaces};
use gdas::train::{self, TrainResult};

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape, in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Values in C order (last axis fastest).
    pub values: Vec<f32>,
}

/// The arrays and metadata of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict {
    /// The arrays by name.
    pub arrays: BTreeMap<String, Array>,
    /// The metadata; empty for PyTorch's files.
    pub metadata: BTreeMap<String, String>,
}

/// Why weights could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be opened.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is damaged or not of a supported format.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A value that neither the file nor the caller provides.
    #[error("the file does not say {what}; {advice}")]
    Unknown {
        /// What is missing.
        what: &'static str,
        /// How to provide it.
        advice: &'static str,
    },
    /// File and caller contradict each other, or a value is invalid.
    #[error("{0}")]
    Unsuitable(String),
    /// The arrays do not match the network.
    #[error("the arrays are not those of the network of this genotype:{}", list(.missing, .wrong, .unexpected))]
    Mismatch {
        /// Names of the network's arrays that the file lacks.
        missing: Vec<String>,
        /// Names of arrays with another shape, with the expected and the actual shape.
        wrong: Vec<String>,
        /// Names of the file's arrays that the network lacks.
        unexpected: Vec<String>,
    },
}

/// Describes the mismatches, at most a few of each kind.
fn list(missing: &[String], wrong: &[String], unexpected: &[String]) -> String {
    let mut text = String::new();
    for (what, names) in [("missing", missing), ("of another shape", wrong), ("not in the network", unexpected)] {
        if names.is_empty() {
            continue;
        }
        let _ = write!(text, "\n  {what} ({}): {}", names.len(), names[..names.len().min(6)].join(", "));
        if names.len() > 6 {
            text += ", ...";
        }
    }
    text
}

impl StateDict {
    /// Reads a safetensors file, a file of `torch.save`, an ONNX file or a record of Burn, recognised by the first bytes. The
    /// prefixes of wrappers (`module.`, `_orig_mod.` and others) are removed from the names.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or does not contain named tensors.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bytes = std::fs::read(path).map_err(|source| ImportError::Io { path: path.to_path_buf(), source })?;
        let format = |reason: String| ImportError::Format { path: path.to_path_buf(), reason };
        let mut dict = if torch::recognises(&bytes) {
            torch::read(path, &bytes)?
        } else if burn_record::recognises(&bytes) {
            burn_record::read(&bytes).map_err(|reason| format(format!("as a record of Burn: {reason}")))?
        } else if let Some(advice) = text(&bytes) {
            return Err(format(advice.to_owned()));
        } else if onnx::recognises(&bytes) && bytes.get(8) != Some(&b'{') {
            onnx::read(&bytes).map_err(|reason| format(format!("as an ONNX file: {reason}")))?
        } else {
            safetensors(path, &bytes)?
        };
        names::unwrap(&mut dict).map_err(format)?;
        Ok(dict)
    }

    /// Length of an array along an axis.
    fn extent(&self, name: &str, axis: usize) -> Option<usize> {
        self.arrays.get(name)?.shape.get(axis).copied()
    }
}

/// Advice for a text file, which contains no weights.
fn text(bytes: &[u8]) -> Option<&'static str> {
    let start = std::str::from_utf8(&bytes[..bytes.len().min(1 << 16)]).ok()?.trim_start();
    if start.starts_with("\"\"\"") || start.starts_with("//!") {
        Some(
            "the source of a module contains no weights; they are exported separately, to a .safetensors, .onnx or .bpk file, \
             which can be imported",
        )
    } else if start.starts_with(['{', '|', '/']) || start.starts_with("digraph") || start.starts_with("normal=") {
        Some("a genotype contains no weights; `gdas train` trains it")
    } else {
        None
    }
}

fn safetensors(path: &Path, bytes: &[u8]) -> Result<StateDict, ImportError> {
    let format = |reason: String| ImportError::Format { path: path.to_path_buf(), reason };
    let unknown = |error| {
        format(format!("no weights in a supported format: safetensors, torch.save, ONNX or a record of Burn ({error})"))
    };
    let file = ::safetensors::SafeTensors::deserialize(bytes).map_err(unknown)?;
    let (_, header) = ::safetensors::SafeTensors::read_metadata(bytes).map_err(unknown)?;
    let mut arrays = BTreeMap::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            ::safetensors::Dtype::F32 => {
                data.as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect()
            }
            ::safetensors::Dtype::F64 => {
                data.as_chunks().0.iter().map(|bytes: &[u8; 8]| f64::from_le_bytes(*bytes) as f32).collect()
            }
            // Batch counters (`num_batches_tracked`) are not needed.
            ::safetensors::Dtype::I64 => continue,
            other => return Err(format(format!("array `{name}` is of type {other:?}; F32 and F64 can be read"))),
        };
        arrays.insert(name.to_owned(), Array { shape: view.shape().to_vec(), values });
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(StateDict { arrays, metadata })
}

/// Properties of the network given by the caller; `None` is read from the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The cells.
    pub genotype: Option<Genotype>,
    /// Height and width of the images.
    pub image_size: Option<[usize; 2]>,
    /// Mean and deviation with which the pixels were normalised.
    pub statistics: Option<Statistics>,
    /// Class names; by default the class numbers.
    pub classes: Option<Vec<String>>,
    /// The data set to test on: name or path, as for `gdas evaluate`.
    pub data: Option<String>,
}

/// A network with imported weights.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The cells, and the sizes derived from the arrays.
    pub config: TrainConfig,
    /// The network.
    pub graph: Graph,
    /// The weights.
    pub weights: export::Weights,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Mean and deviation with which pixels are normalised.
    pub statistics: Statistics,
}

/// Builds the network of the arrays: cells per stage, channels, stem and classes are derived from their names and shapes.
///
/// # Errors
/// [`ImportError::Unknown`] if a value is neither in the file nor given; [`ImportError::Mismatch`] lists all arrays that are
/// missing, unexpected or of another shape.
pub fn import(mut dict: StateDict, given: &ImportOptions) -> Result<Imported, ImportError> {
    let genotype = genotype(&dict, given)?;
    let space = &genotype.space;
    if names::are_foreign(&dict) {
        if !names::are_of_benchmark(&dict) || **space != *spaces::nas_bench_201() {
            return Err(ImportError::Unsuitable(
                "these arrays have the names of DARTS's or AutoDL's own code. Of those networks only NAS-Bench-201's \
                 (with `lastact` and `conv_a`) is the same as here; the networks of NASNet cells end without \
                 normalisation before the classifier there, so their weights fit no network of this project. The \
                 genotype can be trained anew: gdas train GENOTYPE"
                    .into(),
            ));
        }
        let cell = &genotype.cells[0];
        let edges: Vec<_> = cell
            .nodes
            .iter()
            .enumerate()
            .flat_map(|(node, choices)| choices.iter().map(move |c| (node + 1, c.input, c.operation.name.as_str())))
            .collect();
        names::rename(&mut dict, &edges);
    }
    let layout = layout(&dict, space)?;
    let [height, width] = image_size(&dict, given)?;
    let statistics = statistics(&dict, given, layout.image_channels)?;
    let classes = classes(&dict, given, layout.classes)?;
    let keys = serde_json::json!({
        "preset": "paper", "space": **space, "genotype": genotype.to_string(),
        "data": given.data.as_deref().unwrap_or(UNKNOWN_DATA),
        "channels": layout.channels, "cells": layout.cells,
        "stem": if layout.stem == Stem::Cifar { "cifar" } else { "imagenet" },
    });
    let config: TrainConfig = Layer::flags(&keys)
        .and_then(|layer| resolve(&[layer]))
        .map_err(|error| ImportError::Unsuitable(error.to_string()))?;
    let network = NetworkConfig {
        image: Shape::new(height, width, layout.image_channels),
        classes: layout.classes,
        channels: layout.channels,
        stem: layout.stem,
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    let graph = derive(&space.derived_blocks(layout.cells), &network, &genotype)
        .map_err(|error| ImportError::Unsuitable(error.to_string()))?;
    let weights = fit(&graph, dict)?;
    Ok(Imported { config, graph, weights, classes, statistics })
}

/// Value of `data` in the configuration if no data set is given.
pub const UNKNOWN_DATA: &str = "unknown";

impl Imported {
    /// Writes the files of a finished training to a new run directory.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn save(&self, run: &mut RunDir, device: &Device) -> Result<TrainResult, Error> {
        train::adopt(run, &self.config, (&self.graph, &self.weights), &self.classes, &self.statistics, device)
    }
}

fn genotype(dict: &StateDict, given: &ImportOptions) -> Result<Genotype, ImportError> {
    // A custom space is stored in the file; a built-in one is recognised by the form of the genotype's text.
    let space = dict.metadata.get("space").map(|text| serde_json::from_str::<Space>(text)).transpose();
    let space = space.map_err(|error| ImportError::Unsuitable(format!("the space in the file's metadata: {error}")))?;
    let space = space.map(Arc::new);
    let recorded = dict.metadata.get("genotype").map(|text| Genotype::find_in(text, None, space.as_ref()));
    let recorded = recorded.map(|found| found.map(|found| found.genotype));
    match (&given.genotype, recorded) {
        (Some(given), Some(Ok(recorded))) if *given != recorded => {
            Err(ImportError::Unsuitable(format!("the file contains the weights of {recorded}, not of {given}")))
        }
        (Some(given), _) => Ok(given.clone()),
        (None, Some(Ok(recorded))) => Ok(recorded),
        (None, Some(Err(error))) => {
            Err(ImportError::Unsuitable(format!("the genotype in the file's metadata cannot be read: {error}")))
        }
        (None, None) => Err(ImportError::Unknown { what: "which cells it belongs to", advice: "give the genotype" }),
    }
}

/// Sizes derived from the arrays.
struct Layout {
    stem: Stem,
    channels: usize,
    cells: usize,
    classes: usize,
    image_channels: usize,
}

fn layout(dict: &StateDict, space: &Space) -> Result<Layout, ImportError> {
    let missing = |name: &str| ImportError::Mismatch {
        missing: vec![name.to_owned()],
        wrong: vec![],
        unexpected: dict.arrays.keys().cloned().collect(),
    };
    let need = |name: &str, axis| dict.extent(name, axis).filter(|&n| n > 0).ok_or_else(|| missing(name));
    let residual = space.skeleton.wiring == Wiring::Residual;
    let stages = space.skeleton.widths.len();
    let first_width = space.skeleton.widths[0];
    let (stem, first, channels) = if dict.arrays.contains_key("stem.0.conv.weight") {
        (Stem::ImageNet, "stem.0.conv.weight", need("stem.1.conv.weight", 0)?)
    } else {
        let stem = need("stem.conv.weight", 0)?;
        (Stem::Cifar, "stem.conv.weight", if residual { stem / first_width } else { stem / 3 })
    };
    let cells: BTreeSet<usize> =
        dict.arrays.keys().filter_map(|name| name.strip_prefix("cells.")?.split('.').next()?.parse().ok()).collect();
    // Residual blocks and NASNet cells always have weights; cells of the benchmark may have none.
    let is_block = |index: &&usize| dict.arrays.contains_key(&format!("cells.{index}.a.conv.weight"));
    let all = cells.last().map_or(0, |last| last + 1);
    let count = if residual && stages > 1 {
        cells.iter().find(is_block).copied().ok_or_else(|| missing("cells.N.a.conv.weight"))?
    } else {
        if all < 2 * stages - 1 || all % stages != stages - 1 {
            let between = stages - 1;
            return Err(ImportError::Unsuitable(format!(
                "{all} cells cannot be {stages} stages of N cells with reductions between them ({stages} N + {between})"
            )));
        }
        (all + 1 - stages) / stages
    };
    Ok(Layout {
        stem,
        channels,
        cells: count,
        classes: need("head.classifier.weight", 0)?,
        image_channels: need(first, 1)?,
    })
}

fn image_size(dict: &StateDict, given: &ImportOptions) -> Result<[usize; 2], ImportError> {
    let recorded = dict.metadata.get("image").and_then(|text| serde_json::from_str::<[usize; 3]>(text).ok());
    let size = given.image_size.or(recorded.map(|[height, width, _]| [height, width]));
    let size = size.ok_or(ImportError::Unknown {
        what: "how large the images are",
        advice: "give the image size or the data that it was trained on",
    })?;
    if size.iter().all(|n| (8..=224).contains(n)) {
        Ok(size)
    } else {
        Err(ImportError::Unsuitable(format!("images of {}x{} pixels; 8 to 224 can be used", size[0], size[1])))
    }
}

fn statistics(dict: &StateDict, given: &ImportOptions, channels: usize) -> Result<Statistics, ImportError> {
    let numbers = |key: &str| dict.metadata.get(key).and_then(|text| serde_json::from_str::<Vec<f32>>(text).ok());
    let recorded = numbers("mean").zip(numbers("std")).map(|(mean, std)| Statistics { mean, std, published: false });
    // The file takes precedence: with other statistics the network computes other outputs.
    let found = recorded.or_else(|| given.statistics.clone()).ok_or(ImportError::Unknown {
        what: "what pixels were normalised with",
        advice: "give mean and deviation per channel (of pixels in 0..255), or the data that it was trained on",
    })?;
    let fits = found.mean.len() == channels
        && found.std.len() == channels
        && found.mean.iter().all(|m| m.is_finite())
        && found.std.iter().all(|s| s.is_finite() && *s > 0.0);
    if fits {
        Ok(found)
    } else {
        Err(ImportError::Unsuitable(format!(
            "mean {:?} and deviation {:?} are not one number for each of the {channels} channels, the latter above zero",
            found.mean, found.std
        )))
    }
}

fn classes(dict: &StateDict, given: &ImportOptions, count: usize) -> Result<Vec<String>, ImportError> {
    let recorded = dict.metadata.get("classes").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    let names =
        recorded.or_else(|| given.classes.clone()).unwrap_or_else(|| (0..count).map(|n| n.to_string()).collect());
    if names.len() == count {
        Ok(names)
    } else {
        let given = names.len();
        Err(ImportError::Unsuitable(format!("the network has {count} classes, but {given} names are given")))
    }
}

/// Whether `shape` is `matrix` with two axes of length 1 appended, as ONNX stores the classifier.
fn is_filter_of(shape: &[usize], matrix: &[usize]) -> bool {
    matrix.len() == 2 && shape.len() == 4 && shape.starts_with(matrix) && shape.ends_with(&[1, 1])
}

/// The weights of the graph from the arrays.
fn fit(graph: &Graph, mut dict: StateDict) -> Result<export::Weights, ImportError> {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    let mut find = |name: &str| dict.arrays.remove(name).or_else(|| dict.arrays.remove(&names::dotted(name)));
    let weights = export::from_arrays(graph, |name, shape| match find(name) {
        None => {
            missing.push(name.to_owned());
            None
        }
        Some(array) if array.shape != shape && !is_filter_of(&array.shape, shape) => {
            wrong.push(format!("{name} ({:?} instead of {shape:?})", array.shape));
            None
        }
        Some(array) if array.values.iter().any(|value| !value.is_finite()) => {
            wrong.push(format!("{name} (with values that are not finite)"));
            None
        }
        Some(array) => Some(array.values),
    });
    // Arrays needed for training only, or by nodes that nothing reads, are ignored.
    let layer = |name: &str| name.rsplit_once('.').map_or_else(String::new, |(layer, _)| names::dotted(layer));
    let unread: BTreeSet<String> = graph
        .params
        .iter()
        .map(|spec| layer(&spec.name))
        .chain(graph.norms.iter().map(|norm| names::dotted(&norm.name)))
        .collect();
    let passed = |name: &str| {
        name.starts_with("auxiliary") || name.ends_with("num_batches_tracked") || unread.contains(&layer(name))
    };
    let unexpected: Vec<String> = dict.arrays.into_keys().filter(|name| !passed(name)).collect();
    if missing.is_empty() && wrong.is_empty() && unexpected.is_empty() {
        Ok(weights)
    } else {
        Err(ImportError::Mismatch { missing, wrong, unexpected })
    }
}

#[cfg(test)]
mod tests;
