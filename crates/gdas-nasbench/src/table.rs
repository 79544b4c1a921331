//! The table of training results, queried by cell, data set, training length and seed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::cells::{self, CANDIDATES, Cell, EDGES};
use super::columns::{
    Columns, Curves, DATASETS_KEY, NO_SEED, Run, SOURCE_KEY, VERSION, VERSION_KEY, curve_name, starts_name,
};
use super::compact::CompactFile;
use super::{BenchmarkError, Dataset, Quantity, Record, Setting};

/// Which runs of a cell a query uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seeds {
    /// The mean over all runs.
    #[default]
    Mean,
    /// The run with this seed.
    One(u32),
}

/// Index of a row of the file.
type Row = usize;

/// The learning curves of one quantity: that of row `i` is `numbers[starts[i]..starts[i + 1]]`.
struct ByEpoch {
    starts: Vec<u64>,
    numbers: Vec<f32>,
}

impl ByEpoch {
    fn of(&self, row: Row) -> Option<&[f32]> {
        let (start, end) = (*self.starts.get(row)?, *self.starts.get(row + 1)?);
        let curve = self.numbers.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        (!curve.is_empty()).then_some(curve)
    }
}

/// A benchmark table in memory. A query takes microseconds.
pub struct Table {
    path: PathBuf,
    source: String,
    cells: Vec<Cell>,
    index: HashMap<Cell, u16>,
    /// Data set and training length of each row.
    settings: Vec<Setting>,
    seeds: Vec<u32>,
    /// Values of each quantity by row, NaN if missing; and its curves.
    values: [Option<Vec<f32>>; Quantity::COUNT],
    curves: [Option<ByEpoch>; Quantity::COUNT],
    /// All rows by cell; those of cell `i` are `rows[starts[i]..starts[i + 1]]`.
    rows: Vec<Row>,
    starts: Vec<u32>,
}

impl Table {
    /// Reads the bytes of a compact file; `path` is used in errors.
    pub(super) fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, BenchmarkError> {
        let wrong = |reason: String| BenchmarkError::Compact { path: path.to_owned(), reason };
        let file = CompactFile::open(bytes).map_err(wrong)?;
        let version = file.metadata(VERSION_KEY);
        if version != Some(VERSION) {
            return Err(wrong(format!("it is not a benchmark table of version {VERSION} (found: {version:?})")));
        }
        let texts = String::from_utf8(file.take("cells").map_err(wrong)?);
        let texts = texts.map_err(|_| wrong("the texts of its cells are damaged".to_owned()))?;
        let mut cells = Vec::new();
        let mut index = HashMap::new();
        for (i, text) in texts.lines().enumerate() {
            let cell = cells::parse(text).map_err(|reason| wrong(format!("cell {i}: {reason}")))?;
            let number = u16::try_from(i).map_err(|_| wrong("it has more than 65,536 cells".to_owned()))?;
            if let Some(first) = index.insert(cell, number) {
                return Err(wrong(format!("cells {first} and {i} are the same")));
            }
            cells.push(cell);
        }
        let datasets = file.metadata(DATASETS_KEY).unwrap_or_default().split(',');
        let datasets = datasets.map(str::parse).collect::<Result<Vec<Dataset>, _>>()?;
        let [of_cell, of_dataset, epochs] = ["cell", "dataset", "epochs"].map(|name| file.take::<u16>(name));
        let (of_cell, of_dataset) = (of_cell.map_err(wrong)?, of_dataset.map_err(wrong)?);
        let (epochs, seeds) = (epochs.map_err(wrong)?, file.take::<u32>("seed").map_err(wrong)?);
        let count = of_cell.len();
        if [of_dataset.len(), epochs.len(), seeds.len()] != [count; 3] {
            return Err(wrong("its columns differ in length".to_owned()));
        }
        let mut starts = vec![0u32; cells.len() + 1];
        let mut settings = Vec::with_capacity(count);
        for row in 0..count {
            let dataset = datasets.get(usize::from(of_dataset[row])).copied();
            let (true, Some(dataset), 1..) = (usize::from(of_cell[row]) < cells.len(), dataset, epochs[row]) else {
                return Err(wrong(format!("row {row} names no cell, data set or length")));
            };
            settings.push(Setting::new(dataset, epochs[row]));
            starts[usize::from(of_cell[row]) + 1] += 1;
        }
        for i in 0..cells.len() {
            starts[i + 1] += starts[i];
        }
        let mut rows: Vec<Row> = (0..count).collect();
        rows.sort_by_key(|row| of_cell[*row]);
        let mut values = [const { None }; Quantity::COUNT];
        let mut curves = [const { None }; Quantity::COUNT];
        for quantity in Quantity::ALL {
            let found = file.find::<f32>(quantity.name()).map_err(wrong)?;
            if found.as_ref().is_some_and(|found| found.len() != count) {
                return Err(wrong("its columns differ in length".to_owned()));
            }
            values[quantity as usize] = found;
            if let Some(numbers) = file.find(&curve_name(quantity)).map_err(wrong)? {
                let starts = file.take(&starts_name(quantity)).map_err(wrong)?;
                curves[quantity as usize] = Some(ByEpoch { starts, numbers });
            }
        }
        let (path, source) = (path.to_owned(), file.metadata(SOURCE_KEY).unwrap_or_default().to_owned());
        Ok(Self { path, source, cells, index, settings, seeds, values, curves, rows, starts })
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

    /// Parses the index of a cell: a number, or a cell in the benchmark's notation.
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

    fn rows_for(&self, index: usize, setting: Setting) -> impl Iterator<Item = Row> + '_ {
        self.rows_of(index).iter().copied().filter(move |row| self.settings[*row] == setting)
    }

