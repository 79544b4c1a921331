//! gdas as a Python module: values go in and out as JSON, the work runs on a thread of its own without the
//! interpreter's lock, and the calling thread watches for Ctrl-C.
// Python hands arguments over by value.
#![allow(clippy::needless_pass_by_value)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use gdas::Device;
use gdas::config::{Auto, Config, Layer, SearchConfig, TrainConfig, resolve, seed, task_of, to_toml};
use gdas::data::Dataset;
use gdas::device::{DeviceError, DeviceName, Precision, check_precision};
use gdas::run::{Event, Interrupt, RunDir, read_config, read_result};
use gdas::space::Genotype;
use gdas_data::{Located, Options};
use gdas_nasbench::{BenchmarkError, Seeds, Table};
use pyo3::create_exception;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Value, json};

create_exception!(_gdas, GdasError, PyRuntimeError, "What went wrong, where, and how to mend it.");

fn failed(error: impl std::fmt::Display) -> PyErr {
    GdasError::new_err(error.to_string())
}

fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A run's outcome: its result as JSON, or `None` if it was asked to stop.
type Outcome = Result<Option<Value>, String>;

/// What runs on the worker: a search or a training, with a place for its events.
type Work<'a> = Box<dyn FnOnce(&mut RunDir, &mut dyn FnMut(&Event), &Interrupt) -> Outcome + Send + 'a>;

/// Does the work in `run` on a thread pool of its own. Ctrl-C, or an exception of the callback, asks it to stop at the
/// next step; what it has come to is then saved, and the exception goes on.
fn carry_out(
    py: Python,
    mut run: RunDir,
    threads: Auto<usize>,
    on_event: Option<&Py<PyAny>>,
    work: Work,
) -> PyResult<String> {
    let pool = match threads {
        Auto::Auto => rayon::ThreadPoolBuilder::new(),
        Auto::Is(count) => rayon::ThreadPoolBuilder::new().num_threads(count),
    };
    let pool = pool.build().map_err(failed)?;
    let interrupt = Interrupt::default();
    let (sender, mut events) = channel::<String>();
    let path = run.path().to_path_buf();
    let told = on_event.is_some();
    let outcome = std::thread::scope(|scope| {
        let worker = scope.spawn({
            let interrupt = interrupt.clone();
            let run = &mut run;
            move || {
                let mut observer = |event: &Event| {
                    if told && let Ok(text) = serde_json::to_string(event) {
                        // Nobody reads any more once the caller has failed; the run still ends in good order.
                        let _ = sender.send(text);
                    }
                };
                pool.install(|| work(run, &mut observer, &interrupt))
            }
        });
        let failure = watch(py, &mut events, on_event, || worker.is_finished(), &interrupt);
        let outcome = py.detach(|| worker.join());
        match (failure, outcome) {
            (Some(failure), _) => Err(failure),
            (None, Ok(outcome)) => Ok(outcome),
            (None, Err(_)) => Err(failed("the run ended in a panic; please report it")),
        }
    })?;
    match outcome.map_err(failed)? {
        Some(mut result) => {
            result["run"] = json!(path);
            Ok(result.to_string())
        }
        None => Err(PyKeyboardInterrupt::new_err(format!("stopped; gdas.resume(\"{}\") goes on", path.display()))),
    }
}

/// Hands events to the callback and looks for signals until the worker is done. The first exception asks the worker
/// to stop and is given back.
fn watch(
    py: Python,
    events: &mut Receiver<String>,
    on_event: Option<&Py<PyAny>>,
    done: impl Fn() -> bool + Sync,
    interrupt: &Interrupt,
) -> Option<PyErr> {
    let mut failure = None;
    loop {
        let received = py.detach(|| receive(events));
        let step = match (&received, on_event) {
            (Ok(text), Some(callback)) => loads(py, text).and_then(|event| callback.call1(py, (event,)).map(|_| ())),
            _ => Ok(()),
        };
        if let Err(error) = step.and_then(|()| py.check_signals()) {
            interrupt.request();
            failure.get_or_insert(error);
        }
        let ended = matches!(received, Err(RecvTimeoutError::Disconnected));
        if ended || failure.is_some() || (received.is_err() && done()) {
            return failure;
        }
    }
}

fn receive(events: &mut Receiver<String>) -> Result<String, RecvTimeoutError> {
    events.recv_timeout(Duration::from_millis(50))
}

fn loads(py: Python, text: &str) -> PyResult<Py<PyAny>> {
    Ok(py.import("json")?.call_method1("loads", (text,))?.unbind())
}

