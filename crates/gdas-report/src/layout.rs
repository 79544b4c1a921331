//! Layout of a [`Picture`] from left to right without overlaps.
//!
//! A layered drawing (Sugiyama, Tagawa, Toda 1981) with an addition: labels have separate columns between those of the
//! nodes, and an edge that passes a column has a lane in it. The boxes and lanes of a column have disjoint vertical ranges,
//! and edges bend only in the gaps between columns, so labels, nodes and lanes cannot overlap.

use super::picture::Picture;

/// Width of a character of the labels' monospaced font, relative to the font size.
const CHARACTER: f64 = 0.61;
/// Font size of labels and nodes.
pub const FONT_SIZE: f64 = 12.0;
const NODE_HEIGHT: f64 = 34.0;
const LABEL_HEIGHT: f64 = 22.0;
const LANE_HEIGHT: f64 = 6.0;
const SPACING: f64 = 14.0;
const GAP: (f64, f64) = (26.0, 84.0);
const MARGIN: f64 = 12.0;
const SWEEPS: usize = 24;

/// An axis-parallel box by its centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Horizontal centre.
    pub x: f64,
    /// Vertical centre.
    pub y: f64,
    /// Full width.
    pub width: f64,
    /// Full height.
    pub height: f64,
}

impl Rect {
    /// True if the boxes share more than an edge.
    pub fn overlaps(&self, other: &Rect) -> bool {
        (self.x - other.x).abs() * 2.0 < self.width + other.width - 1e-9
            && (self.y - other.y).abs() * 2.0 < self.height + other.height - 1e-9
    }
}

/// The route of one edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Horizontal segments from left to right: `(x start, x end, y)`. The edge bends between them.
    pub levels: Vec<(f64, f64, f64)>,
    /// Box of its label, if it has one.
    pub label: Option<Rect>,
}

/// Geometry of a drawing in pixels; the origin is the upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Full width.
    pub width: f64,
    /// Full height.
    pub height: f64,
    /// One box per node.
    pub nodes: Vec<Rect>,
    /// One route per edge.
    pub routes: Vec<Route>,
}

/// Width of `text` in the drawing's font, in pixels.
pub fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER * FONT_SIZE
}

/// A node, label or lane in a column.
struct Item {
    width: f64,
    height: f64,
    column: usize,
    left: Vec<usize>,
    right: Vec<usize>,
    y: f64,
}

/// Computes the layout. The picture must pass [`Picture::check`].
pub fn layout(picture: &Picture) -> Layout {
    let mut items: Vec<Item> = Vec::new();
    let layers = layers(picture);
    for (node, &layer) in picture.nodes.iter().zip(&layers) {
        let width = (text_width(&node.label) + 20.0).max(NODE_HEIGHT);
        items.push(Item::new(width, NODE_HEIGHT, 2 * layer));
    }
    // For each edge: its items between source and target, and which of them is the label.
    let mut chains: Vec<(Vec<usize>, Option<usize>)> = Vec::new();
    let mut labels = vec![0usize; 2 * layers.iter().max().map_or(0, |m| m + 1)];
    for edge in &picture.edges {
        let (first, last) = (2 * layers[edge.from] + 1, 2 * layers[edge.to] - 1);
        let column =
            (!edge.label.is_empty()).then(|| (first..=last).step_by(2).min_by_key(|&c| (labels[c], c))).flatten();
        if let Some(column) = column {
            labels[column] += 1;
        }
        let mut chain = Vec::new();
        let mut label = None;
        for c in first..=last {
            let is_label = column == Some(c);
            if is_label {
                label = Some(items.len());
                items.push(Item::new(text_width(&edge.label) + 14.0, LABEL_HEIGHT, c));
            } else {
                items.push(Item::new(0.0, LANE_HEIGHT, c));
            }
            chain.push(items.len() - 1);
        }
        let ends = [&[edge.from], chain.as_slice(), &[edge.to]].concat();
        for pair in ends.windows(2) {
            items[pair[0]].right.push(pair[1]);
            items[pair[1]].left.push(pair[0]);
        }
        chains.push((chain, label));
    }

    let columns = order(&items);
    place_vertically(&mut items, &columns);
    let spans = place_horizontally(&items, &columns);

    let top = items.iter().map(|i| i.y - i.height / 2.0).fold(f64::INFINITY, f64::min) - MARGIN;
    let bottom = items.iter().map(|i| i.y + i.height / 2.0).fold(f64::NEG_INFINITY, f64::max) + MARGIN;
    let rect = |i: &Item| {
        let (left, right) = spans[i.column];
        Rect { x: f64::midpoint(left, right), y: i.y - top, width: i.width, height: i.height }
    };
    let routes = picture.edges.iter().zip(&chains).map(|(edge, (chain, label))| {
        let (source, target) = (rect(&items[edge.from]), rect(&items[edge.to]));
        let source_end = spans[items[edge.from].column].1;
        let target_start = spans[items[edge.to].column].0;
        let mut levels = vec![(source.x + source.width / 2.0, source_end, source.y)];
        levels.extend(chain.iter().map(|&i| {
            let (left, right) = spans[items[i].column];
            (left, right, items[i].y - top)
        }));
        levels.push((target_start, target.x - target.width / 2.0, target.y));
        Route { levels, label: label.map(|i| rect(&items[i])) }
    });
    let routes = routes.collect();
    Layout {
        width: spans.last().map_or(0.0, |s| s.1) + MARGIN,
        height: if items.is_empty() { 0.0 } else { bottom - top },
        nodes: items[..picture.nodes.len()].iter().map(rect).collect(),
        routes,
    }
}

