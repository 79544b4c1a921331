//! Times every kernel of the engine on a graphics device, forward and back with all gradients, and prints one JSON line per
//! kernel, as the example `kernels` does on the processor. Several passes are queued before the host waits, so that the time is
//! that of the device, or of the host where that is slower.
//!
//! `cargo run --release --workspace --features gdas-kernels/vulkan --example kernels_gpu -- --batch 64 --repeats 20`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "step/networks.rs"]
#[allow(dead_code)]
mod networks;
#[path = "kernels/operations.rs"]
mod operations;

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use gdas_kernels::{Inputs, Mode, gpu, run};

fn device() -> Device {
    #[cfg(feature = "wgpu")]
    return Device::wgpu_options().init().expect("a graphics device");
    #[cfg(not(feature = "wgpu"))]
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().remove(0)
}

/// The median time of one of several pieces of work, each waited for; the first two, which compile kernels, do not count.
fn median(device: &Device, repeats: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..repeats + 2 {
        device.sync().unwrap();
        let start = Instant::now();
        work();
        device.sync().unwrap();
        times.push(start.elapsed().as_secs_f64());
    }
    let times = &mut times[2..];
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What the device does of the two things that bound a kernel: arithmetic, as the rate of a matrix product, and memory, as
/// that of adding one to an array.
fn machine(device: &Device, repeats: usize) -> String {
    const SIDE: usize = 1024;
    let matrix = Tensor::<2>::ones([SIDE, SIDE], device);
    let product = median(device, repeats, || drop(matrix.clone().matmul(matrix.clone())));
    let array = Tensor::<1>::ones([16 * SIDE * SIDE], device);
    let sum = median(device, repeats, || drop(array.clone() + 1.0));
    format!(
        "{{\"name\": \"machine\", \"gflop_per_s\": {:.1}, \"gbyte_per_s\": {:.1}}}",
        2.0 * (SIDE as f64).powi(3) / product / 1e9,
        8.0 * (16 * SIDE * SIDE) as f64 / sum / 1e9
    )
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |key: &str, otherwise: usize| {
        let at = args.iter().position(|a| a.trim_start_matches("--") == key);
        at.map_or(otherwise, |at| args[at + 1].parse().expect("a number"))
    };
    let (batch, repeats, passes) = (number("batch", 64), number("repeats", 20), number("passes", 10));
    let device = device();
    println!("{}", machine(&device, repeats));
    for kernel in operations::all() {
        let (images, params) = operations::values(&kernel.graph, batch);
        let graph = Arc::new(kernel.graph);
        let shape = graph.shape(0);
        let flat = |values: Vec<f32>| {
            let length = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [length]), &device)
        };
        let image = flat(images).reshape([batch, shape.height, shape.width, shape.channels]);
        let params: Vec<_> = params.into_iter().map(flat).collect();
        let gates = (graph.gates > 0).then(|| Tensor::ones([graph.gates], &device));
        let inputs = |tracked: bool| {
            let mut inputs = Inputs::new(image.clone(), params.clone());
            inputs.gates.clone_from(&gates);
            if tracked {
                inputs.image = inputs.image.autodiff().require_grad();
                inputs.params = inputs.params.into_iter().map(|p| p.autodiff().require_grad()).collect();
                inputs.gates = inputs.gates.map(|gates| gates.autodiff().require_grad());
            }
            inputs
        };
        let forward = || drop(run(&graph, Mode::Train, inputs(false)));
        let both = || {
            let mut outcome = run(&graph, Mode::Train, inputs(true));
            drop(outcome.outputs.remove(0).sum().backward());
        };
        // Queued several times over; the work of one.
        let timed = |one: &dyn Fn()| median(&device, repeats, || (0..passes).for_each(|_| one())) / passes as f64;
        let moved = |one: &dyn Fn()| {
            let before = gpu::counters().bytes;
            one();
            (gpu::counters().bytes - before) as f64 / 1e6
        };
        let (way, way_and_back) = (timed(&forward), timed(&both));
        let (mb, mb_and_back) = (moved(&forward), moved(&both));
        println!(
            "{{\"name\": \"{}\", \"forward\": {way:.6}, \"backward\": {:.6}, \"gflop\": {:.4}, \"mb_forward\": {mb:.1}, \
             \"mb_backward\": {:.1}}}",
            kernel.name,
            way_and_back - way,
            2.0 * networks::macs(&graph) * batch as f64 / 1e9,
            mb_and_back - mb,
        );
    }
}
