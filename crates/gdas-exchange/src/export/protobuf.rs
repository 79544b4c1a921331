//! The part of the protocol-buffer wire format that ONNX and TensorBoard need.
//!
//! It has four kinds of field, so a code generator and its runtime would be larger than this file. See
//! <https://protobuf.dev/programming-guides/encoding/>.

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// The message in its wire format.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    /// A signed or unsigned integer, a boolean or an enumeration.
    #[must_use]
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }

    /// A float.
    #[must_use]
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A double.
    #[must_use]
    pub fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Raw bytes.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.bytes.extend(value);
        self
    }

    /// Text.
    #[must_use]
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message within the message.
    #[must_use]
    pub fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.bytes)
    }

    /// A repeated field: `add` is called with each item.
    #[must_use]
    pub fn each<T>(self, items: impl IntoIterator<Item = T>, add: impl Fn(Self, T) -> Self) -> Self {
        items.into_iter().fold(self, add)
    }
}

/// A field of an encoded message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// An integer, a boolean or an enumeration.
    Integer(u64),
    /// Eight bytes: a double.
    Eight([u8; 8]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes: a float.
    Four([u8; 4]),
}

/// Iterator over the fields of an encoded message with their numbers; it ends after an error.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>), String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(rest);
        rest = field.as_ref().map_or(&[], |(_, _, rest)| *rest);
        Some(field.map(|(number, field, _)| (number, field)))
    })
}

fn field(bytes: &[u8]) -> Result<(u64, Field<'_>, &[u8]), String> {
    let cut = || "it is cut off".to_owned();
    let (key, rest) = varint(bytes)?;
    let (field, rest) = match key & 7 {
        0 => varint(rest).map(|(value, rest)| (Field::Integer(value), rest))?,
        1 => rest.split_first_chunk().map(|(value, rest)| (Field::Eight(*value), rest)).ok_or_else(cut)?,
        2 => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).map_err(|_| cut())?;
            rest.split_at_checked(length).map(|(value, rest)| (Field::Bytes(value), rest)).ok_or_else(cut)?
        }
        5 => rest.split_first_chunk().map(|(value, rest)| (Field::Four(*value), rest)).ok_or_else(cut)?,
        other => return Err(format!("it has a field of unknown kind {other}")),
    };
    Ok((key >> 3, field, rest))
}

/// Decodes a varint; returns its value and the remaining bytes.
pub(crate) fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), String> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err("it is cut off in a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own documentation.
    #[test]
    fn documented_encodings() {
        assert_eq!(Message::new().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").into_bytes(), b"\x12\x07testing");
        let inner = Message::new().int(1, 150);
        assert_eq!(Message::new().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let inner = Message::new().int(1, 150).text(2, "testing");
        let bytes = Message::new().int(1, -2).float(2, 1.5).double(3, 2.5).message(400, &inner).into_bytes();
        let inner = inner.into_bytes();
        let expected = [
            (1, Field::Integer(-2i64 as u64)),
            (2, Field::Four(1.5f32.to_le_bytes())),
            (3, Field::Eight(2.5f64.to_le_bytes())),
            (400, Field::Bytes(&inner)),
        ];
        assert_eq!(fields(&bytes).collect::<Result<Vec<_>, _>>().as_deref(), Ok(&expected[..]));
        for length in 1..bytes.len() {
            // Truncated anywhere: the fields before it, then an error or the end, and never a panic.
            assert!(fields(&bytes[..length]).count() <= 4, "{length}");
        }
        assert!(fields(&[0xff; 20]).all(|field| field.is_err()));
    }

    #[test]
    fn negative_numbers_and_floats() {
        assert_eq!(Message::new().int(1, -2).into_bytes()[1..], [0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(Message::new().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}
