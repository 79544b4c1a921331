//! A [`Picture`] as SVG: light and dark scheme, no script, no external resources.

use std::fmt::Write as _;

use super::layout::{FONT_SIZE, Layout, layout};
use super::picture::{EdgeClass, NodeKind, Picture};

/// Colour-blind-safe colours (after Okabe and Ito), adjusted to a contrast of at least 3:1 with the background: class,
/// light scheme, dark scheme.
pub const CLASS_COLOURS: [(EdgeClass, &str, &str); 8] = [
    (EdgeClass::None, "#8a8a8a", "#7d7d7d"),
    (EdgeClass::Skip, "#5f6368", "#b4b8bd"),
    (EdgeClass::Pool, "#c45100", "#ff9a56"),
    (EdgeClass::Pointwise, "#00805c", "#3ecf9f"),
    (EdgeClass::Conv, "#0067a5", "#6cbcf0"),
    (EdgeClass::Separable, "#0067a5", "#6cbcf0"),
    (EdgeClass::Dilated, "#a13f83", "#e7a1cc"),
    (EdgeClass::Structure, "#444444", "#c9c9c9"),
];

/// Escapes text for XML and HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are not allowed in XML at all.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The style sheet that [`Picture::to_svg_fragment`] needs; [`Picture::to_svg`] includes it.
pub fn style() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (class, on_light, on_dark) in CLASS_COLOURS {
        let name = class.name();
        for (out, colour) in [(&mut light, on_light), (&mut dark, on_dark)] {
            let _ = write!(out, ".cell .{name}{{stroke:{colour}}}.cell .head.{name}{{fill:{colour};stroke:none}}");
        }
    }
    format!(
        ".cell .page{{fill:#fff}}.cell path{{fill:none;stroke-width:1.8}}\
         .cell .none{{stroke-dasharray:1.5 4}}.cell .skip{{stroke-dasharray:7 4}}.cell rect.label{{stroke-dasharray:none}}\
         .cell rect.label{{fill:#fff;stroke-width:1.2}}.cell .node{{fill:#f1f3f5;stroke:#30363d;stroke-width:1.5}}\
         .cell .input,.cell .output{{fill:#dfe7ef;stroke-width:2}}\
         .cell text{{font:{FONT_SIZE}px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#1b1f24;\
         text-anchor:middle;stroke:none}}{light}\
         @media (prefers-color-scheme:dark){{.cell .page{{fill:#14171a}}.cell rect.label{{fill:#14171a}}\
         .cell .node{{fill:#242a30;stroke:#c9d1d9}}.cell .input,.cell .output{{fill:#2f3d4a}}\
         .cell text{{fill:#eceff2}}{dark}}}"
    )
}

impl Picture {
    /// A complete SVG file.
    pub fn to_svg(&self) -> String {
        self.draw(Some(&style()))
    }

    /// The drawing for embedding in a page that includes [`style`] once; it has no background.
    pub fn to_svg_fragment(&self) -> String {
        self.draw(None)
    }

