//! Decoder for the instructions of pickle protocols 0 to 5 and their arguments.

use std::io::{BufRead, Read};

use super::PickleError;

/// One instruction. Strings and other long arguments are in [`Decoder::data`] until the next instruction is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// PROTO, FRAME, READONLY_BUFFER: no effect.
    Nothing,
    Stop,
    Mark,
    Pop,
    PopMark,
    Dup,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Two's complement bytes, lowest first, of an integer beyond 64 bits.
    BigInt,
    /// Valid UTF-8 text in the decoder.
    Str,
    Bytes,
    Empty(Container),
    /// LIST, DICT, FROZENSET or TUPLE: everything since the mark.
    FromMark(Container),
    /// TUPLE1 to TUPLE3: a tuple of one to three values.
    Tuple(usize),
    Append,
    Appends,
    SetItem,
    SetItems,
    AddItems,
    Get(u64),
    Put(u64),
    /// MEMOIZE: stores the top of the stack under the next memo index.
    Memoize,
    /// `module\nname` in the decoder.
    Global,
    StackGlobal,
    Reduce,
    Build,
    /// INST: `module\nname` in the decoder.
    Inst,
    Obj,
    NewObj,
    NewObjEx,
    /// The id is text in the decoder.
    PersistentText,
    Persistent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    List,
    Tuple,
    Set,
    Dict,
}

/// Maximum length in bytes of a text argument in protocols 0 and 1.
const MAX_LINE: u64 = 1 << 28;
/// Maximum number of digits of a decimal integer, as in Python.
const MAX_DIGITS: usize = 4300;

