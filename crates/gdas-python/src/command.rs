//! The program's commands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gdas::run::{Event, Interrupt};
use gdas_cli::embed::{self, Failure, Host};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::dataset::Dataset;
use crate::judge::Judge;
use crate::worker::watched;
use crate::{failed, loads, wrong};

/// What a command says while it works.
enum Message {
    /// The run that was made.
    Run(PathBuf),
    /// An event, as JSON.
    Event(String),
    /// A line for people.
    Note(String),
}

/// Runs a command; `keys` are its flags and arguments as a JSON object.
///
/// `on_event(event)` and `on_note(text)` are called on this thread. Where `on_event` returns `False` the command is asked
/// to stop. Returns the run that was made, if one was, and the command's output as JSON; no output where it was stopped.
#[pyfunction]
#[pyo3(signature = (name, keys, dataset, judge, on_event, on_note, overwrite))]
pub(crate) fn command(
    py: Python,
    name: &str,
    keys: &str,
    dataset: Option<PyRef<Dataset>>,
    judge: Option<Py<PyAny>>,
    on_event: Option<Py<PyAny>>,
    on_note: Option<Py<PyAny>>,
    overwrite: bool,
) -> PyResult<(Option<PathBuf>, Option<String>)> {
    let keys: Map<String, Value> = serde_json::from_str(keys).map_err(wrong)?;
    let interrupt = Interrupt::default();
    let judging = Arc::new(Mutex::new(None));
    let mut host = Host {
        dataset: dataset.map(|dataset| dataset.dataset.clone()),
        selection: judge.map(|callback| Box::new(Judge::new(callback, judging.clone())) as _),
        overwrite,
        interrupt: interrupt.clone(),
        ..Host::default()
    };
    let (mut run, mut stopped) = (None, false);
    let heard = |py: Python, message: Message| {
        match (message, &on_event, &on_note) {
            (Message::Run(path), ..) => run = Some(path),
            (Message::Event(text), Some(callback), _) => {
                let answer = callback.call1(py, (loads(py, &text)?,))?;
                if answer.extract::<bool>(py).is_ok_and(|go_on| !go_on) {
                    stopped = true;
                    interrupt.request();
                }
            }
            (Message::Note(text), _, Some(callback)) => {
                callback.call1(py, (text,))?;
            }
            _ => {}
        }
        Ok(())
    };
    let reports = on_event.is_some();
    let outcome = watched(py, &interrupt, heard, |teller| {
        let told = teller.clone();
        host.on_run = Some(Box::new(move |path: &Path| told.tell(Message::Run(path.to_path_buf()))));
        if reports {
            let told = teller.clone();
            host.on_event = Some(Box::new(move |event: &Event| {
                if let Ok(text) = serde_json::to_string(event) {
                    told.tell(Message::Event(text));
                }
            }));
        }
        host.on_note = Some(Box::new(move |text: &str| teller.tell(Message::Note(text.to_owned()))));
        embed::run(name, &keys, host)
    })?;
    if let Some(error) = judging.lock().ok().and_then(|mut judging| judging.take()) {
        return Err(error);
    }
    match outcome {
        Ok(output) => Ok((run, Some(Value::Array(output).to_string()))),
        Err(Failure::Interrupted(_)) if stopped => Ok((run, None)),
        Err(Failure::Interrupted(message)) => Err(PyKeyboardInterrupt::new_err(message)),
        Err(Failure::Usage(message)) => Err(wrong(message)),
        Err(Failure::Failed(message)) => Err(failed(message)),
    }
}

/// The whole program, with the arguments behind its name; its exit code.
#[pyfunction]
pub(crate) fn main(py: Python, arguments: Vec<OsString>) -> u8 {
    let name = std::iter::once(OsString::from("gdas"));
    py.detach(|| gdas_cli::main(name.chain(arguments)))
}
