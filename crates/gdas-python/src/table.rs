//! NAS-Bench-201's table, opened once.

use std::path::PathBuf;
use std::str::FromStr;

use gdas_nasbench::algorithms::{BUDGET_SECONDS, TableAlgorithm};
use gdas_nasbench::{
    BenchmarkError, Budget, Dataset, Limits, Quantity, Seeds, Setting, canonical, genotype_of, reproduce,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};

use crate::{failed, wrong};

/// A cell by its index or its text.
#[derive(FromPyObject)]
enum Cell {
    Index(usize),
    Text(String),
}

/// The table in memory.
#[pyclass(module = "gdas._gdas", frozen)]
pub(crate) struct Table {
    table: gdas_nasbench::Table,
}

/// A value by the library's own reading, with its error text.
fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> PyResult<T> {
    text.parse().map_err(|error: T::Err| wrong(error))
}

fn setting(dataset: &str, epochs: u16) -> PyResult<Setting> {
    Ok(Setting::new(parse::<Dataset>(dataset)?, epochs))
}

fn seeds(seed: Option<u32>) -> Seeds {
    seed.map_or(Seeds::Mean, Seeds::One)
}

#[pymethods]
impl Table {
    #[new]
    fn new(py: Python, path: PathBuf) -> PyResult<Self> {
        let table = py.detach(|| gdas_nasbench::Table::open(&path)).map_err(failed)?;
        Ok(Self { table })
    }

    fn __len__(&self) -> usize {
        self.table.len()
    }

    /// The index of a cell.
    fn index(&self, cell: Cell) -> PyResult<usize> {
        match cell {
            Cell::Index(index) => self.table.cell(index).map(|_| index).map_err(wrong),
            Cell::Text(text) => {
                self.table.find(&text).or_else(|error| {
                    // Texts of other forms, such as those of result.json.
                    let other = text.parse::<gdas::space::Genotype>().ok().map(|genotype| genotype.to_string());
                    other.map_or(Err(error), |text| self.table.find(&text)).map_err(wrong)
                })
            }
        }
    }

    /// The text of a cell.
    fn cell(&self, index: usize) -> PyResult<String> {
        Ok(genotype_of(self.table.cell(index).map_err(wrong)?).to_string())
    }

    /// Data sets and numbers of epochs that there are results for.
    fn settings(&self) -> Vec<(String, u16)> {
        self.table.settings().iter().map(|setting| (setting.dataset.to_string(), setting.epochs)).collect()
    }

    /// Seeds of a cell's runs; `None` stands for a mean whose runs are not known.
    fn seeds(&self, index: usize, dataset: &str, epochs: u16) -> PyResult<Vec<Option<u32>>> {
        Ok(self.table.seeds(index, setting(dataset, epochs)?))
    }

    /// Everything that is known of a training.
    #[pyo3(signature = (cell, dataset, epochs, seed))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        cell: Cell,
        dataset: &str,
        epochs: u16,
        seed: Option<u32>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let index = self.index(cell)?;
        let record = self.table.query(index, setting(dataset, epochs)?, seeds(seed)).map_err(wrong)?;
        let values = PyDict::new(py);
        for (quantity, value) in record.iter() {
            values.set_item(quantity.name(), value)?;
        }
        Ok(values)
    }

    /// A quantity after every epoch, if the table has the curve.
    #[pyo3(signature = (index, dataset, epochs, by, seed))]
    fn curve(
        &self,
        index: usize,
        dataset: &str,
        epochs: u16,
        by: &str,
        seed: Option<u32>,
    ) -> PyResult<Option<Vec<f64>>> {
        self.table.curve(index, setting(dataset, epochs)?, seeds(seed), parse::<Quantity>(by)?).map_err(wrong)
    }

    /// Index and value of the best cell within the limits.
    #[pyo3(signature = (dataset, epochs, by, max_parameters, max_flops, max_latency))]
    fn best(
        &self,
        dataset: &str,
        epochs: u16,
        by: &str,
        max_parameters: Option<f64>,
        max_flops: Option<f64>,
        max_latency: Option<f64>,
    ) -> PyResult<Option<(usize, f64)>> {
        let limits = Limits { parameters: max_parameters, flops: max_flops, latency: max_latency };
        self.table.best(setting(dataset, epochs)?, parse::<Quantity>(by)?, &limits).map_err(wrong)
    }

    /// Rank of a cell, number of cells ranked, and the value.
    fn rank(&self, cell: Cell, dataset: &str, epochs: u16, by: &str) -> PyResult<(usize, usize, f64)> {
        let index = self.index(cell)?;
        let rank = self.table.rank(index, setting(dataset, epochs)?, parse::<Quantity>(by)?).map_err(wrong)?;
        Ok((rank.rank, rank.of, rank.value))
    }

    /// How every quantity is spread, as JSON.
    fn stats(&self, py: Python) -> PyResult<String> {
        py.detach(|| {
            let mut unique: Vec<_> = self.table.cells().iter().map(|cell| canonical(*cell)).collect();
            unique.sort_unstable();
            unique.dedup();
            let mut rows = Vec::new();
            for setting in self.table.settings() {
                for quantity in Quantity::ALL {
                    match self.table.spread(setting, quantity) {
                        Ok(spread) => {
                            let mut row = json!(spread);
                            row["dataset"] = json!(setting.dataset);
                            row["epochs"] = json!(setting.epochs);
                            row["quantity"] = json!(quantity.name());
                            rows.push(row);
                        }
                        Err(BenchmarkError::NoQuantity { .. }) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
            }
            Ok(json!({ "cells": self.table.len(), "unique": unique.len(), "quantities": rows }).to_string())
        })
    }

    /// Means of all cells, by index: the columns of a table for one data set and length, as (name, values).
    fn columns(&self, py: Python, dataset: &str, epochs: u16) -> PyResult<Vec<(String, Vec<Option<f64>>)>> {
        let setting = setting(dataset, epochs)?;
        Ok(py.detach(|| {
            let column = |quantity: Quantity| (quantity.name().to_owned(), self.table.means(setting, quantity));
            let columns = Quantity::ALL.into_iter().map(column);
            columns.filter(|(_, values)| values.iter().any(Option::is_some)).collect()
        }))
    }

    /// Searches in the table with seeds 0, 1, ...; a row per algorithm and result, as JSON.
    #[pyo3(signature = (algorithms, dataset, seeds, seconds, queries))]
    fn simulate(
        &self,
        py: Python,
        algorithms: Vec<String>,
        dataset: &str,
        seeds: u64,
        seconds: Option<f64>,
        queries: Option<usize>,
    ) -> PyResult<String> {
        let dataset = parse::<Dataset>(dataset)?;
        let budget = queries.map_or(Budget::Seconds(seconds.unwrap_or(BUDGET_SECONDS)), Budget::Queries);
        let mut plan = reproduce::Plan::default();
        let named: Vec<TableAlgorithm> = algorithms.iter().map(|name| parse(name)).collect::<PyResult<_>>()?;
        for algorithm in if named.is_empty() { TableAlgorithm::ALL.to_vec() } else { named } {
            plan.add_table(algorithm, &[dataset], seeds, budget);
        }
        let rows = py.detach(|| {
            let results = reproduce::look_up_all(&plan, &self.table).map_err(failed)?;
            let rows = reproduce::aggregate(&results, &self.table).map_err(failed)?;
            rows.iter().map(|row| serde_json::to_value(row).map_err(failed)).collect::<PyResult<Vec<Value>>>()
        })?;
        Ok(Value::Array(rows).to_string())
    }
}