impl Item {
    fn new(width: f64, height: f64, column: usize) -> Self {
        Self { width, height, column, left: vec![], right: vec![], y: 0.0 }
    }
}

/// Layer of each node: length of the longest path to it from a node without incoming edges.
fn layers(picture: &Picture) -> Vec<usize> {
    let mut layers = vec![0; picture.nodes.len()];
    for node in 0..layers.len() {
        let before = picture.edges.iter().filter(|e| e.to == node).map(|e| layers[e.from] + 1).max();
        layers[node] = before.unwrap_or(0);
    }
    layers
}

/// Order of the items in each column: the result with the fewest crossings of several barycentre sweeps.
fn order(items: &[Item]) -> Vec<Vec<usize>> {
    let count = items.iter().map(|i| i.column + 1).max().unwrap_or(0);
    let mut columns = vec![Vec::new(); count];
    for (i, item) in items.iter().enumerate() {
        columns[item.column].push(i);
    }
    let mut best = columns.clone();
    let mut fewest = crossings(items, &columns);
    for sweep in 0..SWEEPS {
        let rightward = sweep % 2 == 0;
        let mut position = vec![0.0; items.len()];
        for column in &columns {
            for (p, &i) in column.iter().enumerate() {
                position[i] = (p as f64 + 0.5) / column.len() as f64;
            }
        }
        for step in 0..count {
            let c = if rightward { step } else { count - 1 - step };
            let weight = |i: usize, position: &[f64]| {
                let near = if rightward { &items[i].left } else { &items[i].right };
                mean(near.iter().map(|&n| position[n])).unwrap_or(position[i])
            };
            let column = &mut columns[c];
            column.sort_by(|&a, &b| weight(a, &position).total_cmp(&weight(b, &position)));
            for (p, &i) in column.iter().enumerate() {
                position[i] = (p as f64 + 0.5) / column.len() as f64;
            }
        }
        let now = crossings(items, &columns);
        if now < fewest {
            (fewest, best) = (now, columns.clone());
        }
    }
    swap_neighbours(items, best)
}

/// Swaps neighbours in a column while that reduces crossings.
fn swap_neighbours(items: &[Item], mut columns: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut fewest = crossings(items, &columns);
    loop {
        let before = fewest;
        for c in 0..columns.len() {
            for p in 1..columns[c].len() {
                columns[c].swap(p - 1, p);
                let now = crossings(items, &columns);
                if now < fewest {
                    fewest = now;
                } else {
                    columns[c].swap(p - 1, p);
                }
            }
        }
        if fewest == before {
            return columns;
        }
    }
}

fn crossings(items: &[Item], columns: &[Vec<usize>]) -> usize {
    let mut position = vec![0; items.len()];
    for column in columns {
        for (p, &i) in column.iter().enumerate() {
            position[i] = p;
        }
    }
    let mut total = 0;
    for column in columns {
        let links: Vec<(usize, usize)> =
            column.iter().flat_map(|&i| items[i].right.iter().map(move |&r| (i, r))).collect();
        for (a, first) in links.iter().enumerate() {
            for second in &links[a + 1..] {
                let left = position[first.0].cmp(&position[second.0]);
                let right = position[first.1].cmp(&position[second.1]);
                total += usize::from(left != right && left.is_ne() && right.is_ne());
            }
        }
    }
    total
}

/// Vertical positions: items move towards their neighbours, keeping order and minimum distances.
fn place_vertically(items: &mut [Item], columns: &[Vec<usize>]) {
    for column in columns {
        let total: f64 = column.iter().map(|&i| items[i].height + SPACING).sum();
        let mut y = -total / 2.0;
        for &i in column {
            y += f64::midpoint(items[i].height, SPACING);
            items[i].y = y;
            y += f64::midpoint(items[i].height, SPACING);
        }
    }
    for sweep in 0..SWEEPS {
        for step in 0..columns.len() {
            let c = if sweep % 2 == 0 { step } else { columns.len() - 1 - step };
            let column = &columns[c];
            let target: Vec<f64> = column
                .iter()
                .map(|&i| {
                    let near = items[i].left.iter().chain(&items[i].right);
                    mean(near.map(|&n| items[n].y)).unwrap_or(items[i].y)
                })
                .collect();
            let distance: Vec<f64> =
                column.windows(2).map(|w| f64::midpoint(items[w[0]].height, items[w[1]].height) + SPACING).collect();
            for (&i, y) in column.iter().zip(nearest_with_distance(&target, &distance)) {
                items[i].y = y;
            }
        }
    }
}

