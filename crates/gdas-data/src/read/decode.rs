//! Decoding of image files to pixels, with the orientation of EXIF applied.

mod jpeg;
mod scan;
mod tiff;

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::kind::{HEAD, Kind};

/// Size and colour of an image after its orientation is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Whether it has one colour channel.
    pub(super) grey: bool,
}

/// Images with more pixels than this are decoded one at a time, to bound memory when there are many threads.
const LARGE: u64 = 1 << 24;
static LARGE_ONES: Mutex<()> = Mutex::new(());

/// Reads the header of an image file; `pixels` is the maximum number of pixels.
///
/// # Errors
/// Why the file cannot be used, as a phrase.
pub(super) fn header(name: &str, bytes: &[u8], pixels: u64) -> Result<Header, String> {
    let (width, height, grey, orientation) = match format(name, bytes)? {
        ImageFormat::Tiff => tiff::header(bytes)?,
        format => {
            let mut decoder = decoder(bytes, format)?;
            let (width, height) = decoder.dimensions();
            let grey = !decoder.color_type().has_color();
            (width, height, grey, orientation(&mut decoder, bytes, format))
        }
    };
    if u64::from(width) * u64::from(height) > pixels {
        return Err(format!("{width}x{height} are more than {pixels} pixels; make it smaller"));
    }
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    Ok(Header { height: height as usize, width: width as usize, grey })
}

/// The pixels of an image file whose [`header`] has been read.
///
/// # Errors
/// As [`header`].
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<DynamicImage, String> {
    let format = format(name, bytes)?;
    if format == ImageFormat::Tiff {
        let (mut image, orientation) = tiff::decode(bytes)?;
        image.apply_orientation(orientation);
        return Ok(image);
    }
    let mut decoder = decoder(bytes, format)?;
    let (width, height) = decoder.dimensions();
    let _one = (u64::from(width) * u64::from(height) > LARGE)
        .then(|| LARGE_ONES.lock().unwrap_or_else(PoisonError::into_inner));
    let orientation = orientation(&mut decoder, bytes, format);
    let strict = if format == ImageFormat::Jpeg { jpeg::decode(bytes)? } else { None };
    let mut image = match strict {
        Some(image) => image,
        None => DynamicImage::from_decoder(decoder).map_err(|error| reason(&error))?,
    };
    image.apply_orientation(orientation);
    Ok(image)
}

/// The image format of the file.
fn format(name: &str, bytes: &[u8]) -> Result<ImageFormat, String> {
    match Kind::of(name, &bytes[..bytes.len().min(HEAD)]) {
        Kind::Image(Some(format)) => Ok(format),
        Kind::UnreadImage(format) => Err(format!("{format} is not supported; convert it to PNG or JPEG")),
        _ if bytes.is_empty() => Err("the file is empty".into()),
        _ if bytes.iter().all(|&byte| byte == 0) => Err("the file holds nothing but zeros".into()),
        _ => {
            let start: String = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).escape_debug().collect();
            Err(format!("it is not an image; it begins with `{start}`"))
        }
    }
}

fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(1 << 16);
    limits.max_image_height = Some(1 << 16);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| reason(&error))
}

/// The decoder's error as a phrase that says whether the file is intact.
fn reason(error: &ImageError) -> String {
    match error {
        ImageError::Unsupported(error) => format!("intact, but of a type that is not supported ({error}); convert it"),
        ImageError::Limits(_) => "it would take too much memory; make it smaller".into(),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => CUT_OFF.into(),
        error => damaged(error),
    }
}

/// The first part of a decoder's error, which is sufficient.
fn damaged(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split(" while ").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if ["Not enough bytes", "unexpected end of file"].iter().any(|end| text.contains(end)) {
        return CUT_OFF.into();
    }
    format!("damaged ({})", text.chars().take(120).collect::<String>())
}

/// Why a file that ends too early cannot be used.
const CUT_OFF: &str = "cut off: the file ends before the image does";

/// The EXIF orientation of the image; no transformation if it is absent or invalid.
fn orientation(decoder: &mut impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> Orientation {
    let found = match format {
        ImageFormat::Png => png_orientation(bytes),
        _ => decoder.orientation().ok(),
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// The orientation in a PNG's `eXIf` chunk, at any position of the file.
fn png_orientation(bytes: &[u8]) -> Option<Orientation> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, kind) = (rest.get(..4)?, rest.get(4..8)?);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let data = rest.get(8..8usize.checked_add(length)?)?;
        if kind == b"eXIf" {
            return Orientation::from_exif_chunk(data);
        }
        rest = rest.get(8 + length + 4..)?;
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}
