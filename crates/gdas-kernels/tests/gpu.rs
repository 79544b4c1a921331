//! The engine of a graphics device through the same cases as the processor's, and its promises. Built with a device
//! feature only; without a device in the machine the tests say so and pass, unless `GDAS_GPU_TESTS=required` is set.
//! Mesa's software Vulkan device will do: `scripts/check_gpu.sh`.

#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod oracle;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use gdas_kernels::graph::{Graph, Shape, Sum, Window};
use gdas_kernels::running::{self, RunningUpdate};
use gdas_kernels::{Inputs, Mode, Precision, gpu, run};
use oracle::Data;
use oracle::cases::{self, Found, GradTargets, single};
use oracle::random::{self, Random};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The device of these tests, which may be started once per process.
fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        #[cfg(feature = "wgpu")]
        let device = Device::wgpu_options().init().map_err(|error| error.to_string());
        #[cfg(not(feature = "wgpu"))]
        let device = {
            let mut found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().into_iter();
            found.next().ok_or_else(|| "no NVIDIA card".to_owned())
        };
        device.map_err(|error| println!("skipped: no graphics device ({error})")).ok()
    });
    let required = std::env::var("GDAS_GPU_TESTS").is_ok_and(|value| value == "required");
    assert!(device.is_some() || !required, "there is no graphics device");
    device.as_ref()
}

/// The counters are those of the whole process: a test that reads them holds this lock.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a network in float32.
fn engine(g: &Graph, mode: Mode, data: &Data, upstream: &[f32], targets: &GradTargets) -> Found {
    engine_in(Precision::Float32, g, mode, data, upstream, targets).0
}

/// Runs a network through Burn on the device, and is sure that its engine did it. Also says how many bytes it was given.
fn engine_in(
    precision: Precision,
    g: &Graph,
    mode: Mode,
    data: &Data,
    upstream: &[f32],
    targets: &GradTargets,
) -> (Found, u64) {
    let _alone = alone();
    let device = device().expect("asked for before");
    let flat = |values: &[f64]| Tensor::<1>::from_data(TensorData::new(single(values), [values.len()]), device);
    let leaf = |values: &[f64], wanted: bool| {
        let values = flat(values);
        if wanted { values.autodiff().require_grad() } else { values }
    };
    let shape = g.shape(0);
    let image = flat(&data.image).reshape([data.batch, shape.height, shape.width, shape.channels]);
    let image = if targets.image { image.autodiff().require_grad() } else { image };
    let params: Vec<_> =
        data.params.iter().zip(&targets.params).map(|(values, &wanted)| leaf(values, wanted)).collect();
    let gates = (g.gates > 0).then(|| leaf(&data.gates, targets.gates));
    let running = data.running.iter().map(|r| (!r.is_empty()).then(|| flat(r).reshape([2, r.len() / 2])));
    let inputs = Inputs {
        image: image.clone(),
        params: params.clone(),
        gates: gates.clone(),
        masks: (g.masks > 0).then(|| flat(&data.masks).reshape([g.masks, data.batch])),
        running: running.collect(),
        precision,
    };
    let before = gpu::counters();
    let outcome = run(&Arc::new(g.clone()), mode, inputs);
    assert!(gpu::counters().launches > before.launches, "the engine of the device did not run");
    let host = |values: TensorData| values.iter::<f32>().collect::<Vec<_>>();
    let stats = outcome.stats.iter().flat_map(|stats| host(stats.clone().into_data())).collect();
    let outputs = Tensor::cat(outcome.outputs, 1);
    let scores = host(outputs.clone().into_data());
    let weights = Tensor::<2>::from_data(TensorData::new(upstream.to_vec(), outputs.dims()), device);
    // Burn does not track empty tensors: without images there is no backward pass and no gradient.
    let any = data.batch > 0 && (targets.image || (targets.gates && gates.is_some()) || targets.params.contains(&true));
    let gradients = any.then(|| (outputs * weights).sum().backward());
    let zeros = |length: usize| vec![0.0; length];
    let of = |leaf: &Tensor<1>, length: usize| {
        let gradient = gradients.as_ref().and_then(|gradients| leaf.grad(gradients));
        gradient.map_or_else(|| zeros(length), |gradient| host(gradient.into_data()))
    };
    let each = params.iter().zip(&targets.params).zip(&g.params);
    let found = Found {
        outputs: scores,
        stats,
        params: each.map(|((param, &wanted), spec)| wanted.then(|| of(param, spec.len()))).collect(),
        gates: targets.gates.then(|| gates.map_or_else(Vec::new, |gates| of(&gates, g.gates))),
        image: targets.image.then(|| {
            let gradient = gradients.as_ref().and_then(|gradients| image.grad(gradients));
            gradient.map_or_else(|| zeros(data.image.len()), |gradient| host(gradient.into_data()))
        }),
    };
    (found, gpu::counters().bytes - before.bytes)
}

