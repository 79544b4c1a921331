//! Genotypes: the result of a search, as data, text and JSON.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Body, CellSpace, Derivation, Operation, Skeleton, Space, spaces};

/// One operation of a node and the state it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is computed.
    pub operation: &'static Operation,
    /// From which state: inputs first, then inner nodes.
    pub input: usize,
}

/// The chosen operations of one cell, node by node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellGenotype {
    /// Per inner node, what is summed into it.
    pub nodes: Vec<Vec<Choice>>,
}

/// The chosen cells of a space, in the order of [`Space::cells`].
///
/// ```
/// use gdas::space::Genotype;
/// let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
/// let genotype: Genotype = text.parse().unwrap();
/// assert_eq!(genotype.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Portable")]
pub struct Genotype {
    /// Name of the space.
    pub space: &'static str,
    /// One per alpha table.
    pub cells: Vec<CellGenotype>,
}

/// Why a genotype could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GenotypeError {
    /// The text follows none of the known forms.
    #[error(
        "cannot read genotype at byte {at}: expected {expected}, found {found}; a cell looks like \
         `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|`, \
         a pair of cells like `normal=|..|+..;reduction=|..|+..`"
    )]
    Syntax {
        /// Byte offset in the text.
        at: usize,
        /// What would have been right.
        expected: &'static str,
        /// What stood there.
        found: String,
    },
    /// An operation that no space knows.
    #[error("unknown operation `{name}` at byte {at}; known operations: {known}")]
    UnknownOperation {
        /// The name in the text.
        name: String,
        /// Byte offset in the text.
        at: usize,
        /// All known names.
        known: String,
    },
    /// JSON without a genotype, or with one that cannot be read.
    #[error("the JSON holds no genotype: {reason}")]
    Json {
        /// What is wrong.
        reason: String,
    },
    /// A well-formed cell that does not belong to a space.
    #[error("the genotype does not fit space `{space}`: {reason}")]
    Misfit {
        /// The space it was read for.
        space: &'static str,
        /// What does not fit.
        reason: String,
    },
}

impl Genotype {
    /// Reads a genotype of a given space off its alpha tables, each `[edges, operations]`.
    pub fn from_alpha(space: &Space, tables: &[Vec<Vec<f64>>]) -> Self {
        let cells = space.cells.iter().zip(tables).map(|(cell, alpha)| derive(cell, alpha, &[])).collect();
        Self { space: space.name, cells }
    }

    /// As [`from_alpha`](Self::from_alpha), with at most `most` skip connections in the first (normal) cell: as long as
    /// there are more, the one with the smallest probability is taken out of the running (P-DARTS, section 3.2.2).
    pub fn from_alpha_with_skips(space: &Space, tables: &[Vec<Vec<f64>>], most: usize) -> Self {
        let mut genotype = Self::from_alpha(space, tables);
        let (Some(cell), Some(alpha)) = (space.cells.first(), tables.first()) else { return genotype };
        let skip = |choice: &Choice| choice.operation.body == Body::Skip;
        let mut barred = Vec::new();
        while genotype.cells[0].count(skip) > most {
            let edges = cell.edges();
            let skips = genotype.cells[0].nodes.iter().enumerate().flat_map(|(node, choices)| {
                let to = cell.inputs + node;
                choices.iter().filter(|c| skip(c)).map(move |c| (c.input, to))
            });
            let scored = skips.filter_map(|(from, to)| {
                let edge = edges.iter().position(|e| (e.from, e.to) == (from, to))?;
                let column = cell.operations.iter().position(|op| op.body == Body::Skip)?;
                Some((probabilities(&alpha[edge])[column], edge))
            });
            let Some((_, weakest)) = scored.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
            barred.push(weakest);
            genotype.cells[0] = derive(cell, alpha, &barred);
        }
        genotype
    }

    /// The genotype that takes operation `picks[table][edge]` (a column of alpha) on every edge.
    pub fn from_picks(space: &Space, picks: &[Vec<usize>]) -> Self {
        let cells = space.cells.iter().zip(picks).map(|(cell, picks)| {
            let mut nodes = vec![Vec::new(); cell.nodes];
            for (edge, &pick) in cell.edges().iter().zip(picks) {
                nodes[edge.to - cell.inputs].push(Choice { operation: cell.operations[pick], input: edge.from });
            }
            CellGenotype { nodes }
        });
        Self { space: space.name, cells: cells.collect() }
    }

