//! The columns of the compact file, and its writer.

use std::io::{self, Write};

use super::compact::{self, Column};
use super::{Dataset, Quantity, Setting};

pub(super) const VERSION_KEY: &str = "gdas.table";
pub(super) const SOURCE_KEY: &str = "gdas.source";
/// Version 1 was an Arrow file.
pub(super) const VERSION: &str = "2";
pub(super) const DATASETS_KEY: &str = "datasets";
/// Seed in the file for a row that is a mean over the seeds.
pub(super) const NO_SEED: u32 = u32::MAX;

/// Which learning curves a compact file contains. The complete table of NAS-Bench-201 takes about 15 MB without
/// curves, about 30 MB more with those of the short runs, and about 500 MB more with all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curves {
    /// No curves: the last epoch only.
    None,
    /// Curves of the 12-epoch runs, which multi-fidelity algorithms need.
    #[default]
    Short,
    /// All curves.
    All,
}

/// One training run, to be added to a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The cell, by the benchmark's index.
    pub index: u16,
    /// Data set and length of the training.
    pub setting: Setting,
    /// The seed; `None` for a mean over the seeds.
    pub seed: Option<u32>,
    /// The quantities after the last epoch, in the order of [`Quantity::ALL`].
    pub values: [Option<f32>; Quantity::COUNT],
    /// The first [`Quantity::PER_EPOCH`] quantities after every epoch.
    pub curves: [Option<Vec<f32>>; Quantity::PER_EPOCH],
}

impl Run {
    /// A run without values.
    pub fn new(index: u16, setting: Setting, seed: Option<u32>) -> Self {
        Self { index, setting, seed, values: [None; Quantity::COUNT], curves: Default::default() }
    }

    /// Sets a quantity.
    pub fn set(&mut self, quantity: Quantity, value: f64) {
        self.values[quantity as usize] = Some(value as f32);
    }
}

/// Which columns a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The quantities.
    pub quantities: Vec<Quantity>,
    /// The quantities with learning curves; only those of which `(q as usize) < Quantity::PER_EPOCH`.
    pub curves: Vec<Quantity>,
}

impl Columns {
    /// All quantities; with curves of all quantities that can have one, unless `curves` is [`Curves::None`].
    pub fn all(curves: Curves) -> Self {
        let with_curve = if curves == Curves::None { 0 } else { Quantity::PER_EPOCH };
        Self { quantities: Quantity::ALL.to_vec(), curves: Quantity::ALL[..with_curve].to_vec() }
    }
}

pub(super) fn curve_name(quantity: Quantity) -> String {
    format!("{}_by_epoch", quantity.name())
}

/// Name of the array of offsets of the rows' curves.
pub(super) fn starts_name(quantity: Quantity) -> String {
    format!("{}.starts", curve_name(quantity))
}

/// Writes the compact file, a [safetensors](https://huggingface.co/docs/safetensors) file with an array per column. The
/// columns are held in memory until [`finish`](Self::finish).
///
/// One row is one training run (a cell, a data set, a training length, a seed); a source that has only means over the seeds
/// gives rows without a seed. Columns that no row has are left out of the file:
///
/// | array | type | meaning |
/// | --- | --- | --- |
/// | `cell` | u16 `[rows]` | the benchmark's index |
/// | `dataset` | u16 `[rows]` | index into the metadata's `datasets` |
/// | `epochs` | u16 `[rows]` | length of the training: 12 or 200 |
/// | `seed` | u32 `[rows]` | the seed of the run; 4294967295 for a mean over the seeds |
/// | every [`Quantity`] by name | f32 `[rows]` | percent, nats, millions or seconds, after the last epoch; NaN where missing |
/// | `…_by_epoch`, of the first eight quantities | f32 | the curves of all rows, one after another; none where not every epoch was evaluated |
/// | `…_by_epoch.starts` | u64 `[rows + 1]` | row `i` has the numbers from `starts[i]` to `starts[i + 1]` |
/// | `cells` | u8 | the text of every cell, one per line, in the benchmark's order |
///
/// The metadata contain `gdas.table` = `2` (the version of this format), `gdas.source`, `datasets` (names separated by
/// commas) and `blake3`, the digest of all arrays.
pub struct TableWriter<W> {
    out: W,
    source: String,
    columns: Columns,
    curves: Curves,
    keys: [Vec<u16>; 3],
    seeds: Vec<u32>,
    values: Vec<Vec<f32>>,
    /// For each quantity with curves: end offset of each row's curve, and the values.
    by_epoch: Vec<(Vec<u64>, Vec<f32>)>,
}

impl<W: Write> TableWriter<W> {
    /// A writer to `out`; `source` names the origin of the data.
    pub fn new(out: W, source: &str, columns: Columns, curves: Curves) -> Self {
        let values = vec![Vec::new(); columns.quantities.len()];
        let by_epoch = vec![(vec![0], Vec::new()); columns.curves.len()];
        let (keys, seeds) = (Default::default(), Vec::new());
        Self { out, source: source.to_owned(), columns, curves, keys, seeds, values, by_epoch }
    }

    /// Adds a run.
    pub fn push(&mut self, run: &Run) {
        let keep = match self.curves {
            Curves::None => false,
            Curves::Short => run.setting.epochs <= 12,
            Curves::All => true,
        };
        for (keys, key) in self.keys.iter_mut().zip([run.index, run.setting.dataset as u16, run.setting.epochs]) {
            keys.push(key);
        }
        self.seeds.push(run.seed.unwrap_or(NO_SEED));
        for (quantity, values) in self.columns.quantities.iter().zip(&mut self.values) {
            values.push(run.values[*quantity as usize].unwrap_or(f32::NAN));
        }
        for (quantity, (ends, numbers)) in self.columns.curves.iter().zip(&mut self.by_epoch) {
            let curve = run.curves[*quantity as usize].as_ref().filter(|_| keep);
            numbers.extend(curve.into_iter().flatten());
            ends.push(numbers.len() as u64);
        }
    }

    /// Writes the file, with the texts of the cells in the benchmark's order, and returns the sink.
    pub fn finish(mut self, cells: &[String]) -> io::Result<W> {
        let datasets = Dataset::ALL.map(Dataset::name).join(",");
        let [cell, dataset, epochs] = &self.keys;
        let mut columns =
            vec![Column::new("cell", cell), Column::new("dataset", dataset), Column::new("epochs", epochs)];
        columns.push(Column::new("seed", &self.seeds));
        for (quantity, values) in self.columns.quantities.iter().zip(&self.values) {
            if values.iter().any(|value| !value.is_nan()) {
                columns.push(Column::new(quantity.name(), values));
            }
        }
        for (quantity, (ends, numbers)) in self.columns.curves.iter().zip(&self.by_epoch) {
            if !numbers.is_empty() {
                columns.push(Column::new(curve_name(*quantity), numbers));
                columns.push(Column::new(starts_name(*quantity), ends));
            }
        }
        columns.push(Column::new("cells", cells.join("\n").as_bytes()));
        let metadata = [(VERSION_KEY, VERSION), (SOURCE_KEY, &self.source), (DATASETS_KEY, &datasets)];
        compact::write(&mut self.out, &metadata, &columns)?;
        Ok(self.out)
    }
}
