//! The benchmark's official files: NAS-Bench-201's `.pth` (PyTorch's zip form or the older chain of pickles) and
//! NATS-Bench's topology set (`.pickle.pbz2`, or the folder of one such file per architecture).
//!
//! All are pickles of the same structure: `arch2infos[index][length]` is the state of an `ArchResults`, whose
//! `all_results[(data set, seed)]` is the state of a `ResultsCount`, a training run. They are read as plain data by
//! [`gdas_data::pickle`] in two passes: the first finds the memo entries that are used again, the second reads run by run
//! and frees each run once it is in the table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::columns::{Columns, Curves, Run, TableWriter};
use super::{BenchmarkError, Cell, Dataset, Quantity, Setting, cells};
use gdas_data::pickle::{self, Hooks, Limits, Plan, Reader, Value};

/// Format of an official file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `torch.save` in the zip form (PyTorch 1.6 and later).
    TorchZip,
    /// `torch.save` before that: one pickle after another.
    TorchLegacy,
    /// A pickle packed with bzip2.
    Bzip2,
    /// A folder with `meta.pickle.pbz2` and one such file per architecture.
    Folder,
}

impl Kind {
    /// The format of a folder, or of a file with these first bytes.
    pub(super) fn of(path: &Path, start: &[u8]) -> Option<Self> {
        if path.is_dir() {
            return path.join(META).is_file().then_some(Self::Folder);
        }
        match start {
            [b'P', b'K', 3, 4, ..] => Some(Self::TorchZip),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            [0x80, 2, ..] => Some(Self::TorchLegacy),
            _ => None,
        }
    }
}

const META: &str = "meta.pickle.pbz2";
/// Magic number of PyTorch's older files, little-endian.
const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Converts an official file to a compact one and returns the sink. Only the columns are held in memory.
pub(super) fn convert<W: Write>(path: &Path, kind: Kind, out: W, curves: Curves) -> Result<W, BenchmarkError> {
    let source = match kind {
        Kind::TorchZip | Kind::TorchLegacy => "NAS-Bench-201",
        Kind::Bzip2 | Kind::Folder => "NATS-Bench topology",
    };
    let mut table = TableWriter::new(out, source, Columns::all(curves), curves);
    let mut known = BTreeMap::new();
    let root = if kind == Kind::Folder {
        read_folder(path, &mut table, &mut known)?
    } else {
        let mut collector = Collector::new(|run| table.push(&run));
        let root = read_pickle(path, || open(path, kind), &mut collector)?;
        collector.finish(path, &mut known)?;
        root
    };
    let texts = architectures(path, &root, &known)?;
    table.finish(&texts).map_err(BenchmarkError::io(path))
}

/// Opens the file as a stream positioned at the pickle.
fn open(path: &Path, kind: Kind) -> Result<Box<dyn BufRead>, BenchmarkError> {
    let wrong = |reason: String| official(path, "the start", reason);
    let file = File::open(path).map_err(BenchmarkError::io(path))?;
    let mut source = BufReader::with_capacity(1 << 18, file);
    match kind {
        Kind::TorchZip => {
            let mut archive = zip::ZipArchive::new(source).map_err(|error| wrong(error.to_string()))?;
            let is_data = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
            let index = (0..archive.len())
                .find(|i| archive.name_for_index(*i).is_some_and(|name| name.is_ok_and(|name| is_data(&name))));
            let index =
                index.ok_or_else(|| wrong("the archive has no data.pkl, so torch.save did not write it".into()))?;
            let entry = archive.by_index(index).map_err(|error| wrong(error.to_string()))?;
            let (start, size, method) = (entry.data_start(), entry.size(), entry.compression());
            drop(entry);
            let (Some(start), zip::CompressionMethod::Stored) = (start, method) else {
                return Err(wrong(format!("data.pkl is compressed ({method}), which torch.save never does")));
            };
            let mut source = archive.into_inner();
            source.seek(SeekFrom::Start(start)).map_err(BenchmarkError::io(path))?;
            Ok(Box::new(source.take(size)))
        }
        Kind::TorchLegacy => {
            let mut next = || pickle::from_reader(&mut source, Limits::default(), &mut ());
            let magic = next().map_err(|error| wrong(error.to_string()))?;
            if !matches!(&magic, Value::BigInt(bytes) if **bytes == TORCH_MAGIC) {
                return Err(wrong(
                    "the pickle does not begin with PyTorch's magic number, so torch.save did not write it".into(),
                ));
            }
            for _ in ["version of the format", "system"] {
                next().map_err(|error| wrong(error.to_string()))?;
            }
            Ok(Box::new(source))
        }
        Kind::Bzip2 | Kind::Folder => {
            Ok(Box::new(BufReader::with_capacity(1 << 18, bzip2::bufread::MultiBzDecoder::new(source))))
        }
    }
}

