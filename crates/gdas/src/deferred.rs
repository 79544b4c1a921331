//! Values that may still be on the device that computed them.
//!
//! Reading one blocks the host until all queued work is done, while the device receives no new work. A step on a GPU
//! therefore reads all its values at once, at its end. On the CPU, values are known immediately.

use std::fmt;

use burn::tensor::Tensor;

/// A value that may still be on the device, as a tensor of numbers from which it is computed.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gdas::Deferred;
///
/// let numbers = Tensor::<1>::from_floats([1.0, 2.0], &Device::flex());
/// let sum = Deferred::on_device(numbers, |numbers| f64::from(numbers.iter().sum::<f32>()));
/// assert_eq!(sum.known(), None);
/// assert_eq!(sum.get(), 3.0);
/// ```
pub struct Deferred<T>(State<T>);

#[allow(clippy::large_enum_variant, reason = "a few at a time, never stored")]
enum State<T> {
    Known(T),
    OnDevice { numbers: Tensor<1>, make: Box<dyn Fn(Vec<f32>) -> T + Send> },
}

impl<T> Deferred<T> {
    /// A value that is known.
    pub fn new(value: T) -> Self {
        Self(State::Known(value))
    }

    /// The value `make(numbers)` of numbers on a device.
    pub fn on_device(numbers: Tensor<1>, make: impl Fn(Vec<f32>) -> T + Send + 'static) -> Self {
        Self(State::OnDevice { numbers, make: Box::new(make) })
    }

    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match &self.0 {
            State::Known(value) => Some(value),
            State::OnDevice { .. } => None,
        }
    }

    /// The numbers on the device, if it is not known.
    pub fn numbers(&self) -> Option<&Tensor<1>> {
        match &self.0 {
            State::Known(_) => None,
            State::OnDevice { numbers, .. } => Some(numbers),
        }
    }

    /// The value, read from the device if necessary. [`read_all`] reads several at once.
    pub fn get(self) -> T {
        match self.0 {
            State::Known(value) => value,
            State::OnDevice { numbers, make } => make(gdas_kernels::read(&[numbers]).pop().unwrap_or_default()),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Known(value) => value.fmt(f),
            State::OnDevice { .. } => f.write_str("on the device"),
        }
    }
}

/// A [`Deferred`] of any type, for [`read_all`].
pub trait Pending {
    /// The numbers that are still on the device, if there are any.
    fn pending(&self) -> Option<Tensor<1>>;

    /// Sets the value from these numbers, read from the device.
    fn resolve(&mut self, numbers: Vec<f32>);
}

impl<T> Pending for Deferred<T> {
    fn pending(&self) -> Option<Tensor<1>> {
        self.numbers().cloned()
    }

    fn resolve(&mut self, numbers: Vec<f32>) {
        if let State::OnDevice { make, .. } = &self.0 {
            self.0 = State::Known(make(numbers));
        }
    }
}

/// Reads all values that are not known yet, with one transfer.
pub fn read_all(values: &mut [&mut dyn Pending]) {
    let (pending, numbers): (Vec<_>, Vec<_>) =
        values.iter_mut().filter_map(|value| value.pending().map(|numbers| (value, numbers))).unzip();
    if numbers.is_empty() {
        return;
    }
    for (value, numbers) in pending.into_iter().zip(gdas_kernels::read(&numbers)) {
        value.resolve(numbers);
    }
}
