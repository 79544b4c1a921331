//! The run directory: what a search or training leaves on disk, and how it goes on after any interruption.
//!
//! | file | content |
//! | --- | --- |
//! | `config.toml` | the resolved configuration, every key, below a checksum |
//! | `events.jsonl` | one [`Event`] per line, each with a checksum, append-only; on resume cut back to the length that the checkpoint recorded |
//! | `data.json` | which images the run works on and where they were, with a checksum ([`ImagesRecord`]) |
//! | `checkpoint.0`, `checkpoint.1` | two generations of [`Checkpoint`], each with its own checksum |
//! | `result.json`, `cell.svg`, ... | what came out; `result.json` with a checksum |
//! | `test.safetensors` | of a training: how its network answered the test images ([`TestRecord`]) |
//! | `control` | one word, `pause` or `stop`, by which another process asks the one at work for that ([`ask`]) |
//! | `lock` | held (by the operating system) by the process at work, with its id and host as text |
//!
//! Every file but the log and the lock is written beside its target, made durable, then renamed over it, so a
//! reader sees the old content or the new one, never a half. Every write goes through [`Storage`], where tests
//! make the n-th one fail.

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
pub use alarm::{Alarms, EpochNumbers, FLAT, LATE, LEAST_EPOCHS, PATIENCE, SATURATED, relative_entropy};
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