/// Reads a pickle in two passes; `open` is called for each.
fn read_pickle<R: BufRead>(
    path: &Path,
    open: impl Fn() -> Result<R, BenchmarkError>,
    hooks: &mut dyn Hooks,
) -> Result<Value, BenchmarkError> {
    let wrong = |error: pickle::PickleError| official(path, "the pickle", error.to_string());
    let plan = Plan::of(open()?, Limits::default()).map_err(wrong)?;
    Reader::new(open()?, Limits::default(), hooks).with_plan(plan).read().map_err(wrong)
}

/// Reads `meta.pickle.pbz2` and the architectures' files, in parallel batches, in the order of their numbers.
fn read_folder<W: Write>(
    path: &Path,
    table: &mut TableWriter<W>,
    known: &mut BTreeMap<u16, Cell>,
) -> Result<Value, BenchmarkError> {
    let meta = path.join(META);
    let root = read_pickle(&meta, || open(&meta, Kind::Bzip2), &mut ())?;
    let mut files: Vec<(u16, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(BenchmarkError::io(path))? {
        let file = entry.map_err(BenchmarkError::io(path))?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Both `000011.pickle.pbz2` and `11.pickle.pbz2` are in use.
        if let Some(number) = name.strip_suffix(".pickle.pbz2").and_then(|number| number.parse().ok()) {
            files.push((number, file));
        }
    }
    files.sort_unstable();
    for some in files.chunks(8 * rayon::current_num_threads()) {
        let read: Vec<_> = some
            .par_iter()
            .map(|(number, file)| {
                let mut runs = Vec::new();
                let mut cells = BTreeMap::new();
                let mut collector = Collector::new(|run| runs.push(run));
                let bytes = std::fs::read(file).map_err(BenchmarkError::io(file))?;
                let bytes = bytes.as_slice();
                read_pickle(file, || Ok(BufReader::new(bzip2::bufread::MultiBzDecoder::new(bytes))), &mut collector)?;
                collector.finish(file, &mut cells)?;
                if cells.keys().any(|found| found != number) {
                    let reason = format!("it is architecture {:?}, not {number} as in its name", cells.keys());
                    return Err(official(file, "arch_index", reason));
                }
                Ok((runs, cells))
            })
            .collect::<Result<_, _>>()?;
        for (runs, cells) in read {
            for run in &runs {
                table.push(run);
            }
            known.extend(cells);
        }
    }
    Ok(root)
}

/// The texts of all architectures, checked against those of the runs.
fn architectures(path: &Path, root: &Value, known: &BTreeMap<u16, Cell>) -> Result<Vec<String>, BenchmarkError> {
    let list = root.get("meta_archs").and_then(Value::items);
    let list = list.ok_or_else(|| official(path, "meta_archs", "a list of architectures was expected".into()))?;
    let mut texts = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let place = format!("meta_archs[{index}]");
        let text =
            item.as_str().ok_or_else(|| official(path, &place, format!("text was expected, not {}", item.kind())))?;
        let cell = cells::parse(text).map_err(|error| official(path, &place, error.to_string()))?;
        if u16::try_from(index).ok().and_then(|index| known.get(&index)).is_some_and(|other| *other != cell) {
            return Err(official(path, &place, "its results are for another cell".into()));
        }
        texts.push(cells::text(cell));
    }
    if let Some(index) = known.keys().find(|index| usize::from(**index) >= texts.len()) {
        let reason = format!("there are results of architecture {index}, but only {} architectures", texts.len());
        return Err(official(path, "meta_archs", reason));
    }
    Ok(texts)
}

fn official(path: &Path, place: &str, reason: String) -> BenchmarkError {
    BenchmarkError::Official { path: path.to_owned(), place: place.to_owned(), reason }
}

/// Pickle hooks that extract training runs, and pass them on once their architecture is known.
struct Collector<F> {
    sink: F,
    /// Runs whose `ArchResults` is not complete yet.
    pending: Vec<Run>,
    index: Option<i64>,
    text: Option<String>,
    seeds: Option<Vec<(Dataset, u32)>>,
    cells: BTreeMap<u16, Cell>,
    /// Position and reason of the first error.
    fault: Option<(String, String)>,
}

