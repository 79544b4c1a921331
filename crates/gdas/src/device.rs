//! Where tensors live and steps run: the processor, or a graphics processor through Burn.
//!
//! The processor is always there and is the default: only there is a result the same bits every time. Other devices
//! are Cargo features (`vulkan`, `wgpu`, `metal`, `cuda`), so that the usual build stays small.

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
    /// The processor.
    #[default]
    Cpu,
    /// The first graphics card that this build can use, else the processor. Never a software device.
    Auto,
    /// Vulkan: NVIDIA, AMD and Intel cards, and Mesa's software device.
    Vulkan,
    /// Whatever graphics interface `wgpu` finds.
    Wgpu,
    /// Metal, on Apple computers.
    Metal,
    /// CUDA, on NVIDIA cards.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error(
        "this build of gdas cannot use the device `{0}`; build it with `cargo build --release --features {0}`, or use \
         `--device cpu`"
    )]
    NotBuilt(DeviceName),
    /// The machine does not offer it.
    #[error("the device `{device}` does not start: {reason}; `gdas devices` lists what there is")]
    NotFound {
        /// Which device.
        device: DeviceName,
        /// What the driver said.
        reason: String,
    },
    /// The machine has fewer of them than requested.
    #[error("the machine has {found} of the device `{device}`, and {asked} are asked for (`devices`)")]
    TooFew {
        /// Which device.
        device: DeviceName,
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        found: usize,
    },
    /// The machine has it, but what it computes is wrong.
    #[error(
        "the device `{device}` computes wrong results ({name}): its driver does not go together with this build; \
         try another one (`cargo build --release --features wgpu`), or use `--device cpu`"
    )]
    Wrong {
        /// Which device.
        device: DeviceName,
        /// What it calls itself.
        name: String,
    },
    /// The machine has it, but it cannot store values so.
    #[error(
        "the device `{device}` cannot store values as {precision} (`precision`); use `--precision float32`, which every \
         device can"
    )]
    Precision {
        /// What the device calls itself.
        device: String,
        /// What was asked for.
        precision: Precision,
    },
}

impl DeviceName {
    /// All names.
    pub const ALL: [Self; 6] = [Self::Cpu, Self::Auto, Self::Vulkan, Self::Wgpu, Self::Metal, Self::Cuda];

    /// As in configurations and flags.
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

    /// Whether this build can use it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu | Self::Auto => true,
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// Starts the device. Of several cards the driver's first choice is taken; `CUBECL_WGPU_DEFAULT_DEVICE` and
    /// `CUDA_VISIBLE_DEVICES` in the environment choose another.
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

    /// Starts the first `count` cards, in the driver's order (of `vulkan`, `wgpu` and `metal`: the discrete ones). One is
    /// what [`open`](Self::open) starts. The processor is one device, which is then returned `count` times; `auto` is not
    /// the processor here, but the first kind of device with so many cards.
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

    /// Kinds of graphics cards that this build can use, best first.
    fn card_kinds() -> impl Iterator<Item = Self> {
        [Self::Cuda, Self::Metal, Self::Vulkan, Self::Wgpu].into_iter().filter(|name| name.is_built())
    }

    /// The first graphics card, in the order CUDA, Metal, Vulkan, wgpu.
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

/// What the device calls itself.
pub fn describe(device: &Device) -> String {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        let software = if identity.physical.is_none() { " (software)" } else { "" };
        return format!("{}{software}", identity.name);
    }
    if *device == Device::flex() { "processor".to_string() } else { format!("{device:?}") }
}

/// Refuses a precision that networks cannot run with on a device.
pub fn check_precision(device: &Device, precision: Precision) -> Result<(), DeviceError> {
    if precision.is_supported(device) {
        return Ok(());
    }
    Err(DeviceError::Precision { device: describe(device), precision })
}

/// What computes on a device: the processor's instruction set, or the name of the card. Its results have the same bits
/// wherever this is the same, as far as the device promises that at all.
pub(crate) fn arithmetic(device: &Device) -> String {
    if *device == Device::flex() { gdas_kernels::cpu::simd_level().to_string() } else { describe(device) }
}

/// A warning, if a checkpoint was saved on something else that computes; nothing if it does not say (empty).
pub(crate) fn other_arithmetic(saved: &str, device: &Device) -> Option<String> {
    let here = arithmetic(device);
    (!saved.is_empty() && saved != here).then(|| {
        format!(
            "the checkpoint was saved by a run on {saved}, and this is {here}, which rounds differently: the run goes on, \
             but does not end bit for bit as it would have there"
        )
    })
}

/// True for a graphics card, false for the processor and for software that plays one.
fn is_card(device: &Device) -> bool {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    return device.identity().is_some_and(|identity| identity.physical.is_some());
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = device;
        false
    }
}

/// Memory of a graphics device in bytes, where its driver tells (CUDA's does).
pub fn memory(device: &Device) -> Option<u64> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    return gdas_kernels::gpu::memory(device);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = device;
        None
    }
}

/// Measured floating-point operations per second of a float32 matrix product, `[1024, 1024]` squared; the fastest of
/// several within about a second.
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
        // Read one number, so that no device can put the work off.
        let _ = result.narrow(0, 0, 1).narrow(1, 0, 1).into_data();
        let seconds = clock.elapsed().as_secs_f64();
        best = best.min(seconds / f64::from(products));
        if seconds < 0.1 {
            products *= 2;
        }
    }
    Ok(2.0 * (SIZE as f64).powi(3) / best)
}

/// Work handed to a graphics processor by the fused engine; Burn's own kernels are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Kernels launched.
    pub launches: u64,
    /// Size of all tensors that they read or wrote.
    pub bytes: u64,
    /// Times that the host waited for numbers from it.
    pub reads: u64,
}

/// Does something, and counts the engine's work on the graphics processor meanwhile; `None` if there was none.
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

    /// A device may be started only once in a process; what came of it is kept.
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

    /// The first discrete cards.
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

/// The device, if it passes a test computation.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn checked(name: DeviceName, device: Device) -> Result<Device, DeviceError> {
    if gdas_kernels::gpu::self_test(&device) {
        return Ok(device);
    }
    Err(DeviceError::Wrong { device: name, name: describe(&device) })
}

/// The CUDA devices. The driver's library is loaded at run time, and where it is missing the binding panics.
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
