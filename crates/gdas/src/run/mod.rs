//! The run directory: files of a search or training, from which it resumes after an interruption.
//!
//! | file | content |
//! | --- | --- |
//! | `config.toml` | the resolved configuration, every key, below a checksum |
//! | `events.jsonl` | one [`Event`] per line, each with a checksum, append-only; truncated on resume to the length recorded in the checkpoint |
//! | `data.json` | name, location and digest of the images, with a checksum ([`ImagesRecord`]) |
//! | `checkpoint.0`, `checkpoint.1` | two generations of [`Checkpoint`], each with its own checksum |
//! | `result.json`, `cell.svg`, ... | what came out; `result.json` with a checksum |
//! | `test.safetensors` | of a training: how its network answered the test images ([`TestRecord`]) |
//! | `control` | one word, `pause` or `stop`, by which another process asks the one at work for that ([`ask`]) |
//! | `lock` | held (by the operating system) by the process at work, with its id and host as text |
//!
//! All files except the log and the lock are replaced atomically: written under a temporary name, flushed to disk and
//! renamed. All writes go through [`Storage`], by which tests inject failures.

mod alarm;
mod cadence;
mod checkpoint;
mod control;
mod delete;
mod dir;
mod error;
mod event;
mod follow;
mod images;
mod info;
mod interrupt;
mod judgement;
mod lock;
mod metrics;
pub(crate) mod phase;
mod run_loop;
mod seal;
mod storage;
mod tensors;
mod tested;

pub use crate::arrays::{Array, Data};
pub use crate::files::Operation;
pub use alarm::{Alarms, EpochNumbers, FLAT, LATE, MIN_EPOCHS, PATIENCE, SATURATED, relative_entropy};
use cadence::Cadence;
pub use checkpoint::{Checkpoint, FORMAT_VERSION};
pub use control::{Request, ask, requested};
pub use delete::delete;
pub use dir::{Loaded, RunDir, Saved, read_checkpoint, read_config, read_result, read_result_text};
pub use error::RunError;
pub use event::{Alarm, AutoPart, Event, Observer, Silent, read_events};
pub use follow::{Follower, News};
pub use images::ImagesRecord;
pub use info::{RunInfo, STAGES, is_run, list, stage_at, stages};
pub use interrupt::Interrupt;
pub use judgement::{Judgement, Places};
pub use metrics::{AlphaTable, EpochMetrics, SearchMetrics, StepMetrics, TrainEpochMetrics, TrainStepMetrics};
pub use phase::on_phase;
pub use run_loop::Outcome;
pub(crate) use run_loop::{Clock, Journal, Task, run_loop};
pub use storage::Storage;
pub use tested::{TestFacts, TestRecord};