proptest! {
    // Fewer than on the processor: every new geometry is a kernel to be compiled.
    #![proptest_config(ProptestConfig { cases: 8, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_convolution_with_any_window(seed: u64) {
        if device().is_some() {
            cases::dense_convolution_with_any_window(&engine, seed);
        }
    }

    #[test]
    fn relu_convolution_norm(seed: u64) {
        if device().is_some() {
            cases::relu_convolution_norm(&engine, seed);
        }
    }

    #[test]
    fn depthwise_and_pointwise_convolution(seed: u64) {
        if device().is_some() {
            cases::depthwise_and_pointwise_convolution(&engine, seed);
        }
    }

    #[test]
    fn grouped_convolution(seed: u64) {
        if device().is_some() {
            cases::grouped_convolution(&engine, seed);
        }
    }

    #[test]
    fn whole_networks(seed: u64) {
        if device().is_some() {
            cases::whole_networks(&engine, seed);
        }
    }

    #[test]
    fn only_the_gradients_asked_for_and_the_same_ones(seed: u64) {
        if device().is_some() {
            cases::only_the_gradients_asked_for_and_the_same_ones(&engine, seed);
        }
    }
}

#[test]
fn the_gates_alone_have_the_gradients_that_they_have_among_all() {
    if device().is_some() {
        cases::the_gates_alone_have_the_gradients_that_they_have_among_all(&engine);
    }
}

#[test]
fn nan_and_infinity_in_any_input_reach_the_outputs() {
    if device().is_some() {
        cases::nan_and_infinity_in_any_input_reach_the_outputs(&engine);
    }
}

#[test]
fn large_images() {
    if device().is_some() {
        cases::large_images(&engine);
    }
}

#[test]
fn an_empty_batch_gives_empty_outputs_and_zero_gradients() {
    if device().is_some() {
        cases::an_empty_batch_gives_empty_outputs_and_zero_gradients(&engine);
    }
}

#[test]
fn the_same_bits_every_time() {
    if device().is_none() {
        return;
    }
    let r = &mut Random::new(5);
    let g = random::network(r, Shape::new(9, 8, 3), 12);
    let data = random::data(&g, 4, r);
    let upstream = vec![0.3; 4 * g.outputs.iter().map(|&output| g.shape(output).channels).sum::<usize>()];
    let bits = || engine(&g, Mode::Train, &data, &upstream, &GradTargets::all(&g)).bits();
    assert!(bits() == bits());
}

/// Appends an operation to a graph, and says which value it gives.
type Append = fn(&mut Graph, usize) -> usize;

/// Kernels without a case of their own above.
#[test]
fn every_other_operation_alone() {
    let Some(_) = device() else { return };
    let cases: [(&str, Append); 7] = [
        ("average", |g, x| g.avg_pool(x, Window::same(3, 2, 1))),
        ("maximum", |g, x| g.max_pool(x, Window::same(3, 2, 1))),
        ("shift", |g, x| g.shift(x)),
        ("mask", |g, x| g.scale_images(x)),
        ("concat", |g, x| {
            let y = g.relu(x);
            g.concat(vec![x, y, x])
        }),
        ("sum", |g, x| {
            let (y, shape) = (g.relu(x), g.shape(x));
            g.sum(vec![x, y, x], Sum { gates: vec![Some(0), None, Some(1)], constant: vec![2, 0] }, shape)
        }),
        // The sum applies the first two normalisations; the third has parameters and a gate, the last another reader.
        ("sum of normalised", |g, x| {
            let norms = [("plain", false, true), ("own", true, true), ("gated", true, false), ("twice", false, false)];
            let [plain, own, gated, twice] = norms.map(|(name, affine, track)| g.norm(x, name, affine, track));
            let (y, shape) = (g.relu(twice), g.shape(x));
            let gates = vec![Some(0), None, Some(1), Some(2), None];
            g.sum(vec![plain, own, gated, twice, y], Sum { gates, constant: vec![0] }, shape)
        }),
    ];
    for (name, make) in cases {
        println!("{name}");
        cases::one_operation(&engine, make);
    }
}

/// The precisions of 16 bits that the device can store, with the size of one rounding step.
fn narrow() -> Vec<(Precision, f64)> {
    let Some(device) = device() else { return vec![] };
    let all = [(Precision::Float16, 2.0f64.powi(-11)), (Precision::BFloat16, 2.0f64.powi(-8))];
    let (can, cannot): (Vec<_>, Vec<_>) = all.into_iter().partition(|(precision, _)| precision.is_supported(device));
    for (precision, _) in cannot {
        println!("skipped: the device does not store {precision}");
    }
    can
}

