//! Reading an Arrow IPC file in place: opening it checks the layout, a value is read when it is asked for.

use super::flat::{Table, bytes_at};
use super::{
    ArrowError, DIGEST_KEY, Field, HEADER_DICTIONARY, HEADER_RECORDS, Kind, MAGIC, PRECISION_SINGLE, TYPE_FLOAT,
    TYPE_INT, TYPE_LIST, TYPE_UTF8,
};

/// A stretch of the file: start and length in bytes.
type Span = (usize, usize);

/// An opened file over any bytes (read or memory-mapped).
pub(in super::super) struct ArrowFile<B> {
    bytes: B,
    pub(in super::super) fields: Vec<Field>,
    /// The texts of each [`Kind::Text`] column, in the order of those columns.
    pub(in super::super) dictionaries: Vec<Vec<String>>,
    pub(in super::super) metadata: Vec<(String, String)>,
    batches: Vec<Batch>,
}

struct Batch {
    rows: usize,
    columns: Vec<View>,
}

#[derive(Default)]
struct View {
    validity: Option<Span>,
    values: Span,
    /// Offsets of a list column.
    offsets: Span,
}

impl<B: AsRef<[u8]>> ArrowFile<B> {
    /// Checks the layout of the file and, where its footer holds one, the digest of its data.
    pub(in super::super) fn open(bytes: B) -> Result<Self, ArrowError> {
        let all = bytes.as_ref();
        if !all.starts_with(MAGIC) {
            return Err(ArrowError::NotArrow("start"));
        }
        if all.len() < 24 || !all.ends_with(MAGIC) {
            return Err(ArrowError::NotArrow("end"));
        }
        let size_at = all.len() - MAGIC.len() - 4;
        let size = i32::from_le_bytes(bytes_at(all, size_at, "the footer's size")?);
        let start = usize::try_from(size).ok().and_then(|size| size_at.checked_sub(size)).filter(|start| *start >= 8);
        let start = start.ok_or(ArrowError::Damaged { what: "the footer's size", at: size_at })?;
        let footer = Table::root(&all[start..size_at], "the footer")?;
        for (key, value) in footer.pairs(4)? {
            if key == DIGEST_KEY && value != blake3::hash(&all[..start]).to_hex().as_str() {
                return Err(ArrowError::Checksum);
            }
        }
        let schema = footer.table(1)?.ok_or(ArrowError::Damaged { what: "the footer", at: start })?;
        if schema.i16(0)? != 0 {
            return Err(unsupported("the byte order", "big endian"));
        }
        let metadata = schema.pairs(2)?;
        let mut fields = Vec::new();
        let mut ids = Vec::new();
        for field in schema.tables(1)? {
            let (field, id) = read_field(&field)?;
            fields.push(field);
            ids.extend(id);
        }
        let mut dictionaries = vec![None; ids.len()];
        for block in blocks(&footer, 2, &all[start..size_at])? {
            let (message, body) = read_message(all, block, HEADER_DICTIONARY)?;
            let id = message.i64(0)?;
            let batch = message.table(1)?.ok_or(ArrowError::Damaged { what: "a dictionary", at: block.0 })?;
            let place = ids.iter().position(|known| *known == id);
            let place = place.ok_or(ArrowError::Damaged { what: "a dictionary's number", at: block.0 })?;
            dictionaries[place] = Some(read_texts(all, &batch, message_bytes(all, block)?, body)?);
        }
        let dictionaries: Option<Vec<Vec<String>>> = dictionaries.into_iter().collect();
        let dictionaries = dictionaries.ok_or(ArrowError::Damaged { what: "the list of dictionaries", at: start })?;
        let mut batches = Vec::new();
        for block in blocks(&footer, 3, &all[start..size_at])? {
            let (message, body) = read_message(all, block, HEADER_RECORDS)?;
            batches.push(read_batch(&message, message_bytes(all, block)?, body, &fields)?);
        }
        Ok(Self { bytes, fields, dictionaries, metadata, batches })
    }

