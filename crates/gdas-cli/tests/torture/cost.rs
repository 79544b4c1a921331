//! Promises 2 and 7: one digest, and what checkpoints cost.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use super::stage::{self, SEARCH, figure, same, succeed};
use crate::command::gdas;

/// The same seed gives the same bits with these numbers of threads.
pub(crate) fn one_digest(threads: &[&str]) {
    let dir = tempfile::tempdir().expect("temporary directory");
    stage::undisturbed(dir.path(), SEARCH);
    for (i, threads) in threads.iter().enumerate() {
        let runs = format!("runs{i}");
        succeed(gdas(dir.path()).args(SEARCH).args(["--threads", threads, "--runs", &runs]));
        same(dir.path(), &format!("{runs}/run"), &format!("{threads} threads"));
    }
    figure(format_args!("same seed, {} runs with threads {}: one digest", threads.len() + 1, threads.join(", ")));
}

/// What saving takes of a search's time. In full, the preset of the digits with a checkpoint every second; in short,
/// a small one that would save after every step if it were not held back to 1 %.
pub(crate) fn of_checkpoints(full: bool) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let greedy = ["search", "--preset", "smoke", "--epochs", "100", "--checkpoint-seconds", "1e-9"];
    let measured: &[(&str, &[&str])] = &[
        ("a checkpoint asked for at every moment", &greedy),
        ("a checkpoint every second", &["search", "--checkpoint-seconds", "1"]),
        ("the default interval", &["search"]),
    ];
    for (i, (what, arguments)) in measured.iter().take(if full { 3 } else { 1 }).enumerate() {
        let runs = format!("runs{i}");
        let began = Instant::now();
        succeed(gdas(dir.path()).args(*arguments).args(["--name", "run", "--quiet", "--runs", &runs]));
        let seconds = began.elapsed().as_secs_f64();
        let log = fs::read_to_string(dir.path().join(runs).join("run/events.jsonl")).expect("a log");
        let saves: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).expect("an event"))
            .filter(|event: &Value| event["event"] == "checkpoint")
            .collect();
        let cost: f64 = saves.iter().filter_map(|event| event["seconds"].as_f64()).sum();
        let share = cost / seconds;
        figure(format_args!(
            "cost of checkpoints, {what}: {} saves of {} bytes, {cost:.3} s of {seconds:.1} s, {:.2} %",
            saves.len(),
            saves[0]["bytes"],
            share * 100.0
        ));
        // After each save, so much time passes before the next that it was at most 1 % of the time. The last one comes
        // at the end of the run, due or not.
        let number = |event: &Value, key: &str| event[key].as_f64().expect("a number");
        for pair in saves[..saves.len() - 1].windows(2) {
            let passed = number(&pair[1], "time") - number(&pair[0], "time");
            assert!(passed + 2e-3 >= 99.0 * number(&pair[0], "seconds"), "{pair:?}");
        }
    }
}
