//! Devices for tensors and steps: the CPU, or a GPU by Burn.
//!
//! The CPU is the default and always available; only its results are reproducible bit for bit. Other devices are Cargo
//! features (`vulkan`, `wgpu`, `metal`, `cuda`), to keep the default build small.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
pub use gdas_kernels::Precision;
use serde::{Deserialize, Serialize};

/// The name of a device, as `device = "vulkan"` in a configuration or `--device vulkan`.
///
/// ```
/// use gdas::device::DeviceName;
///
/// assert_eq!("cpu".parse::<DeviceName>()?, DeviceName::Cpu);
/// assert!(DeviceName::Cpu.open().is_ok());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// The first GPU that this build supports, else the CPU; never a software device.
    Auto,
    /// Vulkan: NVIDIA, AMD and Intel cards, and Mesa's software device.
    Vulkan,
    /// The graphics interface that `wgpu` selects.
    Wgpu,
    /// Metal, on Apple computers.
    Metal,
    /// CUDA, on NVIDIA cards.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without support for it.
    #[error(
        "this build of gdas cannot use the device `{0}`; build it with `cargo build --release --features {0}`, or use \
         `--device cpu`"
    )]
    NotBuilt(DeviceName),
    /// The machine does not have it.
    #[error("the device `{device}` does not start: {reason}; `gdas devices` lists what there is")]
    NotFound {
        /// The device.
        device: DeviceName,
        /// The driver's error.
        reason: String,
    },
    /// The machine has fewer of them than requested.
    #[error("the machine has {found} of the device `{device}`, but {asked} are requested (`devices`)")]
    TooFew {
        /// The device.
        device: DeviceName,
        /// Requested number.
        asked: usize,
        /// Available number.
        found: usize,
    },
    /// The machine has it, but it fails the test computation.
    #[error(
        "the device `{device}` computes wrong results ({name}): its driver does not go together with this build; \
         try another one (`cargo build --release --features wgpu`), or use `--device cpu`"
    )]
    Wrong {
        /// The device.
        device: DeviceName,
        /// Name reported by the driver.
        name: String,
    },
    /// The machine has it, but it does not support the precision.
    #[error(
        "the device `{device}` cannot store values as {precision} (`precision`); use `--precision float32`, which every \
         device can"
    )]
    Precision {
        /// Name reported by the driver.
        device: String,
        /// The requested precision.
        precision: Precision,
    },
}

impl DeviceName {
    /// All devices.
    pub const ALL: [Self; 6] = [Self::Cpu, Self::Auto, Self::Vulkan, Self::Wgpu, Self::Metal, Self::Cuda];

    /// The name in configurations and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Auto => "auto",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this build supports it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu | Self::Auto => true,
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// Starts the device. Of several GPUs the driver's first choice is used; the environment variables
    /// `CUBECL_WGPU_DEFAULT_DEVICE` and `CUDA_VISIBLE_DEVICES` select another.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Auto => Ok(Self::first_card().unwrap_or_else(Device::flex)),
            _ if !self.is_built() => Err(DeviceError::NotBuilt(self)),
            #[cfg(feature = "wgpu")]
            Self::Vulkan | Self::Wgpu | Self::Metal => wgpu::open(self, DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                let card = cuda_cards()?.into_iter().next().ok_or_else(|| missing_cuda("there is no NVIDIA card"));
                checked(self, card?)
            }
            #[allow(unreachable_patterns, reason = "which names are left depends on the features")]
            _ => Err(DeviceError::NotBuilt(self)),
        }
    }

    /// Starts the first `count` GPUs, in the driver's order (for `vulkan`, `wgpu` and `metal`: the discrete ones); a single one
    /// as [`open`](Self::open) does. The CPU is returned `count` times. `auto` is the first kind of GPU of which there are
    /// `count`, never the CPU.
    ///
    /// ```
    /// use gdas::device::{DeviceError, DeviceName};
    ///
    /// assert_eq!(DeviceName::Cpu.open_several(3)?.len(), 3);
    /// # Ok::<(), DeviceError>(())
    /// ```
    pub fn open_several(self, count: usize) -> Result<Vec<Device>, DeviceError> {
        match self {
            _ if count == 1 => Ok(vec![self.open()?]),
            Self::Cpu => Ok(vec![Device::flex(); count]),
            Self::Auto => {
                let mut most = 0;
                for name in Self::card_kinds() {
                    match name.open_several(count) {
                        Ok(cards) => return Ok(cards),
                        Err(DeviceError::TooFew { found, .. }) => most = most.max(found),
                        Err(_) => {}
                    }
                }
                Err(DeviceError::TooFew { device: self, asked: count, found: most })
            }
            _ if !self.is_built() => Err(DeviceError::NotBuilt(self)),
            #[cfg(feature = "wgpu")]
            Self::Vulkan | Self::Wgpu | Self::Metal => wgpu::open_cards(self, count),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                let mut cards = cuda_cards()?;
                let found = cards.len();
                cards.truncate(count);
                if found < count {
                    return Err(DeviceError::TooFew { device: self, asked: count, found });
                }
                cards.into_iter().map(|card| checked(self, card)).collect()
            }
            #[allow(unreachable_patterns, reason = "which names are left depends on the features")]
            _ => Err(DeviceError::NotBuilt(self)),
        }
    }

    /// Kinds of GPU that this build supports, in order of preference.
    fn card_kinds() -> impl Iterator<Item = Self> {
        [Self::Cuda, Self::Metal, Self::Vulkan, Self::Wgpu].into_iter().filter(|name| name.is_built())
    }

    /// The first available GPU, in the order CUDA, Metal, Vulkan, wgpu.
    fn first_card() -> Option<Device> {
        Self::card_kinds().find_map(|name| name.open().ok().filter(is_card))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|name| name.as_str()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// Name of the device, as reported by the driver.
pub fn describe(device: &Device) -> String {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        let software = if identity.physical.is_none() { " (software)" } else { "" };
        return format!("{}{software}", identity.name);
    }
    if *device == Device::flex() { "processor".to_string() } else { format!("{device:?}") }
}

