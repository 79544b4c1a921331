//! The table: every cell's results, asked for by cell, data set, training length and seed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::arrow::ArrowFile;
use super::arrow::{Field, Kind};
use super::cells::{self, Cell};
use super::columns::{Columns, Curves, Run, SOURCE_KEY, VERSION, VERSION_KEY, curve_name};
use super::{BenchmarkError, Dataset, Quantity, Record, Setting};

/// Which runs a query looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seeds {
    /// The mean over all runs.
    #[default]
    Mean,
    /// The run with this seed.
    One(u32),
}

/// A row of the file.
#[derive(Clone, Copy, Debug)]
struct Row {
    batch: u32,
    row: u32,
}

/// An opened table: the bytes of a compact file in memory. A query reads only its rows, in microseconds.
pub struct Table {
    file: ArrowFile<Vec<u8>>,
    path: PathBuf,
    cells: Vec<Cell>,
    index: HashMap<Cell, u16>,
    datasets: Vec<Dataset>,
    /// The column of each quantity, and of its curve.
    values: [Option<usize>; Quantity::COUNT],
    curves: [Option<usize>; Quantity::COUNT],
    /// All rows by cell; those of cell `i` are `rows[starts[i]..starts[i + 1]]`.
    rows: Vec<Row>,
    starts: Vec<u32>,
}

impl Table {
    /// Opens the bytes of a compact file; `path` names them in errors.
    pub(super) fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, BenchmarkError> {
        let wrong = |reason: String| BenchmarkError::Compact { path: path.to_owned(), reason };
        let file = ArrowFile::open(bytes).map_err(BenchmarkError::compact(path))?;
        let version = file.metadata.iter().find(|(key, _)| key == VERSION_KEY).map(|(_, value)| value.as_str());
        if version != Some(VERSION) {
            return Err(wrong(format!("it is not a benchmark table of version {VERSION} (found: {version:?})")));
        }
        let keys = [("cell", Kind::Text), ("dataset", Kind::Text), ("epochs", Kind::U16), ("seed", Kind::U32)];
        for (i, (name, kind)) in keys.into_iter().enumerate() {
            if !file.fields.get(i).is_some_and(|field| field.name == name && field.kind == kind) {
                return Err(wrong(format!("column {i} is not `{name}`, or has another type")));
            }
        }
        let column =
            |name: &str, kind| file.fields.iter().position(|Field { name: n, kind: k }| n == name && *k == kind);
        let values = Quantity::ALL.map(|quantity| column(quantity.name(), Kind::F32));
        let curves = Quantity::ALL.map(|quantity| column(&curve_name(quantity), Kind::F32List));
        let [texts, datasets, ..] = &file.dictionaries[..] else {
            return Err(wrong("its dictionaries are missing".to_owned()));
        };
        let mut cells = Vec::with_capacity(texts.len());
        let mut index = HashMap::with_capacity(texts.len());
        for (i, text) in texts.iter().enumerate() {
            let cell = cells::parse(text).map_err(|reason| wrong(format!("cell {i}: {reason}")))?;
            let number = u16::try_from(i).map_err(|_| wrong("it has more than 65,536 cells".to_owned()))?;
            if let Some(first) = index.insert(cell, number) {
                return Err(wrong(format!("cells {first} and {i} are the same")));
            }
            cells.push(cell);
        }
        let datasets = datasets.iter().map(|name| name.parse()).collect::<Result<Vec<Dataset>, _>>()?;
        let batches: Vec<usize> = file.batches().collect();
        let mut starts = vec![0u32; cells.len() + 1];
        let mut of_rows = Vec::new();
        for (batch, &rows) in batches.iter().enumerate() {
            for row in 0..rows {
                let cell = file.u16(batch, 0, row).map(usize::from).filter(|cell| *cell < cells.len());
                let dataset = file.u16(batch, 1, row).filter(|dataset| usize::from(*dataset) < datasets.len());
                let epochs = file.u16(batch, 2, row).filter(|epochs| *epochs > 0);
                let (Some(cell), Some(_), Some(_)) = (cell, dataset, epochs) else {
                    return Err(wrong(format!("row {row} of batch {batch} names no cell, data set or length")));
                };
                starts[cell + 1] += 1;
                of_rows.push((cell, Row { batch: batch as u32, row: row as u32 }));
            }
        }
        for i in 0..cells.len() {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut rows = vec![Row { batch: 0, row: 0 }; of_rows.len()];
        for (cell, row) in of_rows {
            rows[next[cell] as usize] = row;
            next[cell] += 1;
        }
        Ok(Self { file, path: path.to_owned(), cells, index, datasets, values, curves, rows, starts })
    }

    /// Number of cells; their indices are `0..len()`.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the table has no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All cells, in the benchmark's order.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cell of this index.
    pub fn cell(&self, index: usize) -> Result<Cell, BenchmarkError> {
        self.cells.get(index).copied().ok_or_else(|| self.unknown(index.to_string()))
    }

    /// The index of a cell.
    pub fn index_of(&self, cell: Cell) -> Option<usize> {
        self.index.get(&cell).map(|index| usize::from(*index))
    }

    /// The index that a text means: a number, or a cell in the benchmark's notation.
    pub fn find(&self, text: &str) -> Result<usize, BenchmarkError> {
        let text = text.trim();
        if let Ok(index) = text.parse::<usize>() {
            return self.cell(index).map(|_| index);
        }
        let cell = cells::parse(text)?;
        self.index_of(cell).ok_or_else(|| self.unknown(format!("`{text}`")))
    }

    fn unknown(&self, asked: String) -> BenchmarkError {
        BenchmarkError::UnknownArchitecture { asked, known: self.len() }
    }

    fn rows_of(&self, index: usize) -> &[Row] {
        match (self.starts.get(index), self.starts.get(index + 1)) {
            (Some(&start), Some(&end)) => &self.rows[start as usize..end as usize],
            _ => &[],
        }
    }

    fn setting(&self, row: Row) -> Setting {
        let read = |column| self.file.u16(row.batch as usize, column, row.row as usize).unwrap_or(0);
        Setting { dataset: self.datasets[usize::from(read(1))], epochs: read(2) }
    }

    fn rows_for(&self, index: usize, setting: Setting) -> impl Iterator<Item = Row> + '_ {
        self.rows_of(index).iter().copied().filter(move |row| self.setting(*row) == setting)
    }

