//! Graph of a cell for drawing: named nodes and labelled edges, independent of search spaces.

use std::fmt::Write as _;

/// Role of a node of a [`Picture`] in the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Input of the cell.
    Input,
    /// Intermediate state.
    Inner,
    /// Output of the cell.
    Output,
}

/// The class of an operation; determines colour and dash of its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeClass {
    /// `none`: no connection.
    None,
    /// `skip_connect`.
    Skip,
    /// Average or max pooling.
    Pool,
    /// 1x1 convolution.
    Pointwise,
    /// Full convolution.
    Conv,
    /// Depthwise separable convolution.
    Separable,
    /// Dilated (separable) convolution.
    Dilated,
    /// Part of the cell's fixed structure, such as the concatenation.
    Structure,
}

impl EdgeClass {
    /// Every class, in the order of a legend.
    pub const ALL: [EdgeClass; 8] = [
        EdgeClass::None,
        EdgeClass::Skip,
        EdgeClass::Pool,
        EdgeClass::Pointwise,
        EdgeClass::Conv,
        EdgeClass::Separable,
        EdgeClass::Dilated,
        EdgeClass::Structure,
    ];

    /// The class of an operation by its published name (`nor_conv_3x3`, `dil_sepc_5x5`, ...).
    pub fn of(operation: &str) -> Self {
        let has = |part| operation.contains(part);
        match operation {
            "" => EdgeClass::Structure,
            "none" => EdgeClass::None,
            _ if has("skip") || has("identity") => EdgeClass::Skip,
            _ if has("pool") || has("avg") || has("max") => EdgeClass::Pool,
            _ if has("dil") => EdgeClass::Dilated,
            _ if has("sep") => EdgeClass::Separable,
            _ if has("1x1") => EdgeClass::Pointwise,
            _ => EdgeClass::Conv,
        }
    }

    /// Short name, used as CSS class and in dot files.
    pub fn name(self) -> &'static str {
        match self {
            EdgeClass::None => "none",
            EdgeClass::Skip => "skip",
            EdgeClass::Pool => "pool",
            EdgeClass::Pointwise => "pointwise",
            EdgeClass::Conv => "conv",
            EdgeClass::Separable => "separable",
            EdgeClass::Dilated => "dilated",
            EdgeClass::Structure => "structure",
        }
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureNode {
    /// Short text inside the node.
    pub label: String,
    /// Input, inner or output.
    pub kind: NodeKind,
}

/// One edge, from an earlier to a later node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureEdge {
    /// Index of the source.
    pub from: usize,
    /// Index of the target.
    pub to: usize,
    /// Text on the edge, usually the operation; empty for structure.
    pub label: String,
    /// Family of the operation.
    pub class: EdgeClass,
}

/// A directed acyclic graph to draw.
///
/// ```
/// use gdas_report::Picture;
///
/// // A NAS-Bench-201 cell: edges in the order (0,1) (0,2) (1,2) (0,3) (1,3) (2,3).
/// let ops = ["nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "none", "nor_conv_1x1"];
/// let edges = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)].into_iter().zip(ops);
/// let picture = Picture::cell("example", &["in", "1", "2", "out"], 1, edges)?;
/// assert_eq!(picture.edges.len(), 6);
/// assert!(picture.to_svg().starts_with("<svg"));
/// # Ok::<(), gdas_report::PictureError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Title, also the text alternative for screen readers.
    pub title: String,
    /// Nodes, every source before its targets.
    pub nodes: Vec<PictureNode>,
    /// Edges.
    pub edges: Vec<PictureEdge>,
}

/// Why a [`Picture`] cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PictureError {
    /// An edge that does not go forward between existing nodes.
    #[error(
        "edge {index} goes from node {from} to node {to}; it must go from an earlier to a later one of {nodes} nodes"
    )]
    Edge {
        /// Position in the list of edges.
        index: usize,
        /// Its source.
        from: usize,
        /// Its target.
        to: usize,
        /// Number of nodes.
        nodes: usize,
    },
}

impl Picture {
    /// A picture of a cell: `labels` name the nodes, of which the first `inputs` come from outside and the last is the
    /// output; each edge is `((from, to), operation)`, where the empty operation stands for fixed structure.
    pub fn cell<'a>(
        title: &str,
        labels: &[&str],
        inputs: usize,
        edges: impl IntoIterator<Item = ((usize, usize), &'a str)>,
    ) -> Result<Self, PictureError> {
        let last = labels.len().saturating_sub(1);
        let kind = |i| match i {
            _ if i < inputs => NodeKind::Input,
            _ if i == last => NodeKind::Output,
            _ => NodeKind::Inner,
        };
        let nodes =
            labels.iter().enumerate().map(|(i, &l)| PictureNode { label: l.to_owned(), kind: kind(i) }).collect();
        let edges = edges
            .into_iter()
            .map(|((from, to), op)| PictureEdge { from, to, label: op.to_owned(), class: EdgeClass::of(op) })
            .collect();
        let picture = Self { title: title.to_owned(), nodes, edges };
        picture.check()?;
        Ok(picture)
    }

