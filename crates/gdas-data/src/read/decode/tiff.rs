//! TIFF (revision 6.0): the first image of the file, with 1, 8 or 16 bits per sample; grey, RGB, palette or CMYK;
//! uncompressed, LZW, Deflate or PackBits; in strips or tiles.

use std::collections::BTreeMap;
use std::io::Read;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};

use super::CUT_OFF;

/// Maximum memory in bytes of the samples of one image.
const MAX_BYTES: usize = 512 << 20;

/// Width, height, whether it is grey, and its orientation.
pub(super) fn header(bytes: &[u8]) -> Result<(u32, u32, bool, Orientation), String> {
    let file = Directory::read(bytes)?.layout()?;
    Ok((file.width as u32, file.height as u32, matches!(file.colour, Colour::Grey { .. }), file.orientation))
}

/// The pixels as stored, and their orientation.
pub(super) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let file = Directory::read(bytes)?.layout()?;
    let samples = file.samples(bytes)?;
    Ok((file.image(samples).ok_or("damaged (sizes that contradict each other)")?, file.orientation))
}

/// The first image file directory.
struct Directory<'b> {
    bytes: &'b [u8],
    big_endian: bool,
    /// By tag: type, number of values, and the position of the value or of its offset.
    tags: BTreeMap<u16, (u16, usize, usize)>,
}

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const PALETTE: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;

impl<'b> Directory<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self, String> {
        let mut directory = Self { bytes, big_endian: bytes.first() == Some(&b'M'), tags: BTreeMap::new() };
        let start = directory.u32_at(4).ok_or(CUT_OFF)?;
        let count = directory.u16_at(start).ok_or(CUT_OFF)?;
        for index in 0..usize::from(count) {
            let at = start + 2 + 12 * index;
            let entry = (|| Some((directory.u16_at(at)?, directory.u16_at(at + 2)?, directory.u32_at(at + 4)?)))();
            let (tag, kind, values) = entry.ok_or(CUT_OFF)?;
            directory.tags.insert(tag, (kind, values, at + 8));
        }
        Ok(directory)
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32_at(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) } as usize)
    }

    /// All values of a tag of unsigned integers; empty if it is absent.
    fn values(&self, tag: u16) -> Result<Vec<usize>, String> {
        let Some(&(kind, count, at)) = self.tags.get(&tag) else { return Ok(Vec::new()) };
        let size = match kind {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => return Err(format!("damaged (tag {tag} is of type {kind})")),
        };
        // A count of more values than the file has bytes is rejected before memory is allocated.
        if count > self.bytes.len() {
            return Err(CUT_OFF.into());
        }
        let start = if count * size <= 4 { at } else { self.u32_at(at).ok_or(CUT_OFF)? };
        let value = |index: usize| match size {
            1 => self.bytes.get(start + index).map(|&byte| usize::from(byte)),
            2 => self.u16_at(start + 2 * index).map(usize::from),
            _ => self.u32_at(start + 4 * index),
        };
        (0..count).map(value).collect::<Option<_>>().ok_or_else(|| CUT_OFF.into())
    }

    fn value(&self, tag: u16) -> Result<Option<usize>, String> {
        Ok(self.values(tag)?.first().copied())
    }

    /// Layout of the samples according to the tags.
    fn layout(&self) -> Result<Layout, String> {
        let need = |tag: u16, what: &str| self.value(tag)?.ok_or_else(|| format!("damaged (no {what})"));
        let (width, height) = (need(WIDTH, "width")?, need(HEIGHT, "height")?);
        if width == 0 || height == 0 || width > 1 << 16 || height > 1 << 16 {
            return Err(format!("damaged (an image of {width}x{height})"));
        }
        let bits = self.values(BITS)?;
        let bits = if bits.is_empty() { vec![1] } else { bits };
        let samples = self.value(SAMPLES)?.unwrap_or(1);
        if bits.iter().any(|&b| b != bits[0]) || !matches!(bits[0], 1 | 8 | 16) {
            return Err(unread(&format!("samples of {bits:?} bits")));
        }
        if let Some(format) = self.values(SAMPLE_FORMAT)?.into_iter().find(|&format| format != 1) {
            return Err(unread(if format == 3 { "floating-point samples" } else { "signed samples" }));
        }
        let colour = match (need(PHOTOMETRIC, "colours")?, samples) {
            (photometric @ (0 | 1), 1 | 2) => Colour::Grey { inverted: photometric == 0 },
            (2, 3 | 4) => Colour::Rgb,
            (3, 1) if bits[0] == 8 => Colour::Palette(self.values(PALETTE)?),
            (5, 4) if bits[0] == 8 => Colour::Cmyk,
            (photometric, samples) => {
                return Err(unread(&format!("colours of kind {photometric} in {samples} samples of {} bits", bits[0])));
            }
        };
        if bits[0] == 1 && samples != 1 {
            return Err(unread("several samples of one bit"));
        }
        if self.value(FILL_ORDER)?.is_some_and(|order| order != 1) {
            return Err(unread("bits in reverse order"));
        }
        let compression = match self.value(COMPRESSION)?.unwrap_or(1) {
            1 => Compression::None,
            5 => Compression::Lzw,
            8 | 32946 => Compression::Deflate,
            32773 => Compression::PackBits,
            other => return Err(unread(&format!("compression {other}"))),
        };
        let predictor = match (compression, self.value(PREDICTOR)?.unwrap_or(1)) {
            // The predictor applies to LZW and Deflate only.
            (Compression::None | Compression::PackBits, _) | (_, 1) => false,
            (_, 2) if bits[0] > 1 => true,
            (_, other) => return Err(unread(&format!("predictor {other}"))),
        };
        let tiled = self.tags.contains_key(&TILE_OFFSETS);
        let (chunk_width, chunk_height) = if tiled {
            (need(TILE_WIDTH, "tiles")?, need(TILE_HEIGHT, "tiles")?)
        } else {
            (width, self.value(ROWS_PER_STRIP)?.unwrap_or(height).min(height))
        };
        if chunk_width == 0 || chunk_height == 0 || chunk_width > 1 << 16 || chunk_height > 1 << 16 {
            return Err(format!("damaged (pieces of {chunk_width}x{chunk_height})"));
        }
        let planar = samples > 1 && self.value(PLANAR)? == Some(2);
        let offsets = self.values(if tiled { TILE_OFFSETS } else { STRIP_OFFSETS })?;
        let lengths = self.values(if tiled { TILE_LENGTHS } else { STRIP_LENGTHS })?;
        let orientation = self.value(ORIENTATION)?.and_then(|value| Orientation::from_exif(value.try_into().ok()?));
        let layout = Layout {
            width,
            height,
            bits: bits[0],
            samples,
            colour,
            compression,
            predictor,
            big_endian: self.big_endian,
            planar,
            chunk_width,
            chunk_height,
            chunks: offsets.into_iter().zip(lengths).collect(),
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
        };
        if width * height * samples * layout.bits.div_ceil(8) > MAX_BYTES {
            return Err("it would take too much memory; make it smaller".into());
        }
        if layout.chunks.len() < layout.chunks_of_a_plane() * if planar { samples } else { 1 } {
            return Err(CUT_OFF.into());
        }
        Ok(layout)
    }
}

