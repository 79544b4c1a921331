//! Runs paused and stopped from outside, by the word in their `control` file, through the built program.

mod command;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use command::{gdas, succeed};
use serde_json::Value;

const SEARCH: &[&str] = &[
    "search",
    "--preset",
    "smoke",
    "--epochs",
    "40",
    "--max-steps-per-epoch",
    "20",
    "--log-interval",
    "5",
    "--seed",
    "5",
    "--name",
    "run",
    "--quiet",
];

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(run: &Path) -> String {
    fs::read_to_string(run.join("events.jsonl")).unwrap_or_default()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn result(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("result.json")).expect("a result")).expect("JSON")
}

#[test]
fn a_run_paused_stopped_and_resumed_ends_with_the_same_bits() {
    let (calm, disturbed) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    succeed(calm.path(), SEARCH);

    let run = disturbed.path().join("runs/run");
    let mut search = Running(gdas(disturbed.path()).args(SEARCH).spawn().expect("a search"));
    until("the search starts", || log(&run).contains("\"started\""));
    fs::write(run.join("control"), "pause\n").expect("writable");
    until("it pauses", || log(&run).contains("\"paused\""));
    assert!(fs::metadata(run.join("checkpoint.0")).expect("a checkpoint").len() > 0);
    let before = log(&run);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(log(&run), before, "nothing happens in a pause");
    assert!(succeed(disturbed.path(), &["runs", "list"]).contains("paused"));
    assert!(search.0.try_wait().expect("a state").is_none());

    fs::remove_file(run.join("control")).expect("there");
    until("it goes on", || log(&run).contains("\"continued\""));
    fs::write(run.join("control"), "stop\n").expect("writable");
    assert_eq!(search.0.wait().expect("an end").code(), Some(75), "as on a signal");
    assert!(log(&run).lines().last().is_some_and(|line| line.contains("interrupted")));
    assert!(!run.join("result.json").exists());

    // What was asked of the process before is not asked of the next one.
    succeed(disturbed.path(), &["resume", "run", "--quiet"]);
    assert_eq!(result(&run)["digest"], result(&calm.path().join("runs/run"))["digest"]);
    assert!(!run.join("control").exists());
}

#[test]
fn a_pause_ends_with_a_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = dir.path().join("runs/run");
    let mut search = Running(gdas(dir.path()).args(SEARCH).spawn().expect("a search"));
    until("the search starts", || log(&run).contains("\"started\""));
    fs::write(run.join("control"), "pause").expect("writable");
    until("it pauses", || log(&run).contains("\"paused\""));
    fs::write(run.join("control"), "stop").expect("writable");
    assert_eq!(search.0.wait().expect("an end").code(), Some(75));
}

#[test]
fn tensorboard_files_are_written_where_they_are_wanted() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = |run: &str| fs::read_dir(dir.path().join("runs").join(run).join("tensorboard")).map(Iterator::count);
    succeed(dir.path(), &["search", "--preset", "smoke", "--name", "without", "--quiet"]);
    succeed(dir.path(), &["search", "--preset", "smoke", "--name", "with", "--quiet", "--tensorboard"]);
    assert!(files("without").is_err());
    assert_eq!(files("with").expect("a directory"), 1);
    let digest = |run: &str| result(&dir.path().join("runs").join(run))["digest"].clone();
    assert_eq!(digest("with"), digest("without"));
    succeed(dir.path(), &["auto", "--search", "true", "--budget", "10s", "--name", "auto", "--quiet", "--tensorboard"]);
    for stage in ["auto/search", "auto/train"] {
        assert_eq!(files(stage).expect(stage), 1);
    }
}