    /// A published genotype by name (`GDAS_V1`, `DARTS_V1`, `DARTS_V2`).
    pub fn named(name: &str) -> Option<Self> {
        NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, text)| text.parse().ok())
    }

    /// Names that [`Genotype::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// Checks that the genotype belongs to `space`: number of cells and nodes, inputs, operations.
    pub fn check(&self, space: &Space) -> Result<(), GenotypeError> {
        let misfit = |reason: String| Err(GenotypeError::Misfit { space: space.name, reason });
        if self.cells.len() != space.cells.len() {
            return misfit(format!("it has {} cells, the space has {}", self.cells.len(), space.cells.len()));
        }
        for (cell, of) in self.cells.iter().zip(&space.cells) {
            if cell.nodes.len() != of.nodes {
                return misfit(format!("cell `{}` has {} nodes instead of {}", of.name, cell.nodes.len(), of.nodes));
            }
            for (node, choices) in cell.nodes.iter().enumerate() {
                let state = of.inputs + node;
                let expected = if of.derivation == Derivation::BestPerEdge { state } else { 2 };
                if choices.len() != expected {
                    let reason =
                        format!("node {state} of cell `{}` takes {expected} inputs, not {}", of.name, choices.len());
                    return misfit(reason);
                }
                for (i, choice) in choices.iter().enumerate() {
                    if choice.input >= state {
                        return misfit(format!(
                            "node {state} of cell `{}` cannot read state {}",
                            of.name, choice.input
                        ));
                    }
                    if !of.operations.contains(&choice.operation) {
                        return misfit(format!("operation `{}` is not one of its candidates", choice.operation.name));
                    }
                    if choices[..i].contains(choice) {
                        return misfit(format!(
                            "node {state} takes `{}~{}` twice",
                            choice.operation.name, choice.input
                        ));
                    }
                    if of.derivation == Derivation::BestPerEdge && choice.input != i {
                        return misfit(format!("node {state} lists state {} where state {i} belongs", choice.input));
                    }
                }
            }
        }
        Ok(())
    }

    /// Share of edges whose operation has no weights, over all cells, in 0..=1.
    pub fn parameter_free_share(&self) -> f64 {
        let choices: Vec<_> = self.cells.iter().flat_map(|cell| cell.nodes.iter().flatten()).collect();
        let free = choices.iter().filter(|choice| choice.operation.is_parameter_free()).count();
        free as f64 / choices.len().max(1) as f64
    }
}

fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, value) in values.enumerate() {
        if value > best.1 {
            best = (i, value);
        }
    }
    best.0
}

fn probabilities(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = row.iter().map(|a| (a - max).exp()).sum();
    row.iter().map(|a| (a - max).exp() / total).collect()
}

/// Reads a cell off its table; a skip connection on one of the edges `barred` is no candidate.
fn derive(cell: &CellSpace, alpha: &[Vec<f64>], barred: &[usize]) -> CellGenotype {
    let mut nodes: Vec<Vec<(f64, Choice)>> = vec![Vec::new(); cell.nodes];
    for (index, (edge, row)) in cell.edges().iter().zip(alpha).enumerate() {
        let node = &mut nodes[edge.to - cell.inputs];
        let choice = |k: usize| Choice { operation: cell.operations[k], input: edge.from };
        let allowed = |k: usize| !(barred.contains(&index) && cell.operations[k].body == Body::Skip);
        match cell.derivation {
            Derivation::BestPerEdge => {
                let row = row.iter().enumerate().map(|(k, &a)| if allowed(k) { a } else { f64::NEG_INFINITY });
                node.push((0.0, choice(argmax(row))));
            }
            Derivation::TwoBestPerNode => {
                let scored = probabilities(row).into_iter().enumerate();
                let scored = scored.filter(|&(k, _)| cell.operations[k].name != "none" && allowed(k));
                node.extend(scored.map(|(k, p)| (p, choice(k))));
            }
        }
    }
    let nodes = nodes.into_iter().map(|mut scored| {
        if cell.derivation == Derivation::TwoBestPerNode {
            // A stable sort: ties go to the earlier edge and operation.
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            scored.truncate(2);
        }
        scored.into_iter().map(|(_, choice)| choice).collect()
    });
    CellGenotype { nodes: nodes.collect() }
}

impl CellGenotype {
    /// How many of its operations are of some kind.
    pub fn count(&self, kind: impl Fn(&Choice) -> bool) -> usize {
        self.nodes.iter().flatten().filter(|choice| kind(choice)).count()
    }
}