impl<F: FnMut(Run)> Collector<F> {
    fn new(sink: F) -> Self {
        Self { sink, pending: Vec::new(), index: None, text: None, seeds: None, cells: BTreeMap::new(), fault: None }
    }

    fn finish(mut self, path: &Path, known: &mut BTreeMap<u16, Cell>) -> Result<(), BenchmarkError> {
        if !self.pending.is_empty() {
            self.fail("all_results", "an ArchResults lacks arch_index, arch_str or dataset_seed".into());
        }
        if let Some((place, reason)) = self.fault {
            return Err(official(path, &place, reason));
        }
        known.append(&mut self.cells);
        Ok(())
    }

    fn fail(&mut self, place: &str, reason: String) {
        if self.fault.is_none() {
            let of = self.text.as_deref().map_or(String::new(), |text| format!(" (near {text})"));
            self.fault = Some((format!("{place}{of}"), reason));
        }
    }

    /// Passes the pending runs on, when their `ArchResults` is complete.
    fn complete(&mut self) {
        if self.pending.is_empty() || self.index.is_none() || self.text.is_none() || self.seeds.is_none() {
            return;
        }
        let (Some(index), Some(text), Some(seeds)) = (self.index.take(), self.text.clone(), self.seeds.take()) else {
            return;
        };
        let pending = std::mem::take(&mut self.pending);
        let Ok(number) = u16::try_from(index) else {
            return self.fail("arch_index", format!("{index} is not the index of an architecture"));
        };
        let cell = match cells::parse(&text) {
            Ok(cell) => cell,
            Err(error) => return self.fail("arch_str", error.to_string()),
        };
        if self.cells.insert(number, cell).is_some_and(|other| other != cell) {
            return self.fail("arch_str", format!("architecture {index} has two different cells"));
        }
        for mut run in pending {
            // The official API uses only the seeds that are listed.
            if run.seed.is_some_and(|seed| seeds.contains(&(run.setting.dataset, seed))) {
                run.index = number;
                (self.sink)(run);
            }
        }
        self.text = None;
    }
}

impl<F: FnMut(Run)> Hooks for Collector<F> {
    fn dict_item(&mut self, _depth: usize, key: &Value, value: &mut Value) -> bool {
        if self.fault.is_some() {
            *value = Value::None;
            return true;
        }
        match (key, &*value) {
            (Value::Tuple(of), state) if state.get("train_acc1es").is_some() => match run(of, state) {
                Ok(run) => self.pending.extend(run),
                Err((place, reason)) => self.fail(&place, reason),
            },
            // An entry of arch2infos, or of one training length in it.
            (Value::Int(_), Value::Dict(_)) => {}
            (Value::Str(name), _) => {
                match (&**name, &*value) {
                    ("arch_index", Value::Int(index)) => self.index = Some(*index),
                    ("arch_str", Value::Str(text)) => self.text = Some((**text).to_owned()),
                    ("dataset_seed", Value::Dict(_)) => self.seeds = Some(seeds(value)),
                    ("all_results", Value::Dict(_)) => {}
                    _ => return false,
                }
                self.complete();
                if &**name != "all_results" {
                    return false;
                }
            }
            _ => return false,
        }
        *value = Value::None;
        true
    }
}

/// The (data set, seed) pairs of `dataset_seed`; unknown data sets are skipped.
fn seeds(value: &Value) -> Vec<(Dataset, u32)> {
    let mut found = Vec::new();
    for (name, list) in value.entries().unwrap_or_default() {
        let Some(Ok(dataset)) = name.as_str().map(str::parse) else { continue };
        let numbers = list.items().unwrap_or_default().iter().filter_map(Value::as_i64);
        found.extend(numbers.filter_map(|seed| Some((dataset, u32::try_from(seed).ok()?))));
    }
    found
}

/// Position and reason of an error.
type Fault = (String, String);

