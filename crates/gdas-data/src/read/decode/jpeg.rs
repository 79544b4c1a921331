//! JPEG, whole or not at all: the usual decoder fills what is missing with grey.

use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::CUT_OFF;

/// Decodes a JPEG that is whole; nothing if the strict decoder objects to what does no harm.
///
/// # Errors
/// The reason why it cannot be used, as a phrase.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<DynamicImage>, String> {
    if !has_end(bytes) {
        return Err(CUT_OFF.into());
    }
    super::scan::check(bytes)?;
    let reason = |error: &DecodeErrors| match error {
        DecodeErrors::Unsupported(what) => format!("whole, but of a kind that is not read ({what:?}); convert it"),
        DecodeErrors::ExhaustedData => CUT_OFF.into(),
        error => super::damaged(error),
    };
    // Colours as `image` asks for them, so that the pixels are the same.
    let mut options = DecoderOptions::default().set_strict_mode(true).set_max_width(1 << 16).set_max_height(1 << 16);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    match decoder.decode_headers() {
        Err(error) if is_harmless(&error) => return Ok(None),
        other => other.map_err(|error| reason(&error))?,
    }
    let grey = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => true,
        Some(ColorSpace::LumaA | ColorSpace::RGBA) | None => return Ok(None),
        Some(_) => false,
    };
    options = options.jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB });
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = match decoder.decode() {
        Err(error) if is_harmless(&error) => return Ok(None),
        other => other.map_err(|error| reason(&error))?,
    };
    let Some(info) = decoder.info() else { return Ok(None) };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    Ok(if grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    })
}

/// Whether the objection is to bytes between the segments, which every decoder passes over.
fn is_harmless(error: &DecodeErrors) -> bool {
    error.to_string().contains("Extra bytes between headers")
}

/// Whether the first image in the file reaches its end mark. What follows it (further images, a camera's remarks) does
/// not matter, nor do end marks inside of segments (a thumbnail's).
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: 0xFF and a byte that is neither 0xFF (filling) nor 0 (a stored 0xFF).
        let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0xff && pair[1] != 0))
        else {
            return false;
        };
        at += found + 2;
        match bytes[at - 1] {
            0xd9 => return true,
            // Restarts, and others without a length.
            0xd0..=0xd8 | 0x01 => {}
            _ => {
                let Some(length) = bytes.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}
