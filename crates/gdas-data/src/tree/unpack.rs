//! Decompression of a stream, bounded in the bytes that come out of it.

use std::io::{BufRead, BufReader, Read};

use crate::observe::Watched;

#[derive(Clone, Copy)]
pub(super) enum Packing {
    Gzip,
    Xz,
    Bzip2,
}

impl Packing {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip data",
            Self::Xz => "xz data",
            Self::Bzip2 => "bzip2 data",
        }
    }

    pub(super) fn unpack(self, source: BufReader<Watched>, limit: u64) -> std::io::Result<Bounded<Box<dyn Read>>> {
        /// Memory limit of the xz decoder in bytes; the largest preset needs 64 MiB.
        const XZ_MEMORY: u64 = 512 << 20;
        let decoder: Box<dyn Read> = match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        };
        Ok(Bounded::new(decoder, limit))
    }
}

/// A reader that fails after more than `left` bytes.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("more data than allowed")]
struct TooLarge;

/// Whether the error, or any error that it wraps, is [`TooLarge`].
pub(super) fn is_too_large(error: &std::io::Error) -> bool {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        let wrapped = error.downcast_ref::<std::io::Error>();
        if error.is::<TooLarge>() || wrapped.is_some_and(is_too_large) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, left: u64) -> Self {
        Self { inner, left }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| std::io::Error::other(TooLarge))?;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
        self.inner.consume(n);
    }
}

/// Fills the buffer as far as the source allows, and returns the number of bytes.
pub(super) fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