/// Decodes a pickle instruction by instruction.
pub(super) struct Decoder<R> {
    source: R,
    /// Bytes read so far.
    pub(super) offset: u64,
    /// The long argument of the last instruction.
    pub(super) data: Vec<u8>,
    /// Maximum length in bytes of an argument.
    pub(super) max_data: u64,
}

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, offset: 0, data: Vec::new(), max_data: u64::MAX }
    }

    /// The long argument as text. It is valid UTF-8 for [`Op::Str`], [`Op::Global`], [`Op::Inst`] and [`Op::PersistentText`].
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Result<Op, PickleError> {
        let start = self.offset;
        let [code] = self.array("before its STOP instruction")?;
        let refuse = |what| Err(PickleError::Instruction { byte: code, offset: start, what });
        Ok(match code {
            0x80 => {
                let [version] = self.array("in its protocol number")?;
                if version > 5 {
                    return Err(malformed(start, format!("protocol {version}; 0 to 5 can be read")));
                }
                Op::Nothing
            }
            0x95 => {
                self.array::<8>("in a frame's length")?;
                Op::Nothing
            }
            b'.' => Op::Stop,
            b'(' => Op::Mark,
            b'0' => Op::Pop,
            b'1' => Op::PopMark,
            b'2' => Op::Dup,
            b'N' => Op::None,
            0x88 => Op::Bool(true),
            0x89 => Op::Bool(false),
            b'I' => {
                self.line()?;
                match self.data.as_slice() {
                    b"00" => Op::Bool(false),
                    b"01" => Op::Bool(true),
                    _ => self.decimal(start)?,
                }
            }
            b'L' => {
                self.line()?;
                if self.data.last() == Some(&b'L') {
                    self.data.pop();
                }
                self.decimal(start)?
            }
            b'K' => Op::Int(i64::from(self.array::<1>("in an integer")?[0])),
            b'M' => Op::Int(i64::from(u16::from_le_bytes(self.array("in an integer")?))),
            b'J' => Op::Int(i64::from(i32::from_le_bytes(self.array("in an integer")?))),
            0x8a => {
                let length = self.length::<1>()?;
                self.long(start, length)?
            }
            0x8b => {
                let length = self.length::<4>()?;
                self.long(start, length)?
            }
            b'F' => {
                self.line()?;
                let value = std::str::from_utf8(&self.data).ok().and_then(|text| text.trim().parse().ok());
                Op::Float(value.ok_or_else(|| malformed(start, "a float that is not a number"))?)
            }
            b'G' => Op::Float(f64::from_be_bytes(self.array("in a float")?)),
            b'S' => {
                self.line()?;
                self.unquote(start)?;
                Op::Bytes
            }
            b'T' | b'B' => self.bytes::<4>(start)?,
            b'U' | b'C' => self.bytes::<1>(start)?,
            0x8e | 0x96 => self.bytes::<8>(start)?,
            b'V' => {
                self.line()?;
                self.unescape_unicode(start)?;
                Op::Str
            }
            b'X' => self.utf8::<4>(start)?,
            0x8c => self.utf8::<1>(start)?,
            0x8d => self.utf8::<8>(start)?,
            b']' => Op::Empty(Container::List),
            b')' => Op::Empty(Container::Tuple),
            0x8f => Op::Empty(Container::Set),
            b'}' => Op::Empty(Container::Dict),
            b'l' => Op::FromMark(Container::List),
            b't' => Op::FromMark(Container::Tuple),
            0x91 => Op::FromMark(Container::Set),
            b'd' => Op::FromMark(Container::Dict),
            0x85..=0x87 => Op::Tuple(usize::from(code - 0x84)),
            b'a' => Op::Append,
            b'e' => Op::Appends,
            b's' => Op::SetItem,
            b'u' => Op::SetItems,
            0x90 => Op::AddItems,
            b'g' => Op::Get(self.index(start)?),
            b'h' => Op::Get(self.length::<1>()?),
            b'j' => Op::Get(self.length::<4>()?),
            b'p' => Op::Put(self.index(start)?),
            b'q' => Op::Put(self.length::<1>()?),
            b'r' => Op::Put(self.length::<4>()?),
            0x94 => Op::Memoize,
            b'c' | b'i' => {
                self.line()?;
                let mut both = std::mem::take(&mut self.data);
                both.push(b'\n');
                self.line()?;
                both.append(&mut self.data);
                self.data = both;
                self.check_utf8(start)?;
                if code == b'c' { Op::Global } else { Op::Inst }
            }
            0x93 => Op::StackGlobal,
            b'R' => Op::Reduce,
            b'b' => Op::Build,
            b'o' => Op::Obj,
            0x81 => Op::NewObj,
            0x92 => Op::NewObjEx,
            b'P' => {
                self.line()?;
                self.check_utf8(start)?;
                Op::PersistentText
            }
            b'Q' => Op::Persistent,
            0x98 => Op::Nothing,
            0x82..=0x84 => return refuse("the extension registry of one Python process is not available"),
            0x97 => return refuse("its buffers are stored elsewhere; pickle without `buffer_callback`"),
            _ => return refuse("the file is damaged, or is not a pickle"),
        })
    }

    fn truncated(&self, wanted: &str) -> PickleError {
        PickleError::Truncated { offset: self.offset, wanted: wanted.into() }
    }

    fn array<const N: usize>(&mut self, place: &str) -> Result<[u8; N], PickleError> {
        let mut bytes = [0; N];
        let mut filled = 0;
        while filled < N {
            match self.source.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.truncated(place)),
                Ok(n) => {
                    filled += n;
                    self.offset += n as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(PickleError::Io { offset: self.offset, source }),
            }
        }
        Ok(bytes)
    }

    fn length<const N: usize>(&mut self) -> Result<u64, PickleError> {
        let bytes = self.array::<N>("in a length or index")?;
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&bytes);
        Ok(u64::from_le_bytes(wide))
    }

    /// Reads a long argument. Memory grows with the bytes actually read, not with the stated length.
    fn take(&mut self, start: u64, length: u64) -> Result<(), PickleError> {
        if length > self.max_data {
            let what = format!("{length} bytes in one piece, where {} are left of the memory limit", self.max_data);
            return Err(PickleError::Limit { offset: start, what });
        }
        self.data.clear();
        let read = (&mut self.source).take(length).read_to_end(&mut self.data);
        self.offset += self.data.len() as u64;
        read.map_err(|source| PickleError::Io { offset: self.offset, source })?;
        if (self.data.len() as u64) < length {
            let missing = length - self.data.len() as u64;
            return Err(self.truncated(&format!("{missing} bytes before the end of a piece of {length} bytes")));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<(), PickleError> {
        self.data.clear();
        let limit = MAX_LINE.min(self.max_data);
        let read = (&mut self.source).take(limit).read_until(b'\n', &mut self.data);
        self.offset += self.data.len() as u64;
        read.map_err(|source| PickleError::Io { offset: self.offset, source })?;
        if self.data.pop() == Some(b'\n') {
            return Ok(());
        }
        if self.data.len() as u64 + 1 >= limit {
            return Err(PickleError::Limit { offset: self.offset, what: format!("a line of over {limit} bytes") });
        }
        Err(self.truncated("in a line of text"))
    }

    fn bytes<const N: usize>(&mut self, start: u64) -> Result<Op, PickleError> {
        let length = self.length::<N>()?;
        self.take(start, length)?;
        Ok(Op::Bytes)
    }

    fn utf8<const N: usize>(&mut self, start: u64) -> Result<Op, PickleError> {
        let length = self.length::<N>()?;
        self.take(start, length)?;
        self.check_utf8(start)?;
        Ok(Op::Str)
    }

    fn check_utf8(&self, start: u64) -> Result<(), PickleError> {
        std::str::from_utf8(&self.data).map(drop).map_err(|_| malformed(start, "text that is not UTF-8"))
    }

    /// LONG1 and LONG4: two's complement, lowest byte first.
    fn long(&mut self, start: u64, length: u64) -> Result<Op, PickleError> {
        self.take(start, length)?;
        Ok(self.shorten())
    }

    /// The integer in `data`, as 64 bits if it fits.
    fn shorten(&mut self) -> Op {
        let negative = self.data.last().is_some_and(|byte| byte & 0x80 != 0);
        let fill = if negative { 0xff } else { 0 };
        let fits = self.data.len() <= 8
            || (self.data[8..].iter().all(|&byte| byte == fill) && (self.data[7] & 0x80 != 0) == negative);
        if !fits {
            return Op::BigInt;
        }
        let mut bytes = [fill; 8];
        let n = self.data.len().min(8);
        bytes[..n].copy_from_slice(&self.data[..n]);
        Op::Int(i64::from_le_bytes(bytes))
    }

    /// INT and LONG: decimal text.
    fn decimal(&mut self, start: u64) -> Result<Op, PickleError> {
        let text = std::str::from_utf8(&self.data).unwrap_or_default().trim();
        if let Ok(value) = text.parse() {
            return Ok(Op::Int(value));
        }
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed(start, format!("an integer that is not 1 to {MAX_DIGITS} decimal digits")));
        }
        let mut magnitude: Vec<u8> = Vec::new();
        for digit in digits.bytes() {
            let mut carry = u32::from(digit - b'0');
            for byte in &mut magnitude {
                carry += u32::from(*byte) * 10;
                *byte = carry as u8;
                carry >>= 8;
            }
            if carry > 0 {
                magnitude.push(carry as u8);
            }
        }
        magnitude.push(0);
        if negative {
            let mut carry = true;
            for byte in &mut magnitude {
                let (value, next) = (!*byte).overflowing_add(u8::from(carry));
                (*byte, carry) = (value, next);
            }
        }
        self.data = magnitude;
        Ok(self.shorten())
    }

    fn index(&mut self, start: u64) -> Result<u64, PickleError> {
        self.line()?;
        let index = std::str::from_utf8(&self.data).ok().and_then(|text| text.parse().ok());
        index.ok_or_else(|| malformed(start, "a memo index that is not a number"))
    }

    /// STRING: a Python 2 literal in quotes, with its escapes.
    fn unquote(&mut self, start: u64) -> Result<(), PickleError> {
        let text = self.data.trim_ascii();
        let (Some(&first), Some(&last), true) = (text.first(), text.last(), text.len() >= 2) else {
            return Err(malformed(start, "a string without quotes"));
        };
        if first != last || !matches!(first, b'\'' | b'"') {
            return Err(malformed(start, "a string without quotes"));
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text[1..text.len() - 1].iter().copied();
        while let Some(byte) = rest.next() {
            if byte != b'\\' {
                out.push(byte);
                continue;
            }
            out.push(match rest.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'0') => 0,
                Some(byte @ (b'\\' | b'\'' | b'"')) => byte,
                Some(b'x') => {
                    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                    match (digit(), digit()) {
                        (Some(high), Some(low)) => (high << 4 | low) as u8,
                        _ => return Err(malformed(start, "a string with a broken \\x escape")),
                    }
                }
                _ => return Err(malformed(start, "a string with an unknown escape")),
            });
        }
        self.data = out;
        Ok(())
    }

    /// UNICODE: Latin-1 with `\uXXXX` and `\UXXXXXXXX` escapes.
    fn unescape_unicode(&mut self, start: u64) -> Result<(), PickleError> {
        let mut out = String::with_capacity(self.data.len());
        let mut at = 0;
        while at < self.data.len() {
            let digits = match self.data.get(at + 1) {
                Some(b'u') if self.data[at] == b'\\' => 4,
                Some(b'U') if self.data[at] == b'\\' => 8,
                _ => 0,
            };
            if digits == 0 {
                out.push(char::from(self.data[at]));
                at += 1;
                continue;
            }
            let code = self.data.get(at + 2..at + 2 + digits).and_then(|hex| std::str::from_utf8(hex).ok());
            let code = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
            out.push(code.ok_or_else(|| malformed(start, "text with a broken \\u escape"))?);
            at += 2 + digits;
        }
        self.data = out.into_bytes();
        Ok(())
    }
}

pub(super) fn malformed(offset: u64, what: impl Into<String>) -> PickleError {
    PickleError::Malformed { offset, what: what.into() }
}
