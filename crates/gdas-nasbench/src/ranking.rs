//! Queries over the whole table: the best cell, the rank of a cell, the distribution of a quantity.

use serde::Serialize;

use super::table::Table;
use super::{BenchmarkError, Quantity, Setting};
use gdas::rng::{Rng, Stream};

/// Bounds on the cost of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Largest number of parameters, in millions.
    pub parameters: Option<f64>,
    /// Largest number of multiply-adds, in millions.
    pub flops: Option<f64>,
    /// Largest latency, in seconds for 256 images.
    pub latency: Option<f64>,
}

/// Rank of a cell among all cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rank {
    /// Value of the quantity.
    pub value: f64,
    /// 1 for the best; cells with equal values share the better rank.
    pub rank: usize,
    /// Number of cells that have the quantity.
    pub of: usize,
}

/// Distribution of a quantity over the cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Number of cells that have the quantity.
    pub cells: usize,
    /// Mean over the cells.
    pub mean: f64,
    /// Population standard deviation over the cells.
    pub deviation: f64,
    /// Minimum, quartiles and maximum.
    pub quartiles: [f64; 5],
    /// Index of the cell with the largest value.
    pub largest: usize,
    /// Index of the cell with the smallest value.
    pub smallest: usize,
    /// Histogram of runs per cell: pairs of (runs, cells).
    pub runs: Vec<(usize, usize)>,
}

impl Table {
    /// Index and mean of the cell with the best mean of this quantity within the limits; the first of equals.
    pub fn best(
        &self,
        setting: Setting,
        quantity: Quantity,
        limits: &Limits,
    ) -> Result<Option<(usize, f64)>, BenchmarkError> {
        let values = self.known(setting, quantity)?;
        let mut best: Option<(usize, f64)> = None;
        for (index, value) in values {
            let better = best.is_none_or(|(_, so_far)| is_better(quantity, value, so_far));
            if better && self.within(index, setting, limits)? {
                best = Some((index, value));
            }
        }
        Ok(best)
    }

    fn within(&self, index: usize, setting: Setting, limits: &Limits) -> Result<bool, BenchmarkError> {
        let bounds = [
            (Quantity::Parameters, limits.parameters),
            (Quantity::Flops, limits.flops),
            (Quantity::Latency, limits.latency),
        ];
        for (quantity, bound) in bounds {
            let Some(bound) = bound else { continue };
            let value = self.get(index, setting, super::Seeds::Mean, quantity)?;
            let value = value.ok_or(BenchmarkError::NoQuantity { quantity: quantity.name(), setting })?;
            if value > bound {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rank of a cell by the mean of this quantity.
    pub fn rank(&self, index: usize, setting: Setting, quantity: Quantity) -> Result<Rank, BenchmarkError> {
        self.cell(index)?;
        let values = self.known(setting, quantity)?;
        let own = values.iter().find(|(cell, _)| *cell == index);
        let (_, value) = *own.ok_or(BenchmarkError::NoResults { index, setting })?;
        let better = values.iter().filter(|(_, other)| is_better(quantity, *other, value)).count();
        Ok(Rank { value, rank: better + 1, of: values.len() })
    }

    /// Distribution of the cells' means of this quantity.
    pub fn spread(&self, setting: Setting, quantity: Quantity) -> Result<Spread, BenchmarkError> {
        let mut values = self.known(setting, quantity)?;
        values.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let count = values.len() as f64;
        let mean = values.iter().map(|(_, value)| value).sum::<f64>() / count;
        let variance = values.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / count;
        let quartile = |q: usize| {
            let place = (values.len() - 1) as f64 * q as f64 / 4.0;
            let (low, high) = (values[place.floor() as usize].1, values[place.ceil() as usize].1);
            low + (high - low) * place.fract()
        };
        let mut runs = std::collections::BTreeMap::new();
        for (index, _) in &values {
            let seeds = self.seeds(*index, setting).iter().flatten().count();
            *runs.entry(seeds).or_insert(0) += 1;
        }
        Ok(Spread {
            cells: values.len(),
            mean,
            deviation: variance.sqrt(),
            quartiles: [quartile(0), quartile(1), quartile(2), quartile(3), quartile(4)],
            largest: values[values.len() - 1].0,
            smallest: values[0].0,
            runs: runs.into_iter().collect(),
        })
    }

    /// Index and mean of this number of different cells that have the quantity, drawn with this seed. With the same seed, a smaller
    /// sample is a prefix of a larger one.
    pub fn sample(
        &self,
        setting: Setting,
        quantity: Quantity,
        cells: usize,
        seed: u64,
    ) -> Result<Vec<(usize, f64)>, BenchmarkError> {
        let mut values = self.known(setting, quantity)?;
        Rng::new(seed, Stream::Architectures, 0).shuffle(&mut values);
        values.reverse();
        values.truncate(cells);
        Ok(values)
    }

    /// Index and mean of all cells that have the quantity as a finite number.
    ///
    /// # Errors
    /// If there is no such cell.
    fn known(&self, setting: Setting, quantity: Quantity) -> Result<Vec<(usize, f64)>, BenchmarkError> {
        let values: Vec<_> = self
            .means(setting, quantity)
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| Some((index, value.filter(|value| value.is_finite())?)))
            .collect();
        if values.is_empty() {
            return Err(BenchmarkError::NoQuantity { quantity: quantity.name(), setting });
        }
        Ok(values)
    }
}

fn is_better(quantity: Quantity, a: f64, b: f64) -> bool {
    if quantity.higher_is_better() { a > b } else { a < b }
}
