//! Conversion of drawings to PNG.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

/// Pixels per unit of the drawing; sufficient for print at column width.
const SCALE: f32 = 2.0;

/// Why a drawing cannot be converted to PNG.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// The text is not an SVG that can be drawn.
    #[error("the drawing cannot be read: {0}")]
    Drawing(#[from] resvg::usvg::Error),
    /// The drawing has no size, or is too large.
    #[error("the drawing has no usable size")]
    Size,
    /// The pixels cannot be written as PNG.
    #[error("the pixels cannot be written: {0}")]
    Encode(String),
}

/// Converts an SVG file of this crate to PNG in the light scheme, with two pixels per unit.
///
/// Text is set in the DejaVu fonts embedded in the crate, so that the pixels do not depend on the machine. They contain the
/// letters of Western European languages; other characters are omitted.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    let options = Options { fontdb: fonts(), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(&light(svg), &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or(PngError::Size)?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or(PngError::Size)?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PngError::Encode(error.to_string()))
}

/// The drawing without its style rules for the dark scheme.
fn light(svg: &str) -> String {
    let mut rest = svg;
    let mut light = String::new();
    while let Some((before, block)) = rest.split_once("@media") {
        light.push_str(before);
        // Such a block is the only thing that ends with two brackets.
        rest = block.split_once("}}").map_or("", |(_, after)| after);
    }
    light + rest
}

fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        for font in [
            &include_bytes!("../assets/fonts/DejaVuSans.ttf")[..],
            include_bytes!("../assets/fonts/DejaVuSans-Bold.ttf"),
            include_bytes!("../assets/fonts/DejaVuSansMono.ttf"),
        ] {
            fonts.load_font_data(font.to_vec());
        }
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::{benchmark_cell, nasnet_cell};
    use crate::{Chart, Series};

    fn decoded(svg: &str) -> image::RgbImage {
        image::load_from_memory(&png(svg).expect("pixels")).expect("a PNG").to_rgb8()
    }

    #[test]
    fn drawings_come_out_in_their_size_and_colours() {
        for picture in [benchmark_cell(), nasnet_cell()] {
            let svg = picture.to_svg();
            let image = decoded(&svg);
            let width: f32 =
                svg.split("width=\"").nth(1).and_then(|s| s.split('"').next()?.parse().ok()).expect("a width");
            assert_eq!(image.width(), (width * SCALE) as u32);
            assert_eq!(image.get_pixel(0, 0).0, [255; 3], "the light scheme");
            let colours: std::collections::BTreeSet<_> = image.pixels().map(|p| p.0).collect();
            assert!(colours.len() > 20, "lines, boxes and smooth letters");
        }
    }

    #[test]
    fn text_is_drawn() {
        let ink = |title: &str| {
            let series = vec![Series { name: String::new(), points: vec![(0.0, 0.0), (1.0, 1.0)] }];
            let image = decoded(&Chart::new(title, "epoch", series).to_svg());
            image.pixels().filter(|p| p.0[0] < 128).count()
        };
        let (short, long) = (ink("i"), ink("A title of many letters"));
        assert!(long > short + 500, "{short} {long}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(png("no drawing"), Err(PngError::Drawing(_))));
    }
}
