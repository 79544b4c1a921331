//! NAS-Bench-201 as a table: the training results of all 15,625 cells, for queries instead of training.
//!
//! [`Table::open`] reads a compact file (its columns: [`TableWriter`]), a CSV file, or the benchmark's official
//! files; [`Table::query`], [`Table::best`], [`Table::rank`] and [`Table::spread`] query it, and [`Simulator`]
//! simulates the training of cells within a budget. Names and definitions are those of Dong and Yang, "NAS-Bench-201:
//! Extending the Scope of Reproducible Neural Architecture Search" (ICLR 2020).
//!
//! [`algorithms`] search on the table; [`reproduce`] compares them as the benchmark's paper does.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod algorithms;
mod cells;
mod columns;
mod compact;
mod convert;
mod correlation;
mod csv;
mod error;
mod official;
mod quantity;
mod ranking;
pub mod reproduce;
mod simulate;
mod table;
mod trajectory;

pub use cells::{CANDIDATES, Cell, EDGES, canonical, cell_of, genotype_of};
pub use columns::{Columns, Curves, Run, TableWriter};
pub use convert::convert;
pub use correlation::{Correlation, Pair, PairFile, best_first, kendall_tau, spearman};
pub use error::BenchmarkError;
pub use quantity::{Dataset, Quantity, Record, Setting};
pub use ranking::{Limits, Rank, Spread};
pub use simulate::{Budget, NOMINAL_SECONDS, SHORT_EPOCHS, Simulator, Visit};
pub use table::{Seeds, Table};
pub use trajectory::{TRAJECTORY_DATASETS, Trajectory, TrajectoryPoint};