/// The configuration that keyword arguments (as JSON) ask for, on the data of another run if one is given.
fn configure<T: Config>(keys: &str, data_of: Option<&Path>) -> PyResult<T> {
    let mut layers = Vec::new();
    if let Some(run) = data_of {
        layers.push(configuration(run)?.1.only(&["data", "image_size", "skip_damaged"]));
    }
    let mut keys: Value = serde_json::from_str(keys).map_err(wrong)?;
    if let Some(number) = keys.get("seed").and_then(Value::as_u64) {
        keys["seed"] = seed::key(number);
    }
    layers.push(Layer::flags(&keys).map_err(wrong)?);
    resolve(&layers).map_err(wrong)
}

/// The configuration of a run, as text and as values.
fn configuration(run: &Path) -> PyResult<(String, Layer)> {
    let text = read_config(run).map_err(failed)?;
    let layer = Layer::file(&run.join("config.toml").display().to_string(), &text).map_err(failed)?;
    Ok((text, layer))
}

/// Opens `count` devices of one name.
fn devices(name: DeviceName, count: usize, precision: Precision) -> PyResult<Vec<Device>> {
    let open = || {
        let devices = name.open_several(count)?;
        devices.iter().try_for_each(|device| check_precision(device, precision))?;
        Ok(devices)
    };
    open().map_err(|error: DeviceError| match error {
        DeviceError::NotBuilt(_) | DeviceError::TooFew { .. } | DeviceError::Precision { .. } => wrong(error),
        DeviceError::NotFound { .. } | DeviceError::Wrong { .. } => failed(error),
    })
}

fn open(data: &str, image_size: Auto<usize>, skip_damaged: bool) -> PyResult<Dataset> {
    gdas_data::open_with(data, &options(image_size, skip_damaged)).map_err(failed)
}

/// The images of the run at `run`: where they were, or where they are said to be now.
fn open_for_run(
    run: &Path,
    (data, given): (&str, Option<&str>),
    image_size: Auto<usize>,
    skip_damaged: bool,
) -> PyResult<Located> {
    let mut located = gdas_data::open_for_run(run, data, given, &options(image_size, skip_damaged)).map_err(failed)?;
    located.data = lasting(&located.data);
    Ok(located)
}

fn options(image_size: Auto<usize>, skip_damaged: bool) -> Options {
    let image_size = match image_size {
        Auto::Auto => None,
        Auto::Is(size) => Some(size),
    };
    Options { image_size, skip_damaged, ..Options::default() }
}

/// A path that still holds when the run is resumed from elsewhere.
fn lasting(data: &str) -> String {
    match Path::new(data).canonicalize() {
        Ok(path) if data != "digits" && gdas_data::find_known(data).is_none() => path.display().to_string(),
        _ => data.to_owned(),
    }
}

