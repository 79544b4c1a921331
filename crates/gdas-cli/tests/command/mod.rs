//! Runs the built program in a directory of its own.
#![allow(dead_code, unreachable_pub, reason = "shared by tests that use some of it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program, away from the user's terminal, locale and colours.
pub fn gdas(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdas"));
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_remove("GDAS_LOG")
        .env_remove("GDAS_RAISE")
        .env_remove("GDAS_DATA");
    for name in ["LC_ALL", "LC_CTYPE", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("LANG", "C.UTF-8").env("NO_COLOR", "1");
    command
}

/// What came of a command, as text for a snapshot: exit code, standard output, standard error.
pub fn outcome(directory: &Path, arguments: &[&str]) -> String {
    let output = gdas(directory).args(arguments).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&directory.display().to_string(), "DIR");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let part = |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = output.status.code().map_or_else(|| "none".to_string(), |code| code.to_string());
    format!("gdas {}\nexit code {code}\n{}{}", arguments.join(" "), part("stdout", &out), part("stderr", &err))
}

/// Standard output of a command that must succeed.
pub fn succeed(directory: &Path, arguments: &[&str]) -> String {
    let output = gdas(directory).args(arguments).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gdas {}: {}\n{error}", arguments.join(" "), output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The `result.json` of a run.
pub fn result(run: &Path) -> Value {
    gdas::run::read_result(run).expect("a result")
}

/// The log without what the clock, the number of processes and of checkpoints put into it.
pub fn lasting_events(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("events.jsonl")).expect("a log");
    let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    events.retain(|event| matches!(event["event"].as_str(), Some("step" | "epoch" | "train_epoch")));
    for event in &mut events {
        let fields = event.as_object_mut().expect("an object");
        fields
            .retain(|key, _| !matches!(key.as_str(), "time" | "crc" | "seconds" | "steps_per_second" | "eta_seconds"));
    }
    events
}