/// A training run from the state of a `ResultsCount`; `None` for an unknown data set.
fn run(key: &[Value], state: &Value) -> Result<Option<Run>, Fault> {
    let [name, seed] = key else { return Ok(None) };
    let Some(Ok(dataset)) = name.as_str().map(str::parse::<Dataset>) else { return Ok(None) };
    let seed = seed.as_i64().and_then(|seed| u32::try_from(seed).ok());
    let place = |what: &str| format!("all_results[({dataset}, {seed:?})].{what}");
    let seed = Some(seed.ok_or_else(|| (place("key"), "a seed was expected".to_owned()))?);
    let epochs = state.get("epochs").and_then(Value::as_i64).and_then(|epochs| u16::try_from(epochs).ok());
    let epochs = epochs.filter(|epochs| (1..=10_000).contains(epochs));
    let epochs = epochs.ok_or_else(|| (place("epochs"), "a number of epochs was expected".to_owned()))?;
    let mut run = Run::new(0, Setting::new(dataset, epochs), seed);
    for (quantity, field) in [(Quantity::Parameters, "params"), (Quantity::Flops, "flop")] {
        if let Some(value) = state.get(field).and_then(Value::as_f64) {
            run.set(quantity, value);
        }
    }
    if let Some(latencies) = state.get("latency").and_then(Value::to_f64s).filter(|list| !list.is_empty()) {
        run.set(Quantity::Latency, latencies.iter().sum::<f64>() / latencies.len() as f64);
    }
    for (quantity, field) in [(Quantity::TrainAccuracy, "train_acc1es"), (Quantity::TrainLoss, "train_losses")] {
        let values = by_epoch(state.get(field), epochs, Value::as_usize);
        store(&mut run, quantity, values);
    }
    let times: Vec<f64> = by_epoch(state.get("train_times"), epochs, Value::as_usize).into_iter().flatten().collect();
    if times.len() == usize::from(epochs) {
        run.set(Quantity::TrainSeconds, times.iter().sum());
    }
    let small = matches!(dataset, Dataset::Cifar10Valid | Dataset::Cifar10);
    use Quantity as Q;
    let sets = [
        ("x-valid", Q::ValidAccuracy, Q::ValidLoss, Q::ValidSeconds),
        (if small { "ori-test" } else { "x-test" }, Q::TestAccuracy, Q::TestLoss, Q::TestSeconds),
        (if small { "" } else { "ori-test" }, Q::ValidTestAccuracy, Q::ValidTestLoss, Q::ValidTestSeconds),
    ];
    for (set, accuracy, loss, seconds) in sets.into_iter().filter(|(set, ..)| !set.is_empty()) {
        let epoch_of = |key: &Value| key.as_str()?.strip_prefix(set)?.strip_prefix('@')?.parse().ok();
        store(&mut run, accuracy, by_epoch(state.get("eval_acc1es"), epochs, epoch_of));
        store(&mut run, loss, by_epoch(state.get("eval_losses"), epochs, epoch_of));
        let times: Vec<f64> = by_epoch(state.get("eval_times"), epochs, epoch_of).into_iter().flatten().collect();
        if !times.is_empty() && run.values[accuracy as usize].is_some() {
            run.set(seconds, times.iter().sum::<f64>() / times.len() as f64);
        }
    }
    if run.values[Quantity::TrainAccuracy as usize].is_none() {
        return Err((place("train_acc1es"), format!("the accuracy after epoch {epochs} is missing")));
    }
    Ok(Some(run))
}

/// The values of a dictionary by epoch (from 0); `None` for missing epochs.
fn by_epoch(table: Option<&Value>, epochs: u16, epoch_of: impl Fn(&Value) -> Option<usize>) -> Vec<Option<f64>> {
    let mut values = vec![None; usize::from(epochs)];
    for (key, value) in table.and_then(Value::entries).unwrap_or_default() {
        if let Some(place) = epoch_of(key).and_then(|epoch| values.get_mut(epoch)) {
            *place = value.as_f64();
        }
    }
    values
}

/// Stores the value of the last epoch, and the curve if no epoch is missing.
fn store(run: &mut Run, quantity: Quantity, values: Vec<Option<f64>>) {
    if let Some(Some(last)) = values.last() {
        run.set(quantity, *last);
    }
    let curve: Option<Vec<f32>> = values.into_iter().map(|value| value.map(|value| value as f32)).collect();
    run.curves[quantity as usize] = curve;
}

/// The first bytes of a file.
pub(super) fn start_of(path: &Path) -> Result<Vec<u8>, BenchmarkError> {
    if path.is_dir() {
        return Ok(Vec::new());
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(BenchmarkError::io(path))?;
    file.take(16).read_to_end(&mut start).map_err(BenchmarkError::io(path))?;
    Ok(start)
}
