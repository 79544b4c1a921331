//! Reliability diagrams: accuracy by confidence, and the number of images per bin.

use std::fmt::Write as _;

use serde_json::json;

use gdas::{Bin, Calibration};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 374.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 550.0;
/// Top and bottom of the plot of accuracies.
const TOP: f64 = 48.0;
const BOTTOM: f64 = 238.0;
/// Top and bottom of the plot of image counts.
const COUNTS_TOP: f64 = 268.0;
const COUNTS_BOTTOM: f64 = 328.0;
const TITLE: &str = "Share of correct answers by confidence";

/// A reliability diagram of a calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability<'a>(pub &'a Calibration);

impl Reliability<'_> {
    /// A complete SVG file.
    pub fn to_svg(&self) -> String {
        self.draw(true)
    }

    /// The drawing without styles, for a page that includes [`style`] and [`super::chart::style`].
    pub fn to_svg_fragment(&self) -> String {
        self.draw(false)
    }

    /// Descriptions and positions of the bins, for the page's script.
    pub fn to_json(&self) -> String {
        let says: Vec<String> = (0..self.0.bins.len()).map(|bin| self.say(bin)).collect();
        json!({ "says": says, "left": LEFT, "right": RIGHT, "width": WIDTH, "top": TOP, "bottom": COUNTS_BOTTOM })
            .to_string()
    }

    /// Range of a bin's confidences.
    pub fn range(&self, bin: usize) -> (f64, f64) {
        let bins = self.0.bins.len() as f64;
        (bin as f64 / bins, (bin + 1) as f64 / bins)
    }

    fn say(&self, bin: usize) -> String {
        let (low, high) = self.range(bin);
        let between = format!("Confidence {:.1} to {:.1} %", 100.0 * low, 100.0 * high);
        match shares(&self.0.bins[bin]) {
            None => format!("{between}: no images"),
            Some((correct, confidence)) => format!(
                "{between}: {} images, {:.1} % of them answered correctly, mean confidence {:.1} %",
                self.0.bins[bin].images,
                100.0 * correct,
                100.0 * confidence
            ),
        }
    }

    fn draw(&self, complete: bool) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart reliability\" role=\"img\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\">\n<title>{TITLE}</title>\n<desc>{}</desc>\n",
            self.description()
        );
        if complete {
            let style = super::chart::style() + &style();
            let _ =
                writeln!(out, "<style>{style}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>");
        }
        let _ = writeln!(
            out,
            "<text class=\"title\" x=\"6\" y=\"15\">{TITLE}</text>\n\
             <rect class=\"right\" x=\"{LEFT}\" y=\"24\" width=\"12\" height=\"12\"/><text x=\"64\" y=\"34\">correct</text>\n\
             <path class=\"sure\" d=\"M130 30h22\"/><text x=\"157\" y=\"34\">mean confidence</text>\n\
             <path class=\"ideal\" d=\"M270 30h22\"/><text x=\"297\" y=\"34\">as often right as sure</text>"
        );
        let y = |share: f64| BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP);
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let _ = writeln!(
                out,
                "<path class=\"{}\" d=\"M{LEFT} {:.1}H{RIGHT}\"/><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{:.0} %</text>",
                if share == 0.0 { "axis" } else { "grid" },
                y(share),
                LEFT - 6.0,
                y(share) + 4.0,
                100.0 * share
            );
        }
        let bins = &self.0.bins;
        let width = (RIGHT - LEFT) / bins.len().max(1) as f64;
        let most = bins.iter().map(|bin| bin.images).max().unwrap_or(0).max(1) as f64;
        for (index, bin) in bins.iter().enumerate() {
            let x = LEFT + width * index as f64;
            let Some((correct, confidence)) = shares(bin) else { continue };
            let (top, sure) = (y(correct), y(confidence));
            let _ = writeln!(
                out,
                "<rect class=\"right\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>\
                 <path class=\"sure\" d=\"M{:.1} {sure:.1}h{:.1}\"/>",
                x + 2.0,
                width - 4.0,
                BOTTOM - top,
                self.say(index),
                x + 1.0,
                width - 2.0
            );
            let high = (bin.images as f64 / most * (COUNTS_BOTTOM - COUNTS_TOP)).max(0.5);
            let _ = writeln!(
                out,
                "<rect class=\"images\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\"/>\
                 <text class=\"middle small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 2.0,
                COUNTS_BOTTOM - high,
                width - 4.0,
                x + width / 2.0,
                COUNTS_BOTTOM - high - 3.0,
                brief(bin.images)
            );
        }
        let _ = writeln!(
            out,
            "<path class=\"ideal\" d=\"M{LEFT} {BOTTOM}L{RIGHT} {TOP}\"/>\
             <path class=\"axis\" d=\"M{LEFT} {COUNTS_BOTTOM}H{RIGHT}\"/>\
             <text class=\"end\" x=\"{:.1}\" y=\"{COUNTS_BOTTOM}\">images</text>",
            LEFT - 6.0
        );
        for tick in 0..=5 {
            let x = LEFT + (RIGHT - LEFT) * f64::from(tick) / 5.0;
            // The last number stays within the picture.
            let _ = writeln!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {COUNTS_BOTTOM}v4\"/><text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{} %</text>",
                x.min(WIDTH - 20.0),
                COUNTS_BOTTOM + 17.0,
                20 * tick
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">confidence</text>\n</svg>",
            f64::midpoint(LEFT, RIGHT),
            COUNTS_BOTTOM + 34.0
        );
        out
    }

    /// Text alternative of the drawing.
    pub fn description(&self) -> String {
        let filled = (0..self.0.bins.len()).filter(|&bin| self.0.bins[bin].images > 0);
        filled.map(|bin| self.say(bin)).collect::<Vec<_>>().join("; ")
    }
}