    /// Rows of each batch.
    pub(in super::super) fn batches(&self) -> impl Iterator<Item = usize> + '_ {
        self.batches.iter().map(|batch| batch.rows)
    }

    fn present(&self, batch: usize, column: usize, row: usize) -> Option<&View> {
        let batch = self.batches.get(batch).filter(|batch| row < batch.rows)?;
        let view = batch.columns.get(column)?;
        match view.validity {
            Some((start, length)) if row / 8 < length => {
                let byte = self.bytes.as_ref().get(start + row / 8)?;
                (byte >> (row % 8) & 1 == 1).then_some(view)
            }
            Some(_) => None,
            None => Some(view),
        }
    }

    fn element<const N: usize>(&self, span: Span, index: usize) -> Option<[u8; N]> {
        let at = index.checked_mul(N).filter(|at| at + N <= span.1)?;
        bytes_at(self.bytes.as_ref(), span.0 + at, "a value").ok()
    }

    /// A `UInt16`, or the key of a dictionary column.
    pub(in super::super) fn u16(&self, batch: usize, column: usize, row: usize) -> Option<u16> {
        let view = self.present(batch, column, row)?;
        self.element(view.values, row).map(u16::from_le_bytes)
    }

    pub(in super::super) fn u32(&self, batch: usize, column: usize, row: usize) -> Option<u32> {
        let view = self.present(batch, column, row)?;
        self.element(view.values, row).map(u32::from_le_bytes)
    }

    pub(in super::super) fn f32(&self, batch: usize, column: usize, row: usize) -> Option<f32> {
        let view = self.present(batch, column, row)?;
        self.element(view.values, row).map(f32::from_le_bytes)
    }

    pub(in super::super) fn list(&self, batch: usize, column: usize, row: usize) -> Option<Vec<f32>> {
        let view = self.present(batch, column, row)?;
        let start = usize::try_from(i32::from_le_bytes(self.element(view.offsets, row)?)).ok()?;
        let end = usize::try_from(i32::from_le_bytes(self.element(view.offsets, row + 1)?)).ok()?;
        if start > end || end.checked_mul(4)? > view.values.1 {
            return None;
        }
        (start..end).map(|i| self.element(view.values, i).map(f32::from_le_bytes)).collect()
    }
}

fn unsupported(what: &'static str, found: impl Into<String>) -> ArrowError {
    ArrowError::Unsupported { what, found: found.into() }
}

/// The field, and the number of its dictionary if it has one.
fn read_field(field: &Table<'_>) -> Result<(Field, Option<i64>), ArrowError> {
    let name = field.text(0)?.to_owned();
    let type_code = field.u8(2, 0)?;
    let damaged = ArrowError::Damaged { what: "the schema", at: 0 };
    let body = field.table(3)?.ok_or(damaged.clone())?;
    let integer = |body: &Table<'_>| -> Result<(i32, bool), ArrowError> { Ok((body.i32(0)?, body.u8(1, 0)? != 0)) };
    let single = |body: &Table<'_>| -> Result<bool, ArrowError> { Ok(body.i16(0)? == PRECISION_SINGLE) };
    if let Some(encoding) = field.table(4)? {
        let index = encoding.table(1)?.map(|index| integer(&index)).transpose()?;
        if type_code != TYPE_UTF8 || index != Some((16, false)) {
            return Err(unsupported("a dictionary column other than of texts with 16-bit keys", name));
        }
        return Ok((Field { name, kind: Kind::Text }, Some(encoding.i64(0)?)));
    }
    let kind = match type_code {
        TYPE_INT if integer(&body)? == (16, false) => Kind::U16,
        TYPE_INT if integer(&body)? == (32, false) => Kind::U32,
        TYPE_FLOAT if single(&body)? => Kind::F32,
        TYPE_LIST => {
            let children = field.tables(5)?;
            let item = children.first().ok_or(damaged.clone())?;
            if item.u8(2, 0)? != TYPE_FLOAT || !single(&item.table(3)?.ok_or(damaged)?)? {
                return Err(unsupported("a list other than of single-precision numbers", name));
            }
            Kind::F32List
        }
        _ => return Err(unsupported("the type of a column", format!("{name} (type {type_code})"))),
    };
    Ok((Field { name, kind }, None))
}

/// Offset, length of the metadata and length of the body of a message.
type Block = (usize, usize, usize);

fn blocks(footer: &Table<'_>, slot: usize, footer_bytes: &[u8]) -> Result<Vec<Block>, ArrowError> {
    let (start, count) = footer.vector(slot, 24)?;
    let number = |at: usize| -> Result<usize, ArrowError> {
        let damaged = ArrowError::Damaged { what: "the footer's list of blocks", at };
        usize::try_from(i64::from_le_bytes(bytes_at(footer_bytes, at, "the footer")?)).map_err(|_| damaged)
    };
    (0..count)
        .map(|i| {
            let at = start + 24 * i;
            let metadata = i32::from_le_bytes(bytes_at(footer_bytes, at + 8, "the footer")?);
            let metadata = usize::try_from(metadata).map_err(|_| ArrowError::Damaged { what: "the footer", at })?;
            Ok((number(at)?, metadata, number(at + 16)?))
        })
        .collect()
}

