//! The type of a file, by its first bytes.

use image::ImageFormat;

/// Number of bytes from a file's start that [`Kind::of`] needs; tar's magic number is at byte 257.
pub(super) const HEAD: usize = 512;

/// Type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image of a supported format, or a file with an image's extension and no other known signature.
    Image(Option<ImageFormat>),
    /// An image of an unsupported format, by its name.
    UnreadImage(&'static str),
    /// A supported archive or compressed file.
    Archive,
    /// An archive of an unsupported format, by its name.
    UnreadArchive(&'static str),
    /// Anything else.
    Other,
}

/// File extensions of the supported image formats.
const IMAGE_ENDINGS: [&str; 18] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "mpo",
];

/// File extensions of camera raw formats. Many begin like a TIFF whose first image is a small preview.
const RAW_ENDINGS: [&str; 15] =
    ["dng", "nef", "nrw", "cr2", "cr3", "arw", "srf", "sr2", "orf", "rw2", "raf", "pef", "srw", "raw", "3fr"];

impl Kind {
    /// The type of a file with this name and these first [`HEAD`] bytes.
    pub(super) fn of(name: &str, head: &[u8]) -> Self {
        let ending = ending(name);
        if RAW_ENDINGS.contains(&ending.as_str()) {
            return Self::UnreadImage("a camera's raw format");
        }
        if let Some(format) = image_format(head) {
            return Self::Image(Some(format));
        }
        if let Some(format) = unread_image(&ending, head) {
            return Self::UnreadImage(format);
        }
        match head {
            [b'P', b'K', 3 | 5, 4 | 6, ..]
            | [0x1f, 0x8b, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', 0, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => return Self::Archive,
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => return Self::UnreadArchive("7-Zip"),
            [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => return Self::UnreadArchive("RAR"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Self::UnreadArchive("Zstandard"),
            _ if head.get(257..262) == Some(b"ustar") => return Self::Archive,
            _ => {}
        }
        if IMAGE_ENDINGS.contains(&ending.as_str()) { Self::Image(None) } else { Self::Other }
    }

    /// Whether it is an image, of a supported format or not.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Self::Image(_) | Self::UnreadImage(_))
    }
}

/// The file extension in lower case; empty if there is none.
pub(super) fn ending(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_lowercase())
}

/// The supported image format with this signature.
fn image_format(head: &[u8]) -> Option<ImageFormat> {
    let u32_at = |at: usize| head.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(ImageFormat::Png),
        [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageFormat::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::WebP),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(ImageFormat::Tiff),
        // Two letters are a weak signature, so the size of the header that follows is checked as well.
        [b'B', b'M', ..] if matches!(u32_at(14), Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)) => {
            Some(ImageFormat::Bmp)
        }
        [b'P', b'1'..=b'6', space, next, ..]
            if space.is_ascii_whitespace()
                && (next.is_ascii_digit() || *next == b'#' || next.is_ascii_whitespace()) =>
        {
            Some(ImageFormat::Pnm)
        }
        [b'P', b'7', b'\n', next, ..] if next.is_ascii_alphabetic() || *next == b'#' => Some(ImageFormat::Pnm),
        _ => None,
    }
}

/// Name of the unsupported image format, if the file is of one.
fn unread_image(ending: &str, head: &[u8]) -> Option<&'static str> {
    let brand = if head.get(4..8) == Some(b"ftyp") { head.get(8..12) } else { None };
    match brand {
        Some(b"avif" | b"avis") => return Some("AVIF"),
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => return Some("HEIC"),
        _ => {}
    }
    match head {
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => return Some("JPEG XL"),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => return Some("JPEG 2000"),
        [b'8', b'B', b'P', b'S', ..] => return Some("Photoshop"),
        [b'q', b'o', b'i', b'f', ..] => return Some("QOI"),
        [0x76, 0x2f, 0x31, 0x01, ..] => return Some("OpenEXR"),
        [b'#', b'?', b'R', ..] if ending == "hdr" => return Some("Radiance HDR"),
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => return Some("BigTIFF"),
        [b'D', b'D', b'S', b' ', ..] => return Some("DDS"),
        [0, 0, 1, 0, ..] if ending == "ico" => return Some("icon"),
        _ => {}
    }
    if head.get(128..132) == Some(b"DICM") {
        return Some("DICOM");
    }
    match ending {
        "heic" | "heif" => Some("HEIC"),
        "avif" => Some("AVIF"),
        "jxl" => Some("JPEG XL"),
        "jp2" | "j2k" | "jpx" => Some("JPEG 2000"),
        "svg" | "svgz" => Some("SVG"),
        "tga" => Some("TGA"),
        "psd" => Some("Photoshop"),
        "dcm" => Some("DICOM"),
        "exr" => Some("OpenEXR"),
        "ico" => Some("icon"),
        "xcf" => Some("GIMP"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_content_and_then_by_their_ending() {
        let image = |format| Kind::Image(Some(format));
        for (name, head, kind) in [
            ("a.txt", b"\x89PNG\r\n\x1a\n".as_slice(), image(ImageFormat::Png)),
            ("a.png", b"GIF89a..", image(ImageFormat::Gif)),
            ("a", b"P6\n8 8\n255\n", image(ImageFormat::Pnm)),
            ("readme", b"P5 is a kind of image", Kind::Other),
            ("names", b"BM is short for bitmap, ", Kind::Other),
            ("a.jpg", b"<html>", Kind::Image(None)),
            ("a.jpg", b"", Kind::Image(None)),
            ("a.jpg", b"\0\0\0\x18ftypheic", Kind::UnreadImage("HEIC")),
            ("a.NEF", b"MM\0*", Kind::UnreadImage("a camera's raw format")),
            ("a.dat", b"PK\x03\x04", Kind::Archive),
            ("a.zip", b"Rar!\x1a\x07", Kind::UnreadArchive("RAR")),
            ("labels.csv", b"a,b", Kind::Other),
        ] {
            assert_eq!(Kind::of(name, head), kind, "{name}");
        }
    }
}
