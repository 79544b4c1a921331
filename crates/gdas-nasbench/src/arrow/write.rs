//! Writing an Arrow IPC file, batch by batch, so that no more than one batch is in memory.

use std::io::{self, Write};

use super::flat::{Builder, Slot};
use super::{
    DIGEST_KEY, Field, HEADER_DICTIONARY, HEADER_RECORDS, HEADER_SCHEMA, Kind, MAGIC, PRECISION_SINGLE, TYPE_FLOAT,
    TYPE_INT, TYPE_LIST, TYPE_UTF8, VERSION_V5,
};

/// The values of one column of a batch, in the order of the rows.
#[derive(Clone, Debug)]
pub(in super::super) enum Column {
    U16(Vec<u16>),
    U32(Vec<Option<u32>>),
    F32(Vec<Option<f32>>),
    F32List(Vec<Option<Vec<f32>>>),
    /// Keys into the column's dictionary.
    Text(Vec<u16>),
}

/// An Arrow IPC file being written.
pub(in super::super) struct ArrowWriter<W> {
    out: W,
    digest: blake3::Hasher,
    position: usize,
    fields: Vec<Field>,
    metadata: Vec<(String, String)>,
    dictionaries: Vec<[i64; 3]>,
    batches: Vec<[i64; 3]>,
}

impl<W: Write> ArrowWriter<W> {
    /// Begins the file with the schema.
    pub(in super::super) fn new(out: W, fields: Vec<Field>, metadata: Vec<(String, String)>) -> io::Result<Self> {
        let mut writer = Self {
            out,
            digest: blake3::Hasher::new(),
            position: 0,
            fields,
            metadata,
            dictionaries: Vec::new(),
            batches: Vec::new(),
        };
        writer.put(b"ARROW1\0\0")?;
        let (mut message, places) =
            Builder::root(&[Slot::I16(VERSION_V5), Slot::U8(HEADER_SCHEMA), Slot::Offset, Slot::I64(0)]);
        writer.schema(&mut message, places.slot(2));
        writer.message(&message.bytes, &[])?;
        Ok(writer)
    }

    /// Writes a batch of rows; the columns are those of the schema, all of one length.
    pub(in super::super) fn batch(&mut self, columns: &[Column]) -> io::Result<()> {
        assert_eq!(columns.len(), self.fields.len(), "a batch has the columns of the schema");
        let mut body = Body::default();
        let mut rows = 0;
        for column in columns {
            rows = body.column(column);
        }
        let (mut message, places) = Builder::root(&[
            Slot::I16(VERSION_V5),
            Slot::U8(HEADER_RECORDS),
            Slot::Offset,
            Slot::I64(body.bytes.len() as i64),
        ]);
        body.describe(&mut message, places.slot(2), rows);
        let block = self.message(&message.bytes, &body.bytes)?;
        self.batches.push(block);
        Ok(())
    }

    /// Writes the dictionaries (one list of texts for each [`Kind::Text`] field, in order; the file format lets them
    /// follow the rows that use them) and the footer, and gives the sink back.
    pub(in super::super) fn finish(mut self, dictionaries: &[Vec<String>]) -> io::Result<W> {
        for (id, texts) in dictionaries.iter().enumerate() {
            let mut body = Body::default();
            body.node(texts.len(), 0);
            body.buffer(&[]);
            let mut end = 0i32;
            let mut offsets = end.to_le_bytes().to_vec();
            for text in texts {
                end += text.len() as i32;
                offsets.extend(end.to_le_bytes());
            }
            body.buffer(&offsets);
            body.buffer(texts.concat().as_bytes());
            let (mut message, places) = Builder::root(&[
                Slot::I16(VERSION_V5),
                Slot::U8(HEADER_DICTIONARY),
                Slot::Offset,
                Slot::I64(body.bytes.len() as i64),
            ]);
            let batch = message.point_to_table(places.slot(2), &[Slot::I64(id as i64), Slot::Offset]);
            body.describe(&mut message, batch.slot(1), texts.len());
            let block = self.message(&message.bytes, &body.bytes)?;
            self.dictionaries.push(block);
        }
        self.put(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])?;
        let digest = self.digest.finalize().to_hex().to_string();
        let (mut footer, places) =
            Builder::root(&[Slot::I16(VERSION_V5), Slot::Offset, Slot::Offset, Slot::Offset, Slot::Offset]);
        self.schema(&mut footer, places.slot(1));
        for (slot, blocks) in [(2, &self.dictionaries), (3, &self.batches)] {
            let blocks: Vec<&[i64]> = blocks.iter().map(<[i64; 3]>::as_slice).collect();
            footer.point_to_longs(places.slot(slot), &blocks);
        }
        footer.point_to_pairs(places.slot(4), &[(DIGEST_KEY.to_owned(), digest)]);
        self.put(&footer.bytes)?;
        self.put(&(footer.bytes.len() as i32).to_le_bytes())?;
        self.put(MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.position += bytes.len();
        self.out.write_all(bytes)
    }

    /// Writes an encapsulated message; gives its block (offset, length of the metadata, length of the body).
    fn message(&mut self, metadata: &[u8], body: &[u8]) -> io::Result<[i64; 3]> {
        let start = self.position;
        let padded = metadata.len().next_multiple_of(8);
        self.put(&[0xFF; 4])?;
        self.put(&(padded as i32).to_le_bytes())?;
        self.put(metadata)?;
        self.put(&vec![0; padded - metadata.len()])?;
        self.put(body)?;
        Ok([start as i64, (padded + 8) as i64, body.len() as i64])
    }

