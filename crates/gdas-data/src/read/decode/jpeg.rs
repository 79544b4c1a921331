//! Strict decoding of JPEG. The usual decoder fills missing blocks with grey.

use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::CUT_OFF;

/// Decodes a complete JPEG; `None` if the strict decoder rejects a harmless irregularity.
///
/// # Errors
/// Why the file cannot be used, as a phrase.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<DynamicImage>, String> {
    if !has_end(bytes) {
        return Err(CUT_OFF.into());
    }
    super::scan::check(bytes)?;
    let reason = |error: &DecodeErrors| match error {
        DecodeErrors::Unsupported(what) => {
            format!("intact, but of a type that is not supported ({what:?}); convert it")
        }
        DecodeErrors::ExhaustedData => CUT_OFF.into(),
        error => super::damaged(error),
    };
    // The colour conversion that `image` requests, so that the pixels are the same.
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

/// Whether the error is about bytes between segments, which other decoders skip.
fn is_harmless(error: &DecodeErrors) -> bool {
    error.to_string().contains("Extra bytes between headers")
}

/// Whether the first image in the file has its end-of-image marker. Data after it (further images, maker notes) and markers
/// inside segments (thumbnails) are ignored.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: 0xFF and a byte that is neither 0xFF (padding) nor 0 (an escaped 0xFF).
        let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0xff && pair[1] != 0))
        else {
            return false;
        };
        at += found + 2;
        match bytes[at - 1] {
            0xd9 => return true,
            // Restart markers and others without a length.
            0xd0..=0xd8 | 0x01 => {}
            _ => {
                let Some(length) = bytes.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}