    fn seed(&self, row: Row) -> Option<u32> {
        Some(self.seeds[row]).filter(|seed| *seed != NO_SEED)
    }

    fn value(&self, row: Row, quantity: Quantity) -> Option<f64> {
        self.values[quantity as usize].as_ref().map(|values| f64::from(values[row])).filter(|value| !value.is_nan())
    }

    /// Data sets and training lengths that the table has results for, in order.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = self.settings.clone();
        settings.sort_unstable();
        settings.dedup();
        settings
    }

    /// The seeds of a cell's runs, in the order of the file; `None` for a row that is a mean over the seeds.
    pub fn seeds(&self, index: usize, setting: Setting) -> Vec<Option<u32>> {
        self.rows_for(index, setting).map(|row| self.seed(row)).collect()
    }

    /// The quantities of a cell's training.
    ///
    /// Means are taken over the runs that have the value, as by the benchmark's API: only positive latencies count, and where
    /// the runs disagree on parameters or FLOPs (an error of old files), the value of seed 888 is used.
    pub fn query(&self, index: usize, setting: Setting, seeds: Seeds) -> Result<Record, BenchmarkError> {
        let rows = self.selected(index, setting, seeds)?;
        let runs = rows.iter().filter(|row| self.seed(**row).is_some()).count();
        Ok(Record::new(Quantity::ALL.map(|quantity| self.combine(&rows, quantity)), runs))
    }

    /// One quantity of [`query`](Self::query).
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
        let Some(curves) = &self.curves[quantity as usize] else { return Ok(None) };
        let mut sum = vec![0.0; usize::from(setting.epochs)];
        let mut count = 0.0;
        for row in self.selected(index, setting, seeds)? {
            let Some(curve) = curves.of(row).filter(|curve| curve.len() == sum.len()) else { continue };
            count += 1.0;
            sum.iter_mut().zip(curve).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        Ok((count > 0.0).then(|| sum.into_iter().map(|sum| sum / count).collect()))
    }

    /// All runs of a cell as in the compact file.
    pub(super) fn runs(&self, index: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        for &row in self.rows_of(index) {
            let mut run = Run::new(index as u16, self.settings[row], self.seed(row));
            for quantity in Quantity::ALL {
                run.values[quantity as usize] = self.value(row, quantity).map(|value| value as f32);
            }
            for (curve, known) in run.curves.iter_mut().zip(&self.curves) {
                *curve = known.as_ref().and_then(|known| known.of(row)).map(<[f32]>::to_vec);
            }
            runs.push(run);
        }
        runs
    }

    /// The columns of the table, without the curves that `curves` excludes.
    pub(super) fn columns(&self, curves: Curves) -> Columns {
        let all = || Quantity::ALL.into_iter();
        let with_curves = all().filter(|quantity| curves != Curves::None && self.curves[*quantity as usize].is_some());
        Columns {
            quantities: all().filter(|quantity| self.values[*quantity as usize].is_some()).collect(),
            curves: with_curves.collect(),
        }
    }

    /// The origin of the data, as recorded in the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The mean over the runs of every cell, by index; `None` if the table has none.
    pub fn means(&self, setting: Setting, quantity: Quantity) -> Vec<Option<f64>> {
        (0..self.len())
            .map(|index| self.combine(&self.rows_for(index, setting).collect::<Vec<_>>(), quantity))
            .collect()
    }

    /// Mean of the quantity over all cells with an operation on an edge, `[edges][operations]`; NaN if there is no such cell.
    pub fn operation_means(&self, setting: Setting, quantity: Quantity) -> [[f64; CANDIDATES]; EDGES] {
        let (mut sums, mut counts) = ([[0.0; CANDIDATES]; EDGES], [[0.0; CANDIDATES]; EDGES]);
        for (cell, value) in self.cells.iter().zip(self.means(setting, quantity)) {
            let Some(value) = value else { continue };
            for (edge, &operation) in cell.iter().enumerate() {
                sums[edge][usize::from(operation)] += value;
                counts[edge][usize::from(operation)] += 1.0;
            }
        }
        std::array::from_fn(|edge| std::array::from_fn(|operation| sums[edge][operation] / counts[edge][operation]))
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({}: {} cells, {} runs)", self.path.display(), self.cells.len(), self.rows.len())
    }
}