    fn schema(&self, message: &mut Builder, from: usize) {
        let schema = message.point_to_table(from, &[Slot::I16(0), Slot::Offset, Slot::Offset]);
        let places = message.point_to_offsets(schema.slot(1), self.fields.len());
        let mut id = 0;
        for (place, field) in places.into_iter().zip(&self.fields) {
            let (type_code, type_slots): (u8, &[Slot]) = match field.kind {
                Kind::U16 => (TYPE_INT, &[Slot::I32(16), Slot::U8(0)]),
                Kind::U32 => (TYPE_INT, &[Slot::I32(32), Slot::U8(0)]),
                Kind::F32 => (TYPE_FLOAT, &[Slot::I16(PRECISION_SINGLE)]),
                Kind::F32List => (TYPE_LIST, &[]),
                Kind::Text => (TYPE_UTF8, &[]),
            };
            let nullable = u8::from(!matches!(field.kind, Kind::U16 | Kind::Text));
            let dictionary = if field.kind == Kind::Text { Slot::Offset } else { Slot::Absent };
            let written = message.point_to_table(
                place,
                &[Slot::Offset, Slot::U8(nullable), Slot::U8(type_code), Slot::Offset, dictionary, Slot::Offset],
            );
            message.point_to_text(written.slot(0), &field.name);
            message.point_to_table(written.slot(3), type_slots);
            if field.kind == Kind::Text {
                let encoding = message.point_to_table(written.slot(4), &[Slot::I64(id), Slot::Offset, Slot::U8(0)]);
                message.point_to_table(encoding.slot(1), &[Slot::I32(16), Slot::U8(0)]);
                id += 1;
            }
            let children = message.point_to_offsets(written.slot(5), usize::from(field.kind == Kind::F32List));
            for child in children {
                let item = message.point_to_table(
                    child,
                    &[Slot::Offset, Slot::U8(0), Slot::U8(TYPE_FLOAT), Slot::Offset, Slot::Absent, Slot::Offset],
                );
                message.point_to_text(item.slot(0), "item");
                message.point_to_table(item.slot(3), &[Slot::I16(PRECISION_SINGLE)]);
                message.point_to_offsets(item.slot(5), 0);
            }
        }
        message.point_to_pairs(schema.slot(2), &self.metadata);
    }
}

/// The body of a batch and the description of its buffers.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    nodes: Vec<[i64; 2]>,
    buffers: Vec<[i64; 2]>,
}

impl Body {
    fn node(&mut self, length: usize, nulls: usize) {
        self.nodes.push([length as i64, nulls as i64]);
    }

    /// Appends a buffer, padded to 64 bytes as the format recommends.
    fn buffer(&mut self, bytes: &[u8]) {
        self.buffers.push([self.bytes.len() as i64, bytes.len() as i64]);
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0);
    }

    /// Node and validity bitmap; the bitmap is left out where nothing is missing.
    fn presence(&mut self, present: impl ExactSizeIterator<Item = bool>) {
        let length = present.len();
        let mut bitmap = vec![0u8; length.div_ceil(8)];
        let mut nulls = length;
        for (i, _) in present.enumerate().filter(|(_, present)| *present) {
            bitmap[i / 8] |= 1 << (i % 8);
            nulls -= 1;
        }
        self.node(length, nulls);
        self.buffer(if nulls == 0 { &[] } else { &bitmap });
    }

    fn column(&mut self, column: &Column) -> usize {
        match column {
            Column::U16(values) | Column::Text(values) => {
                self.presence(values.iter().map(|_| true));
                self.buffer(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
                values.len()
            }
            Column::U32(values) => {
                self.presence(values.iter().map(Option::is_some));
                self.buffer(&values.iter().flat_map(|v| v.unwrap_or(0).to_le_bytes()).collect::<Vec<_>>());
                values.len()
            }
            Column::F32(values) => {
                self.presence(values.iter().map(Option::is_some));
                self.buffer(&values.iter().flat_map(|v| v.unwrap_or(0.0).to_le_bytes()).collect::<Vec<_>>());
                values.len()
            }
            Column::F32List(values) => {
                self.presence(values.iter().map(Option::is_some));
                let mut end = 0i32;
                let mut offsets = end.to_le_bytes().to_vec();
                let mut items = Vec::new();
                for list in values {
                    let list = list.as_deref().unwrap_or(&[]);
                    end += list.len() as i32;
                    offsets.extend(end.to_le_bytes());
                    items.extend(list.iter().flat_map(|v| v.to_le_bytes()));
                }
                self.buffer(&offsets);
                self.node(end as usize, 0);
                self.buffer(&[]);
                self.buffer(&items);
                values.len()
            }
        }
    }

    fn describe(&self, message: &mut Builder, from: usize, rows: usize) {
        let batch = message.point_to_table(from, &[Slot::I64(rows as i64), Slot::Offset, Slot::Offset]);
        let nodes: Vec<&[i64]> = self.nodes.iter().map(<[i64; 2]>::as_slice).collect();
        message.point_to_longs(batch.slot(1), &nodes);
        let buffers: Vec<&[i64]> = self.buffers.iter().map(<[i64; 2]>::as_slice).collect();
        message.point_to_longs(batch.slot(2), &buffers);
    }
}
