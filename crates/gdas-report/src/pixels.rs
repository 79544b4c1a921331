//! Embedding of a data set's images in a page.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

/// Maximum side of a picture, in pixels. Larger images are shrunk, so that 24 of them take less than a megabyte.
const MAX_SIDE: usize = 112;

/// Data URI of an image `[height, width, channels]` as PNG; `None` unless it has one or three channels.
pub(crate) fn data_uri([height, width, channels]: [usize; 3], pixels: &[u8]) -> Option<String> {
    if height == 0 || width == 0 || pixels.len() != height * width * channels {
        return None;
    }
    let colour = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return None,
    };
    let (height, width, pixels) = shrunk([height, width, channels], pixels);
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&pixels, width as u32, height as u32, colour).ok()?;
    Some(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)))
}

/// Shrinks an image by the smallest integer factor that makes it fit, averaging squares of pixels.
fn shrunk([height, width, channels]: [usize; 3], pixels: &[u8]) -> (usize, usize, Vec<u8>) {
    let factor = height.max(width).div_ceil(MAX_SIDE);
    if factor == 1 {
        return (height, width, pixels.to_vec());
    }
    let (rows, columns) = (height.div_ceil(factor), width.div_ceil(factor));
    let mut out = Vec::with_capacity(rows * columns * channels);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..channels {
                let ys = row * factor..((row + 1) * factor).min(height);
                let xs = column * factor..((column + 1) * factor).min(width);
                let count = ys.len() * xs.len();
                let values = ys.flat_map(|y| xs.clone().map(move |x| pixels[(y * width + x) * channels + channel]));
                out.push((values.map(usize::from).sum::<usize>() / count) as u8);
            }
        }
    }
    (rows, columns, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(uri: &str) -> image::DynamicImage {
        let png = BASE64_STANDARD.decode(uri.strip_prefix("data:image/png;base64,").expect("a PNG")).expect("base 64");
        image::load_from_memory(&png).expect("a picture")
    }

    #[test]
    fn small_images_keep_every_pixel() {
        let grey: Vec<u8> = (0..64).collect();
        let picture = decoded(&data_uri([8, 8, 1], &grey).expect("a picture"));
        assert_eq!((picture.color(), picture.into_luma8().into_raw()), (image::ColorType::L8, grey));
        let colours: Vec<u8> = (0..2 * 3 * 3).collect();
        assert_eq!(decoded(&data_uri([2, 3, 3], &colours).expect("a picture")).into_rgb8().into_raw(), colours);
    }

    #[test]
    fn large_images_are_shrunk_to_means() {
        let mut pixels = vec![100; 224 * 224 * 3];
        pixels[0] = 200;
        let picture = decoded(&data_uri([224, 224, 3], &pixels).expect("a picture")).into_rgb8();
        assert_eq!((picture.dimensions(), picture.get_pixel(0, 0).0), ((112, 112), [125, 100, 100]));
        let odd = decoded(&data_uri([113, 57, 1], &[7; 113 * 57]).expect("a picture")).into_luma8();
        assert_eq!((odd.dimensions(), odd.into_raw().iter().all(|&p| p == 7)), ((29, 57), true));
    }

    #[test]
    fn nonsense_is_no_picture() {
        assert_eq!(data_uri([2, 2, 2], &[0; 8]), None);
        assert_eq!(data_uri([2, 2, 1], &[0; 3]), None);
        assert_eq!(data_uri([0, 2, 1], &[]), None);
    }
}