enum Colour {
    /// Grey values.
    Grey {
        inverted: bool,
    },
    Rgb,
    /// 16-bit palette: all reds, then all greens, then all blues.
    Palette(Vec<usize>),
    /// Cyan, magenta, yellow, black.
    Cmyk,
}

#[derive(Clone, Copy)]
enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

/// Position and meaning of the samples of an image.
struct Layout {
    width: usize,
    height: usize,
    /// Bits per sample: 1, 8 or 16.
    bits: usize,
    /// Samples per pixel.
    samples: usize,
    colour: Colour,
    compression: Compression,
    /// Whether each sample is stored as the difference from the one to its left.
    predictor: bool,
    big_endian: bool,
    /// Whether the samples are stored in planes instead of pixel by pixel.
    planar: bool,
    /// Width of a strip or tile in pixels.
    chunk_width: usize,
    chunk_height: usize,
    /// Offset and length of each strip or tile.
    chunks: Vec<(usize, usize)>,
    orientation: Orientation,
}

impl Layout {
    fn chunks_across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    fn chunks_of_a_plane(&self) -> usize {
        self.chunks_across() * self.height.div_ceil(self.chunk_height)
    }

    /// `[height, width, samples]`, one `u16` each, whatever the number of bits.
    fn samples(&self, bytes: &[u8]) -> Result<Vec<u16>, String> {
        let mut out = vec![0u16; self.width * self.height * self.samples];
        // Samples per pixel within one chunk.
        let together = if self.planar { 1 } else { self.samples };
        let row_bytes = (self.chunk_width * together * self.bits).div_ceil(8);
        for (index, &(offset, length)) in self.chunks.iter().enumerate() {
            let (plane, index) = (index / self.chunks_of_a_plane(), index % self.chunks_of_a_plane());
            if plane >= self.samples / together {
                break;
            }
            let (top, left) =
                (index / self.chunks_across() * self.chunk_height, index % self.chunks_across() * self.chunk_width);
            let rows = self.chunk_height.min(self.height - top);
            let packed = offset.checked_add(length).and_then(|end| bytes.get(offset..end)).ok_or(CUT_OFF)?;
            let chunk = self.compression.unpack(packed, row_bytes * rows)?;
            for (y, row) in chunk.chunks_exact(row_bytes).enumerate() {
                let mut values = self.row(row);
                if self.predictor {
                    let mask = if self.bits == 16 { u16::MAX } else { 0xff };
                    for x in together..values.len() {
                        values[x] = values[x].wrapping_add(values[x - together]) & mask;
                    }
                }
                let columns = self.chunk_width.min(self.width - left);
                for x in 0..columns {
                    for sample in 0..together {
                        let at = ((top + y) * self.width + left + x) * self.samples + plane + sample;
                        out[at] = values[x * together + sample];
                    }
                }
            }
        }
        Ok(out)
    }