fn search_work(config: SearchConfig, dataset: Dataset, devices: Vec<Device>) -> Work<'static> {
    Box::new(move |run, observer, interrupt| {
        let mut observer = |event: &Event| observer(event);
        match gdas::search::search_on(&config, &dataset, run, &mut observer, interrupt, &devices) {
            Ok(gdas::search::Outcome::Finished(result)) => {
                gdas_report::write_cells(run, &result.cells).map_err(|error| error.to_string())?;
                Ok(Some(json!(result)))
            }
            Ok(gdas::search::Outcome::Interrupted { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn train_work(config: TrainConfig, dataset: Dataset, device: Device) -> Work<'static> {
    Box::new(move |run, observer, interrupt| {
        let mut observer = |event: &Event| observer(event);
        match gdas::train::train(&config, &dataset, run, &mut observer, interrupt, &device) {
            Ok(gdas::train::Outcome::Finished(result)) => Ok(Some(json!(result))),
            Ok(gdas::train::Outcome::Interrupted { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// `keys`: configuration as JSON; the result comes back as JSON.
#[pyfunction]
#[pyo3(signature = (keys, run, on_event))]
fn search(py: Python, keys: &str, run: PathBuf, on_event: Option<Py<PyAny>>) -> PyResult<String> {
    let mut config: SearchConfig = configure(keys, None)?;
    let devices = devices(config.device, config.devices, config.precision)?;
    let dataset = py.detach(|| open(&config.data, config.image_size, config.skip_damaged))?;
    config.data = lasting(&config.data);
    let run = RunDir::create(run, &to_toml(&config).map_err(failed)?).map_err(failed)?;
    carry_out(py, run, config.threads, on_event.as_ref(), search_work(config, dataset, devices))
}

/// As [`search`], for a training; on the data of the run `data_of`, if one is given.
#[pyfunction]
#[pyo3(signature = (keys, run, data_of, on_event))]
fn train(
    py: Python,
    keys: &str,
    run: PathBuf,
    data_of: Option<PathBuf>,
    on_event: Option<Py<PyAny>>,
) -> PyResult<String> {
    let mut config: TrainConfig = configure(keys, data_of.as_deref())?;
    let device = devices(config.device, 1, config.precision)?.swap_remove(0);
    // Images of another size have another digest than those that the other run recorded.
    let same_size = !serde_json::from_str::<Value>(keys).is_ok_and(|keys| keys.get("image_size").is_some());
    let dataset = if let Some(other) = data_of.as_deref().filter(|_| same_size) {
        let place = (config.data.as_str(), None);
        let found = py.detach(|| open_for_run(other, place, config.image_size, config.skip_damaged))?;
        config.data = found.data;
        found.dataset
    } else {
        let dataset = py.detach(|| open(&config.data, config.image_size, config.skip_damaged))?;
        config.data = lasting(&config.data);
        dataset
    };
    let run = RunDir::create(run, &to_toml(&config).map_err(failed)?).map_err(failed)?;
    carry_out(py, run, config.threads, on_event.as_ref(), train_work(config, dataset, device))
}

/// Goes on with a run; one that is finished gives its result again. `data` is where its images lie now, if not where they
/// were.
#[pyfunction]
#[pyo3(signature = (run, data, on_event))]
fn resume(py: Python, run: PathBuf, data: Option<String>, on_event: Option<Py<PyAny>>) -> PyResult<String> {
    let (text, layer) = configuration(&run)?;
    let opened = RunDir::open(&run).map_err(failed)?;
    if opened.is_finished() {
        let mut result: Value = read_result(&run).map_err(failed)?;
        result["run"] = json!(run);
        return Ok(result.to_string());
    }
    match task_of(&text).as_deref() {
        Some("search") => {
            let mut config: SearchConfig = resolve(&[layer]).map_err(failed)?;
            let devices = devices(config.device, config.devices, config.precision)?;
            let place = (config.data.as_str(), data.as_deref());
            let found = py.detach(|| open_for_run(&run, place, config.image_size, config.skip_damaged))?;
            config.data = found.data;
            carry_out(py, opened, config.threads, on_event.as_ref(), search_work(config, found.dataset, devices))
        }
        Some("train") => {
            let mut config: TrainConfig = resolve(&[layer]).map_err(failed)?;
            let device = devices(config.device, 1, config.precision)?.swap_remove(0);
            let place = (config.data.as_str(), data.as_deref());
            let found = py.detach(|| open_for_run(&run, place, config.image_size, config.skip_damaged))?;
            config.data = found.data;
            carry_out(py, opened, config.threads, on_event.as_ref(), train_work(config, found.dataset, device))
        }
        _ => Err(failed(format!("{} does not say whether it is a search or a training", run.display()))),
    }
}

/// What a table of NAS-Bench-201 knows of a cell, as JSON.
#[pyfunction]
fn query(py: Python, table: PathBuf, cell: &str) -> PyResult<String> {
    py.detach(|| {
        let table = Table::open(&table).map_err(failed)?;
        let index = table.find(cell).map_err(wrong)?;
        let mut results = Vec::new();
        for setting in table.settings() {
            match table.query(index, setting, Seeds::Mean) {
                Ok(record) => {
                    let values: serde_json::Map<String, Value> =
                        record.iter().map(|(quantity, value)| (quantity.name().to_owned(), json!(value))).collect();
                    results.push(json!({ "dataset": setting.dataset, "epochs": setting.epochs, "values": values }));
                }
                Err(BenchmarkError::NoResults { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(json!({ "index": index, "results": results }).to_string())
    })
}

/// Reads a genotype in any known form; as JSON.
#[pyfunction]
fn genotype(text: &str) -> PyResult<String> {
    let genotype = match Genotype::named(text) {
        Some(genotype) => genotype,
        None => text.parse().map_err(wrong)?,
    };
    let structure = serde_json::to_value(&genotype).map_err(failed)?;
    let value = json!({
        "text": genotype.to_string(), "space": genotype.space.name, "cells": structure["cells"],
        "parameter_free": genotype.parameter_free_share(),
    });
    Ok(value.to_string())
}

#[pymodule]
fn _gdas(module: &Bound<PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("GdasError", module.py().get_type::<GdasError>())?;
    module.add_function(wrap_pyfunction!(search, module)?)?;
    module.add_function(wrap_pyfunction!(train, module)?)?;
    module.add_function(wrap_pyfunction!(resume, module)?)?;
    module.add_function(wrap_pyfunction!(query, module)?)?;
    module.add_function(wrap_pyfunction!(genotype, module)?)
}
