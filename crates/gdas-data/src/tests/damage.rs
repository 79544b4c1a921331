//! Image files of every format: the right way up, whole or refused, all damaged ones in one message.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::*;
use crate::read_images;

/// An image of 16x24 pixels with four quarters of different colour.
fn quarters() -> RgbImage {
    RgbImage::from_fn(24, 16, |x, y| match (x < 12, y < 8) {
        (true, true) => Rgb([250, 10, 10]),
        (false, true) => Rgb([10, 250, 10]),
        (true, false) => Rgb([10, 10, 250]),
        (false, false) => Rgb([240, 240, 240]),
    })
}

fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image.clone()).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// A TIFF of these tags (all of type long) and data, which stands at byte 8.
pub(super) fn tiff(width: u32, height: u32, data: &[u8], tags: &[(u16, u32)]) -> Vec<u8> {
    let mut all: std::collections::BTreeMap<u16, u32> = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, data.len() as u32),
    ]
    .into();
    all.extend(tags.iter().copied());
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((8 + data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend((all.len() as u16).to_le_bytes());
    for (tag, value) in all {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4u16.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

fn tiff_of(image: &RgbImage) -> Vec<u8> {
    // Bits of all samples are one value here.
    tiff(image.width(), image.height(), image.as_raw(), &[(262, 2), (277, 3)])
}

/// One file of each format, with its usual ending.
fn files(image: &RgbImage) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("png", encode(image, ImageFormat::Png)),
        ("jpg", encode(image, ImageFormat::Jpeg)),
        ("webp", encode(image, ImageFormat::WebP)),
        ("bmp", encode(image, ImageFormat::Bmp)),
        ("gif", encode(image, ImageFormat::Gif)),
        ("ppm", encode(image, ImageFormat::Pnm)),
        ("tif", tiff_of(image)),
    ]
}

fn pixels(folder: &Path, name: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let path = write(folder, name, bytes);
    let read = read_images(&path, [16, 24, 3]).map_err(|error| error.to_string())?;
    match read.broken.as_slice() {
        [] => Ok(read.images.pixels),
        [image, ..] => Err(image.reason.clone()),
    }
}

#[test]
fn every_format_is_read_whatever_the_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let original = quarters().into_raw();
    for (format, bytes) in files(&quarters()) {
        for name in [format!("a.{format}"), "b.dat".to_owned(), "c.jpg".to_owned(), "d.png".to_owned()] {
            let found = pixels(folder.path(), &name, &bytes).unwrap_or_else(|e| panic!("{format} as {name}: {e}"));
            let near = found.iter().zip(&original).all(|(a, b)| a.abs_diff(*b) < if format == "jpg" { 90 } else { 2 });
            assert!(near, "{format}");
        }
    }
}

#[test]
fn no_cut_of_any_format_is_taken_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    for (format, bytes) in files(&quarters()) {
        let whole = pixels(folder.path(), "a.jpg", &bytes).unwrap();
        for cut in 0..bytes.len() {
            if let Ok(found) = pixels(folder.path(), "a.jpg", &bytes[..cut]) {
                assert!(found == whole, "{format}, {cut} of {} bytes: other pixels", bytes.len());
                assert!(format != "jpg", "a JPEG without its end, {cut} of {} bytes", bytes.len());
            }
        }
        // What follows the end does no harm.
        let followed = [bytes.as_slice(), b"\0\0trailing \xff\xd8 bytes"].concat();
        assert_eq!(pixels(folder.path(), "a.jpg", &followed).as_ref(), Ok(&whole), "{format}");
    }
}

#[test]
fn a_jpeg_that_was_cut_off_and_closed_again_is_not_whole() {
    let folder = tempfile::tempdir().unwrap();
    let picture = RgbImage::from_fn(43, 35, |x, y| Rgb([(x * 7 + y * 3) as u8, (x * y) as u8, (200 + x) as u8]));
    let encode = |image: DynamicImage, quality: u8| {
        let mut bytes = Vec::new();
        image.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
        bytes
    };
    let colour = DynamicImage::ImageRgb8(picture);
    for bytes in [encode(colour.clone(), 95), encode(colour.clone(), 30), encode(colour.grayscale(), 80)] {
        let whole = pixels(folder.path(), "a.jpg", &bytes).unwrap();
        let start = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        for cut in (start + 20..bytes.len() - 2).filter(|&cut| bytes[cut - 1] != 0xff) {
            match pixels(folder.path(), "a.jpg", &[&bytes[..cut], &[0xff, 0xd9]].concat()) {
                Err(reason) => assert!(reason.starts_with("cut off") || reason.starts_with("damaged"), "{reason}"),
                Ok(found) => assert!(found == whole, "{cut} of {} bytes", bytes.len()),
            }
        }
    }
}

/// An EXIF block that says nothing but the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// How the picture must be stored to look right when turned as the orientation says.
fn stored(orientation: u8) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(quarters());
    // The opposite of what a viewer does.
    let inverse = match orientation {
        6 => 8,
        8 => 6,
        same => same,
    };
    image.apply_orientation(image::metadata::Orientation::from_exif(inverse).unwrap());
    image.into_rgb8()
}