/// Accuracy and mean confidence of a bin; `None` if it is empty.
pub fn shares(bin: &Bin) -> Option<(f64, f64)> {
    let images = bin.images as f64;
    (bin.images > 0).then(|| (bin.correct as f64 / images, bin.confidence / images))
}

/// Formats a count in at most four characters.
fn brief(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// Style sheet of the diagrams, in addition to that of the charts.
pub fn style() -> String {
    let [(light, dark), (sure_light, sure_dark)] = [super::chart::SERIES_COLOURS[0], super::chart::SERIES_COLOURS[1]];
    format!(
        ".reliability .right{{fill:{light}}}.reliability .images{{fill:#6b7178}}.reliability .sure{{stroke:{sure_light};stroke-width:3}}\
         .reliability .ideal{{stroke:#1b1f24;stroke-width:1;stroke-dasharray:4 3}}.reliability .small{{font-size:9px}}\
         @media (prefers-color-scheme:dark){{.reliability .right{{fill:{dark}}}.reliability .images{{fill:#8b929a}}\
         .reliability .sure{{stroke:{sure_dark}}}.reliability .ideal{{stroke:#eceff2}}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let mut calibration = Calibration::default();
        for right in [true, true, true, false] {
            calibration.add(0.8, right);
        }
        calibration
    }

    #[test]
    fn a_bar_is_as_high_as_the_share_of_correct_answers() {
        let calibration = calibration();
        let svg = Reliability(&calibration).to_svg_fragment();
        let bars: Vec<&str> = svg.split("<rect class=\"right\"").skip(2).collect();
        assert_eq!(bars.len(), 1, "one bin has images, and the legend has a mark: {svg}");
        let height: f64 =
            bars[0].split("height=\"").nth(1).and_then(|s| s.split('"').next()?.parse().ok()).unwrap_or_default();
        assert!((height - 0.75 * (BOTTOM - TOP)).abs() < 0.1, "{height}");
        assert!(svg.contains("4 images, 75.0 % of them answered correctly, mean confidence 80.0 %"), "{svg}");
        assert!(svg.contains(">4</text>") && !svg.contains("NaN"));
    }

    #[test]
    fn without_images_nothing_is_said_and_nothing_breaks() {
        let empty = Calibration::default();
        let diagram = Reliability(&empty);
        assert!(diagram.description().is_empty() && !diagram.to_svg().contains("NaN"));
        let numbers: serde_json::Value = serde_json::from_str(&diagram.to_json()).expect("JSON");
        assert_eq!(numbers["says"][14], "Confidence 93.3 to 100.0 %: no images");
    }

    #[test]
    fn large_counts_stay_short() {
        assert_eq!([9_999, 10_000, 999_999, 12_345_678].map(brief), ["9999", "10k", "999k", "12M"]);
    }
}