/// A network with every block, data, and a gradient of its outputs.
fn usual() -> (Graph, Data, Vec<f32>) {
    let (g, r) = (cases::every_block(), &mut Random::new(6));
    let data = random::data(&g, 8, r);
    let upstream = (0..8 * g.shape(g.outputs[0]).channels).map(|_| r.normal() as f32 / 8.0).collect();
    (g, data, upstream)
}

/// Every result is as near to that in float32, measured along the whole array, as some forty roundings leave it (and the few
/// maxima and rectifiers that they turn).
fn assert_near(found: &Found, exact: &Found, rounding: f64, what: &str) {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let size = |values: &[f32]| norm(&mut values.iter().map(|&x| f64::from(x)));
    let near = |name: &str, a: &[f32], b: &[f32], least: f64| {
        let apart = norm(&mut a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)));
        let size = size(b).max(least);
        assert!(apart <= 40.0 * rounding * size, "{what}, {name}: {apart:e} of {size:e}");
    };
    near("outputs", &found.outputs, &exact.outputs, 0.0);
    near("statistics", &found.stats, &exact.stats, 0.0);
    // A bias in front of a normalisation has a gradient of zero, so only rounding is left.
    let least = 1e-3 * exact.params.iter().flatten().map(|values| size(values)).fold(0.0, f64::max);
    for (i, (a, b)) in found.params.iter().zip(&exact.params).enumerate() {
        near(&format!("parameter {i}"), a.as_ref().unwrap(), b.as_ref().unwrap(), least);
    }
    near("gates", found.gates.as_ref().unwrap(), exact.gates.as_ref().unwrap(), 0.0);
    near("image", found.image.as_ref().unwrap(), exact.image.as_ref().unwrap(), 0.0);
}

/// Also with gradients that 16 bits could not hold as they are: those of a large batch, late in a training.
#[test]
fn in_16_bits_all_gradients_are_near_those_of_float32() {
    let (g, data, upstream) = usual();
    for (precision, rounding) in narrow() {
        for size in [1.0, 1e-5] {
            let upstream: Vec<f32> = upstream.iter().map(|x| x * size).collect();
            for mode in [Mode::Train, Mode::Eval] {
                let exact = engine(&g, mode, &data, &upstream, &GradTargets::all(&g));
                let (found, _) = engine_in(precision, &g, mode, &data, &upstream, &GradTargets::all(&g));
                assert_near(&found, &exact, rounding, &format!("{precision}, {mode:?}, gradients of {size}"));
                assert!(found.bits() != exact.bits(), "{precision}: as exact as float32, so nothing was stored so");
            }
        }
    }
}

#[test]
fn in_16_bits_the_same_bits_every_time_for_half_of_the_bytes() {
    let (g, data, upstream) = usual();
    for (precision, _) in narrow() {
        let moved = |precision| {
            let (found, bytes) = engine_in(precision, &g, Mode::Train, &data, &upstream, &GradTargets::all(&g));
            (found.bits(), bytes)
        };
        let (first, second) = (moved(precision), moved(precision));
        assert!(first == second, "{precision}");
        // Sums, parameters and statistics stay float32.
        let wide = moved(Precision::Float32).1;
        assert!(first.1 < wide * 3 / 4, "{precision}: {} bytes of {wide}", first.1);
    }
}

/// float16 ends at 65,504, and what lies beyond must not pass for a number.
#[test]
fn in_float16_a_gradient_too_large_is_noticed() {
    let (g, data, upstream) = usual();
    for (precision, _) in narrow().into_iter().filter(|(precision, _)| *precision == Precision::Float16) {
        let upstream: Vec<f32> = upstream.iter().map(|x| x * 1e5).collect();
        let (found, _) = engine_in(precision, &g, Mode::Train, &data, &upstream, &GradTargets::all(&g));
        assert!(found.params.iter().flatten().flatten().any(|x| !x.is_finite()), "lost in the weights' gradients");
        assert!(found.gates.unwrap().iter().any(|x| !x.is_finite()), "lost in the gates' gradients");
    }
}

#[test]
fn a_device_computes() {
    if let Some(device) = device() {
        assert!(gpu::self_test(device), "the driver computes wrong sums");
    }
}

