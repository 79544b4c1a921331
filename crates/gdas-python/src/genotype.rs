//! Genotypes and spaces.

use std::path::PathBuf;

use gdas::config::space_of;
use gdas::run::read_config;
use gdas::space::{Genotype, Space};
use gdas_report::genotype_pictures;
use pyo3::prelude::*;
use serde_json::json;

use crate::{failed, wrong};

/// Reads a genotype: text in any known form or a published name; for the space of a run if one is given.
fn read(text: &str, run: Option<PathBuf>) -> PyResult<Genotype> {
    if let Some(run) = run {
        let space = space_of(&read_config(&run).map_err(failed)?).map_err(failed)?;
        return Genotype::parse(text, &space).map_err(wrong);
    }
    Genotype::named(text).map_or_else(|| text.parse().map_err(wrong), Ok)
}

/// Reads a genotype in any known form; as JSON.
#[pyfunction]
#[pyo3(signature = (text, run=None))]
pub(crate) fn genotype(text: &str, run: Option<PathBuf>) -> PyResult<String> {
    let genotype = read(text, run)?;
    let structure = serde_json::to_value(&genotype).map_err(failed)?;
    let value = json!({
        "text": genotype.to_string(), "space": genotype.space.name, "cells": structure["cells"],
        "parameter_free": genotype.parameter_free_share(),
    });
    Ok(value.to_string())
}

/// A picture of each cell: its name, and SVG.
#[pyfunction]
#[pyo3(signature = (text, run=None))]
pub(crate) fn pictures(text: &str, run: Option<PathBuf>) -> PyResult<Vec<(String, String)>> {
    let genotype = read(text, run)?;
    let pictures = genotype_pictures(&genotype, false).map_err(wrong)?;
    let names = genotype.space.cells.iter().map(|cell| cell.name.clone());
    Ok(names.zip(pictures.iter().map(gdas_report::Picture::to_svg)).collect())
}

/// A space given as JSON, in the TOML that the program reads.
#[pyfunction]
pub(crate) fn space_toml(space: &str) -> PyResult<String> {
    let space: Space = serde_json::from_str(space).map_err(|error| wrong(format!("the space: {error}")))?;
    space.validate().map_err(wrong)?;
    Ok(space.to_toml())
}