    /// Verifies that every edge goes forward between existing nodes.
    pub fn check(&self) -> Result<(), PictureError> {
        let nodes = self.nodes.len();
        match self.edges.iter().enumerate().find(|(_, e)| e.from >= e.to || e.to >= nodes) {
            Some((index, e)) => Err(PictureError::Edge { index, from: e.from, to: e.to, nodes }),
            None => Ok(()),
        }
    }

    /// The picture without its `none` edges, which connect nothing.
    #[must_use]
    pub fn without_none(mut self) -> Self {
        self.edges.retain(|e| e.class != EdgeClass::None);
        self
    }

    /// Graphviz source.
    pub fn to_dot(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut out =
            String::from("digraph cell {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=Helvetica];\n");
        let _ = writeln!(out, "  edge [fontname=Helvetica, fontsize=11];\n  label={};", quoted(&self.title));
        for (i, node) in self.nodes.iter().enumerate() {
            let weight = if node.kind == NodeKind::Inner { "" } else { ", penwidth=2" };
            let _ = writeln!(out, "  n{i} [label={}{weight}];", quoted(&node.label));
        }
        for edge in &self.edges {
            let style = match edge.class {
                EdgeClass::None => "dotted",
                EdgeClass::Skip => "dashed",
                _ => "solid",
            };
            let label = quoted(&edge.label);
            let _ = writeln!(out, "  n{} -> n{} [label={label}, style={style}];", edge.from, edge.to);
        }
        out.push_str("}\n");
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A NAS-Bench-201 cell with one operation of every kind.
    pub(crate) fn benchmark_cell() -> Picture {
        let ops = ["nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "none", "nor_conv_3x3"];
        let pairs = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];
        Picture::cell("NAS-Bench-201 cell", &["in", "1", "2", "out"], 1, pairs.into_iter().zip(ops)).unwrap()
    }

    /// `GDAS_V1`'s normal cell.
    pub(crate) fn nasnet_cell() -> Picture {
        let edges = [
            ((0, 2), "skip_connect"),
            ((1, 2), "skip_connect"),
            ((0, 3), "skip_connect"),
            ((2, 3), "sep_conv_5x5"),
            ((3, 4), "sep_conv_3x3"),
            ((0, 4), "skip_connect"),
            ((4, 5), "sep_conv_5x5"),
            ((3, 5), "sep_conv_3x3"),
            ((2, 6), ""),
            ((3, 6), ""),
            ((4, 6), ""),
            ((5, 6), ""),
        ];
        Picture::cell("GDAS_V1 normal cell", &["c[k-2]", "c[k-1]", "0", "1", "2", "3", "out"], 2, edges).unwrap()
    }

    #[test]
    fn classes_of_published_names() {
        let expected = [
            ("none", EdgeClass::None),
            ("skip_connect", EdgeClass::Skip),
            ("nor_conv_1x1", EdgeClass::Pointwise),
            ("nor_conv_3x3", EdgeClass::Conv),
            ("avg_pool_3x3", EdgeClass::Pool),
            ("max_pool_3x3", EdgeClass::Pool),
            ("dua_sepc_5x5", EdgeClass::Separable),
            ("sep_conv_3x3", EdgeClass::Separable),
            ("dil_sepc_3x3", EdgeClass::Dilated),
            ("", EdgeClass::Structure),
        ];
        for (name, class) in expected {
            assert_eq!(EdgeClass::of(name), class, "{name}");
        }
    }

    #[test]
    fn backward_edges_are_refused() {
        let error = Picture::cell("x", &["a", "b"], 1, [((1, 0), "none")]).unwrap_err();
        assert_eq!(error, PictureError::Edge { index: 0, from: 1, to: 0, nodes: 2 });
    }

    #[test]
    fn dot_escapes_labels() {
        let mut picture = benchmark_cell();
        picture.nodes[0].label = "a\"b\\".into();
        let dot = picture.to_dot();
        assert!(dot.contains(r#"n0 [label="a\"b\\", penwidth=2];"#), "{dot}");
        assert_eq!(dot.matches("->").count(), 6);
    }

    #[test]
    fn none_edges_can_be_left_out() {
        assert_eq!(benchmark_cell().without_none().edges.len(), 5);
    }
}
