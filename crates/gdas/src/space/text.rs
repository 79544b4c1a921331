//! Spaces as TOML and JSON.

mod layers;
mod locate;

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::locate::{key_at, line_of, locate};
use super::{
    Body, CellOutput, CellSpace, Derivation, Layer, Operation, Place, Skeleton, Space, SpaceError, Wiring, operations,
    spaces,
};

/// Maximum size of a file in bytes, above that of any valid space.
const LONGEST_FILE: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceText {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    skeleton: SkeletonText,
    #[serde(default)]
    operation: Vec<OperationText>,
    #[serde(default)]
    cell: Vec<CellText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkeletonText {
    wiring: WiringText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reduction: Option<ReductionText>,
    #[serde(default = "published_widths")]
    widths: Vec<usize>,
}

fn published_widths() -> Vec<usize> {
    Skeleton::new(Wiring::Residual).widths
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WiringText {
    Residual,
    TwoInputs,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ReductionText {
    Searched,
    Fixed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationText {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    layers: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellText {
    name: String,
    #[serde(default)]
    inputs: Option<usize>,
    nodes: usize,
    operations: Vec<String>,
    #[serde(default)]
    output: Option<CellOutput>,
    #[serde(default)]
    derivation: Option<Derivation>,
}

impl Space {
    /// Reads a space from TOML.
    ///
    /// ```toml
    /// name = "tiny"
    /// description = "two nodes, three operations"
    ///
    /// [skeleton]
    /// wiring = "residual"        # or "two-inputs", then also reduction = "searched" or "fixed"
    /// widths = [1, 2, 4]         # channels of the stages, over C; may be left out
    ///
    /// [[operation]]
    /// name = "conv_5x5"
    /// label = "conv 5x5"         # may be left out, as may aliases
    /// layers = ["relu", { conv = 5 }, "norm"]
    ///
    /// [[cell]]
    /// name = "cell"
    /// nodes = 2
    /// operations = ["none", "skip_connect", "conv_5x5"]
    /// # inputs, output ("last", "concat") and derivation ("best-per-edge", "two-best-per-node") follow the wiring
    /// ```
    ///
    /// Layers are `"relu"`, `"norm"`, `"pointwise"`, `{ conv = N }`, `{ depthwise = N, dilation = N }`, `{ avg_pool = N }` and
    /// `{ max_pool = N }`; `layers = "zero"` and `layers = "skip"` are the bodies of `none` and `skip_connect`. Operations that a
    /// file does not define are the built-in ones.
    ///
    /// # Errors
    /// The first error, with line and key.
    pub fn from_toml(text: &str) -> Result<Self, SpaceError> {
        let text = text.trim_start_matches('\u{feff}');
        let read: SpaceText = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| span.start);
            let reason = error.message().to_owned();
            SpaceError::Text { line: at.map(|at| line_of(text, at)), key: at.and_then(|at| key_at(text, at)), reason }
        })?;
        let defined: Vec<String> = read.operation.iter().map(|operation| operation.name.clone()).collect();
        read.build().map_err(|error| locate(error, text, &defined))
    }

    /// Reads a space from a TOML file.
    ///
    /// # Errors
    /// If the file cannot be read or does not contain a valid space, with file, line and key.
    pub fn open(path: &Path) -> Result<Self, SpaceError> {
        let name = path.display().to_string();
        let refused = |reason: String| SpaceError::File { path: name.clone(), reason };
        let about = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
        if !about.is_file() || about.len() > LONGEST_FILE {
            return Err(refused(format!("a space is a TOML file of at most {} KiB", LONGEST_FILE >> 10)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        Self::from_toml(&text).map_err(|error| SpaceError::InFile { path: name, reason: Box::new(error) })
    }

    /// The built-in space of this name, or the one in the TOML file at this path.
    ///
    /// # Errors
    /// If there is neither, or the file does not contain a valid space.
    pub fn named_or_file(given: &str) -> Result<Arc<Self>, SpaceError> {
        if let Some(space) = Self::find(given) {
            return Ok(space);
        }
        let path = Path::new(given);
        let is_path = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || given.contains(['/', '\\']);
        if path.is_file() || is_path {
            return Self::open(path).map(Arc::new);
        }
        Err(SpaceError::Unknown { name: given.to_owned(), known: spaces::names() })
    }

    /// The space as self-contained TOML, with the layers of all operations.
    pub fn to_toml(&self) -> String {
        self.to_toml_below("")
    }

    /// As [`to_toml`](Self::to_toml), as a table of a larger text with the prefix `below` (such as `space.`).
    pub(crate) fn to_toml_below(&self, below: &str) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let list = |names: &mut dyn Iterator<Item = &str>| names.map(quoted).collect::<Vec<_>>().join(", ");
        let text = SpaceText::from(self);
        let mut out = String::new();
        if let Some(table) = below.strip_suffix('.') {
            let _ = writeln!(out, "[{table}]");
        }
        let _ = writeln!(out, "name = {}", quoted(&text.name));
        let _ = writeln!(out, "description = {}", quoted(&text.description));
        let wiring = match text.skeleton.wiring {
            WiringText::Residual => "residual",
            WiringText::TwoInputs => "two-inputs",
        };
        let _ = writeln!(out, "\n[{below}skeleton]\nwiring = \"{wiring}\"");
        match text.skeleton.reduction {
            Some(ReductionText::Fixed) => out += "reduction = \"fixed\"\n",
            Some(ReductionText::Searched) => out += "reduction = \"searched\"\n",
            None => {}
        }
        let _ = writeln!(out, "widths = {:?}", text.skeleton.widths);
        for operation in &text.operation {
            let _ = writeln!(out, "\n[[{below}operation]]\nname = {}", quoted(&operation.name));
            if let Some(label) = &operation.label {
                let _ = writeln!(out, "label = {}", quoted(label));
            }
            if !operation.aliases.is_empty() {
                let _ = writeln!(out, "aliases = [{}]", list(&mut operation.aliases.iter().map(String::as_str)));
            }
            let _ = writeln!(out, "layers = {}", body_text(&operation.layers));
        }
        for cell in &self.cells {
            let _ = writeln!(out, "\n[[{below}cell]]\nname = {}", quoted(&cell.name));
            let _ = writeln!(out, "inputs = {}\nnodes = {}", cell.inputs, cell.nodes);
            let names = list(&mut cell.operations.iter().map(|operation| operation.name.as_str()));
            let _ = writeln!(out, "operations = [{names}]");
            let output = match cell.output {
                CellOutput::Last => "last",
                CellOutput::Concat => "concat",
            };
            let derivation = match cell.derivation {
                Derivation::BestPerEdge => "best-per-edge",
                Derivation::TwoBestPerNode => "two-best-per-node",
            };
            let _ = writeln!(out, "output = \"{output}\"\nderivation = \"{derivation}\"");
        }
        out
    }
}

fn body_text(body: &Body) -> String {
    let layers = match body {
        Body::Zero => return "\"zero\"".to_owned(),
        Body::Skip => return "\"skip\"".to_owned(),
        Body::Layers(layers) => layers.iter().map(|layer| match *layer {
            Layer::Relu => "\"relu\"".to_owned(),
            Layer::Norm => "\"norm\"".to_owned(),
            Layer::Pointwise => "\"pointwise\"".to_owned(),
            Layer::Conv { kernel } => format!("{{ conv = {kernel} }}"),
            Layer::Depthwise { kernel, dilation: 1 } => format!("{{ depthwise = {kernel} }}"),
            Layer::Depthwise { kernel, dilation } => format!("{{ depthwise = {kernel}, dilation = {dilation} }}"),
            Layer::AvgPool { kernel } => format!("{{ avg_pool = {kernel} }}"),
            Layer::MaxPool { kernel } => format!("{{ max_pool = {kernel} }}"),
        }),
    };
    format!("[{}]", layers.collect::<Vec<_>>().join(", "))
}

impl SpaceText {
    fn build(self) -> Result<Space, SpaceError> {
        let wrong = |place, key, reason: String| SpaceError::Value { line: None, place, key, reason };
        let wiring = match (self.skeleton.wiring, self.skeleton.reduction) {
            (WiringText::Residual, None) => Wiring::Residual,
            (WiringText::Residual, Some(_)) => {
                let reason = "with `wiring = \"residual\"` residual blocks are between the stages; remove this key";
                return Err(wrong(Place::Skeleton, "reduction", reason.to_owned()));
            }
            (WiringText::TwoInputs, reduction) => {
                Wiring::TwoInputs { fixed_reduction: reduction == Some(ReductionText::Fixed) }
            }
        };
        let mut defined: Vec<Arc<Operation>> = Vec::new();
        for operation in self.operation {
            let OperationText { name, label, aliases, layers } = operation;
            if defined.iter().any(|other| other.is_called(&name)) {
                return Err(wrong(Place::Operation(name), "name", "is defined twice".to_owned()));
            }
            let whole = Operation { aliases, ..Operation::with_body(name, layers) };
            defined.push(Arc::new(match label {
                Some(label) => whole.label(label),
                None => whole,
            }));
        }
        let mut used = vec![false; defined.len()];
        let mut cells = Vec::new();
        for (index, cell) in self.cell.into_iter().enumerate() {
            let mut found = Vec::new();
            for name in &cell.operations {
                if let Some(k) = defined.iter().position(|operation| operation.is_called(name)) {
                    used[k] = true;
                    found.push(defined[k].clone());
                } else if let Some(operation) = operations::find(name) {
                    found.push(operation);
                } else {
                    let names = defined.iter().chain(operations::all()).map(|operation| operation.name.as_str());
                    let known = names.collect::<Vec<_>>().join(", ");
                    let reason = format!(
                        "there is no operation `{}`; known are {known}; others are defined by their layers under \
                         [[operation]]",
                        name.escape_debug()
                    );
                    return Err(wrong(Place::Cell(index, cell.name), "operations", reason));
                }
            }
            let (output, derivation) = match wiring {
                Wiring::Residual => (CellOutput::Last, Derivation::BestPerEdge),
                Wiring::TwoInputs { .. } => (CellOutput::Concat, Derivation::TwoBestPerNode),
            };
            cells.push(CellSpace {
                name: cell.name,
                inputs: cell.inputs.unwrap_or(wiring.inputs()),
                nodes: cell.nodes,
                operations: found,
                output: cell.output.unwrap_or(output),
                derivation: cell.derivation.unwrap_or(derivation),
            });
        }
        if let Some(k) = used.iter().position(|used| !used) {
            let reason = "is defined, but no cell has it among its operations".to_owned();
            return Err(wrong(Place::Operation(defined[k].name.clone()), "name", reason));
        }
        let skeleton = Skeleton { wiring, widths: self.skeleton.widths };
        let space = Space { name: self.name, description: self.description, cells, skeleton };
        space.validate()?;
        Ok(space)
    }
}

impl From<&Space> for SpaceText {
    fn from(space: &Space) -> Self {
        let (wiring, reduction) = match space.skeleton.wiring {
            Wiring::Residual => (WiringText::Residual, None),
            Wiring::TwoInputs { fixed_reduction: true } => (WiringText::TwoInputs, Some(ReductionText::Fixed)),
            Wiring::TwoInputs { fixed_reduction: false } => (WiringText::TwoInputs, Some(ReductionText::Searched)),
        };
        let mut operation: Vec<OperationText> = Vec::new();
        for found in space.cells.iter().flat_map(|cell| &cell.operations) {
            if operation.iter().all(|known| known.name != found.name) {
                operation.push(OperationText {
                    name: found.name.clone(),
                    label: Some(found.label.clone()),
                    aliases: found.aliases.clone(),
                    layers: found.body.clone(),
                });
            }
        }
        let cell = space.cells.iter().map(|cell| CellText {
            name: cell.name.clone(),
            inputs: Some(cell.inputs),
            nodes: cell.nodes,
            operations: cell.operations.iter().map(|operation| operation.name.clone()).collect(),
            output: Some(cell.output),
            derivation: Some(cell.derivation),
        });
        Self {
            name: space.name.clone(),
            description: space.description.clone(),
            skeleton: SkeletonText { wiring, reduction, widths: space.skeleton.widths.clone() },
            operation,
            cell: cell.collect(),
        }
    }
}

/// A built-in space is serialized as its name, a custom one in full.
impl Serialize for Space {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_built_in() {
            serializer.serialize_str(&self.name)
        } else {
            SpaceText::from(self).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Space {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shared::deserialize(deserializer).map(Arc::unwrap_or_clone)
    }
}

/// Serde for fields of type `Arc<Space>`: `#[serde(with = "gdas::space::shared")]`.
pub mod shared {
    use super::{Arc, Deserializer, Serialize, Serializer, Space, SpaceVisitor};

    /// Serializes like [`Space`].
    pub fn serialize<S: Serializer>(space: &Arc<Space>, serializer: S) -> Result<S::Ok, S::Error> {
        space.as_ref().serialize(serializer)
    }

    /// Deserializes like [`Space`]; a built-in space is shared.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Space>, D::Error> {
        deserializer.deserialize_any(SpaceVisitor)
    }
}

struct SpaceVisitor;

impl<'de> Visitor<'de> for SpaceVisitor {
    type Value = Arc<Space>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a built-in space, or a table that defines one")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Arc<Space>, E> {
        Space::find(name)
            .ok_or_else(|| E::custom(SpaceError::Unknown { name: name.to_owned(), known: spaces::names() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Arc<Space>, A::Error> {
        let text = SpaceText::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        text.build().map(Arc::new).map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests;