/// The FlatBuffer of a message.
fn message_bytes(all: &[u8], (offset, metadata, _): Block) -> Result<&[u8], ArrowError> {
    let damaged = ArrowError::Damaged { what: "a message", at: offset };
    let continuation: [u8; 4] = bytes_at(all, offset, "a message")?;
    // Before version 0.15 of the format a message had no continuation mark.
    if continuation != [0xFF; 4] || metadata < 8 {
        return Err(damaged);
    }
    let end = offset.checked_add(metadata).ok_or(damaged.clone())?;
    all.get(offset + 8..end).ok_or(damaged)
}

/// The header table of a message, and where its body lies.
fn read_message(all: &[u8], block: Block, header: u8) -> Result<(Table<'_>, Span), ArrowError> {
    let damaged = ArrowError::Damaged { what: "a message", at: block.0 };
    let message = Table::root(message_bytes(all, block)?, "a message")?;
    if message.u8(1, 0)? != header {
        return Err(damaged);
    }
    let start = block.0 + block.1;
    if start.checked_add(block.2).is_none_or(|end| end > all.len()) {
        return Err(damaged);
    }
    Ok((message.table(2)?.ok_or(damaged)?, (start, block.2)))
}

/// The buffers of a batch as stretches of the file.
fn spans(batch: &Table<'_>, message: &[u8], body: Span) -> Result<Vec<Span>, ArrowError> {
    if batch.table(3)?.is_some() {
        return Err(unsupported(
            "the encoding of a batch",
            "compressed buffers; write it with compression=\"uncompressed\"",
        ));
    }
    let (start, count) = batch.vector(2, 16)?;
    (0..count)
        .map(|i| {
            let at = start + 16 * i;
            let damaged = ArrowError::Damaged { what: "the place of a buffer", at };
            let offset = i64::from_le_bytes(bytes_at(message, at, "a batch")?);
            let length = i64::from_le_bytes(bytes_at(message, at + 8, "a batch")?);
            let offset = usize::try_from(offset).map_err(|_| damaged.clone())?;
            let length = usize::try_from(length).map_err(|_| damaged.clone())?;
            if offset.checked_add(length).is_none_or(|end| end > body.1) {
                return Err(damaged);
            }
            Ok((body.0 + offset, length))
        })
        .collect()
}

fn rows_of(batch: &Table<'_>) -> Result<usize, ArrowError> {
    usize::try_from(batch.i64(0)?).map_err(|_| ArrowError::Damaged { what: "the number of rows", at: 0 })
}

fn read_texts(all: &[u8], batch: &Table<'_>, message: &[u8], body: Span) -> Result<Vec<String>, ArrowError> {
    let spans = spans(batch, message, body)?;
    let rows = rows_of(batch)?;
    let damaged = ArrowError::Damaged { what: "a dictionary", at: body.0 };
    let [_, offsets, texts] = spans[..] else { return Err(damaged) };
    if rows.checked_add(1).and_then(|n| n.checked_mul(4)).is_none_or(|size| size > offsets.1 && rows > 0) {
        return Err(damaged);
    }
    let offset = |i: usize| -> Result<usize, ArrowError> {
        let value = i32::from_le_bytes(bytes_at(all, offsets.0 + 4 * i, "a dictionary")?);
        usize::try_from(value).ok().filter(|end| *end <= texts.1).ok_or(damaged.clone())
    };
    let mut found = Vec::with_capacity(rows);
    for i in 0..rows {
        let (start, end) = (texts.0 + offset(i)?, texts.0 + offset(i + 1)?);
        let bytes = all.get(start..end).ok_or(damaged.clone())?;
        found.push(std::str::from_utf8(bytes).map_err(|_| damaged.clone())?.to_owned());
    }
    Ok(found)
}

fn read_batch(batch: &Table<'_>, message: &[u8], body: Span, fields: &[Field]) -> Result<Batch, ArrowError> {
    let mut spans = spans(batch, message, body)?.into_iter();
    let rows = rows_of(batch)?;
    let damaged = ArrowError::Damaged { what: "a batch of rows", at: body.0 };
    let mut next = || spans.next().ok_or(damaged.clone());
    let mut columns = Vec::new();
    for field in fields {
        let validity = next()?;
        let mut view = View { validity: (validity.1 > 0).then_some(validity), ..View::default() };
        let (size, extra) = match field.kind {
            Kind::U16 | Kind::Text => (2, 0),
            Kind::U32 | Kind::F32 => (4, 0),
            Kind::F32List => (4, 1),
        };
        let fixed = next()?;
        if rows > 0 && rows.checked_add(extra).and_then(|n| n.checked_mul(size)).is_none_or(|size| size > fixed.1) {
            return Err(damaged);
        }
        if field.kind == Kind::F32List {
            next()?;
            view.offsets = fixed;
            view.values = next()?;
        } else {
            view.values = fixed;
        }
        columns.push(view);
    }
    Ok(Batch { rows, columns })
}
