//! Reproduction of the benchmark paper's comparison: independent jobs (algorithm, data set, seed) with one result file
//! each, and a table of the results beside the published figures.
//!
//! A folder contains `plan.jsonl` (one job per line), `results/<job>.json` (written atomically, so that interrupted jobs
//! leave no partial result), `runs/<job>/` (run directories of training searches) and `report/`. Any number of processes,
//! on one machine or several, can work on one folder.

mod aggregate;
mod error;
mod job;
mod plan;
mod published;
mod render;

pub use aggregate::{COLUMNS, Row, Score, aggregate};
pub use error::ReproduceError;
pub use job::{JobCounts, JobResult, Trained, TrainingSearch, execute, look_up_all};
pub use plan::{Job, Plan, Shard};
pub use published::{Figure, PUBLISHED, Published, published};
pub use render::{csv, markdown, text, write_report};
