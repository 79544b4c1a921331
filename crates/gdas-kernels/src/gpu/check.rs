//! Whether a device computes what it is told to.

use burn::backend::Cube;
use burn::tensor::{Device, Tensor, TensorData};

use super::place::Place;
use super::sgd::norm;

/// Computes a sum whose threads share memory, and compares it with what it is. Where a driver takes other instructions from a
/// kernel than were meant, networks would run and give nonsense: CubeCL 0.11.3 declares shared memory wrongly in SPIR-V (feature
/// `vulkan`) for devices without `VK_KHR_workgroup_memory_explicit_layout`. True for any but graphics devices.
pub fn self_test(device: &Device) -> bool {
    let values: Vec<f32> = (0..10_000u16).map(|i| f32::from(i % 11)).collect();
    let expected = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let length = values.len();
    let values = Tensor::<1>::from_data(TensorData::new(values, [length]), device);
    let Ok(values) = values.try_into_primitive::<Cube>() else { return true };
    let found = norm(&Place::of(&values), &[&values]);
    let found = Tensor::<1>::from_primitive::<Cube>(found).into_data().iter::<f64>().next();
    found.is_some_and(|found| (found - expected).abs() < 1e-4 * expected)
}
