use clap::Args;
use gdas::config::{Layer, SearchConfig, resolve};
use gdas::device::{self, DeviceError, DeviceName, Precision};
use gdas::run::Interrupt;
use gdas::{Device, search};
use gdas_data::Options;
use serde_json::json;

use super::doctor;
use crate::exit::Usage;
use crate::output::{self, table};

/// List the devices that a search can run on, and how fast they are
///
/// The rate is that of a float32 matrix product of 1024 x 1024, the step one step of a search on the digits (alpha's
/// half included), both measured now; on a graphics processor with the kernels that the fused engine launched per step, the
/// size of all tensors that these were given, and how often the host waited for numbers. Memory is what is free, of a graphics
/// card what it has, where its driver tells. A device that is not built in says how to build it.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas devices
  gdas devices --device vulkan --preset paper --image-size 32   the published supernet's step there
  gdas devices --json")]
pub(crate) struct Devices {
    /// Only this device
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Search preset whose step is timed
    #[arg(long, value_name = "NAME", default_value = "digits")]
    preset: String,
    /// Search space whose step is timed
    #[arg(long, value_name = "NAME", default_value = "nas-bench-201")]
    space: String,
    /// Images per step [default: the preset's]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// How graphics devices store values between operations: float32, float16 or bfloat16
    #[arg(long, value_name = "TYPE", default_value_t)]
    precision: Precision,
    /// Side length that the digits are brought to for it
    #[arg(long, value_name = "PIXELS", default_value_t = 8)]
    image_size: usize,
    /// Measure nothing
    #[arg(long)]
    list: bool,
    /// Print JSON, one object per device
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Devices) -> anyhow::Result<()> {
    let names = command.device.map_or_else(
        || DeviceName::ALL.into_iter().filter(|name| *name != DeviceName::Auto).collect(),
        |name| vec![name],
    );
    if let [name] = names[..]
        && !name.is_built()
    {
        usable(Err(DeviceError::NotBuilt(name)))?;
    }
    let mut keys = json!({ "preset": command.preset, "space": command.space, "image_size": command.image_size,
        "data": "digits", "precision": command.precision });
    if let Some(batch_size) = command.batch_size {
        keys["batch_size"] = json!(batch_size);
    }
    let config: SearchConfig = resolve(&[Layer::flags(&keys)?])?;
    let mut rows = vec![["device", "name", "memory", "matrix product", "search step"].map(String::from).to_vec()];
    for name in names {
        let row = match start(name, command.precision) {
            Ok(device) => measure(command, name, &device, &config)?,
            Err(error) => {
                if command.json {
                    output::json(&json!({ "device": name, "error": error.to_string() }))?;
                }
                let what = match error {
                    DeviceError::NotBuilt(name) => format!("not in this build (--features {name})"),
                    DeviceError::NotFound { .. } | DeviceError::TooFew { .. } => "not found".to_string(),
                    DeviceError::Wrong { name, .. } => format!("{name}: computes wrongly"),
                    DeviceError::Precision { precision, .. } => format!("does not store {precision}"),
                };
                vec![name.to_string(), what]
            }
        };
        rows.push(row);
    }
    if command.json { Ok(()) } else { Ok(output::line(table(&rows))?) }
}

fn measure(command: &Devices, name: DeviceName, device: &Device, config: &SearchConfig) -> anyhow::Result<Vec<String>> {
    let memory = if name == DeviceName::Cpu { doctor::available_memory() } else { device::memory(device) };
    let mut rate = None;
    let mut cost = None;
    if !command.list {
        rate = Some(device::matrix_rate(device).map_err(anyhow::Error::msg)?);
        let options = Options { image_size: Some(command.image_size), ..Options::default() };
        let digits = gdas_data::open_with("digits", &options)?;
        cost = search::step_cost(config, &digits, &Interrupt::default(), device)?;
    }
    let called = device::describe(device);
    let work = cost.and_then(|cost| cost.work);
    if command.json {
        output::json(&json!({ "device": name, "name": called, "memory": memory, "matrix_flops": rate,
            "step_seconds": cost.map(|cost| cost.seconds), "batch_size": config.batch_size,
            "launches": work.map(|work| work.launches), "bytes": work.map(|work| work.bytes),
            "reads": work.map(|work| work.reads) }))?;
    }
    let unknown = || "-".to_string();
    Ok(vec![
        name.to_string(),
        called,
        memory.map_or_else(unknown, gdas::cost::readable_bytes),
        rate.map_or_else(unknown, |rate| format!("{:.1} GFLOP/s", rate / 1e9)),
        cost.map_or_else(unknown, |cost| {
            let work = work.map_or_else(String::new, |work| {
                let bytes = gdas::cost::readable_bytes(work.bytes);
                format!(", {} kernels, {bytes}, {} read-backs", work.launches, work.reads)
            });
            let images = 2.0 * config.batch_size as f64 / cost.seconds;
            format!("{:.2} ms, {images:.0} images/s{work}", cost.seconds * 1e3)
        }),
    ])
}

/// Opens `count` devices of one name, before any work starts.
pub(crate) fn open_several(name: DeviceName, count: usize, precision: Precision) -> anyhow::Result<Vec<Device>> {
    let devices = usable(name.open_several(count))?;
    for device in &devices {
        usable(device::check_precision(device, precision))?;
    }
    Ok(devices)
}

/// Starts a device, before anything is begun.
pub(crate) fn open(name: DeviceName, precision: Precision) -> anyhow::Result<Device> {
    usable(start(name, precision))
}

fn start(name: DeviceName, precision: Precision) -> Result<Device, DeviceError> {
    let device = name.open()?;
    device::check_precision(&device, precision)?;
    Ok(device)
}

/// A device that is not in this build, too few devices, and a precision that they cannot store are usage errors.
fn usable<T>(opened: Result<T, DeviceError>) -> anyhow::Result<T> {
    opened.map_err(|error| match error {
        DeviceError::NotBuilt(_) | DeviceError::TooFew { .. } | DeviceError::Precision { .. } => {
            Usage(error.to_string()).into()
        }
        DeviceError::NotFound { .. } | DeviceError::Wrong { .. } => error.into(),
    })
}
