//! The schema of the compact file, and the writer that fills it run by run.

use std::io::{self, Write};

use super::arrow::{ArrowWriter, Column, Field, Kind};
use super::{Dataset, Quantity, Setting};

pub(super) const VERSION_KEY: &str = "gdas.table";
pub(super) const SOURCE_KEY: &str = "gdas.source";
pub(super) const VERSION: &str = "1";

/// The first four columns.
pub(super) const KEYS: usize = 4;

/// Which learning curves go into the compact file. The complete set of NAS-Bench-201 takes some 15 MB without
/// curves, some 30 MB more with those of the short runs, and some 500 MB more with all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curves {
    /// None: the last epoch only.
    None,
    /// Those of the 12-epoch runs, which algorithms of several fidelities look at.
    #[default]
    Short,
    /// All.
    All,
}

/// One training run on its way into a table.
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
    /// A run of which nothing is known yet.
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
    /// Every quantity, and curves of all that may have one unless `curves` says none.
    pub fn all(curves: Curves) -> Self {
        let with_curve = if curves == Curves::None { 0 } else { Quantity::PER_EPOCH };
        Self { quantities: Quantity::ALL.to_vec(), curves: Quantity::ALL[..with_curve].to_vec() }
    }
}

pub(super) fn curve_name(quantity: Quantity) -> String {
    format!("{}_by_epoch", quantity.name())
}

fn fields(columns: &Columns) -> Vec<Field> {
    let field = |name: String, kind| Field { name, kind };
    let keys = [("cell", Kind::Text), ("dataset", Kind::Text), ("epochs", Kind::U16), ("seed", Kind::U32)];
    let mut fields: Vec<Field> = keys.into_iter().map(|(name, kind)| field(name.to_owned(), kind)).collect();
    fields.extend(columns.quantities.iter().map(|quantity| field(quantity.name().to_owned(), Kind::F32)));
    fields.extend(columns.curves.iter().map(|quantity| field(curve_name(*quantity), Kind::F32List)));
    fields
}

/// Writes the compact file, an Arrow IPC file ("Feather version 2"); holds at most one batch of rows.
///
/// One row is one training run (a cell, a data set, a training length, a seed); a source that has only means over
/// the seeds gives rows without a seed. The columns, all of which but the first three may be missing in a row; columns that no
/// row has are left out of the file:
///
/// | column | type | meaning |
/// | --- | --- | --- |
/// | `cell` | dictionary&lt;u16, utf8&gt; | the key is the benchmark's index, the text the cell; the dictionary has every cell |
/// | `dataset` | dictionary&lt;u16, utf8&gt; | `cifar10-valid`, `cifar10`, `cifar100`, `ImageNet16-120` |
/// | `epochs` | u16 | length of the training: 12 or 200 |
/// | `seed` | u32 | the seed of the run |
/// | every [`Quantity`] by name | f32 | percent, nats, millions or seconds, after the last epoch |
/// | `…_by_epoch`, of the first eight quantities | list&lt;f32&gt; | after every epoch; missing where not every epoch was evaluated |
///
/// The schema's metadata hold `gdas.table` = `1` (the version of this schema) and `gdas.source`; the footer's hold
/// `blake3`, the digest of everything before the footer.
pub struct TableWriter<W> {
    arrow: ArrowWriter<W>,
    columns: Columns,
    curves: Curves,
    rows: Vec<Run>,
    numbers: usize,
}

/// Numbers per written batch (16 MiB).
const BATCH_NUMBERS: usize = 4 << 20;

impl<W: Write> TableWriter<W> {
    /// Begins a file; `source` says where the data come from.
    pub fn new(out: W, source: &str, columns: Columns, curves: Curves) -> io::Result<Self> {
        let metadata = vec![(VERSION_KEY.into(), VERSION.into()), (SOURCE_KEY.into(), source.into())];
        let arrow = ArrowWriter::new(out, fields(&columns), metadata)?;
        Ok(Self { arrow, columns, curves, rows: Vec::new(), numbers: 0 })
    }

    /// Adds a run.
    pub fn push(&mut self, mut run: Run) -> io::Result<()> {
        let keep = match self.curves {
            Curves::None => false,
            Curves::Short => run.setting.epochs <= 12,
            Curves::All => true,
        };
        if !keep {
            run.curves = Default::default();
        }
        self.numbers += KEYS + self.columns.quantities.len() + run.curves.iter().flatten().map(Vec::len).sum::<usize>();
        self.rows.push(run);
        if self.numbers >= BATCH_NUMBERS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.numbers = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut columns = vec![
            Column::Text(rows.iter().map(|run| run.index).collect()),
            Column::Text(rows.iter().map(|run| run.setting.dataset as u16).collect()),
            Column::U16(rows.iter().map(|run| run.setting.epochs).collect()),
            Column::U32(rows.iter().map(|run| run.seed).collect()),
        ];
        for quantity in &self.columns.quantities {
            columns.push(Column::F32(rows.iter().map(|run| run.values[*quantity as usize]).collect()));
        }
        let mut rows = rows;
        for quantity in &self.columns.curves {
            let curves = rows.iter_mut().map(|run| run.curves[*quantity as usize].take());
            columns.push(Column::F32List(curves.collect()));
        }
        self.arrow.batch(&columns)
    }

    /// Writes what is left, the cells in the benchmark's order, and the footer; gives the sink back.
    pub fn finish(mut self, cells: &[String]) -> io::Result<W> {
        self.flush()?;
        let datasets = Dataset::ALL.map(|dataset| dataset.name().to_owned()).to_vec();
        self.arrow.finish(&[cells.to_vec(), datasets])
    }
}
