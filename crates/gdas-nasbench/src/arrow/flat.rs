//! FlatBuffers, as far as Arrow's metadata use them: reading with every offset checked, and writing front to back.
//!
//! A table is a signed offset to its vtable, followed by its inline fields; the vtable gives each field's place. An
//! offset field points forward to a table, vector or string. See the FlatBuffers internals page.

use super::ArrowError;

/// Reads little-endian integers at any place of `bytes`.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], at: usize, what: &'static str) -> Result<[u8; N], ArrowError> {
    let end = at.checked_add(N).ok_or(ArrowError::Damaged { what, at })?;
    let slice = bytes.get(at..end).ok_or(ArrowError::Damaged { what, at })?;
    Ok(slice.try_into().expect("the slice has N bytes"))
}

/// A table inside `bytes`.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    slots: usize,
    what: &'static str,
}

impl<'a> Table<'a> {
    /// The root table of a buffer; `what` names the buffer in errors.
    pub(super) fn root(bytes: &'a [u8], what: &'static str) -> Result<Self, ArrowError> {
        let at = u32::from_le_bytes(bytes_at(bytes, 0, what)?) as usize;
        Self::at(bytes, at, what)
    }

    fn at(bytes: &'a [u8], at: usize, what: &'static str) -> Result<Self, ArrowError> {
        let back = i64::from(i32::from_le_bytes(bytes_at(bytes, at, what)?));
        let vtable = usize::try_from(at as i64 - back).map_err(|_| ArrowError::Damaged { what, at })?;
        let size = usize::from(u16::from_le_bytes(bytes_at(bytes, vtable, what)?));
        if size < 4 || size % 2 != 0 || bytes.len() < vtable + size {
            return Err(ArrowError::Damaged { what, at: vtable });
        }
        Ok(Self { bytes, at, vtable, slots: (size - 4) / 2, what })
    }

    /// Where the field of this slot lies; `None` where it has its default.
    fn place(&self, slot: usize) -> Result<Option<usize>, ArrowError> {
        if slot >= self.slots {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(bytes_at(self.bytes, self.vtable + 4 + 2 * slot, self.what)?);
        Ok((offset != 0).then(|| self.at + usize::from(offset)))
    }

    pub(super) fn u8(&self, slot: usize, default: u8) -> Result<u8, ArrowError> {
        let place = self.place(slot)?;
        place.map_or(Ok(default), |at| Ok(bytes_at::<1>(self.bytes, at, self.what)?[0]))
    }

    pub(super) fn i16(&self, slot: usize) -> Result<i16, ArrowError> {
        let place = self.place(slot)?;
        place.map_or(Ok(0), |at| Ok(i16::from_le_bytes(bytes_at(self.bytes, at, self.what)?)))
    }

    pub(super) fn i32(&self, slot: usize) -> Result<i32, ArrowError> {
        let place = self.place(slot)?;
        place.map_or(Ok(0), |at| Ok(i32::from_le_bytes(bytes_at(self.bytes, at, self.what)?)))
    }

    pub(super) fn i64(&self, slot: usize) -> Result<i64, ArrowError> {
        let place = self.place(slot)?;
        place.map_or(Ok(0), |at| Ok(i64::from_le_bytes(bytes_at(self.bytes, at, self.what)?)))
    }

    fn follow(&self, slot: usize) -> Result<Option<usize>, ArrowError> {
        let Some(at) = self.place(slot)? else { return Ok(None) };
        let offset = u32::from_le_bytes(bytes_at(self.bytes, at, self.what)?) as usize;
        Ok(Some(at + offset))
    }

    pub(super) fn table(&self, slot: usize) -> Result<Option<Table<'a>>, ArrowError> {
        self.follow(slot)?.map(|at| Self::at(self.bytes, at, self.what)).transpose()
    }

    /// Start and number of the elements of a vector whose elements take `size` bytes; (0, 0) where it is absent.
    pub(super) fn vector(&self, slot: usize, size: usize) -> Result<(usize, usize), ArrowError> {
        let Some(at) = self.follow(slot)? else { return Ok((0, 0)) };
        let count = u32::from_le_bytes(bytes_at(self.bytes, at, self.what)?) as usize;
        let start = at + 4;
        if count.checked_mul(size).and_then(|n| n.checked_add(start)).is_none_or(|end| end > self.bytes.len()) {
            return Err(ArrowError::Damaged { what: self.what, at });
        }
        Ok((start, count))
    }

    pub(super) fn text(&self, slot: usize) -> Result<&'a str, ArrowError> {
        let (start, count) = self.vector(slot, 1)?;
        let bytes = &self.bytes[start..start + count];
        std::str::from_utf8(bytes).map_err(|_| ArrowError::Damaged { what: self.what, at: start })
    }

    pub(super) fn tables(&self, slot: usize) -> Result<Vec<Table<'a>>, ArrowError> {
        let (start, count) = self.vector(slot, 4)?;
        let mut tables = Vec::with_capacity(count);
        for i in 0..count {
            let at = start + 4 * i;
            let offset = u32::from_le_bytes(bytes_at(self.bytes, at, self.what)?) as usize;
            tables.push(Self::at(self.bytes, at + offset, self.what)?);
        }
        Ok(tables)
    }

    /// The key-value pairs of a `[KeyValue]` field.
    pub(super) fn pairs(&self, slot: usize) -> Result<Vec<(String, String)>, ArrowError> {
        self.tables(slot)?.iter().map(|pair| Ok((pair.text(0)?.to_owned(), pair.text(1)?.to_owned()))).collect()
    }
}