#[test]
fn orientation_is_applied_in_every_format_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    for orientation in 1..=8 {
        let image = stored(orientation);
        let jpeg = {
            let bytes = encode(&image, ImageFormat::Jpeg);
            let block = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
            let length = (block.len() as u16 + 2).to_be_bytes();
            [&bytes[..2], &[0xff, 0xe1], &length, &block, &bytes[2..]].concat()
        };
        let chunk = |kind: &[u8; 4], data: &[u8]| {
            let body = [kind.as_slice(), data].concat();
            [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
        };
        let png = encode(&image, ImageFormat::Png);
        let early = [&png[..33], &chunk(b"eXIf", &exif(orientation)), &png[33..]].concat();
        let late = [&png[..png.len() - 12], &chunk(b"eXIf", &exif(orientation)), &png[png.len() - 12..]].concat();
        let webp = {
            let bytes = encode(&image, ImageFormat::WebP);
            let size = |n: u32| n.to_le_bytes()[..3].to_vec();
            let mut body = b"WEBPVP8X\x0a\0\0\0\x08\0\0\0".to_vec();
            body.extend([size(image.width() - 1), size(image.height() - 1)].concat());
            body.extend(&bytes[12..]);
            body.extend(
                [b"EXIF".as_slice(), &(exif(orientation).len() as u32).to_le_bytes(), &exif(orientation)].concat(),
            );
            [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
        };
        let tif =
            tiff(image.width(), image.height(), image.as_raw(), &[(262, 2), (277, 3), (274, u32::from(orientation))]);
        for (format, bytes) in [("jpg", jpeg), ("png", early), ("png, late", late), ("webp", webp), ("tif", tif)] {
            let found = pixels(folder.path(), "a", &bytes).unwrap_or_else(|e| panic!("{format} {orientation}: {e}"));
            let far = found.iter().zip(quarters().as_raw()).filter(|(a, b)| a.abs_diff(**b) > 60).count();
            // JPEG blurs the edges.
            assert!(far < if format == "jpg" { 120 } else { 1 }, "{format} {orientation}: {far} values differ");
        }
    }
}

#[test]
fn a_lying_picture_counts_with_the_size_that_it_is_seen_in() {
    let folder = tempfile::tempdir().unwrap();
    for (class, orientation) in [("a", 1), ("b", 6)] {
        let image = stored(orientation);
        let data =
            tiff(image.width(), image.height(), image.as_raw(), &[(262, 2), (277, 3), (274, u32::from(orientation))]);
        write(folder.path(), &format!("{class}/1.tif"), &data);
    }
    let set = read(folder.path()).unwrap();
    assert_eq!((set.train.height, set.train.width, set.notes.len()), (16, 24, 0), "{:?}", set.notes);
    assert_eq!(set.train.image(0), set.train.image(1));
}

#[test]
fn jpegs_with_thumbnails_and_further_images_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = encode(&quarters(), ImageFormat::Jpeg);
    let whole = pixels(folder.path(), "a.jpg", &bytes).unwrap();
    // A thumbnail, with an end mark of its own, in a segment before the image.
    let thumbnail = encode(&RgbImage::new(8, 8), ImageFormat::Jpeg);
    let length = (thumbnail.len() as u16 + 2).to_be_bytes();
    let with = |rest: &[u8]| [&bytes[..2], &[0xff, 0xec], &length, &thumbnail, &rest[2..]].concat();
    assert_eq!(pixels(folder.path(), "a.jpg", &with(&bytes)), Ok(whole.clone()));
    assert!(
        pixels(folder.path(), "a.jpg", &with(&bytes[..bytes.len() - 30])).is_err(),
        "the thumbnail's end is not the image's"
    );
    // As cameras do that store a second picture behind the first.
    assert_eq!(pixels(folder.path(), "a.jpg", &[bytes.clone(), thumbnail].concat()), Ok(whole));
    // A file that was reserved and never filled to its end.
    let mut zeros = bytes.clone();
    let n = zeros.len();
    zeros[n * 3 / 4..].fill(0);
    assert!(pixels(folder.path(), "a.jpg", &zeros).is_err());
}

