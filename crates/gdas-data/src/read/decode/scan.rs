//! Checks that a baseline JPEG has data for all of its blocks (ITU-T T.81, F.2). Decoders invent missing blocks before an
//! end-of-image marker, as in a file that was truncated and closed again.

use super::CUT_OFF;

/// Checks a JPEG with a single baseline scan; other JPEGs are left to the decoder.
///
/// # Errors
/// If the scan ends before its last block.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    match Scan::find(bytes).and_then(|scan| scan.is_complete()) {
        Some(false) => Err(CUT_OFF.into()),
        _ => Ok(()),
    }
}

/// A Huffman table.
#[derive(Clone)]
struct Table {
    /// Length and symbol of the code at the start of these eight bits; length 0 for longer codes.
    short: [(u8, u8); 256],
    /// For each length: the first code, the number of codes, and the index of the first symbol.
    long: [(u32, u32, usize); 17],
    symbols: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8], symbols: &[u8]) -> Self {
        let mut table = Self { short: [(0, 0); 256], long: [(0, 0, 0); 17], symbols: symbols.into() };
        let (mut code, mut at) = (0u32, 0);
        for (length, &count) in (1..).zip(counts) {
            table.long[length] = (code, u32::from(count), at);
            for _ in 0..count {
                if length <= 8 && at < symbols.len() {
                    let first = (code << (8 - length)) as usize & 0xff;
                    let last = (first + (1 << (8 - length))).min(256);
                    table.short[first..last].fill((length as u8, symbols[at]));
                }
                code += 1;
                at += 1;
            }
            code <<= 1;
        }
        table
    }
}

/// A colour component in an MCU: its number of blocks and its Huffman tables.
struct Component {
    id: u8,
    across: usize,
    down: usize,
    dc: usize,
    ac: usize,
}

/// The scan of a baseline image.
struct Scan<'b> {
    data: &'b [u8],
    groups: usize,
    components: Vec<Component>,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: usize,
}

impl<'b> Scan<'b> {
    fn find(bytes: &'b [u8]) -> Option<Self> {
        let mut scan = Self {
            data: &[],
            groups: 0,
            components: Vec::new(),
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
        };
        let (mut width, mut height) = (0, 0);
        let mut at = 2;
        loop {
            at += bytes.get(at..)?.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0xff && pair[1] != 0)?;
            let marker = bytes[at + 1];
            at += 2;
            if matches!(marker, 0xd0..=0xd8 | 0x01) {
                continue;
            }
            let length = usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
            let body = bytes.get(at + 2..at + length)?;
            at += length;
            match marker {
                0xc0 | 0xc1 => {
                    height = usize::from(u16::from_be_bytes([*body.get(1)?, *body.get(2)?]));
                    width = usize::from(u16::from_be_bytes([*body.get(3)?, *body.get(4)?]));
                    for part in body.get(6..)?.chunks_exact(3) {
                        let (across, down) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
                        scan.components.push(Component { id: part[0], across, down, dc: 0, ac: 0 });
                    }
                }
                0xc4 => {
                    let mut rest = body;
                    while let [class, after @ ..] = rest {
                        let counts = after.get(..16)?;
                        let n: usize = counts.iter().map(|&count| usize::from(count)).sum();
                        let table = Table::new(counts, after.get(16..16 + n)?);
                        let tables = if class >> 4 == 0 { &mut scan.dc } else { &mut scan.ac };
                        *tables.get_mut(usize::from(class & 15))? = Some(table);
                        rest = &after[16 + n..];
                    }
                }
                0xdd => scan.restart = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?])),
                0xda => {
                    // A scan of some of the components is left to the decoder.
                    let count = usize::from(*body.first()?);
                    if count != scan.components.len() || count == 0 {
                        return None;
                    }
                    for part in body.get(1..=2 * count)?.chunks_exact(2) {
                        let component = scan.components.iter_mut().find(|component| component.id == part[0])?;
                        (component.dc, component.ac) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
                    }
                    scan.data = bytes.get(at..)?;
                    let most = |f: fn(&Component) -> usize| scan.components.iter().map(f).max().unwrap_or(0);
                    let (across, down) = (most(|c| c.across), most(|c| c.down));
                    if across == 0 || down == 0 || width == 0 || height == 0 {
                        return None;
                    }
                    if count == 1 {
                        (scan.components[0].across, scan.components[0].down) = (1, 1);
                        scan.groups = width.div_ceil(8) * height.div_ceil(8);
                    } else {
                        scan.groups = width.div_ceil(8 * across) * height.div_ceil(8 * down);
                    }
                    return Some(scan);
                }
                // Progressive, lossless or arithmetic coding is left to the decoder.
                0xc2 | 0xc3 | 0xc5..=0xcf => return None,
                _ => {}
            }
        }
    }

    /// Whether there is data for every block; `None` if the data are invalid.
    fn is_complete(&self) -> Option<bool> {
        let mut bits = Bits { data: self.data, at: 0, held: 0, count: 0, ended: false };
        for group in 0..self.groups {
            if self.restart > 0 && group > 0 && group % self.restart == 0 {
                match bits.restart() {
                    Ok(()) => {}
                    Err(Stop::End) => return Some(false),
                    Err(Stop::Invalid) => return None,
                }
            }
            for component in &self.components {
                let (dc, ac) = (self.dc.get(component.dc)?.as_ref()?, self.ac.get(component.ac)?.as_ref()?);
                for _ in 0..component.across * component.down {
                    match bits.block(dc, ac) {
                        Ok(()) => {}
                        Err(Stop::End) => return Some(false),
                        Err(Stop::Invalid) => return None,
                    }
                }
            }
        }
        Some(true)
    }
}

