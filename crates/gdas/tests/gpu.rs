//! What a graphics processor does beside the engine: batches made there, steps that read once, numbers that are not finite.
//! Built with a device feature only; without a device in the machine the tests say so and pass, unless
//! `GDAS_GPU_TESTS=required` is set. Mesa's software Vulkan device will do: `scripts/check_gpu.sh`.

#![cfg(any(feature = "wgpu", feature = "cuda"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gdas::config::{Layer, SearchConfig, resolve};
use gdas::data::{
    self, Augmentation, BatchOptions, Dataset, EvaluationBatches, Files, Format, Images, OnDevice, Position, Sampling,
    SearchBatches, SearchSplit, SplitRule, Statistics, Subset,
};
use gdas::device::DeviceName;
use gdas::rng::{Rng, Stream};
use gdas::run::Interrupt;
use gdas::search::{Searcher, step_cost};
use gdas::{Device, Error};

/// The device, for one test at a time: what is counted on it is counted for all.
fn device() -> Option<MutexGuard<'static, Device>> {
    static DEVICE: OnceLock<Option<Mutex<Device>>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let name = if cfg!(feature = "wgpu") { DeviceName::Wgpu } else { DeviceName::Cuda };
        name.open().map_err(|error| println!("skipped: {error}")).ok().map(Mutex::new)
    });
    let required = std::env::var("GDAS_GPU_TESTS").is_ok_and(|value| value == "required");
    assert!(device.is_some() || !required, "there is no graphics device");
    device.as_ref().map(|device| device.lock().unwrap_or_else(PoisonError::into_inner))
}

fn images(rng: &mut Rng, count: usize, [height, width, channels]: [usize; 3]) -> Arc<Images> {
    let pixels = (0..count * height * width * channels).map(|_| rng.below(256) as u8).collect();
    Arc::new(Images { height, width, channels, pixels, labels: (0..count as u32).map(|i| i % 3).collect() })
}

fn dataset(rng: &mut Rng, shape: [usize; 3]) -> Dataset {
    let train = images(rng, 31, shape);
    Dataset {
        name: "noise".into(),
        format: Format::Images,
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        statistics: Statistics::of(&train),
        test: Some(images(rng, 17, shape)),
        train,
        held_out: false,
        files: Files::default(),
        flip: true,
        notes: vec![],
    }
}

fn bits(batch: &data::Batch, device: &Device) -> Vec<u32> {
    batch.tensor(device).into_data().iter::<f32>().map(f32::to_bits).collect()
}

/// Grey and colour, sizes that fill no whole numbers of four bytes, with and without mirror, cut and square; both splits.
#[test]
fn batches_made_on_the_device_are_those_of_the_host_bit_for_bit() {
    let Some(held) = device() else { return };
    let device = &*held;
    for case in 0..24 {
        let rng = &mut Rng::new(case, Stream::Augment, 0);
        let shape = [8 + rng.below(9), 8 + rng.below(9), [1, 3][rng.below(2)]];
        let set = dataset(rng, shape);
        let augmentation = Augmentation {
            flip: rng.below(4) > 0,
            crop_padding: [0, 1, 4, 7][rng.below(4)],
            cutout: [0, 0, 3, 8][rng.below(4)],
        };
        let options =
            BatchOptions { batch_size: 1 + rng.below(20), drop_last: false, augmentation, sampling: Sampling::Uniform };
        let there = OnDevice::new(&[&set.train, set.test.as_ref().unwrap()], &set.statistics, device);
        for rule in [SplitRule::Halves, SplitRule::TestHalf] {
            let split = SearchSplit::new(&set, rule, 0).unwrap();
            let host = SearchBatches::new(&set, &split, &options, case);
            let made = SearchBatches::new(&set, &split, &options, case).on_device(&there);
            for step in 0..host.steps().min(3) {
                let (expected, found) = (host.batch(1, step), made.batch(1, step));
                for (expected, found) in [(&expected.weights, &found.weights), (&expected.alpha, &found.alpha)] {
                    assert!(found.images.is_empty(), "made by the host after all");
                    assert_eq!((found.shape(), &found.labels), (expected.shape(), &expected.labels));
                    let expected: Vec<u32> = expected.images.iter().map(|x| x.to_bits()).collect();
                    assert_eq!(bits(found, device), expected, "{shape:?}, {options:?}, {rule:?}");
                }
            }
        }
        let subset = Subset::all(&set.train).mixed();
        let batches = EvaluationBatches::new(&set.statistics, &subset, 10);
        let made = EvaluationBatches::new(&set.statistics, &subset, 10).on_device(&there);
        let expected: Vec<u32> = batches.batch(3).images.iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits(&made.batch(3), device), expected, "the last batch, of one image");
    }
}