    fn seed(&self, row: Row) -> Option<u32> {
        self.file.u32(row.batch as usize, 3, row.row as usize)
    }

    fn value(&self, row: Row, quantity: Quantity) -> Option<f64> {
        self.file.f32(row.batch as usize, self.values[quantity as usize]?, row.row as usize).map(f64::from)
    }

    /// Data sets and training lengths that the table has results for, in order.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings: Vec<_> = self.rows.iter().map(|row| self.setting(*row)).collect();
        settings.sort_unstable();
        settings.dedup();
        settings
    }

    /// The seeds of a cell's runs, in the order of the file; `None` stands for a mean whose runs are not known.
    pub fn seeds(&self, index: usize, setting: Setting) -> Vec<Option<u32>> {
        self.rows_for(index, setting).map(|row| self.seed(row)).collect()
    }

    /// What is known of a cell's training.
    ///
    /// A mean is taken over the runs that have the number, as the benchmark's own API does: of latencies only
    /// positive ones count, and where the runs disagree on parameters or FLOPs (a fault of old files), seed 888 is right.
    pub fn query(&self, index: usize, setting: Setting, seeds: Seeds) -> Result<Record, BenchmarkError> {
        let rows = self.selected(index, setting, seeds)?;
        let runs = rows.iter().filter(|row| self.seed(**row).is_some()).count();
        Ok(Record::new(Quantity::ALL.map(|quantity| self.combine(&rows, quantity)), runs))
    }

    /// One number of [`query`](Self::query).
    pub fn get(
        &self,
        index: usize,
        setting: Setting,
        seeds: Seeds,
        quantity: Quantity,
    ) -> Result<Option<f64>, BenchmarkError> {
        Ok(self.combine(&self.selected(index, setting, seeds)?, quantity))
    }

    fn selected(&self, index: usize, setting: Setting, seeds: Seeds) -> Result<Vec<Row>, BenchmarkError> {
        self.cell(index)?;
        let mut rows: Vec<Row> = self.rows_for(index, setting).collect();
        if rows.is_empty() {
            return Err(BenchmarkError::NoResults { index, setting });
        }
        if let Seeds::One(seed) = seeds {
            rows.retain(|row| self.seed(*row) == Some(seed));
            if rows.is_empty() {
                let known: Vec<_> = self
                    .seeds(index, setting)
                    .into_iter()
                    .map(|seed| seed.map_or("the mean".to_owned(), |seed| seed.to_string()))
                    .collect();
                return Err(BenchmarkError::UnknownSeed { index, setting, seed, known: known.join(", ") });
            }
        }
        Ok(rows)
    }

    fn combine(&self, rows: &[Row], quantity: Quantity) -> Option<f64> {
        let mut values = rows.iter().filter_map(|row| self.value(*row, quantity));
        let first = values.next()?;
        let fits = |value: &f64| quantity != Quantity::Latency || *value > 0.0;
        let (mut sum, mut count, mut agree) = (0.0, 0usize, true);
        for value in std::iter::once(first).chain(values).filter(fits) {
            sum += value;
            count += 1;
            agree &= (value - first).abs() < 1e-5;
        }
        if !agree && matches!(quantity, Quantity::Parameters | Quantity::Flops) {
            let trusted = rows.iter().find(|row| self.seed(**row) == Some(888));
            if let Some(value) = trusted.and_then(|row| self.value(*row, quantity)) {
                return Some(value);
            }
        }
        (count > 0).then(|| sum / count as f64)
    }

    /// A quantity after every epoch (the mean over the runs that have it), if the table has the curve.
    pub fn curve(
        &self,
        index: usize,
        setting: Setting,
        seeds: Seeds,
        quantity: Quantity,
    ) -> Result<Option<Vec<f64>>, BenchmarkError> {
        let Some(column) = self.curves[quantity as usize] else { return Ok(None) };
        let mut sum = vec![0.0; usize::from(setting.epochs)];
        let mut count = 0.0;
        for row in self.selected(index, setting, seeds)? {
            let curve = self.file.list(row.batch as usize, column, row.row as usize);
            let Some(curve) = curve.filter(|curve| curve.len() == sum.len()) else { continue };
            count += 1.0;
            sum.iter_mut().zip(curve).for_each(|(sum, value)| *sum += f64::from(value));
        }
        Ok((count > 0.0).then(|| sum.into_iter().map(|sum| sum / count).collect()))
    }

    /// Every run of a cell, as the compact file has it.
    pub(super) fn runs(&self, index: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        for row in self.rows_of(index) {
            let (batch, at) = (row.batch as usize, row.row as usize);
            let mut run = Run::new(index as u16, self.setting(*row), self.seed(*row));
            for (i, value) in run.values.iter_mut().enumerate() {
                *value = self.values[i].and_then(|column| self.file.f32(batch, column, at));
            }
            for (i, curve) in run.curves.iter_mut().enumerate() {
                *curve = self.curves[i].and_then(|column| self.file.list(batch, column, at));
            }
            runs.push(run);
        }
        runs
    }

    /// The columns that the file has, less what `curves` leaves out.
    pub(super) fn columns(&self, curves: Curves) -> Columns {
        let present = |columns: &[Option<usize>]| -> Vec<Quantity> {
            Quantity::ALL.into_iter().filter(|quantity| columns[*quantity as usize].is_some()).collect()
        };
        let curves = if curves == Curves::None { Vec::new() } else { present(&self.curves) };
        Columns { quantities: present(&self.values), curves }
    }

    /// Where the data came from, as the file says.
    pub fn source(&self) -> String {
        let found = self.file.metadata.iter().find(|(key, _)| key == SOURCE_KEY);
        found.map_or_else(String::new, |(_, value)| value.clone())
    }

    /// The mean over the runs of every cell, by index; `None` where the table has none.
    pub fn means(&self, setting: Setting, quantity: Quantity) -> Vec<Option<f64>> {
        (0..self.len())
            .map(|index| self.combine(&self.rows_for(index, setting).collect::<Vec<_>>(), quantity))
            .collect()
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({}: {} cells, {} runs)", self.path.display(), self.cells.len(), self.rows.len())
    }
}
