//! What is in a run directory.

use std::path::{Path, PathBuf};

use gdas::run::{RunInfo, read_result_text};
use gdas_cli::embed::{self, Failure};
use pyo3::prelude::*;
use serde_json::Value;

use crate::{failed, wrong};

/// The exception for a failure.
pub(crate) fn failure(failure: Failure) -> PyErr {
    match failure {
        Failure::Usage(message) => wrong(message),
        Failure::Interrupted(message) | Failure::Failed(message) => failed(message),
    }
}

/// The directory of a run that is named by its path, or by its name in `runs/`, and what is known of it, as JSON.
#[pyfunction]
pub(crate) fn find(run: &str) -> PyResult<(PathBuf, String)> {
    let (path, task) = embed::find(run).map_err(failure)?;
    let mut info = serde_json::to_value(RunInfo::read(&path).map_err(failed)?).map_err(failed)?;
    info["task"] = task.into();
    Ok((path, info.to_string()))
}

/// The events of a run, as a JSON array.
#[pyfunction]
pub(crate) fn events(run: PathBuf) -> PyResult<String> {
    let events = RunInfo::events(&run).map_err(failed)?;
    serde_json::to_string(&events).map_err(failed)
}

/// The result of a run, as JSON; `None` where it is not finished.
#[pyfunction]
pub(crate) fn result(run: PathBuf) -> PyResult<Option<String>> {
    if !Path::new(&run).join("result.json").is_file() {
        return Ok(None);
    }
    let text = read_result_text(&run).map_err(failed)?;
    let mut value: Value = serde_json::from_str(&text).map_err(failed)?;
    value["run"] = Value::from(run.display().to_string());
    Ok(Some(value.to_string()))
}
