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
        fields.retain(|key, _| {
            !matches!(key.as_str(), "time" | "crc" | "seconds" | "steps_per_second" | "eta_seconds" | "after_seconds")
        });
    }
    events
}

/// A grey picture of 12x12 pixels as an uncompressed PNG file.
fn png(shade: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    const SIZE: usize = 12;
    let mut raw = Vec::new();
    for y in 0..SIZE {
        raw.push(0);
        raw.extend((0..SIZE).map(|x| shade(y, x)));
    }
    let mut zlib = vec![0x78, 0x01, 0x01];
    let length = raw.len() as u16;
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(&raw);
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in &raw {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend((SIZE as u32).to_be_bytes());
    header.extend((SIZE as u32).to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &zlib), (b"IEND", &Vec::new())] {
        let body = [kind.as_slice(), data].concat();
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(&body);
        let mut crc = !0u32;
        for &byte in &body {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        file.extend((!crc).to_be_bytes());
    }
    file
}

/// Pictures with stripes of two directions, so many per class, below `folder`.
pub fn stripes(folder: &Path, count: usize) {
    for (class, across) in [("across", true), ("down", false)] {
        let class = folder.join(class);
        fs::create_dir_all(&class).expect("a folder");
        for n in 0..count {
            let shade = |y: usize, x: usize| {
                let place = if across { y } else { x };
                if (place + n) % 4 < 2 { 200 + n as u8 } else { 40 + (n as u8 % 8) }
            };
            fs::write(class.join(format!("{n}.png")), png(shade)).expect("write");
        }
    }
}