/// More normalisations than one launch takes, of several sizes, one of them with a second handle to its statistics.
#[test]
fn running_statistics_move_as_on_the_processor() {
    let Some(device) = device() else { return };
    let r = &mut Random::new(13);
    let values: Vec<_> = (0..70).map(|i| (r.pick(&[1, 3, 16, 300]), 1 + 7 * i)).collect();
    let values: Vec<_> = values
        .into_iter()
        .map(|(channels, count)| {
            let mut normals = || (0..2 * channels).map(|_| r.normal() as f32).collect::<Vec<_>>();
            (channels, count, normals(), normals())
        })
        .collect();
    let moved = |device: &Device| {
        let all = values.iter().map(|(channels, count, running, batch)| {
            let tensor =
                |values: &Vec<f32>| Tensor::<2>::from_data(TensorData::new(values.clone(), [2, *channels]), device);
            RunningUpdate { running: tensor(running), batch: tensor(batch), count: *count }
        });
        let all: Vec<_> = all.collect();
        let shared = all[0].running.clone();
        let moved = running::update(0.1, all);
        let unmoved: Vec<f32> = shared.into_data().iter::<f32>().collect();
        assert_eq!(unmoved, values[0].2, "somebody else's statistics moved");
        moved.into_iter().map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let _alone = alone();
    let before = gpu::counters().launches;
    let found = moved(device);
    let launches = gpu::counters().launches - before;
    // The number depends on how many arrays the device can bind.
    assert!(launches <= 35, "{launches} launches");
    for (a, b) in found.iter().zip(&moved(&Device::flex())) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0)), "{a:?}\n{b:?}");
    }
}

/// Loss, sums and gradient from their definitions in `f64`, with ties and smoothing.
#[test]
fn cross_entropy_is_what_it_says() {
    let Some(device) = device() else { return };
    let r = &mut Random::new(11);
    for (images, classes) in [(1, 2), (7, 10), (64, 10), (33, 120)] {
        for smoothing in [0.0, 0.1] {
            // Rounded, so that some scores are equal.
            let scores: Vec<f64> = (0..images * classes).map(|_| (r.normal() * 4.0).round() / 2.0).collect();
            let labels: Vec<u32> = (0..images).map(|_| r.range(0, classes - 1) as u32).collect();
            let values = Tensor::<2>::from_data(TensorData::new(single(&scores), [images, classes]), device);
            let values = values.autodiff().require_grad();
            let loss = gdas_kernels::loss::cross_entropy(&values, &labels, smoothing).unwrap();
            let gradients = (loss.mean.clone() * 2.0).backward();
            let gradient: Vec<f32> = values.grad(&gradients).unwrap().into_data().iter::<f32>().collect();
            let (mut sums, mut expected) = ([0.0f64; 3], vec![]);
            for (row, &label) in scores.chunks_exact(classes).zip(&labels) {
                let label = label as usize;
                let total: f64 = row.iter().map(|x| x.exp()).sum();
                let target = |k: usize| smoothing / classes as f64 + if k == label { 1.0 - smoothing } else { 0.0 };
                sums[0] -= (0..classes).map(|k| target(k) * (row[k] - total.ln())).sum::<f64>();
                let ahead = |k: usize| row[k] > row[label] || (row[k] == row[label] && k < label);
                let better = (0..classes).filter(|&k| ahead(k)).count();
                sums[1] += f64::from(u8::from(better == 0));
                sums[2] += f64::from(u8::from(better < 5));
                expected.extend((0..classes).map(|k| 2.0 * (row[k].exp() / total - target(k)) / images as f64));
            }
            let found = gdas_kernels::read(&[loss.sums, loss.mean.inner()]);
            let close = |a: f32, b: f64, what: &str| {
                assert!((f64::from(a) - b).abs() < 1e-5 * b.abs().max(1.0), "{what}: {a} {b}");
            };
            close(found[0][0], sums[0], "loss");
            close(found[1][0], sums[0] / images as f64, "mean");
            assert_eq!((f64::from(found[0][1]), f64::from(found[0][2])), (sums[1], sums[2]));
            for (a, b) in gradient.iter().zip(&expected) {
                close(*a, *b, "gradient");
            }
        }
    }
}

/// A score that is no number makes the loss none and no image right.
#[test]
fn cross_entropy_of_nan_and_infinity() {
    let Some(device) = device() else { return };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let values = Tensor::<2>::from_floats([[bad, 0.0, 1.0], [0.5, 0.0, 0.0]], device);
        let loss = gdas_kernels::loss::cross_entropy(&values, &[0, 0], 0.0).unwrap();
        let sums = gdas_kernels::read(&[loss.sums]).remove(0);
        assert!(!sums[0].is_finite(), "{bad}: {sums:?}");
        assert_eq!(sums[1..], [1.0, 1.0], "{bad}");
    }
}
