//! Resizing of images to one size and number of channels.

use image::{DynamicImage, Rgb, RgbImage};

use gdas::data::SIZES;

/// Height, width and channels to which images are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Target {
    pub(super) fn len(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// An image of the target size.
pub(super) struct Fitted {
    /// `[height, width, channels]`.
    pub(super) pixels: Vec<u8>,
    /// Whether the original had transparent parts.
    pub(super) transparent: bool,
}

/// Scales a size (height, width) down to at most 224 in each direction, keeping the aspect ratio.
pub(super) fn shrink((height, width): (usize, usize)) -> (usize, usize) {
    let (longest, most) = (height.max(width), *SIZES.end());
    if longest <= most {
        return (height, width);
    }
    let scale = |n: usize| (n * most + longest / 2) / longest;
    (scale(height), scale(width))
}

/// Resizes the image bilinearly, ignoring its aspect ratio, and converts its channels. Transparent parts become white.
pub(super) fn fit(image: &DynamicImage, target: Target) -> Fitted {
    let on_white = on_white(image);
    let transparent = on_white.is_some();
    let pixels = resize(on_white.as_ref().unwrap_or(image), target);
    Fitted { pixels, transparent }
}

/// The image on a white background, if any part of it is transparent.
fn on_white(image: &DynamicImage) -> Option<DynamicImage> {
    if !image.color().has_alpha() {
        return None;
    }
    let pixels = image.to_rgba8();
    if pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX) {
        return None;
    }
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let ground = RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|value| blend(value, alpha)))
    });
    Some(ground.into())
}

fn resize(image: &DynamicImage, target: Target) -> Vec<u8> {
    let (height, width) = (target.height as u32, target.width as u32);
    let filter = image::imageops::FilterType::Triangle;
    if target.channels == 1 {
        let grey = image.to_luma8();
        if (grey.height(), grey.width()) == (height, width) {
            return grey.into_raw();
        }
        return image::imageops::resize(&grey, width, height, filter).into_raw();
    }
    let colour = image.to_rgb8();
    if (colour.height(), colour.width()) == (height, width) {
        return colour.into_raw();
    }
    image::imageops::resize(&colour, width, height, filter).into_raw()
}

/// Number of pixels above which a note warns about the time, if the size was chosen automatically.
const LARGE: usize = 64 * 64;
/// Factor between the aspect ratios of image and target above which a note reports the distortion.
const SQUASHED: f64 = 1.1;

/// Notes on how images of these sizes (height, width) were resized; if the size was chosen automatically, also on the time
/// that images of that size take.
pub(super) fn note_on_sizes(sizes: &[(usize, usize)], target: Target, automatic: bool) -> Vec<String> {
    let Target { height, width, .. } = target;
    let mut notes = Vec::new();
    let resized = sizes.iter().filter(|&&size| size != (height, width)).count();
    if resized > 0 {
        notes.push(format!(
            "{resized} of {} images were resized to {height}x{width} (bilinear, ignoring the aspect ratio)",
            sizes.len(),
        ));
    }
    let factor = |&(h, w): &(usize, usize)| (h * width) as f64 / (w * height).max(1) as f64;
    let squashed = sizes.iter().map(factor).filter(|f| !(1.0 / SQUASHED..=SQUASHED).contains(f)).count();
    if squashed > 0 {
        notes.push(format!(
            "{squashed} of {} images have another aspect ratio and were distorted; crop them beforehand if that matters",
            sizes.len(),
        ));
    }
    if automatic && height * width > LARGE {
        let times = (height * width) as f64 / (32.0 * 32.0);
        notes.push(format!(
            "images of {height}x{width} pixels take {times:.0} times as long as those of 32x32; --image-size brings them to \
             another size, of which 32 or 64 is a good beginning"
        ));
    }
    notes
}

/// Note on transparent images, if there were any.
pub(super) fn note_on_transparency(transparent: usize, all: usize) -> Option<String> {
    (transparent > 0).then(|| format!("{transparent} of {all} images have transparent parts, which became white"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayAlphaImage, RgbaImage};

    fn target(channels: usize) -> Target {
        Target { height: 1, width: 2, channels }
    }

    #[test]
    fn transparent_parts_are_put_on_white() {
        let half = RgbaImage::from_raw(2, 1, vec![0, 100, 255, 0, 0, 100, 255, 128]).expect("two pixels");
        let fitted = fit(&half.into(), target(3));
        assert_eq!((fitted.pixels, fitted.transparent), (vec![255, 255, 255, 127, 177, 255], true));
        let opaque = RgbaImage::from_raw(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 255]).expect("two pixels");
        let fitted = fit(&opaque.into(), target(3));
        assert_eq!((fitted.pixels, fitted.transparent), (vec![1, 2, 3, 4, 5, 6], false));
        let grey = GrayAlphaImage::from_raw(2, 1, vec![10, 0, 20, 255]).expect("two pixels");
        let fitted = fit(&grey.into(), target(1));
        assert_eq!((fitted.pixels, fitted.transparent), (vec![255, 20], true));
    }

    #[test]
    fn what_is_done_to_sizes_is_said() {
        let say = |sizes: &[(usize, usize)], automatic| {
            note_on_sizes(sizes, Target { height: 96, width: 96, channels: 3 }, automatic)
        };
        assert_eq!(say(&[(96, 96)], false), Vec::<String>::new());
        assert!(say(&[(96, 96)], true)[0].contains("9 times as long"));
        let said = say(&[(96, 96), (192, 192), (96, 120)], false);
        assert!(
            said[0].starts_with("2 of 3 images were resized to 96x96") && said[1].starts_with("1 of 3"),
            "{said:?}"
        );
    }
}