#[test]
fn tiffs_of_many_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let grey: Vec<u8> = (0..16 * 24).map(|i| (i % 251) as u8).collect();
    let expected: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
    let read = |bytes: Vec<u8>| pixels(folder.path(), "a.tif", &bytes);
    assert_eq!(read(tiff(24, 16, &grey, &[])), Ok(expected.clone()));
    let inverted: Vec<u8> = grey.iter().map(|v| 255 - v).collect();
    assert_eq!(read(tiff(24, 16, &inverted, &[(262, 0)])), Ok(expected.clone()), "white is 0");
    let wide: Vec<u8> = grey.iter().flat_map(|&v| (u16::from(v) * 257).to_le_bytes()).collect();
    assert_eq!(read(tiff(24, 16, &wide, &[(258, 16)])), Ok(expected.clone()), "16 bits");
    let differences: Vec<u8> = grey
        .chunks(24)
        .flat_map(|row| (0..24).map(move |x| if x == 0 { row[0] } else { row[x].wrapping_sub(row[x - 1]) }))
        .collect();
    let deflate = |data: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, data).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(tiff(24, 16, &deflate(&differences), &[(259, 8), (317, 2)])), Ok(expected.clone()), "Deflate");
    assert_eq!(read(tiff(24, 16, &grey, &[(317, 2)])), Ok(expected.clone()), "an idle predictor");
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&grey).unwrap();
    assert_eq!(read(tiff(24, 16, &lzw, &[(259, 5)])), Ok(expected.clone()), "LZW");
    assert!(read(tiff(24, 16, &lzw[..lzw.len() / 2], &[(259, 5)])).is_err());
    let literal: Vec<u8> = grey.chunks(64).flat_map(|part| [&[part.len() as u8 - 1], part].concat()).collect();
    assert_eq!(read(tiff(24, 16, &literal, &[(259, 32773)])), Ok(expected), "PackBits");
    // One byte 24*16/2 times each: runs of 128.
    let runs = [0x81, 7, 0x81, 7, 0x81, 7];
    assert_eq!(read(tiff(24, 16, &runs, &[(259, 32773)])), Ok(vec![7; 16 * 24 * 3]), "PackBits, runs");
    // Bits: the left half of each row white.
    let bits = [0xff, 0xf0, 0].repeat(16);
    let found = read(tiff(24, 16, &bits, &[(258, 1)])).unwrap();
    assert!(found.chunks(3).enumerate().all(|(at, p)| p[0] == if at % 24 < 12 { 255 } else { 0 }));
    // Planes: the colours one after the other, a strip each.
    assert_eq!(
        read(tiff(24, 16, &grey, &[(262, 2), (277, 3), (284, 2)])).unwrap_err(),
        "cut off: the file ends before the image does"
    );
    insta::assert_snapshot!(read(tiff(24, 16, &grey, &[(259, 7)])).unwrap_err(), @"intact, but a type of TIFF that is not supported (compression 7); convert it to 8 bits of grey or RGB");
    insta::assert_snapshot!(read(tiff(24, 16, &grey, &[(258, 32), (339, 3)])).unwrap_err(), @"intact, but a type of TIFF that is not supported (samples of [32] bits); convert it to 8 bits of grey or RGB");
    insta::assert_snapshot!(read(tiff(24, 1 << 30, &grey, &[])).unwrap_err(), @"damaged (an image of 24x1073741824)");
}

#[test]
fn all_damaged_files_are_named_with_the_reason_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = encode(&quarters(), ImageFormat::Jpeg);
    let png = encode(&quarters(), ImageFormat::Png);
    let mut bad_sum = png.clone();
    let n = bad_sum.len();
    bad_sum[n - 20] ^= 0xff;
    for class in ["a", "b"] {
        for n in 0..3 {
            write(folder.path(), &format!("{class}/{n}.png"), &encode(&stored(n + 1), ImageFormat::Png));
        }
    }
    let good = read(folder.path()).unwrap();
    write(folder.path(), "a/cut.jpg", &jpeg[..jpeg.len() - 20]);
    write(folder.path(), "a/empty.png", b"");
    write(folder.path(), "a/page.jpg", b"<!DOCTYPE html><html>404</html>");
    write(folder.path(), "b/sum.png", &bad_sum);
    write(folder.path(), "b/zeros.jpg", &[0; 100]);
    write(folder.path(), "b/float.tif", &tiff(24, 16, &[0; 4 * 16 * 24], &[(258, 32), (339, 3)]));
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @r"
[folder]: 6 of 12 image files cannot be used:
  a/cut.jpg: cut off: the file ends before the image does
  a/empty.png: the file is empty
  a/page.jpg: it is not an image; it begins with `<!DOCTYPE ht`
  b/float.tif: intact, but a type of TIFF that is not supported (samples of [32] bits); convert it to 8 bits of grey or RGB
  b/sum.png: damaged (Format error decoding Png: CRC error: expected 0x52fd8b1c have 0x8cf88ded)
  b/zeros.jpg: the file holds nothing but zeros
replace or remove them, or leave them out with `--skip-damaged`
");
    let skip = Options { skip_damaged: true, hold_out: 0.0, ..Options::default() };
    let set = open_with(&folder.path().display().to_string(), &skip).unwrap();
    assert_eq!(set.digest(), good.digest(), "as if they were not there");
    assert!(set.notes[0].starts_with("6 of 12 image files cannot be used and are left out:\n  a/cut.jpg: cut off"));
    // Many of them are counted.
    for n in 0..30 {
        write(folder.path(), &format!("a/more{n:02}.png"), b"");
    }
    let message = refusal(folder.path(), folder.path());
    assert!(message.contains("36 of 42 image files") && message.contains("\n  and 16 more\n"), "{message}");
    assert_eq!(message.lines().count(), 23);
    // A class must not be lost with its files.
    write(folder.path(), "c/1.png", b"");
    let error = open_with(&folder.path().display().to_string(), &skip).unwrap_err().to_string();
    assert!(error.contains("no image of class `c` can be used"), "{error}");
}