/// The positions closest to `target` (least squares) that are at least `distance` apart, by pool adjacent violators.
fn nearest_with_distance(target: &[f64], distance: &[f64]) -> Vec<f64> {
    let mut offsets = vec![0.0];
    for d in distance {
        offsets.push(offsets[offsets.len() - 1] + d);
    }
    // Blocks of (mean, size) with non-decreasing means.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (w, offset) in target.iter().zip(&offsets) {
        let mut block = (w - offset, 1);
        while let Some(&(mean, size)) = blocks.last() {
            if mean <= block.0 {
                break;
            }
            blocks.pop();
            let total = size + block.1;
            block = ((mean * size as f64 + block.0 * block.1 as f64) / total as f64, total);
        }
        blocks.push(block);
    }
    let flat = blocks.into_iter().flat_map(|(mean, size)| std::iter::repeat_n(mean, size));
    flat.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}

/// Left and right end of each column; steep gaps are wider.
fn place_horizontally(items: &[Item], columns: &[Vec<usize>]) -> Vec<(f64, f64)> {
    let mut spans = Vec::new();
    let mut x = MARGIN;
    for column in columns {
        let width = column.iter().map(|&i| items[i].width).fold(0.0, f64::max);
        spans.push((x, x + width));
        let steepest = column
            .iter()
            .flat_map(|&i| items[i].right.iter().map(move |&r| (items[i].y - items[r].y).abs()))
            .fold(0.0, f64::max);
        x += width + (0.45 * steepest).clamp(GAP.0, GAP.1);
    }
    spans
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::{benchmark_cell, nasnet_cell};
    use proptest::prelude::*;

    fn assert_clean(picture: &Picture) {
        let layout = layout(picture);
        let labels = layout.routes.iter().filter_map(|r| r.label);
        let boxes: Vec<Rect> = layout.nodes.iter().copied().chain(labels).collect();
        for (i, a) in boxes.iter().enumerate() {
            assert!(a.x - a.width / 2.0 >= 0.0 && a.x + a.width / 2.0 <= layout.width, "{a:?} leaves the page");
            assert!(a.y - a.height / 2.0 >= 0.0 && a.y + a.height / 2.0 <= layout.height, "{a:?} leaves the page");
            for b in &boxes[i + 1..] {
                assert!(!a.overlaps(b), "{a:?} overlaps {b:?}");
            }
        }
        for (edge, route) in picture.edges.iter().zip(&layout.routes) {
            assert_eq!(route.label.is_some(), !edge.label.is_empty());
            for pair in route.levels.windows(2) {
                assert!(pair[0].1 < pair[1].0, "an edge must go rightward: {route:?}");
            }
            for &(start, end, y) in &route.levels {
                assert!(start <= end + 1e-9);
                // A level stretch may only lie under the edge's own boxes.
                let stretch = Rect { x: f64::midpoint(start, end), y, width: end - start, height: 0.5 };
                let own = [Some(layout.nodes[edge.from]), Some(layout.nodes[edge.to]), route.label];
                for b in boxes.iter().filter(|b| !own.contains(&Some(**b))) {
                    assert!(!stretch.overlaps(b), "edge {edge:?} runs through {b:?}");
                }
            }
        }
    }

    #[test]
    fn published_cells_are_clean() {
        assert_clean(&benchmark_cell());
        assert_clean(&nasnet_cell());
    }

    #[test]
    fn distances_are_kept_and_targets_met_where_possible() {
        assert_eq!(nearest_with_distance(&[0.0, 10.0], &[4.0]), [0.0, 10.0]);
        assert_eq!(nearest_with_distance(&[0.0, 0.0, 0.0], &[4.0, 4.0]), [-4.0, 0.0, 4.0]);
        assert_eq!(nearest_with_distance(&[5.0, 1.0, 20.0], &[2.0, 2.0]), [2.0, 4.0, 20.0]);
    }

    proptest! {
        #[test]
        fn any_picture_is_clean(
            count in 2usize..9,
            edges in prop::collection::vec((0usize..8, 0usize..8, 0usize..4), 0..20),
        ) {
            let names: Vec<String> = (0..count).map(|i| format!("node {i}")).collect();
            let labels: Vec<&str> = names.iter().map(String::as_str).collect();
            let texts = ["", "none", "nor_conv_3x3", "a long label on an edge"];
            let edges = edges.into_iter().filter(|(a, b, _)| a < b && *b < count).map(|(a, b, t)| ((a, b), texts[t]));
            let picture = Picture::cell("any", &labels, 1, edges);
            prop_assert!(picture.is_ok());
            if let Ok(picture) = picture {
                assert_clean(&picture);
            }
        }
    }
}
