//! The benchmark paper's comparison, made again: algorithms, seeds and data sets as a list of independent jobs, each
//! with one result file, and a table of ours beside the published one.
//!
//! A folder holds everything: `plan.jsonl` (the jobs, one a line), `results/<job>.json` (written whole or not at all, so
//! that a job is done or not, whoever does it and however often it is interrupted), `runs/<job>/` (the run directories
//! of searches that train) and `report/`. Any number of processes, on one machine or many, may work on one folder.

mod aggregate;
mod error;
mod job;
mod plan;
mod published;
mod render;

pub use aggregate::{COLUMNS, Row, Score, aggregate};
pub use error::ReproduceError;
pub use job::{JobResult, Progress, Trained, TrainingSearch, execute, look_up_all};
pub use plan::{Job, Plan, Shard};
pub use published::{Figure, PUBLISHED, Published, published};
pub use render::{csv, markdown, text, write_report};