#[test]
fn the_processor_makes_its_batches_itself() {
    let set = data::digits().hold_out(0.2);
    let there = OnDevice::new(&[&set.train], &set.statistics, &Device::flex());
    let batches = EvaluationBatches::new(&set.statistics, &Subset::all(&set.train), 4).on_device(&there);
    assert_eq!(batches.batch(0).images.len(), 4 * 64);
}

fn config(algorithm: &str) -> SearchConfig {
    let file = format!("preset = \"smoke\"\nbatch_size = 16\nchannels = 4\ncells = 1\nalgorithm = \"{algorithm}\"\n");
    resolve(&[Layer::file("test", &file).unwrap()]).unwrap()
}

#[test]
fn a_step_waits_for_the_device_once() {
    let Some(held) = device() else { return };
    let device = &*held;
    let digits = data::digits().hold_out(0.2);
    for algorithm in ["gdas", "darts-v1", "setn"] {
        let cost = step_cost(&config(algorithm), &digits, &Interrupt::default(), device).unwrap().unwrap();
        let work = cost.work.expect("the engine ran");
        assert_eq!(work.reads, 1, "{algorithm}: {work:?}");
    }
}

/// The number is noticed when the step's numbers are read, and weights whose gradient is not finite have not moved.
#[test]
fn a_number_that_is_not_finite_is_noticed_in_its_step() {
    let Some(held) = device() else { return };
    let device = &*held;
    let (config, digits) = (config("gdas"), data::digits().hold_out(0.2));
    let split = SearchSplit::new(&digits, SplitRule::Halves, 0).unwrap();
    let pair = SearchBatches::new(&digits, &split, &BatchOptions::for_dataset(&digits, 16), 0).batch(0, 0);
    for bad in [f32::NAN, f32::INFINITY] {
        for name in ["stem.conv.weight", "head.classifier.weight", "head.classifier.bias"] {
            let mut searcher = Searcher::new(&config, &digits, device).unwrap();
            let index = searcher.supernet.weights.find(name).unwrap();
            let mut values = searcher.supernet.weights.to_vec(index);
            values[0] = bad;
            searcher.supernet.weights.set(index, values);
            let all = |searcher: &Searcher| -> Vec<Vec<u32>> {
                let count = searcher.supernet.weights.values.len();
                let array = |i| searcher.supernet.weights.to_vec(i).iter().map(|x| x.to_bits()).collect();
                (0..count).map(array).collect()
            };
            let before = all(&searcher);
            let result = searcher.weight_step(&pair.weights, Position::START, 0, 10.0, 0.1);
            assert!(matches!(result, Err(Error::NotFinite { .. })), "{bad} in {name}: not noticed");
            assert!(all(&searcher) == before, "{bad} in {name}: something moved");
            let alpha = searcher.alpha.clone();
            let result = searcher.alpha_step(&pair.alpha, Position::START, 0, 10.0);
            assert!(matches!(result, Err(Error::NotFinite { .. })), "{bad} in {name}: not noticed by alpha");
            assert_eq!(searcher.alpha, alpha);
        }
    }
}
