//! Configuration of an automatic run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use gdas::space::Space;

/// Configuration of an automatic run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoConfig {
    /// Always `auto`; distinguishes the file from those of other tasks.
    pub task: String,
    /// A known data set's name, or a path to images.
    pub data: String,
    /// Height and width in pixels to which images are resized; `auto`: the size of the data.
    pub image_size: Auto<usize>,
    /// Whether unusable image files are skipped with a warning instead of ending the run.
    #[serde(default)]
    pub skip_damaged: bool,
    /// Search space.
    #[serde(with = "gdas::space::shared")]
    pub space: Arc<Space>,
    /// Time budget of the run in seconds; 0: one hour.
    pub budget_seconds: f64,
    /// Whether to search for a cell; `auto`: if the budget suffices for a useful search, or no cell of the space is known.
    #[serde(default = "by_time")]
    pub search: Auto<bool>,
    /// Maximum number of parameters of the network; 0: unlimited.
    #[serde(default)]
    pub max_params: f64,
    /// Maximum number of multiply-adds of the network per image; 0: unlimited.
    #[serde(default)]
    pub max_flops: f64,
    /// Maximum latency for one image on this machine's processor, in milliseconds; 0: unlimited.
    #[serde(default)]
    pub max_latency: f64,
    /// Maximum size of the ONNX file in bytes; 0: unlimited.
    #[serde(default)]
    pub max_file_size: f64,
    /// Seed of all randomness.
    #[serde(with = "gdas::config::seed")]
    pub seed: u64,
    /// Number of threads; `auto`: one per core.
    pub threads: Auto<usize>,
    /// Device on which tensors are stored and steps run.
    #[serde(default)]
    pub device: DeviceName,
    /// Type in which a GPU stores values between operations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether search and training also write TensorBoard event files.
    #[serde(default)]
    pub tensorboard: bool,
}

/// Default for configurations of earlier versions, which lack the key.
fn by_time() -> Auto<bool> {
    Auto::Auto
}
