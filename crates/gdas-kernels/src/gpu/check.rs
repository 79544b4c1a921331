//! Self-test of a device.

use burn::backend::Cube;
use burn::tensor::{Device, Tensor, TensorData};

use super::place::Place;
use super::sgd::norm;

/// Whether a device computes correctly: the sum of squares of 10,000 numbers, whose threads share memory, is compared with its
/// value. CubeCL 0.11.3 declares shared memory wrongly in SPIR-V (feature `vulkan`) for devices without
/// `VK_KHR_workgroup_memory_explicit_layout`; networks would run there and give wrong numbers. True for every device that is no
/// graphics device.
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
