//! Numbers that a pass leaves on the device that computed them.
//!
//! Reading one makes the host wait for everything that was queued before, during which the device is given nothing new to
//! do. So a step on a graphics processor asks for all its numbers at once, at its end. On the processor there is nothing
//! to wait for, and they are known at once.

use burn::tensor::Tensor;

/// What may be known, or have yet to be read.
pub(crate) trait Unread {
    /// What is to be read, if it is not known.
    fn unread(&self) -> Option<Tensor<1>>;

    /// Takes what was read.
    fn fill(&mut self, numbers: Vec<f32>);
}

/// Reads all that is not known, with one read-back.
pub(crate) fn read(parts: &mut [&mut dyn Unread]) {
    let mut asked: Vec<_> = parts.iter_mut().filter(|part| part.unread().is_some()).collect();
    if asked.is_empty() {
        return;
    }
    let tensors: Vec<_> = asked.iter().filter_map(|part| part.unread()).collect();
    let numbers = gdas_kernels::read(&tensors);
    for (part, numbers) in asked.iter_mut().zip(numbers) {
        part.fill(numbers);
    }
}

/// Some numbers.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few at a time, never stored")]
pub(crate) enum Numbers {
    /// On a device.
    Unread(Tensor<1>),
    /// Here.
    Known(Vec<f32>),
}

impl Numbers {
    /// The numbers; read now, if they were not before.
    pub(crate) fn get(mut self) -> Vec<f32> {
        read(&mut [&mut self]);
        match self {
            Self::Known(numbers) => numbers,
            Self::Unread(_) => Vec::new(),
        }
    }
}

impl Unread for Numbers {
    fn unread(&self) -> Option<Tensor<1>> {
        match self {
            Self::Unread(tensor) => Some(tensor.clone()),
            Self::Known(_) => None,
        }
    }

    fn fill(&mut self, numbers: Vec<f32>) {
        *self = Self::Known(numbers);
    }
}
