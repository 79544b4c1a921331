//! Training settings of automatic runs.

use serde_json::{Map, Value, json};

use gdas::Error;
use gdas::config::{TrainConfig, seed};
use gdas::data::{Dataset, Sampling};

use crate::candidates::Candidate;
use crate::config::AutoConfig;
use crate::stage::resolved;

/// Warm-up of the learning rate: fraction of the schedule, and maximum number of epochs.
const WARMUP: (f64, f64) = (0.12, 2.0);
/// Minimum number of epochs for random crops and cutout. Shorter trainings do not gain by them (figures:
/// `docs/results.md`).
const CROP_EPOCHS: f64 = 6.0;
const CUTOUT_EPOCHS: f64 = 30.0;
/// Interval of tests in epochs that is never reached.
const NO_TESTS: usize = 1_000_000;

/// Ratio of the largest to the smallest class above which sampling is balanced.
const IMBALANCE: f64 = 3.0;

/// Sampling of the training images: balanced if the classes differ much in size.
pub(crate) fn sampling(dataset: &Dataset) -> Sampling {
    if dataset.imbalance() > IMBALANCE { Sampling::Balanced } else { Sampling::Uniform }
}

/// Configuration keys common to all stages: data, device, seed.
pub(crate) fn shared_keys(config: &AutoConfig, dataset: &Dataset) -> Map<String, Value> {
    let keys = json!({
        "data": config.data, "image_size": config.image_size, "skip_damaged": config.skip_damaged, "space": *config.space,
        "sampling": sampling(dataset),
        "seed": seed::key(config.seed), "threads": config.threads, "device": config.device, "precision": config.precision,
        "tensorboard": config.tensorboard,
    });
    match keys {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}

/// Images per step: smaller for small data sets, so that an epoch has enough steps.
pub(crate) fn batch_size(images: usize) -> usize {
    match images {
        0..400 => 16,
        400..1000 => 32,
        1000..20_000 => 64,
        _ => 128,
    }
}

/// Number of steps of an epoch over this many images.
pub(crate) fn steps_per_epoch(images: usize) -> usize {
    images.div_ceil(batch_size(images)).max(1)
}

/// Configuration of the training of a candidate for this many steps, with a fraction of the training images held out for
/// validation; evaluated only at the end.
pub(crate) fn training(
    config: &AutoConfig,
    dataset: &Dataset,
    candidate: &Candidate,
    steps: u64,
    validation: f64,
) -> Result<TrainConfig, Error> {
    let images = dataset.train.len();
    let batch_size = batch_size(images);
    let learned = images as f64 * (1.0 - validation);
    let epochs = (steps as f64 * batch_size as f64 / learned.max(1.0)).max(1e-3);
    let pixels = dataset.train.height.min(dataset.train.width);
    let mut keys = shared_keys(config, dataset);
    keys.insert("preset".into(), json!("quick"));
    keys.insert("genotype".into(), json!(candidate.genotype));
    keys.insert("channels".into(), json!(candidate.channels));
    keys.insert("cells".into(), json!(candidate.cells));
    keys.insert("epochs".into(), json!((epochs.ceil() as usize).max(1)));
    keys.insert("max_steps".into(), json!(steps.max(1)));
    keys.insert("warmup_epochs".into(), json!((WARMUP.0 * epochs).min(WARMUP.1)));
    keys.insert("batch_size".into(), json!(batch_size));
    if epochs < CROP_EPOCHS {
        keys.insert("crop_padding".into(), json!(0));
    }
    keys.insert("cutout".into(), json!(if epochs >= CUTOUT_EPOCHS { pixels / 4 } else { 0 }));
    keys.insert("test_flip".into(), json!(dataset.flip));
    keys.insert("test_interval".into(), json!(NO_TESTS));
    keys.insert("validation".into(), json!(validation));
    resolved(&Value::Object(keys))
}

/// Fraction of the training images held out for the validation of trials: about 2,000 images, at most a fifth.
pub(crate) fn validation_share(images: usize) -> f64 {
    (2000.0 / images.max(1) as f64).clamp(0.02, 0.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_make_small_batches() {
        for (images, batch) in [(60, 16), (500, 32), (1438, 64), (50_000, 128)] {
            assert_eq!(batch_size(images), batch);
            assert!(steps_per_epoch(images) * batch >= images);
        }
        assert_eq!(steps_per_epoch(1), 1);
        assert_eq!((validation_share(50_000), validation_share(100)), (0.04, 0.2));
    }
}
