//! Spaces as TOML and JSON.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Body, CellOutput, CellSpace, Derivation, Layer, Operation, Place, Skeleton, Space, SpaceError, Wiring, operations,
    spaces,
};

/// More than any space that can be built, in bytes.
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
    /// With the line and key of the first mistake, whether of the text or of what it describes.
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
    /// The file cannot be read, or holds no valid space: with file, line and key.
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
    /// There is neither, or the file holds no valid space.
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

    /// The whole space as TOML, every operation with its layers: it needs no other definition to be read back.
    pub fn to_toml(&self) -> String {
        self.to_toml_below("")
    }

    /// As [`to_toml`](Self::to_toml), as the table `below` (such as `space.`) of a larger text.
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
                let reason = "with `wiring = \"residual\"` residual blocks lie between the stages; take this key out";
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

/// A built-in space is its name, any other the whole of it, so that what is written needs no definition elsewhere.
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

    /// As [`Space`] itself is written.
    pub fn serialize<S: Serializer>(space: &Arc<Space>, serializer: S) -> Result<S::Ok, S::Error> {
        space.as_ref().serialize(serializer)
    }

    /// As [`Space`] itself is read; a built-in space is shared.
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

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Zero => serializer.serialize_str("zero"),
            Self::Skip => serializer.serialize_str("skip"),
            Self::Layers(layers) => layers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of layers, \"zero\" or \"skip\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Body, E> {
                match text {
                    "zero" => Ok(Body::Zero),
                    "skip" => Ok(Body::Skip),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
                let mut layers = Vec::new();
                while let Some(layer) = seq.next_element()? {
                    layers.push(layer);
                }
                Ok(Body::Layers(layers))
            }
        }
        deserializer.deserialize_any(BodyVisitor)
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, kernel) = match *self {
            Self::Relu => return serializer.serialize_str("relu"),
            Self::Norm => return serializer.serialize_str("norm"),
            Self::Pointwise => return serializer.serialize_str("pointwise"),
            Self::Conv { kernel } => ("conv", kernel),
            Self::Depthwise { kernel, .. } => ("depthwise", kernel),
            Self::AvgPool { kernel } => ("avg_pool", kernel),
            Self::MaxPool { kernel } => ("max_pool", kernel),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(key, &kernel)?;
        if let Self::Depthwise { dilation, .. } = self
            && *dilation != 1
        {
            map.serialize_entry("dilation", dilation)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayerVisitor;
        impl<'de> Visitor<'de> for LayerVisitor {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a layer: \"relu\", \"norm\", \"pointwise\", { conv = N }, { depthwise = N, dilation = N }, \
                     { avg_pool = N } or { max_pool = N }",
                )
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Layer, E> {
                match text {
                    "relu" => Ok(Layer::Relu),
                    "norm" => Ok(Layer::Norm),
                    "pointwise" => Ok(Layer::Pointwise),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layer, A::Error> {
                let (mut window, mut dilation) = (None, None);
                while let Some((key, value)) = map.next_entry::<String, usize>()? {
                    match key.as_str() {
                        "dilation" if dilation.is_none() => dilation = Some(value),
                        "conv" | "depthwise" | "avg_pool" | "max_pool" if window.is_none() => {
                            window = Some((key, value));
                        }
                        _ => {
                            return Err(A::Error::custom(format!("`{key}` does not belong here; expected {Expected}")));
                        }
                    }
                }
                let Some((key, kernel)) = window else {
                    return Err(A::Error::custom(format!("an empty layer; expected {Expected}")));
                };
                match (key.as_str(), dilation) {
                    ("depthwise", dilation) => Ok(Layer::Depthwise { kernel, dilation: dilation.unwrap_or(1) }),
                    (_, Some(_)) => Err(A::Error::custom("only a depthwise convolution has a dilation")),
                    ("conv", None) => Ok(Layer::Conv { kernel }),
                    ("avg_pool", None) => Ok(Layer::AvgPool { kernel }),
                    (_, None) => Ok(Layer::MaxPool { kernel }),
                }
            }
        }
        struct Expected;
        impl fmt::Display for Expected {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                LayerVisitor.expecting(f)
            }
        }
        deserializer.deserialize_any(LayerVisitor)
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// The key whose value the byte `at` is in: that of its line or of the nearest line before that has one.
fn key_at(text: &str, at: usize) -> Option<String> {
    let line_end = text[at.min(text.len())..].find('\n').map_or(text.len(), |i| at + i);
    text.get(..line_end)?
        .lines()
        .rev()
        .take_while(|line| !is_header(line))
        .find_map(|line| key_of(line).map(str::to_owned))
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!key.is_empty() && key.chars().all(bare)).then_some(key)
}

fn is_header(line: &str) -> bool {
    let line = line.trim();
    ["[skeleton]", "[[operation]]", "[[cell]]"].iter().any(|header| line.starts_with(header))
}

/// Adds the line of the text that an error is about: that of the key, else that of the table's header.
fn locate(error: SpaceError, text: &str, defined: &[String]) -> SpaceError {
    let SpaceError::Value { place, key, reason, .. } = error else { return error };
    let lines: Vec<&str> = text.lines().collect();
    let nth = |header: &str, n: usize| {
        lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with(header)).nth(n).map(|(index, _)| index)
    };
    let start = match &place {
        Place::Space => Some(0),
        Place::Skeleton => nth("[skeleton]", 0),
        // Of two definitions of one name, the last is the one too many.
        Place::Operation(name) => defined.iter().rposition(|known| known == name).and_then(|n| nth("[[operation]]", n)),
        Place::Cell(index, _) => nth("[[cell]]", *index),
    };
    let line = start.map(|start| {
        let skipped = usize::from(place != Place::Space);
        let body = lines.iter().enumerate().skip(start + skipped).take_while(|(_, line)| !is_header(line));
        let found = body.into_iter().find(|(_, line)| key_of(line) == Some(key)).map(|(index, _)| index);
        1 + found.unwrap_or(start)
    });
    SpaceError::Value { line, place, key, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"name = "tiny"
description = "two nodes"

[skeleton]
wiring = "residual"

[[operation]]
name = "conv_5x5"
layers = ["relu", { conv = 5 }, "norm"]

[[cell]]
name = "cell"
nodes = 2
operations = ["none", "skip_connect", "conv_5x5"]
"#;

    #[test]
    fn a_space_is_read_from_toml_and_written_whole() {
        let space = Space::from_toml(TINY).expect("a space");
        let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
        let cell = CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), wide]);
        let by_hand = Space { description: "two nodes".to_owned(), ..Space::residual("tiny", cell) };
        assert_eq!(space, by_hand);
        insta::assert_snapshot!(space.to_toml());
    }

    #[test]
    fn every_built_in_space_reads_back_from_toml_and_json() {
        for space in spaces::all() {
            assert_eq!(Space::from_toml(&space.to_toml()).as_ref(), Ok(&**space));
            let json = serde_json::to_string(&**space).expect("JSON");
            assert_eq!(json, format!("\"{}\"", space.name));
            assert_eq!(&serde_json::from_str::<Space>(&json).expect("reads back"), &**space);
            let other = Space { name: "mine".to_owned(), ..(**space).clone() };
            let json = serde_json::to_string(&other).expect("JSON");
            assert_eq!(serde_json::from_str::<Space>(&json).expect("reads back"), other);
        }
    }

    #[test]
    fn mistakes_are_named_with_line_and_key() {
        let change = |from: &str, to: &str| {
            assert!(TINY.contains(from), "{from}");
            Space::from_toml(&TINY.replacen(from, to, 1)).expect_err(to).to_string()
        };
        for (from, to, expected) in [
            ("nodes = 2", "nodes = 0", "line 13: `nodes` of cell `cell`: is 0"),
            ("nodes = 2", "nodes = \"two\"", "line 13: `nodes`: invalid type: string \"two\", expected usize"),
            ("nodes = 2", "nodes = -2", "line 13: `nodes`: invalid value: integer `-2`"),
            ("nodes = 2", "node = 2", "line 13: `node`: unknown field `node`"),
            ("nodes = 2", "nodes = 2\ninputs = 2", "line 14: `inputs` of cell `cell`: is 2"),
            ("\"none\", ", "\"nome\", ", "line 14: `operations` of cell `cell`: there is no operation `nome`"),
            ("{ conv = 5 }", "{ conv = 4 }", "line 9: `layers` of operation `conv_5x5`: a window of 4x4"),
            ("{ conv = 5 }", "{ konv = 5 }", "line 9: `layers`: `konv` does not belong here"),
            ("\"relu\"", "\"gelu\"", "line 9: `layers`: invalid value: string \"gelu\", expected a layer: \"relu\""),
            ("{ conv = 5 }", "{ conv = 5, dilation = 2 }", "line 9: `layers`: only a depthwise"),
            (
                "name = \"conv_5x5\"",
                "name = \"conv 5x5\"",
                "line 14: `operations` of cell `cell`: there is no operation",
            ),
            ("\"residual\"", "\"residual\"\nreduction = \"fixed\"", "line 6: `reduction` of the skeleton"),
            ("\"residual\"", "\"residual\"\nwidths = [1, 0]", "line 6: `widths` of the skeleton: 0 is not"),
            ("name = \"tiny\"", "name = \"ti|ny\"", "line 1: `name` of the space"),
            (", \"conv_5x5\"]", "]", "line 8: `name` of operation `conv_5x5`: is defined, but no cell"),
            ("[[cell]]", "[[cel]]", "unknown field `cel`"),
            ("name = \"cell\"", "name = \"cell", "line 12"),
        ] {
            let said = change(from, to);
            assert!(said.contains(expected), "{to}: {said}\nshould hold\n{expected}");
        }
        let doubled = TINY.replace("[[cell]]", "[[operation]]\nname = \"conv_5x5\"\nlayers = \"skip\"\n\n[[cell]]");
        let said = Space::from_toml(&doubled).expect_err("twice").to_string();
        assert!(said.starts_with("line 12: `name` of operation `conv_5x5`: is defined twice"), "{said}");
    }

    proptest::proptest! {
        /// Whatever stands where in a file, it is a space or an error.
        #[test]
        fn any_text_is_a_space_or_an_error(from in 0usize..400, length in 0usize..40, put in "\\PC{0,12}|[0-9\\[\\]\"{}=, \\n-]{0,12}") {
            let bound = |at: usize| (0..=at.min(TINY.len())).rev().find(|&at| TINY.is_char_boundary(at)).unwrap_or(0);
            let (start, end) = (bound(from), bound(from + length));
            let text = format!("{}{put}{}", &TINY[..start], &TINY[end..]);
            if let Ok(space) = Space::from_toml(&text) {
                proptest::prop_assert_eq!(space.validate(), Ok(()));
            }
            let _ = Space::from_toml(&put);
        }
    }

    #[test]
    fn a_file_that_is_not_there_and_a_name_that_is_not_known() {
        let said = |given: &str| Space::named_or_file(given).expect_err(given).to_string();
        assert!(
            said("nas-bench-202").starts_with("there is no space `nas-bench-202`; built in are nas-bench-201, nasnet")
        );
        assert!(said("no/such.toml").starts_with("cannot read no/such.toml: "));
        let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
        std::fs::write(file.path(), TINY.replace("nodes = 2", "nodes = 0")).expect("written");
        let path = file.path().display().to_string();
        assert!(said(&path).starts_with(&format!("{path}, line 13: `nodes` of cell `cell`")), "{}", said(&path));
    }
}
