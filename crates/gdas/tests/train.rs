//! Training from scratch as a whole, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::Device;
use gdas::config::{Layer, TrainConfig, resolve, to_toml};
use gdas::data::{self, Dataset, Subset};
use gdas::run::{Event, Interrupt, RunDir, Silent};
use gdas::train::{Outcome, TrainResult, TrainedModel, train};

fn digits() -> Dataset {
    data::digits().hold_out(0.2)
}

/// Two epochs of five steps with auxiliary head, drop-path, cutout, smoothing and a moving average.
fn config(space: &str, extra: &str) -> TrainConfig {
    let file = format!(
        "space = \"{space}\"\npreset = \"smoke\"\nepochs = 2\nmax_steps_per_epoch = 5\nbatch_size = 16\nseed = 3\n\
         label_smoothing = 0.1\nwarmup_epochs = 1\nlog_interval = 1\ncheckpoint_seconds = 1e9\n{extra}"
    );
    resolve(&[Layer::file("test", &file).unwrap()]).unwrap()
}

fn finish(config: &TrainConfig, run: &mut RunDir) -> TrainResult {
    match train(config, &digits(), run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap() {
        Outcome::Finished(result) => *result,
        Outcome::Interrupted { step } => panic!("interrupted at step {step}"),
    }
}

/// Stopped after every epoch and in the midst of them, and resumed: the result of the undisturbed run.
#[test]
fn resume_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    for space in ["nasnet", "nas-bench-201"] {
        let config = config(space, "");
        let mut run = RunDir::create(folder.path().join(format!("{space}-whole")), "").unwrap();
        let whole = finish(&config, &mut run);
        let path = folder.path().join(format!("{space}-parts"));
        let mut run = RunDir::create(&path, "").unwrap();
        // Stops as soon as it has begun: that is one step per start.
        let mut starts = 0;
        loop {
            starts += 1;
            let interrupt = Interrupt::default();
            let wish = interrupt.clone();
            let mut observer = move |event: &Event| {
                if matches!(event, Event::Started { .. }) {
                    wish.request();
                }
            };
            // Every third start is left alone for an epoch, so that tests are made.
            let outcome = if starts % 3 == 0 {
                let wish = interrupt.clone();
                let mut observer = move |event: &Event| {
                    if matches!(event, Event::TrainEpoch { .. }) {
                        wish.request();
                    }
                };
                train(&config, &digits(), &mut run, &mut observer, &interrupt, &Device::flex()).unwrap()
            } else {
                train(&config, &digits(), &mut run, &mut observer, &interrupt, &Device::flex()).unwrap()
            };
            drop(run);
            if let Outcome::Finished(result) = outcome {
                assert_eq!(*result, whole);
                break;
            }
            assert!(starts < 50, "no end in sight");
            run = RunDir::open(&path).unwrap();
        }
        assert!(starts > 3);
    }
}

#[test]
fn a_trained_network_learns_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "epochs = 6\nmax_steps_per_epoch = \"auto\"\nbatch_size = 64\nchannels = 8\nema_decay = 0.0\n";
    let config: TrainConfig =
        resolve(&[Layer::file("test", &format!("preset = \"smoke\"\nclip_norm = 5.0\n{extra}")).unwrap()]).unwrap();
    let path = folder.path().join("run");
    let mut run = RunDir::create(&path, &to_toml(&config).unwrap()).unwrap();
    let result = finish(&config, &mut run);
    let accuracy = result.test_accuracy.unwrap();
    assert!(accuracy > 0.85, "{accuracy}");
    drop(run);

    let dataset = digits();
    let model = TrainedModel::open_path(&path, &Device::flex()).unwrap();
    let test = dataset.test.as_ref().unwrap();
    let metrics = model.evaluate(&Subset::all(test), false, &Interrupt::default()).unwrap();
    assert_eq!(Some(metrics.accuracy), result.best_accuracy);
    let flipped = model.evaluate(&Subset::all(test), true, &Interrupt::default()).unwrap();
    assert_ne!(flipped.loss, metrics.loss);

    let probabilities = model.predict(&Arc::clone(test), false, &Interrupt::default()).unwrap();
    let right = probabilities.iter().zip(&test.labels).filter(|(row, label)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        best == **label as usize
    });
    assert_eq!(right.count() as f64 / test.labels.len() as f64, metrics.accuracy);
}

#[test]
fn every_preset_is_complete_and_valid() {
    use gdas::config::{Config, presets};
    for preset in TrainConfig::PRESETS.iter().filter(|preset| preset.space != "nasnet-frc") {
        let file = format!("space = \"{}\"\npreset = \"{}\"\n", preset.space, preset.name);
        let config: TrainConfig = resolve(&[Layer::file("test", &file).unwrap()]).unwrap();
        assert_eq!(config.preset, preset.name);
        assert!(presets::<TrainConfig>(preset.space).contains(&preset.name));
    }
}
