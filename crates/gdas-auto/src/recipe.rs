//! How the networks of an automatic run are trained.

use serde_json::{Map, Value, json};

use gdas::Error;
use gdas::config::{TrainConfig, seed};
use gdas::data::{Dataset, Sampling};

use crate::candidates::Candidate;
use crate::config::AutoConfig;
use crate::stage::resolved;

/// Share of the schedule over which the learning rate rises, and the most epochs that this takes.
const WARMUP: (f64, f64) = (0.12, 2.0);
/// From this many epochs on, training images are cropped at random, and a part of each is cut out. With fewer, a network does
/// not see an image often enough to gain by it (figures: `docs/results.md`).
const CROP_EPOCHS: f64 = 6.0;
const CUTOUT_EPOCHS: f64 = 30.0;
/// Never.
const NO_TESTS: usize = 1_000_000;

/// The largest class may have this many times the images of the smallest before epochs are balanced.
const IMBALANCE: f64 = 3.0;

/// How often epochs show the images of each class: equally often where the classes differ much in size.
pub(crate) fn sampling(dataset: &Dataset) -> Sampling {
    if dataset.imbalance() > IMBALANCE { Sampling::Balanced } else { Sampling::Uniform }
}

/// What a training reads and where it runs.
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

/// Images per step: fewer where there are few, so that an epoch has steps enough.
pub(crate) fn batch_size(images: usize) -> usize {
    match images {
        0..400 => 16,
        400..1000 => 32,
        1000..20_000 => 64,
        _ => 128,
    }
}

/// Steps of an epoch over this many images.
pub(crate) fn steps_per_epoch(images: usize) -> usize {
    images.div_ceil(batch_size(images)).max(1)
}

/// The training of a candidate for this many steps on all training images but the share that is held out for validation;
/// tested or validated at its end alone.
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

/// Share of the training images that trials are validated on: about 2,000 images, but never more than a fifth.
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
