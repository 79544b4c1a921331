//! gdas as a Python module: the commands of the program with their flags as JSON, images from memory, trained networks,
//! tables. What a user sees is written in Python, in `python/gdas`.
// Python hands arguments over by value.
#![allow(clippy::needless_pass_by_value)]

mod command;
mod dataset;
mod genotype;
mod judge;
mod network;
mod run;
mod table;
mod worker;

use pyo3::create_exception;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(_gdas, GdasError, PyRuntimeError, "What went wrong, where, and what to do about it.");

/// The error for what went wrong on the way.
fn failed(error: impl std::fmt::Display) -> PyErr {
    GdasError::new_err(error.to_string())
}

/// The error for wrong arguments.
fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A value of Python's out of JSON.
fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}

#[pymodule]
fn _gdas(module: &Bound<PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("GdasError", module.py().get_type::<GdasError>())?;
    module.add_class::<dataset::Images>()?;
    module.add_class::<dataset::Dataset>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<table::Table>()?;
    module.add_function(wrap_pyfunction!(command::command, module)?)?;
    module.add_function(wrap_pyfunction!(command::main, module)?)?;
    module.add_function(wrap_pyfunction!(genotype::genotype, module)?)?;
    module.add_function(wrap_pyfunction!(genotype::pictures, module)?)?;
    module.add_function(wrap_pyfunction!(genotype::space_toml, module)?)?;
    module.add_function(wrap_pyfunction!(run::find, module)?)?;
    module.add_function(wrap_pyfunction!(run::events, module)?)?;
    module.add_function(wrap_pyfunction!(run::result, module)?)
}