/// A field of a table being written.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    /// The default: takes no room.
    Absent,
    U8(u8),
    I16(i16),
    I32(i32),
    I64(i64),
    /// To be filled in by [`Builder::point`].
    Offset,
}

/// Writes a FlatBuffer front to back: a table first, then what its offset fields point to.
pub(super) struct Builder {
    pub(super) bytes: Vec<u8>,
}

/// Places of the slots of a table that was written.
pub(super) struct Places {
    table: usize,
    slots: Vec<usize>,
}

impl Places {
    pub(super) fn slot(&self, slot: usize) -> usize {
        self.slots[slot]
    }
}

impl Builder {
    /// Begins a buffer with its root table.
    pub(super) fn root(slots: &[Slot]) -> (Self, Places) {
        let mut builder = Self { bytes: vec![0; 4] };
        let places = builder.table(slots);
        builder.bytes[..4].copy_from_slice(&(places.table as u32).to_le_bytes());
        (builder, places)
    }

    fn align(&mut self, to: usize) {
        let padded = self.bytes.len().next_multiple_of(to);
        self.bytes.resize(padded, 0);
    }

    fn patch(&mut self, from: usize, to: usize) {
        self.bytes[from..from + 4].copy_from_slice(&((to - from) as u32).to_le_bytes());
    }

    fn table(&mut self, slots: &[Slot]) -> Places {
        let vtable_size = 4 + 2 * slots.len();
        // The vtable comes first and ends where the table, aligned to eight bytes, begins.
        let table = (self.bytes.len() + vtable_size).next_multiple_of(8);
        self.bytes.resize(table - vtable_size, 0);
        let vtable = self.bytes.len();
        self.bytes.resize(table, 0);
        self.bytes.extend((vtable_size as i32).to_le_bytes());
        let mut places = Vec::new();
        for (i, slot) in slots.iter().enumerate() {
            let (align, value): (usize, Vec<u8>) = match slot {
                Slot::Absent => {
                    places.push(0);
                    continue;
                }
                Slot::U8(v) => (1, vec![*v]),
                Slot::I16(v) => (2, v.to_le_bytes().to_vec()),
                Slot::I32(v) => (4, v.to_le_bytes().to_vec()),
                Slot::I64(v) => (8, v.to_le_bytes().to_vec()),
                Slot::Offset => (4, vec![0; 4]),
            };
            self.align(align);
            let place = self.bytes.len();
            places.push(place);
            self.bytes.extend(value);
            let entry = vtable + 4 + 2 * i;
            self.bytes[entry..entry + 2].copy_from_slice(&((place - table) as u16).to_le_bytes());
        }
        let size = (self.bytes.len() - table) as u16;
        self.bytes[vtable..vtable + 2].copy_from_slice(&(vtable_size as u16).to_le_bytes());
        self.bytes[vtable + 2..vtable + 4].copy_from_slice(&size.to_le_bytes());
        Places { table, slots: places }
    }

    /// Writes a table and points the offset at `from` to it.
    pub(super) fn point_to_table(&mut self, from: usize, slots: &[Slot]) -> Places {
        let places = self.table(slots);
        self.patch(from, places.table);
        places
    }

    /// Writes a string and points the offset at `from` to it.
    pub(super) fn point_to_text(&mut self, from: usize, text: &str) {
        self.align(4);
        let at = self.bytes.len();
        self.patch(from, at);
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// Writes a vector of structs of `i64`s (whose padding is part of the numbers given).
    pub(super) fn point_to_longs(&mut self, from: usize, structs: &[&[i64]]) {
        self.align(8);
        self.bytes.extend([0; 4]);
        let at = self.bytes.len();
        self.patch(from, at);
        self.bytes.extend((structs.len() as u32).to_le_bytes());
        for value in structs.iter().flat_map(|s| s.iter()) {
            self.bytes.extend(value.to_le_bytes());
        }
    }

    /// Writes a vector of `count` offsets, to be filled in; gives their places.
    pub(super) fn point_to_offsets(&mut self, from: usize, count: usize) -> Vec<usize> {
        self.align(4);
        let at = self.bytes.len();
        self.patch(from, at);
        self.bytes.extend((count as u32).to_le_bytes());
        let places = (0..count).map(|i| at + 4 + 4 * i).collect();
        self.bytes.resize(at + 4 + 4 * count, 0);
        places
    }

    /// Writes a `[KeyValue]`.
    pub(super) fn point_to_pairs(&mut self, from: usize, pairs: &[(String, String)]) {
        for (place, (key, value)) in self.point_to_offsets(from, pairs.len()).into_iter().zip(pairs) {
            let pair = self.point_to_table(place, &[Slot::Offset, Slot::Offset]);
            self.point_to_text(pair.slot(0), key);
            self.point_to_text(pair.slot(1), value);
        }
    }
}