    /// The values of a row; a sample of one bit becomes 0 or 255.
    fn row(&self, row: &[u8]) -> Vec<u16> {
        match self.bits {
            1 => row.iter().flat_map(|&byte| (0..8).map(move |bit| 255 * u16::from(byte >> (7 - bit) & 1))).collect(),
            8 => row.iter().map(|&byte| u16::from(byte)).collect(),
            _ => {
                let value = |b: &[u8]| {
                    if self.big_endian { u16::from_be_bytes([b[0], b[1]]) } else { u16::from_le_bytes([b[0], b[1]]) }
                };
                row.chunks_exact(2).map(value).collect()
            }
        }
    }

    fn image(&self, mut samples: Vec<u16>) -> Option<DynamicImage> {
        let (width, height) = (self.width as u32, self.height as u32);
        let wide = self.bits == 16;
        if matches!(self.colour, Colour::Grey { inverted: true }) {
            let white = if wide { u16::MAX } else { 255 };
            samples.iter_mut().step_by(self.samples).for_each(|value| *value = white - *value);
        }
        let bytes = |samples: Vec<u16>| samples.into_iter().map(|value| value as u8).collect::<Vec<u8>>();
        match (&self.colour, self.samples) {
            (Colour::Grey { .. }, 1) if wide => {
                ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16)
            }
            (Colour::Grey { .. }, 1) => {
                ImageBuffer::from_raw(width, height, bytes(samples)).map(DynamicImage::ImageLuma8)
            }
            (Colour::Grey { .. }, _) if wide => {
                ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16)
            }
            (Colour::Grey { .. }, _) => {
                ImageBuffer::from_raw(width, height, bytes(samples)).map(DynamicImage::ImageLumaA8)
            }
            (Colour::Rgb, 3) if wide => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
            (Colour::Rgb, 3) => ImageBuffer::from_raw(width, height, bytes(samples)).map(DynamicImage::ImageRgb8),
            (Colour::Rgb, _) if wide => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
            (Colour::Rgb, _) => ImageBuffer::from_raw(width, height, bytes(samples)).map(DynamicImage::ImageRgba8),
            (Colour::Palette(palette), _) => {
                let colour = |index: u16| [0, 256, 512].map(|at| palette.get(at + usize::from(index)).copied());
                let rgb = samples.into_iter().flat_map(colour).map(|value| Some((value? >> 8) as u8));
                ImageBuffer::from_raw(width, height, rgb.collect::<Option<Vec<u8>>>()?).map(DynamicImage::ImageRgb8)
            }
            (Colour::Cmyk, _) => {
                let light = |ink: u16, black: u16| (u32::from(255 - ink) * u32::from(255 - black) / 255) as u8;
                let rgb = samples.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|i| light(p[i], p[3])));
                ImageBuffer::from_raw(width, height, rgb.collect()).map(DynamicImage::ImageRgb8)
            }
        }
    }
}

impl Compression {
    /// Unpacks exactly `length` bytes.
    fn unpack(self, packed: &[u8], length: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        match self {
            Self::None => out.extend_from_slice(packed.get(..length).unwrap_or(packed)),
            Self::Lzw => {
                out.resize(length, 0);
                let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
                let mut done = (0, 0);
                while done.1 < length {
                    let step = decoder.decode_bytes(&packed[done.0..], &mut out[done.1..]);
                    done = (done.0 + step.consumed_in, done.1 + step.consumed_out);
                    match step.status {
                        Ok(weezl::LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
                        Ok(_) => break,
                        Err(error) => return Err(format!("damaged ({error})")),
                    }
                }
                out.truncate(done.1);
            }
            Self::Deflate => {
                let decoder = flate2::bufread::ZlibDecoder::new(packed);
                decoder.take(length as u64).read_to_end(&mut out).map_err(|error| format!("damaged ({error})"))?;
            }
            Self::PackBits => {
                let mut rest = packed;
                while let (Some((&count, after)), true) = (rest.split_first(), out.len() < length) {
                    rest = after;
                    match count as i8 {
                        -128 => {}
                        count @ 0.. => {
                            let literal = rest.get(..count as usize + 1).ok_or(CUT_OFF)?;
                            out.extend_from_slice(literal);
                            rest = &rest[literal.len()..];
                        }
                        count => {
                            let (&byte, after) = rest.split_first().ok_or(CUT_OFF)?;
                            out.resize(out.len() + 1 + usize::from(count.unsigned_abs()), byte);
                            rest = after;
                        }
                    }
                }
                out.truncate(length);
            }
        }
        if out.len() == length { Ok(out) } else { Err(CUT_OFF.into()) }
    }
}

fn unread(what: &str) -> String {
    format!("intact, but a type of TIFF that is not supported ({what}); convert it to 8 bits of grey or RGB")
}