/// Checks that networks can run with a precision on a device.
pub fn check_precision(device: &Device, precision: Precision) -> Result<(), DeviceError> {
    if precision.is_supported(device) {
        return Ok(());
    }
    Err(DeviceError::Precision { device: describe(device), precision })
}

/// Identifies a device's arithmetic: the CPU's instruction set, or the name of the GPU. Results are equal bit for bit only
/// where this is equal, and only if the device is deterministic.
pub(crate) fn arithmetic(device: &Device) -> String {
    if *device == Device::flex() { gdas_kernels::cpu::simd_level().to_string() } else { describe(device) }
}

/// A warning if a checkpoint was saved with another [`arithmetic`]; `None` if it is equal or not recorded (empty).
pub(crate) fn other_arithmetic(saved: &str, device: &Device) -> Option<String> {
    let here = arithmetic(device);
    (!saved.is_empty() && saved != here).then(|| {
        format!(
            "the checkpoint was saved by a run on {saved}, and this is {here}, which rounds differently: the run goes on, \
             but does not end bit for bit as it would have there"
        )
    })
}

/// Whether it is a GPU, as opposed to the CPU or a software device.
fn is_card(device: &Device) -> bool {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    return device.identity().is_some_and(|identity| identity.physical.is_some());
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = device;
        false
    }
}

/// Memory of a GPU in bytes, if its driver reports it (CUDA).
pub fn memory(device: &Device) -> Option<u64> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    return gdas_kernels::gpu::memory(device);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = device;
        None
    }
}

/// Measured floating-point operations per second of the square of a float32 matrix `[1024, 1024]`; the best of several runs
/// within about a second.
pub fn matrix_rate(device: &Device) -> Result<f64, String> {
    const SIZE: usize = 1024;
    let values = Tensor::<2>::random([SIZE, SIZE], Distribution::Uniform(-1.0, 1.0), &Device::flex()).into_data();
    let matrix = Tensor::<2>::from_data(TensorData::clone(&values), device);
    let started = Instant::now();
    let mut best = f64::INFINITY;
    let mut products = 1;
    while started.elapsed() < Duration::from_secs(1) {
        device.sync().map_err(|error| error.to_string())?;
        let clock = Instant::now();
        let mut result = matrix.clone().matmul(matrix.clone());
        for _ in 1..products {
            result = matrix.clone().matmul(matrix.clone());
        }
        device.sync().map_err(|error| error.to_string())?;
        // Reading one value ensures that the work is done.
        let _ = result.narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        let seconds = clock.elapsed().as_secs_f64();
        best = best.min(seconds / f64::from(products));
        if seconds < 0.1 {
            products *= 2;
        }
    }
    Ok(2.0 * (SIZE as f64).powi(3) / best)
}

/// Work submitted to a GPU by the fused engine, without Burn's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Number of kernel launches.
    pub launches: u64,
    /// Bytes of all tensors that they read or wrote.
    pub bytes: u64,
    /// Number of blocking reads by the host.
    pub reads: u64,
}