enum Stop {
    /// No bits are left.
    End,
    /// An invalid Huffman code.
    Invalid,
}

/// The bits of a scan, up to its next marker.
struct Bits<'b> {
    data: &'b [u8],
    at: usize,
    /// The next bits, the first of them highest.
    held: u64,
    count: u32,
    ended: bool,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 && !self.ended {
            let byte = match self.data.get(self.at) {
                None => {
                    self.ended = true;
                    break;
                }
                Some(0xff) => match self.data.get(self.at + 1) {
                    Some(0) => {
                        self.at += 2;
                        0xff
                    }
                    // Padding.
                    Some(0xff) => {
                        self.at += 1;
                        continue;
                    }
                    _ => {
                        self.ended = true;
                        break;
                    }
                },
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn skip(&mut self, bits: u32) -> Result<(), Stop> {
        if self.count < bits {
            self.fill();
            if self.count < bits {
                return Err(Stop::End);
            }
        }
        self.held <<= bits;
        self.count -= bits;
        Ok(())
    }

    fn symbol(&mut self, table: &Table) -> Result<u8, Stop> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = table.short[(self.held >> 56) as usize];
        if length > 0 {
            return self.skip(u32::from(length)).map(|()| symbol);
        }
        for length in 9..=16u32 {
            let code = (self.held >> (64 - length)) as u32;
            let (first, count, place) = table.long[length as usize];
            if code >= first && code - first < count {
                let symbol = table.symbols.get(place + (code - first) as usize).copied().ok_or(Stop::Invalid)?;
                return self.skip(length).map(|()| symbol);
            }
        }
        if self.count < 16 { Err(Stop::End) } else { Err(Stop::Invalid) }
    }

    /// Skips one block of 64 coefficients.
    fn block(&mut self, dc: &Table, ac: &Table) -> Result<(), Stop> {
        let bits = self.symbol(dc)?;
        self.skip(u32::from(bits.min(16)))?;
        let mut k = 1;
        while k < 64 {
            let symbol = self.symbol(ac)?;
            let (zeros, bits) = (symbol >> 4, symbol & 15);
            match (zeros, bits) {
                (15, 0) => k += 16,
                (_, 0) => break,
                _ => {
                    k += u32::from(zeros) + 1;
                    self.skip(bits.into())?;
                }
            }
        }
        Ok(())
    }

    /// Continues after the restart marker that must follow.
    fn restart(&mut self) -> Result<(), Stop> {
        self.fill();
        match self.data.get(self.at..self.at + 2) {
            Some([0xff, 0xd0..=0xd7]) if self.ended => {
                (self.at, self.held, self.count, self.ended) = (self.at + 2, 0, 0, false);
                Ok(())
            }
            None | Some([0xff, 0xd9]) if self.ended => Err(Stop::End),
            _ => Err(Stop::Invalid),
        }
    }
}
