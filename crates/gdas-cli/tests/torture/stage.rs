//! What all scenarios need: small runs, signals at chosen or random moments, and figures.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use gdas::rng::{Rng, Stream};

use crate::command::{gdas, lasting_events, result};

/// A search of 24 steps that saves at every one.
pub(crate) const SEARCH: &[&str] = &[
    "search",
    "--preset",
    "smoke",
    "--epochs",
    "3",
    "--max-steps-per-epoch",
    "8",
    "--seed",
    "5",
    "--alpha-warmup-epochs",
    "1",
    "--checkpoint-seconds",
    "0",
    "--name",
    "run",
    "--quiet",
];

/// A training of 24 steps that saves at every one and tests after every epoch.
pub(crate) const TRAINING: &[&str] = &[
    "train",
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
    "--preset",
    "smoke",
    "--epochs",
    "3",
    "--max-steps-per-epoch",
    "8",
    "--warmup-epochs",
    "1",
    "--test-interval",
    "1",
    "--ema-decay",
    "0.9",
    "--checkpoint-seconds",
    "0",
    "--name",
    "run",
    "--quiet",
];

/// Prints a figure, as `docs/reliability.md` quotes it.
pub(crate) fn figure(text: impl std::fmt::Display) {
    println!("figure: {text}");
}

/// Starts the program and lets it be.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Runs the program to its end, which must come within a minute. Returns its exit status and standard error.
pub(crate) fn finish(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!error.contains("panicked"), "{error}");
    (output.status, error)
}

/// As [`finish`], for a command.
pub(crate) fn run(command: &mut Command) -> (ExitStatus, String) {
    finish(start(command))
}

/// Runs it; it must succeed.
pub(crate) fn succeed(command: &mut Command) {
    let (status, error) = run(command);
    assert!(status.success(), "{status}: {error}");
}

/// Sends a signal, by its name as `kill` knows it.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

/// The undisturbed run of a command, in `undisturbed/run`, and how long it takes.
pub(crate) fn undisturbed(directory: &Path, arguments: &[&str]) -> Duration {
    let began = Instant::now();
    succeed(gdas(directory).args(arguments).args(["--runs", "undisturbed"]));
    began.elapsed()
}

/// Asserts that a run came to what the undisturbed one came to: result, metrics of every step and epoch.
pub(crate) fn same(directory: &Path, run: &str, context: &str) {
    let (run, undisturbed) = (directory.join(run), directory.join("undisturbed/run"));
    assert_eq!(result(&run), result(&undisturbed), "{context}");
    assert_eq!(lasting_events(&run), lasting_events(&undisturbed), "{context}");
}

/// A part of a duration, chosen at random between nothing and all of it.
pub(crate) fn part(rng: &mut Rng, of: Duration) -> Duration {
    of.mul_f64(rng.uniform())
}

/// Random numbers of a scenario.
pub(crate) fn random(seed: u64) -> Rng {
    Rng::new(seed, Stream::Algorithm, 0)
}