/// Runs `work` and counts the engine's work on the GPU; `None` if there was none.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Option<Work>) {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        let before = gdas_kernels::gpu::counters();
        let result = work();
        let after = gdas_kernels::gpu::counters();
        let done = Work {
            launches: after.launches - before.launches,
            bytes: after.bytes - before.bytes,
            reads: after.reads - before.reads,
        };
        (result, Some(done).filter(|done| done.launches > 0))
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    (work(), None)
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use std::sync::Mutex;

    use burn::tensor::wgpu::WgpuBackend;
    use burn::tensor::{Device, DeviceKind};

    use super::{DeviceError, DeviceName};

    type Started = ((DeviceName, DeviceKind), Result<Device, DeviceError>);

    /// Started devices, as a device may be started only once per process.
    static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

    pub(super) fn open(device: DeviceName, kind: DeviceKind) -> Result<Device, DeviceError> {
        let mut started = STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (device, kind.clone());
        if let Some((_, outcome)) = started.iter().find(|(known, _)| *known == key) {
            return outcome.clone();
        }
        let api = match device {
            DeviceName::Vulkan => WgpuBackend::Vulkan,
            DeviceName::Metal => WgpuBackend::Metal,
            _ => WgpuBackend::Auto,
        };
        let outcome = Device::wgpu_options()
            .device_kind(kind)
            .graphics_api(api)
            .init()
            .map_err(|error| DeviceError::NotFound { device, reason: error.to_string() })
            .and_then(|opened| super::checked(device, opened));
        started.push((key, outcome.clone()));
        outcome
    }

    /// The first discrete GPUs.
    pub(super) fn open_cards(device: DeviceName, count: usize) -> Result<Vec<Device>, DeviceError> {
        let mut cards = Vec::new();
        while cards.len() < count {
            let found = cards.len();
            let card = open(device, DeviceKind::DiscreteGpu(found)).map_err(|error| match error {
                DeviceError::NotFound { .. } => DeviceError::TooFew { device, asked: count, found },
                error => error,
            });
            cards.push(card?);
        }
        Ok(cards)
    }
}

/// The device if it passes a test computation.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn checked(name: DeviceName, device: Device) -> Result<Device, DeviceError> {
    if gdas_kernels::gpu::self_test(&device) {
        return Ok(device);
    }
    Err(DeviceError::Wrong { device: name, name: describe(&device) })
}

/// The CUDA devices. The binding loads the driver's library at run time, and panics if it is missing.
#[cfg(feature = "cuda")]
fn cuda_cards() -> Result<Vec<Device>, DeviceError> {
    std::panic::catch_unwind(|| Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec())
        .map_err(|_| missing_cuda("the CUDA driver cannot be loaded"))
}

#[cfg(feature = "cuda")]
fn missing_cuda(reason: &str) -> DeviceError {
    DeviceError::NotFound { device: DeviceName::Cuda, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in DeviceName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
            assert_eq!(serde_json::to_value(name).expect("a string"), name.as_str());
        }
        assert!("gpu".parse::<DeviceName>().unwrap_err().contains("vulkan"));
    }

    #[test]
    fn what_is_not_built_is_refused_with_the_way_to_build_it() {
        for name in DeviceName::ALL.into_iter().filter(|name| !name.is_built()) {
            let error = name.open().unwrap_err();
            assert_eq!(error, DeviceError::NotBuilt(name));
            assert!(error.to_string().contains(&format!("--features {name}")), "{error}");
        }
    }

    /// `auto` wants cards where several devices are asked for: replicas on the processor are only what was named.
    #[test]
    fn several_devices_are_so_many_or_an_error() {
        assert_eq!(DeviceName::Cpu.open_several(3), Ok(vec![Device::flex(); 3]));
        assert_eq!(DeviceName::Cpu.open_several(1), Ok(vec![Device::flex()]));
        let error = DeviceName::Auto.open_several(1000).unwrap_err();
        assert!(matches!(error, DeviceError::TooFew { device: DeviceName::Auto, asked: 1000, .. }), "{error}");
        for name in DeviceName::ALL.into_iter().filter(|name| !name.is_built()) {
            assert_eq!(name.open_several(2), Err(DeviceError::NotBuilt(name)));
        }
    }

    #[test]
    fn the_processor_multiplies_matrices() {
        let device = DeviceName::Cpu.open().expect("always there");
        assert!(matrix_rate(&device).expect("a rate") > 1e8);
        assert_eq!(describe(&device), "processor");
    }
}
