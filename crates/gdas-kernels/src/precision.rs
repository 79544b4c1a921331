//! Number types in which the values between a network's operations are stored.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Number type in which a graphics device stores the values between operations and their gradients. Arithmetic, sums, statistics,
/// weights, their gradients, images and class scores are float32 in any case. The engine of the processor and plain Burn
/// operations always store float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of precision, 4 bytes.
    #[default]
    Float32,
    /// 11 bits of precision up to 65,504, 2 bytes. Gradients are scaled while they are stored.
    Float16,
    /// 8 bits of precision in the range of float32, 2 bytes.
    BFloat16,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Float16, Self::BFloat16];

    /// The name in configurations and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
        }
    }

    /// Whether a device supports this precision: float32 always, the others if a graphics device can store and convert them.
    pub fn is_supported(self, device: &Device) -> bool {
        if self == Self::Float32 {
            return true;
        }
        #[cfg(feature = "gpu")]
        return crate::gpu::stores(device, self);
        #[cfg(not(feature = "gpu"))]
        {
            let _ = device;
            false
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|precision| precision.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|precision| precision.as_str()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}
