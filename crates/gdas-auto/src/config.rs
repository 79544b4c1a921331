//! What an automatic run is asked for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use gdas::config::Auto;
use gdas::device::{DeviceName, Precision};
use gdas::space::Space;

/// What an automatic run is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoConfig {
    /// Always `auto`; tells this file from those of other tasks.
    pub task: String,
    /// A known data set's name, or a path to images.
    pub data: String,
    /// Images are brought to this many pixels in height and width; `auto`: the data's own size.
    pub image_size: Auto<usize>,
    /// Whether image files that cannot be used are left out, and named, instead of ending the run.
    #[serde(default)]
    pub skip_damaged: bool,
    /// Search space.
    #[serde(with = "gdas::space::shared")]
    pub space: Arc<Space>,
    /// Seconds that the whole may take on this machine; 0: one hour.
    pub budget_seconds: f64,
    /// Whether a cell is searched; `auto`: where the time is enough for a search that finds something, or no cell of the
    /// space is known.
    #[serde(default = "by_time")]
    pub search: Auto<bool>,
    /// Most parameters of the network that comes out; 0: any number.
    #[serde(default)]
    pub max_params: f64,
    /// Most multiply-adds of that network per image; 0: any number.
    #[serde(default)]
    pub max_flops: f64,
    /// Most milliseconds that it takes for one image on this machine's processor; 0: any time.
    #[serde(default)]
    pub max_latency: f64,
    /// Most bytes of its ONNX file; 0: any number.
    #[serde(default)]
    pub max_file_size: f64,
    /// Seed of all randomness.
    #[serde(with = "gdas::config::seed")]
    pub seed: u64,
    /// Threads; `auto`: one per core.
    pub threads: Auto<usize>,
    /// Where the tensors live and the steps run.
    #[serde(default)]
    pub device: DeviceName,
    /// How a graphics device stores the values between operations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether the scalars of search and training are also written as event files for TensorBoard.
    #[serde(default)]
    pub tensorboard: bool,
}

/// Of configurations that were written before the key was.
fn by_time() -> Auto<bool> {
    Auto::Auto
}
