//! Training from scratch as a whole, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use gdas::config::{Layer, TrainConfig, resolve, to_toml};
use gdas::data::{self, Dataset, Images, Statistics, Subset};
use gdas::run::{Event, Interrupt, RunDir, RunInfo, Silent, TestRecord, read_checkpoint, read_result};
use gdas::train::{Outcome, TrainResult, TrainedModel, WeightChoice, WeightOrigin, train};

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
    for (space, extra) in [("nasnet", ""), ("nas-bench-201", ""), ("nas-bench-201", "validation = 0.2\n")] {
        let config = config(space, extra);
        let mut run = RunDir::create(folder.path().join(format!("{space}{}-whole", extra.len())), "").unwrap();
        let whole = finish(&config, &mut run);
        let path = folder.path().join(format!("{space}{}-parts", extra.len()));
        let mut run = RunDir::create(&path, "").unwrap();
        // Stops as soon as it has begun: that is one step per start.
        let mut starts = 0;
        loop {
            starts += 1;
            let interrupt = Interrupt::default();
            let stop = interrupt.clone();
            let mut observer = move |event: &Event| {
                if matches!(event, Event::Started { .. }) {
                    stop.request();
                }
            };
            // Every third start is left alone for an epoch, so that tests are made.
            let outcome = if starts % 3 == 0 {
                let stop = interrupt.clone();
                let mut observer = move |event: &Event| {
                    if matches!(event, Event::TrainEpoch(_)) {
                        stop.request();
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
    assert_eq!((Some(metrics.accuracy), Some(metrics.loss)), (result.test_accuracy, result.test_loss));
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

/// Trains on these images for some epochs of a small network, without a moving average unless `extra` has one.
fn train_on(dataset: &Dataset, extra: &str, path: &Path) -> (TrainResult, Vec<Event>) {
    let usual = "preset = \"smoke\"\nepochs = 5\nmax_steps_per_epoch = \"auto\"\nbatch_size = 64\nclip_norm = 5.0\n\
                 ema_decay = 0.0\ncheckpoint_seconds = 1e9\n";
    let layers = [usual, extra].map(|text| Layer::file("test", text).unwrap());
    let config: TrainConfig = resolve(&layers).unwrap();
    let mut run = RunDir::create(path, &to_toml(&config).unwrap()).unwrap();
    let mut events = Vec::new();
    let mut observer = |event: &Event| events.push(event.clone());
    match train(&config, dataset, &mut run, &mut observer, &Interrupt::default(), &Device::flex()).unwrap() {
        Outcome::Finished(result) => (*result, events),
        Outcome::Interrupted { step } => panic!("interrupted at step {step}"),
    }
}

/// Bits of the weights that a network was opened with, and of those that the checkpoint has under a prefix.
fn handed_out(path: &Path, choice: Option<WeightChoice>) -> Vec<Vec<u32>> {
    let model = TrainedModel::open_weights(path, choice, &Device::flex()).unwrap();
    let bits = |i| model.weights.to_vec(i).iter().map(|x| x.to_bits()).collect();
    model.weights.locate(&model.graph).into_iter().map(bits).collect()
}

fn stored(path: &Path, prefix: &str) -> Vec<Vec<u32>> {
    let model = TrainedModel::open_path(path, &Device::flex()).unwrap();
    let mut checkpoint = read_checkpoint(path).unwrap().unwrap().checkpoint;
    let mut take = |i: usize| {
        let spec = &model.weights.specs[i];
        let values = checkpoint.take_f32(&format!("{prefix}/{}", spec.name), &spec.shape).unwrap();
        values.iter().map(|x| x.to_bits()).collect()
    };
    model.weights.locate(&model.graph).into_iter().map(&mut take).collect()
}

/// The digits with the labels of all test images moved on by one: the better a network is, the worse it tests.
fn adversarial() -> Dataset {
    let mut dataset = digits();
    let mut test = (**dataset.test.as_ref().unwrap()).clone();
    test.labels.iter_mut().for_each(|label| *label = (*label + 1) % 10);
    dataset.test = Some(Arc::new(test));
    dataset
}

/// Once, the epoch with the highest test accuracy was handed out: of tied ones the first, whose network had learned
/// nothing.
#[test]
fn the_last_weights_are_handed_out_whatever_the_test_images_say() {
    let folder = tempfile::tempdir().unwrap();
    for (extra, prefix, origin) in
        [("", "weights", WeightOrigin::Last), ("ema_decay = 0.9\n", "average", WeightOrigin::Average)]
    {
        let path = folder.path().join(prefix);
        let (result, events) = train_on(&adversarial(), extra, &path);
        let tests: Vec<f64> = events.iter().filter_map(test_accuracy).collect();
        let last = *tests.last().unwrap();
        assert!(tests.iter().any(|&accuracy| accuracy > last), "a choice by test images would differ: {tests:?}");
        assert_eq!(result.test_accuracy, Some(last));
        assert_eq!((result.chosen_epoch, result.validation_accuracy), (None, None));
        assert!(handed_out(&path, None) == stored(&path, prefix), "{prefix}");
        let model = TrainedModel::open_path(&path, &Device::flex()).unwrap();
        assert_eq!(model.origin, origin);
        let test = adversarial().test_images().unwrap();
        let metrics = model.evaluate(&test, model.test_flip, &Interrupt::default()).unwrap();
        assert_eq!((Some(metrics.accuracy), Some(metrics.loss)), (result.test_accuracy, result.test_loss));

        assert!(handed_out(&path, Some(WeightChoice::Last)) == handed_out(&path, None));
        let error = TrainedModel::open_weights(&path, Some(WeightChoice::Best), &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("--validation"), "{error}");
    }
}

fn test_accuracy(event: &Event) -> Option<f64> {
    match event {
        Event::TrainEpoch(epoch) => epoch.test_accuracy,
        _ => None,
    }
}

fn validation_accuracy(event: &Event) -> Option<f64> {
    match event {
        Event::TrainEpoch(epoch) => epoch.validation_accuracy,
        _ => None,
    }
}

#[test]
fn an_epoch_is_chosen_by_validation_images_and_never_by_test_images() {
    let folder = tempfile::tempdir().unwrap();
    // A high learning rate at the end makes the accuracy go up and down.
    let extra = "validation = 0.1\nlearning_rate = 0.5\nlearning_rate_min = 0.5\nepochs = 6\n";
    let path = folder.path().join("run");
    let (result, events) = train_on(&digits(), extra, &path);
    let validations: Vec<f64> = events.iter().filter_map(validation_accuracy).collect();
    assert_eq!(validations.len(), 6);
    assert!(!events.iter().any(|event| test_accuracy(event).is_some()), "test images wait until the epoch is chosen");
    let best = validations.iter().copied().fold(0.0, f64::max);
    let chosen = validations.iter().rposition(|&accuracy| accuracy == best).unwrap();
    assert_eq!((result.chosen_epoch, result.validation_accuracy), (Some(chosen as u64), Some(best)));
    let (training, validation) = events
        .iter()
        .find_map(|event| match event {
            Event::Started { train_images, validation_images, .. } => Some((*train_images, *validation_images)),
            _ => None,
        })
        .unwrap();
    assert_eq!(training + validation, digits().train.len());
    assert!((140..=148).contains(&validation), "{validation}");

    // The number that is reported is that of the weights that are handed out.
    assert!(handed_out(&path, None) == stored(&path, "chosen"));
    assert!(handed_out(&path, Some(WeightChoice::Best)) == stored(&path, "chosen"));
    assert!(handed_out(&path, Some(WeightChoice::Last)) == stored(&path, "weights"));
    let model = TrainedModel::open_path(&path, &Device::flex()).unwrap();
    assert_eq!(model.origin, WeightOrigin::Chosen { epoch: chosen as u64, accuracy: best });
    let metrics = model.evaluate(&digits().test_images().unwrap(), false, &Interrupt::default()).unwrap();
    assert_eq!((Some(metrics.accuracy), Some(metrics.loss)), (result.test_accuracy, result.test_loss));

    // Other test images change the number alone.
    let other = folder.path().join("other");
    let (again, _) = train_on(&adversarial(), extra, &other);
    assert_eq!((again.chosen_epoch, again.validation_accuracy), (result.chosen_epoch, result.validation_accuracy));
    assert_ne!(again.test_accuracy, result.test_accuracy);
    assert!(handed_out(&other, None) == handed_out(&path, None));
}

/// Black and white images, two of each.
fn four_images() -> Dataset {
    let mut dataset = digits();
    let pixels = [20, 230, 25, 225].iter().flat_map(|&value| [value; 64]).collect();
    let images = Images { height: 8, width: 8, channels: 1, pixels, labels: vec![0, 1, 0, 1] };
    dataset.statistics = Statistics::of(&images);
    dataset.train = Arc::new(images);
    dataset.classes = vec!["dark".into(), "light".into()];
    dataset.test = None;
    dataset
}

#[test]
fn of_equally_good_epochs_the_last_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "epochs = 40\nvalidation = 0.5\ncrop_padding = 0\n";
    let (result, events) = train_on(&four_images(), extra, &folder.path().join("run"));
    let validations: Vec<f64> = events.iter().filter_map(validation_accuracy).collect();
    assert!(validations.iter().filter(|&&accuracy| accuracy == 1.0).count() > 1, "{validations:?}");
    assert_eq!((result.chosen_epoch, result.validation_accuracy), (Some(39), Some(1.0)));
}

/// The record of the test has the result's numbers, whether the last process tested or only took up what was tested; equal runs
/// have equal files.
#[test]
fn the_test_is_recorded_image_by_image() {
    let folder = tempfile::tempdir().unwrap();
    for extra in ["", "validation = 0.2\n"] {
        let config = config("nas-bench-201", extra);
        let path = folder.path().join(format!("run{}", extra.len()));
        let mut run = RunDir::create(&path, "").unwrap();
        let result = finish(&config, &mut run);
        let record = TestRecord::read(&path).unwrap().unwrap();
        let test = digits().test.unwrap();
        let answers = &record.answers;
        assert_eq!((answers.kept.len(), answers.calibration.images()), (test.len(), test.len() as u64));
        let correct = answers.kept.iter().filter(|answer| answer.answer == answer.label).count();
        assert_eq!(Some(correct as f64 / test.len() as f64), result.test_accuracy);
        let loss: f64 = answers.kept.iter().map(|answer| -f64::from(answer.probability).ln()).sum();
        assert!((loss / test.len() as f64 - result.test_loss.unwrap()).abs() < 1e-4);
        assert_eq!((record.facts.params, record.facts.multiply_adds), (result.params, result.multiply_adds));
        for mistake in &answers.mistakes {
            let index = mistake.answer.index as usize;
            assert_eq!(mistake.pixels, test.image(index));
            assert_eq!((mistake.answer.label, mistake.answer), (u64::from(test.labels[index]), answers.kept[index]));
            assert_eq!((mistake.top[0].0, mistake.top[0].1), (mistake.answer.answer, mistake.answer.confidence));
        }
        assert!(!answers.mistakes.is_empty() && answers.mistakes.is_sorted_by(|a, b| a.loss >= b.loss));

        // As a process leaves it that was killed after the last checkpoint.
        let file = path.join("test.safetensors");
        let before = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_file(path.join("result.json")).unwrap();
        drop(run);
        assert_eq!(finish(&config, &mut RunDir::open(&path).unwrap()), result);
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}

/// The loss of a training is known before its first epoch is over.
#[test]
fn steps_are_logged_as_the_interval_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = TrainConfig { log_interval: 2, ..config("nas-bench-201", "") };
    drop(finish(&config, &mut RunDir::create(&path, "").unwrap()));
    let steps = RunInfo::events(&path).unwrap().into_iter().filter_map(|event| match event {
        Event::TrainStep(step) => Some((step.epoch, step.step, step.train_loss > 0.0 && step.eta_seconds >= 0.0)),
        _ => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), [(0, 2, true), (0, 4, true), (1, 6, true), (1, 8, true), (1, 10, true)]);
}

#[test]
fn without_test_images_there_is_no_test_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    // None, or a test part with nothing in it.
    let mut empty = four_images();
    empty.test = Some(Arc::new(Images { pixels: vec![], labels: vec![], ..(*empty.train).clone() }));
    for (name, dataset) in [("none", four_images()), ("empty", empty)] {
        let path = folder.path().join(name);
        let (result, events) = train_on(&dataset, "epochs = 30\ncrop_padding = 0\n", &path);
        assert_eq!((result.test_accuracy, result.test_loss, result.test_top5), (None, None, None));
        assert_eq!(events.iter().filter_map(test_accuracy).count(), 0);
        let finished = events.iter().find(|event| matches!(event, Event::Finished { .. })).unwrap();
        assert!(matches!(finished, Event::Finished { accuracy: None, .. }), "{finished:?}");
        let json: serde_json::Value = read_result(&path).unwrap();
        assert!(json["test_accuracy"].is_null(), "{json}");

        // The network knows all that it was shown.
        let model = TrainedModel::open_path(&path, &Device::flex()).unwrap();
        let metrics = model.evaluate(&Subset::all(&dataset.train), false, &Interrupt::default()).unwrap();
        assert_eq!((metrics.images, metrics.accuracy), (4, 1.0));
    }
}

#[test]
fn classes_without_a_validation_image_are_warned_about() {
    let mut dataset = four_images();
    dataset.classes.push("grey".into());
    let mut images = (*dataset.train).clone();
    images.pixels.extend([128; 64]);
    images.labels.push(2);
    dataset.train = Arc::new(images);
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = train_on(&dataset, "epochs = 1\nvalidation = 0.5\n", &folder.path().join("run"));
    let warned =
        events.iter().any(|event| matches!(event, Event::Warning { message } if message.contains("class grey")));
    assert!(warned, "{events:?}");
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
