//! Promise 3: a signal in any phase ends a run with code 75 within one step, with a checkpoint of that step.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use gdas::run::read_checkpoint;
use serde_json::Value;

use super::kills;
use super::stage::{self, SEARCH, TRAINING, figure, same, signal, start, succeed};
use crate::command::gdas;

/// SIGINT, SIGTERM and SIGUSR1, as this system numbers them.
const SIGNALS: [i32; 3] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGUSR1];

/// One phase: where it is, which of its occurrences to strike, and after how many steps the run must have stopped.
struct Phase {
    name: &'static str,
    mark: &'static str,
    arguments: &'static [&'static str],
    /// The `i`-th place to strike, counted from 0.
    place: fn(u64) -> u64,
    /// Steps done when the run stops, for a place.
    steps: fn(u64) -> u64,
}

/// Eight steps an epoch, three epochs; the first epoch is the warm-up of alpha (search) or learning rate (training).
const PHASES: [Phase; 8] = [
    Phase { name: "warm-up of a search", mark: "weight step", arguments: SEARCH, place: |i| 1 + i % 8, steps: |k| k },
    Phase { name: "weight step", mark: "weight step", arguments: SEARCH, place: |i| 9 + i % 16, steps: |k| k },
    Phase { name: "alpha step", mark: "alpha step", arguments: SEARCH, place: |i| 9 + i % 16, steps: |k| k },
    Phase { name: "evaluation", mark: "evaluation", arguments: SEARCH, place: |i| 1 + i % 7, steps: |_| 24 },
    // A save comes after the look at the flag, so the next step still begins; the last save is followed by none.
    Phase { name: "saving a search", mark: "saving", arguments: SEARCH, place: |i| 1 + i % 23, steps: |k| k + 1 },
    Phase {
        name: "warm-up of a training",
        mark: "training step",
        arguments: TRAINING,
        place: |i| 1 + i % 8,
        steps: |k| k,
    },
    Phase { name: "training", mark: "training step", arguments: TRAINING, place: |i| 9 + i % 16, steps: |k| k },
    // Four batches of test images after each epoch; in all but the last of them there is a next look at the flag.
    Phase {
        name: "test of a training",
        mark: "test",
        arguments: TRAINING,
        place: |i| 4 * (i % 3) + 1 + i / 3 % 3,
        steps: |k| 8 * ((k - 1) / 4 + 1),
    },
];

/// Strikes each phase so many times.
pub(crate) fn every_phase(times: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    for (task, arguments) in [("search", SEARCH), ("train", TRAINING)] {
        let folder = dir.path().join(task);
        fs::create_dir(&folder).expect("a folder");
        stage::undisturbed(&folder, arguments);
    }
    for phase in &PHASES {
        let folder = dir.path().join(phase.arguments[0]);
        for i in 0..times as u64 {
            let raised = SIGNALS[i as usize % 3];
            let place = (phase.place)(i);
            let runs = format!("{}-{i}", phase.name);
            let raise = format!("{raised}@{}#{place}", phase.mark);
            let (status, error) =
                stage::run(gdas(&folder).args(phase.arguments).args(["--runs", &runs]).env("GDAS_RAISE", &raise));
            assert_eq!(status.code(), Some(75), "{raise}: {error}");
            assert!(error.contains("go on with: gdas resume"), "{raise}: {error}");
            let run = folder.join(&runs).join("run");
            let log = fs::read_to_string(run.join("events.jsonl")).expect("a log");
            let last: Value = serde_json::from_str(log.lines().last().expect("lines")).expect("an event");
            assert_eq!(last["event"], "interrupted", "{raise}");
            assert_eq!(last["step"], (phase.steps)(place), "{raise}: {log}");
            let loaded = read_checkpoint(&run).expect("a checkpoint").expect("a checkpoint");
            let saved = |key: &str| loaded.checkpoint.state[key].as_u64().expect("a number");
            assert_eq!(saved("epoch") * 8 + saved("step"), (phase.steps)(place), "{raise}");
            succeed(gdas(&folder).args(["resume", &format!("{runs}/run"), "--quiet"]));
            same(&folder, &format!("{runs}/run"), &raise);
        }
        figure(format_args!(
            "signals in {}: {times} of {times} ended with code 75 within one step, resumed bit-identically",
            phase.name
        ));
    }
    auto_while_timing(times);
}

/// The planning of an automatic run times a few steps; a signal ends that too.
fn auto_while_timing(times: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    for i in 0..times {
        let raise = format!("{}@timing#{}", SIGNALS[i % 3], 1 + i % 5);
        let runs = format!("runs{i}");
        let arguments = ["auto", "--search", "true", "--budget", "10s", "--name", "run", "--quiet", "--runs", &runs];
        let (status, error) = stage::run(gdas(dir.path()).args(arguments).env("GDAS_RAISE", &raise));
        assert_eq!(status.code(), Some(75), "{raise}: {error}");
        assert!(!dir.path().join(&runs).join("run/search").exists(), "no plan was made");
    }
    figure(format_args!("signals while auto plans: {times} of {times} ended with code 75 within one step"));
}

/// Stops `reproduce` while one of its searches runs: the search stops too, at once and with everything saved.
pub(crate) fn reproduce(times: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    // Long enough to be still at work when the signal comes; stopped, it is not waited for.
    let mut arguments = kills::reproduce_arguments(dir.path());
    let preset = arguments.iter().position(|a| a == "--preset").expect("the flag") + 1;
    arguments[preset] = "paper".to_string();
    let log = dir.path().join("comparison/runs/gdas-paper-cifar10-0000/events.jsonl");
    let lines = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    let mut before = 0;
    for i in 0..times {
        let child = start(gdas(dir.path()).args(&arguments));
        let began = Instant::now();
        while lines() <= before {
            assert!(began.elapsed() < Duration::from_mins(2), "the search does not get to work");
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(300));
        let asked = Instant::now();
        signal(&child, ["-TERM", "-INT", "-USR1"][i % 3]);
        let (status, error) = stage::finish(child);
        assert_eq!(status.code(), Some(75), "{error}");
        assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
        let text = fs::read_to_string(&log).expect("a log");
        assert!(text.lines().last().expect("lines").contains("\"interrupted\""), "{text}");
        before = text.lines().count();
    }
    figure(format_args!("signals to reproduce: {times} of {times} stopped its search too, with code 75"));
}