impl fmt::Display for CellGenotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            f.write_str(if i == 0 { "|" } else { "+|" })?;
            for choice in node {
                write!(f, "{}~{}|", choice.operation.name, choice.input)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Genotype {
    /// The benchmark's text form; with two cells, `normal=...;reduction=...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = Space::find(self.space);
        let residual = space.as_ref().is_none_or(|space| space.skeleton == Skeleton::Residual);
        for (i, cell) in self.cells.iter().enumerate() {
            if !residual {
                let name = space.as_ref().map_or("cell", |space| space.cells[i].name);
                write!(f, "{}{name}=", if i == 0 { "" } else { ";" })?;
            }
            write!(f, "{cell}")?;
        }
        Ok(())
    }
}

impl FromStr for Genotype {
    type Err = GenotypeError;

    /// Reads the benchmark's form, `normal=..;reduction=..`, and the Python text of DARTS and AutoDL
    /// (`Genotype(normal=[('sep_conv_3x3', 1), ...], ...)`).
    fn from_str(text: &str) -> Result<Self, GenotypeError> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let space;
        let cells = if trimmed.contains("Genotype(") || trimmed.contains("'normal'") || trimmed.contains("normal=[") {
            let cells = python_cells(text)?;
            space = if cells.len() == 1 { spaces::nasnet_frc() } else { spaces::nasnet() };
            cells
        } else if let Some(rest) = trimmed.strip_prefix("normal=") {
            let (normal, reduction) = match rest.split_once(";reduction=") {
                Some((normal, reduction)) => (normal, Some(reduction)),
                None => (rest, None),
            };
            let offset = start + "normal=".len();
            let mut cells = vec![parse_cell(normal, offset)?];
            if let Some(reduction) = reduction {
                cells.push(parse_cell(reduction, offset + normal.len() + ";reduction=".len())?);
                space = spaces::nasnet();
            } else {
                space = spaces::nasnet_frc();
            }
            cells
        } else {
            space = spaces::nas_bench_201();
            vec![parse_cell(trimmed, start)?]
        };
        let genotype = Self { space: space.name, cells };
        genotype.check(&space)?;
        Ok(genotype)
    }
}

fn syntax(at: usize, expected: &'static str, found: &str) -> GenotypeError {
    let found = found.chars().take(24).collect::<String>();
    let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
    GenotypeError::Syntax { at, expected, found }
}

fn operation(name: &str, at: usize) -> Result<&'static Operation, GenotypeError> {
    Operation::find(name).ok_or_else(|| GenotypeError::UnknownOperation {
        name: name.chars().take(40).collect(),
        at,
        known: super::OPERATIONS.iter().map(|op| op.name).collect::<Vec<_>>().join(", "),
    })
}

fn parse_cell(text: &str, offset: usize) -> Result<CellGenotype, GenotypeError> {
    let mut nodes = Vec::new();
    let mut at = offset;
    for node in text.split('+') {
        let inner = node.strip_prefix('|').ok_or_else(|| syntax(at, "`|`", node))?;
        let inner = inner.strip_suffix('|').ok_or_else(|| syntax(at + node.len(), "a closing `|`", ""))?;
        let mut choices = Vec::new();
        let mut place = at + 1;
        for part in inner.split('|') {
            let (name, input) = part.split_once('~').ok_or_else(|| syntax(place, "`operation~input`", part))?;
            let input = input.parse().map_err(|_| syntax(place + name.len() + 1, "the number of a state", input))?;
            choices.push(Choice { operation: operation(name, place)?, input });
            place += part.len() + 1;
        }
        nodes.push(choices);
        at += node.len() + 1;
    }
    Ok(CellGenotype { nodes })
}

/// The `('name', input)` pairs after `normal` and `reduce` in the Python text, two per node. A third
/// member of a pair (AutoDL writes the weight there) is passed over.
fn python_cells(text: &str) -> Result<Vec<CellGenotype>, GenotypeError> {
    let mut cells = Vec::new();
    for key in ["normal", "reduce"] {
        let Some(begin) = text.find(key) else {
            if key == "normal" {
                return Err(syntax(0, "`normal=[...]`", text));
            }
            continue;
        };
        let rest = &text[begin + key.len()..];
        let end = ["reduce", "_concat"].iter().filter_map(|stop| rest.find(stop)).min().unwrap_or(rest.len());
        let end = rest[..end].rfind(']').unwrap_or(end);
        let mut choices = Vec::new();
        // In a dictionary the key itself is quoted: begin after the bracket that opens its list.
        let mut at = rest[..end].find('[').unwrap_or(end);
        while let Some(open) = rest[at..end].find(['\'', '"']).map(|i| at + i) {
            let name_at = open + 1;
            let Some(close) = rest[name_at..end].find(['\'', '"']).map(|i| name_at + i) else {
                return Err(syntax(begin + key.len() + open, "a closing quote", &rest[open..end]));
            };
            at = close + 1;
            let number = rest[at..end].trim_start_matches([',', ' ', '\n', '\t']);
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            let place = begin + key.len() + name_at;
            let input = digits.parse().map_err(|_| syntax(place, "a state's number after the operation", number))?;
            choices.push(Choice { operation: operation(&rest[name_at..close], place)?, input });
        }
        if choices.is_empty() {
            continue;
        }
        if choices.len() % 2 == 1 {
            return Err(syntax(begin, "two (operation, input) pairs per node", &rest[..end]));
        }
        cells.push(CellGenotype { nodes: choices.chunks(2).map(<[Choice]>::to_vec).collect() });
    }
    Ok(cells)
}

