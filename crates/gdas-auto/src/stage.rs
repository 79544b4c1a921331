//! Stages: ordinary runs inside the directory of an automatic run.

use std::path::Path;

use serde::Deserialize;

use gdas::Error;
use gdas::config::{Config, Layer, resolve, to_toml};
use gdas::run::{RunDir, read_result};

pub(crate) fn unsuitable(error: impl std::fmt::Display) -> Error {
    Error::Unsuitable(error.to_string())
}

/// A configuration from JSON keys.
pub(crate) fn resolved<T: Config>(keys: &serde_json::Value) -> Result<T, Error> {
    let layer = Layer::flags(keys).map_err(unsuitable)?;
    resolve(&[layer]).map_err(unsuitable)
}

/// Whether a stage has begun, so that its configuration is fixed.
pub(crate) fn has_begun(run: &Path, name: &str) -> bool {
    run.join(name).join("config.toml").is_file()
}

/// The configuration of a stage: the saved one if it has begun, else that of `plan`, which is saved. `None` if planning
/// was interrupted.
pub(crate) fn begin<T: Config>(
    run: &Path,
    name: &str,
    plan: impl FnOnce() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let path = run.join(name);
    if has_begun(run, name) {
        let text = gdas::run::read_config(&path)?;
        let file = path.join("config.toml").display().to_string();
        let layer = Layer::file(&file, &text).map_err(unsuitable)?;
        return resolve(&[layer]).map(Some).map_err(unsuitable);
    }
    let Some(config) = plan()? else { return Ok(None) };
    RunDir::create(path, &to_toml(&config).map_err(unsuitable)?)?;
    Ok(Some(config))
}

/// The saved result of a finished stage, or else the result of `work`.
pub(crate) fn finished_or<T: for<'de> Deserialize<'de>>(
    run: &Path,
    name: &str,
    work: impl FnOnce(&mut RunDir) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut inner = RunDir::open(run.join(name))?;
    if inner.is_finished() {
        return Ok(Some(read_result(inner.path())?));
    }
    work(&mut inner)
}