    fn draw(&self, style: Option<&str>) -> String {
        let layout = layout(self);
        let (width, height) = (layout.width.ceil(), layout.height.ceil());
        // On a narrow page the drawing scrolls instead of becoming too small to read.
        let least = if style.is_none() { format!(" style=\"min-width:{:.0}px\"", 0.7 * width) } else { String::new() };
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cell\" role=\"img\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\"{least}>\n<title>{}</title>\n<desc>{}</desc>\n",
            escape(&self.title),
            escape(&self.description())
        );
        if let Some(style) = style {
            let _ =
                writeln!(out, "<style>{style}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>");
        }
        self.draw_edges(&layout, &mut out);
        for (node, rect) in self.nodes.iter().zip(&layout.nodes) {
            let kind = match node.kind {
                NodeKind::Input => "node input",
                NodeKind::Inner => "node",
                NodeKind::Output => "node output",
            };
            boxed(&mut out, rect, kind, 8.0, &node.label);
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw_edges(&self, layout: &Layout, out: &mut String) {
        const HEAD: f64 = 7.0;
        for (edge, route) in self.edges.iter().zip(&layout.routes) {
            let class = edge.class.name();
            let mut path = String::new();
            for (i, &(start, end, y)) in route.levels.iter().enumerate() {
                if i == 0 {
                    let _ = write!(path, "M{start:.1} {y:.1}");
                } else {
                    let (_, from, before) = route.levels[i - 1];
                    let middle = f64::midpoint(from, start);
                    let _ = write!(path, "C{middle:.1} {before:.1} {middle:.1} {y:.1} {start:.1} {y:.1}");
                }
                let last = i + 1 == route.levels.len();
                let end = if last { end - HEAD } else { end };
                let _ = write!(path, "H{end:.1}");
            }
            let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>");
            if let Some(&(_, tip, y)) = route.levels.last() {
                let (back, up, down) = (tip - HEAD, y - 4.0, y + 4.0);
                let _ =
                    writeln!(out, "<path class=\"head {class}\" d=\"M{tip:.1} {y:.1}L{back:.1} {up:.1}V{down:.1}Z\"/>");
            }
        }
        for (edge, route) in self.edges.iter().zip(&layout.routes) {
            if let Some(rect) = &route.label {
                boxed(out, rect, &format!("label {}", edge.class.name()), 4.0, &edge.label);
            }
        }
    }

    /// Text alternative of the picture.
    pub fn description(&self) -> String {
        let mut lines = Vec::new();
        for edge in &self.edges {
            let (from, to) = (&self.nodes[edge.from].label, &self.nodes[edge.to].label);
            let label = if edge.label.is_empty() { "" } else { &edge.label };
            lines.push(format!("{from} to {to}: {label}").trim_end_matches(": ").to_owned());
        }
        lines.join("; ")
    }
}

fn boxed(out: &mut String, rect: &super::layout::Rect, class: &str, radius: f64, text: &str) {
    let (x, y) = (rect.x - rect.width / 2.0, rect.y - rect.height / 2.0);
    let (width, height) = (rect.width, rect.height);
    let baseline = rect.y + FONT_SIZE * 0.35;
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\"/>\
         <text x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
        rect.x,
        escape(text)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::{benchmark_cell, nasnet_cell};

    #[test]
    fn every_node_and_edge_is_drawn_and_nothing_is_fetched() {
        for picture in [benchmark_cell(), nasnet_cell()] {
            let svg = picture.to_svg();
            let labelled = picture.edges.iter().filter(|e| !e.label.is_empty()).count();
            assert_eq!(svg.matches("<text").count(), picture.nodes.len() + labelled);
            assert_eq!(svg.matches("<path").count(), 2 * picture.edges.len());
            assert!(!svg.contains("href") && !svg.contains("url(") && !svg.contains("<script"));
            assert!(svg.contains("prefers-color-scheme:dark"));
        }
    }

    #[test]
    fn text_is_escaped() {
        let mut picture = benchmark_cell();
        picture.title = "<script>&\u{1}".into();
        let svg = picture.to_svg();
        assert!(svg.contains("<title>&lt;script&gt;&amp;\u{fffd}</title>"));
    }

    #[test]
    fn colours_stand_out_from_their_background() {
        let luminance = |hex: &str| {
            let channel = |i: usize| {
                let v = f64::from(u8::from_str_radix(&hex[1 + 2 * i..3 + 2 * i], 16).unwrap_or(0)) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
        };
        let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
        for (class, light, dark) in CLASS_COLOURS {
            assert!(contrast(luminance(light), luminance("#ffffff")) >= 3.0, "{class:?} on light");
            assert!(contrast(luminance(dark), luminance("#14171a")) >= 3.0, "{class:?} on dark");
        }
    }
}