/// The JSON form: readable and independent of the text form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Portable {
    space: String,
    cells: Vec<PortableCell>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableCell {
    name: String,
    nodes: Vec<Vec<PortableChoice>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableChoice {
    operation: String,
    input: usize,
}

impl From<Genotype> for Portable {
    fn from(genotype: Genotype) -> Self {
        let space = Space::find(genotype.space);
        let cells = genotype.cells.iter().enumerate().map(|(i, cell)| PortableCell {
            name: space.as_ref().map_or("cell", |space| space.cells[i].name).to_owned(),
            nodes: cell
                .nodes
                .iter()
                .map(|node| {
                    node.iter()
                        .map(|c| PortableChoice { operation: c.operation.name.to_owned(), input: c.input })
                        .collect()
                })
                .collect(),
        });
        Self { space: genotype.space.to_owned(), cells: cells.collect() }
    }
}

impl<'de> Deserialize<'de> for Genotype {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Portable::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Portable> for Genotype {
    type Error = String;

    fn try_from(portable: Portable) -> Result<Self, String> {
        let space = Space::find(&portable.space).ok_or_else(|| {
            let known: Vec<_> = spaces::all().iter().map(|space| space.name).collect();
            format!("unknown space `{}`; known spaces: {}", portable.space, known.join(", "))
        })?;
        let choice = |c: &PortableChoice| {
            operation(&c.operation, 0)
                .map(|operation| Choice { operation, input: c.input })
                .map_err(|_| format!("unknown operation `{}`", c.operation))
        };
        let cells = portable.cells.iter().map(|cell| {
            let nodes = cell.nodes.iter().map(|node| node.iter().map(choice).collect()).collect::<Result<_, _>>()?;
            Ok(CellGenotype { nodes })
        });
        let genotype = Self { space: space.name, cells: cells.collect::<Result<_, String>>()? };
        genotype.check(&space).map_err(|error| error.to_string())?;
        Ok(genotype)
    }
}

/// Published cells (AutoDL-Projects and DARTS), in this project's text form.
const NAMED: &[(&str, &str)] = &[
    (
        "GDAS_V1",
        "normal=|skip_connect~0|skip_connect~1|+|skip_connect~0|sep_conv_5x5~2|+|sep_conv_3x3~3|skip_connect~0|+\
         |sep_conv_5x5~4|sep_conv_3x3~3|;reduction=|sep_conv_5x5~0|sep_conv_3x3~1|+|sep_conv_5x5~2|sep_conv_5x5~1|+\
         |dil_conv_5x5~2|sep_conv_3x3~1|+|sep_conv_5x5~0|sep_conv_5x5~1|",
    ),
    (
        "DARTS_V1",
        "normal=|sep_conv_3x3~1|sep_conv_3x3~0|+|skip_connect~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|+\
         |sep_conv_3x3~0|skip_connect~2|;reduction=|max_pool_3x3~0|max_pool_3x3~1|+|skip_connect~2|max_pool_3x3~0|+\
         |max_pool_3x3~0|skip_connect~2|+|skip_connect~2|avg_pool_3x3~0|",
    ),
    (
        "DARTS_V2",
        "normal=|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~1|skip_connect~0|+\
         |skip_connect~0|dil_conv_3x3~2|;reduction=|max_pool_3x3~0|max_pool_3x3~1|+|skip_connect~2|max_pool_3x3~1|+\
         |max_pool_3x3~0|skip_connect~2|+|skip_connect~2|max_pool_3x3~1|",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_genotypes_read_back() {
        for name in Genotype::names() {
            let genotype = Genotype::named(name).expect("a named genotype is valid");
            assert_eq!(genotype.to_string().parse::<Genotype>().as_ref(), Ok(&genotype), "{name}");
            let json = serde_json::to_string(&genotype).expect("serialises");
            assert_eq!(serde_json::from_str::<Genotype>(&json).expect("reads back"), genotype);
        }
    }

    #[test]
    fn python_text_of_darts_and_autodl() {
        let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
            ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
        assert_eq!(darts.parse::<Genotype>().ok(), Genotype::named("DARTS_V2"));
        let autodl = "{'normal': [(('skip_connect', 0, 0.2), ('skip_connect', 1, 0.1)), (('skip_connect', 0), ('sep_conv_5x5', 2)), \
            (('sep_conv_3x3', 3), ('skip_connect', 0)), (('sep_conv_5x5', 4), ('sep_conv_3x3', 3))], 'normal_concat': [2,3,4,5], \
            'reduce': [(('sep_conv_5x5', 0), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 2), ('sep_conv_5x5', 1)), \
            (('dil_conv_5x5', 2), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 0), ('sep_conv_5x5', 1))], 'reduce_concat': [2,3,4,5]}";
        assert_eq!(autodl.parse::<Genotype>().ok(), Genotype::named("GDAS_V1"));
    }

    #[test]
    fn two_best_pairs_exclude_none() {
        let space = spaces::nasnet_frc();
        let mut alpha = vec![vec![0.0; 8]; 14];
        alpha[0][0] = 9.0; // none, however strong, is never chosen
        alpha[0][2] = 8.5;
        alpha[1][7] = 5.0;
        let genotype = Genotype::from_alpha(&space, &[alpha]);
        let node = &genotype.cells[0].nodes[0];
        let names: Vec<_> = node.iter().map(|c| (c.operation.name, c.input)).collect();
        assert_eq!(names, [("max_pool_3x3", 1), ("dua_sepc_3x3", 0)]);
        assert_eq!(genotype.check(&space), Ok(()));
    }

    /// The weakest skip connections give way to what is next on their edge (or node).
    #[test]
    fn skips_over_the_limit_give_way_weakest_first() {
        let space = spaces::nasnet_frc();
        // Operation 1 is the skip connection, 2 the 3x3 separable convolution.
        let mut alpha = vec![vec![0.0; 8]; 14];
        for (edge, row) in alpha.iter_mut().enumerate() {
            row[1] = 2.0 + 0.1 * edge as f64;
            row[2] = 1.0;
        }
        let skips = |g: &Genotype| g.cells[0].count(|c| c.operation.name == "skip_connect");
        let free = Genotype::from_alpha(&space, std::slice::from_ref(&alpha));
        assert_eq!(skips(&free), 8);
        for most in [0, 1, 2, 5, 8, 20] {
            let limited = Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), most);
            assert_eq!(skips(&limited), most.min(8));
            assert_eq!(limited.check(&space), Ok(()));
        }
        // Two remain: the strongest, into the last node.
        let limited = Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), 2);
        assert!(limited.cells[0].nodes[3].iter().all(|c| c.operation.name == "skip_connect"));
        // Where alpha has few skips, nothing changes; one operation per edge works the same way.
        assert_eq!(Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), 8), free);
        let alpha = [vec![vec![0.0, 2.0, 0.5, 1.0, 0.0]; 6]];
        let limited = Genotype::from_alpha_with_skips(&spaces::nas_bench_201(), &alpha, 1);
        assert_eq!(limited.cells[0].count(|c| c.operation.name == "nor_conv_3x3"), 5);
    }

    #[test]
    fn errors_say_where_and_how_to_mend() {
        let error = |text: &str| text.parse::<Genotype>().unwrap_err().to_string();
        assert!(error("|conv~0|").starts_with("unknown operation `conv` at byte 1"));
        assert!(error("|none~x|").contains("at byte 6: expected the number of a state"));
        assert!(error("|none~0").contains("a closing `|`"));
        assert!(error("").contains("at byte 0"));
        assert!(error("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|").contains("cannot read state 2"));
        assert!(error("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|").contains("where state 0 belongs"));
        assert!(error("normal=|none~0|").contains("nodes instead of"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = text.parse::<Genotype>();
        }

        #[test]
        fn every_cell_of_the_benchmark_reads_back(picks in proptest::collection::vec(0usize..5, 6)) {
            let genotype = Genotype::from_picks(&spaces::nas_bench_201(), &[picks]);
            proptest::prop_assert_eq!(genotype.to_string().parse::<Genotype>(), Ok(genotype));
        }
    }
}
