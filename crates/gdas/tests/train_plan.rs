//! Trainings whose number of steps changes while they run.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use gdas::config::{Layer, TrainConfig, resolve};
use gdas::data;
use gdas::run::{Event, Interrupt, RunDir, Silent, TrainEpochMetrics};
use gdas::train::{Outcome, StepCount, TrainResult, train, train_with_plan};

fn config(extra: &str) -> TrainConfig {
    let file = format!("preset = \"smoke\"\nepochs = 4\nmax_steps_per_epoch = 5\ncheckpoint_seconds = 1e9\n{extra}");
    resolve(&[Layer::file("test", &file).unwrap()]).unwrap()
}

/// The result of a training, its events, and the steps after which the plan was asked for.
fn planned(
    config: &TrainConfig,
    path: &Path,
    mut plan: impl FnMut(StepCount) -> Option<u64>,
) -> (TrainResult, Vec<Event>, Vec<u64>) {
    let digits = data::digits().hold_out(0.2);
    let mut run = RunDir::create(path, "").unwrap();
    let (mut events, mut asked) = (Vec::new(), Vec::new());
    let mut observer = |event: &Event| events.push(event.clone());
    let mut replan = |count: StepCount| {
        asked.push(count.done);
        plan(count)
    };
    let outcome =
        train_with_plan(config, &digits, &mut run, &mut replan, &mut observer, &Interrupt::default(), &Device::flex());
    match outcome.unwrap() {
        Outcome::Finished(result) => (*result, events, asked),
        Outcome::Interrupted { step } => panic!("interrupted at step {step}"),
    }
}

/// Learning rates at the ends of epochs, and the last step.
fn rates(events: &[Event]) -> (Vec<f64>, u64) {
    let mut last = 0;
    let rates = events.iter().filter_map(|event| match event {
        Event::TrainEpoch(TrainEpochMetrics { learning_rate, step, .. }) => {
            last = *step;
            Some(*learning_rate)
        }
        _ => None,
    });
    (rates.collect(), last)
}

#[test]
fn a_training_ends_after_the_steps_that_are_asked_for_with_its_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let (result, events, asked) = planned(&config("max_steps = 13\n"), &folder.path().join("run"), |_| None);
    let (rates, last) = rates(&events);
    assert_eq!((result.epochs, last, rates.len()), (3, 13, 3));
    assert!(rates.is_sorted_by(|a, b| a > b) && rates[2] < 0.05 * rates[0], "{rates:?}");
    assert_eq!(asked, (1..13).collect::<Vec<_>>());
    let (whole, _, _) = planned(&config(""), &folder.path().join("whole"), |_| None);
    assert_eq!((whole.epochs, result.digest == whole.digest), (4, false));
}

#[test]
fn a_plan_that_changes_under_way_still_ends_the_schedule() {
    let folder = tempfile::tempdir().unwrap();
    for (name, total, epochs) in [("shorter", 11, 3), ("longer", 33, 7), ("over", 2, 2)] {
        let change = |count: StepCount| (count.done == 7).then_some(total);
        let (result, events, _) = planned(&config(""), &folder.path().join(name), change);
        let (rates, last) = rates(&events);
        assert_eq!((result.epochs, last), (epochs, total.max(8)), "{name}");
        assert!(rates.is_sorted_by(|a, b| a > b), "{name}: {rates:?}");
        assert!(name == "over" || *rates.last().unwrap() < 0.1 * rates[0], "{name}: {rates:?}");
    }
}

/// The plan is in a checkpoint as soon as it is made: two processes that go on from there do the same.
#[test]
fn a_resumed_training_follows_the_plan_that_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let digits = data::digits().hold_out(0.2);
    let config = config("");
    let change = |count: StepCount| (count.done == 7).then_some(17);
    let (whole, ..) = planned(&config, &folder.path().join("whole"), change);
    let parts = folder.path().join("parts");
    let mut run = RunDir::create(&parts, "").unwrap();
    let (interrupt, mut replan) = (Interrupt::default(), change);
    // Copied as a killed process would leave it, right after the change.
    let copy = folder.path().join("copy");
    let mut observer = |event: &Event| {
        if let Event::Checkpoint { step: 7, .. } = event {
            fs::create_dir(&copy).unwrap();
            for file in ["config.toml", "data.json", "events.jsonl", "checkpoint.0"] {
                fs::copy(parts.join(file), copy.join(file)).unwrap();
            }
        }
        if let Event::TrainEpoch(TrainEpochMetrics { epoch: 2, .. }) = event {
            interrupt.request();
        }
    };
    let outcome =
        train_with_plan(&config, &digits, &mut run, &mut replan, &mut observer, &interrupt, &Device::flex()).unwrap();
    assert!(matches!(outcome, Outcome::Interrupted { step: 15 }), "{outcome:?}");
    drop(run);
    for path in [parts.clone(), copy.clone()] {
        let mut run = RunDir::open(&path).unwrap();
        let outcome = train(&config, &digits, &mut run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap();
        let Outcome::Finished(result) = outcome else { panic!("nobody interrupted") };
        assert_eq!(*result, whole, "{}", path.display());
    }
}
