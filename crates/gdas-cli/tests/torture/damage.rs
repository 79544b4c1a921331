//! Promise 4: damage of any file of a run directory is noticed or does no harm.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use gdas::config::{Layer, SearchConfig, resolve};
use gdas::run::{Event, RunDir, RunInfo, read_config, read_result};
use serde_json::Value;

use super::stage::{SEARCH, figure, random, run, start};
use crate::command::gdas;

/// What came of looking at a damaged file.
#[derive(PartialEq)]
enum Answer {
    /// Someone was told.
    Noticed,
    /// Nobody was told, and what is read is what was written.
    Harmless,
}

/// A way to look at a run directory after one of its files was damaged.
type Look<'a> = &'a dyn Fn(&Path) -> Answer;

/// Cuts every file every 4 KiB, and flips so many bits of each, one at a time.
pub(crate) fn every_file(flips: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    // Stopped in its midst, so that two generations and no result are there.
    let raise = "15@weight step#12";
    let (status, error) = run(gdas(dir.path()).args(SEARCH).env("GDAS_RAISE", raise));
    assert_eq!(status.code(), Some(75), "{error}");
    let stopped = dir.path().join("runs/run");
    let finished = dir.path().join("finished/run");
    crate::command::succeed(dir.path(), &[SEARCH, &["--runs", "finished"]].concat());

    let newer = newer(&stopped);
    for name in ["checkpoint.0", "checkpoint.1"] {
        let newest = newer == name;
        let look: Look = if newest { &newest_checkpoint } else { &any_checkpoint };
        let (noticed, tried) = damage(&stopped, name, flips, look);
        assert_eq!(noticed, tried, "{name}");
        let (which, used) = if newest { ("newest", "generation before it") } else { ("older", "newest generation") };
        figure(format_args!("damage of the {which} checkpoint: {noticed} of {tried} noticed, and the {used} used"));
    }
    let (noticed, tried) = damage(&stopped, "config.toml", flips, &configuration);
    assert_eq!(noticed, tried, "config.toml");
    figure(format_args!("damage of config.toml: {noticed} of {tried} noticed"));

    let events = RunInfo::events(&finished).expect("a log");
    let result: Value = read_result(&finished).expect("a result");
    let looks: [(&str, Look); 3] = [
        ("events.jsonl", &|run| log(run, &events)),
        ("result.json", &|run| outcome(run, &result)),
        ("lock", &|run| log(run, &events)),
    ];
    for (name, look) in looks {
        let (noticed, tried) = damage(&finished, name, flips, look);
        let harmless = tried - noticed;
        figure(format_args!("damage of {name}: {noticed} of {tried} noticed, {harmless} without any effect"));
    }
    through_the_program(&stopped, flips / 20 + 1);
}

fn newer(run: &Path) -> &'static str {
    let age = |name: &str| fs::metadata(run.join(name)).and_then(|m| m.modified()).expect("a checkpoint");
    if age("checkpoint.0") > age("checkpoint.1") { "checkpoint.0" } else { "checkpoint.1" }
}

/// Damages a file in every way, looks each time, and mends it. Returns how often it was noticed, and of how often.
fn damage(run: &Path, name: &str, flips: usize, look: Look) -> (usize, usize) {
    let path = run.join(name);
    let whole = fs::read(&path).expect("a file");
    let log = fs::read(run.join("events.jsonl")).expect("a log");
    let mut rng = random(name.len() as u64);
    let cuts = (0..whole.len()).step_by(4096).map(|length| whole[..length].to_vec());
    let flipped = (0..flips).map(|_| {
        let mut bytes = whole.clone();
        let byte = rng.below(bytes.len());
        bytes[byte] ^= 1 << rng.below(8);
        bytes
    });
    let (mut noticed, mut tried) = (0, 0);
    for bytes in cuts.chain(flipped) {
        fs::write(&path, &bytes).expect("write");
        let answer = catch_unwind(AssertUnwindSafe(|| look(run)));
        noticed += usize::from(answer.unwrap_or_else(|_| panic!("{name}: a panic")) == Answer::Noticed);
        tried += 1;
        // Looking at the run puts warnings into its log.
        fs::write(run.join("events.jsonl"), &log).expect("write");
    }
    fs::write(&path, &whole).expect("write");
    (noticed, tried)
}

fn newest_checkpoint(run: &Path) -> Answer {
    let loaded = RunDir::open(run).expect("a run").load().expect("the older one is whole").expect("two were saved");
    let saved = |key: &str| loaded.checkpoint.state[key].as_u64().expect("a number");
    assert_eq!(saved("epoch") * 8 + saved("step"), 11, "the generation before the newest");
    if loaded.warnings.is_empty() { Answer::Harmless } else { Answer::Noticed }
}

fn any_checkpoint(run: &Path) -> Answer {
    let loaded = RunDir::open(run).expect("a run").load().expect("the newer one is whole").expect("two were saved");
    let saved = |key: &str| loaded.checkpoint.state[key].as_u64().expect("a number");
    assert_eq!(saved("epoch") * 8 + saved("step"), 12, "the newest generation");
    if loaded.warnings.is_empty() { Answer::Harmless } else { Answer::Noticed }
}

fn configuration(run: &Path) -> Answer {
    let Ok(text) = read_config(run) else { return Answer::Noticed };
    let layer = Layer::file("config.toml", &text);
    if layer.and_then(|layer| resolve::<SearchConfig>(&[layer])).is_err() {
        return Answer::Noticed;
    }
    let loaded = RunDir::open(run).expect("a run").load().expect("whole checkpoints").expect("two were saved");
    if loaded.warnings.iter().any(|warning| warning.contains("config.toml")) {
        Answer::Noticed
    } else {
        Answer::Harmless
    }
}

/// Looks at the log, and at the run as a whole.
fn log(run: &Path, events: &[Event]) -> Answer {
    let read = RunInfo::events(run);
    let loaded = RunDir::open(run).expect("a run").load().expect("whole checkpoints").expect("two were saved");
    match read {
        Ok(read) if loaded.warnings.is_empty() => {
            // What came after the last checkpoint may be missing, as after a kill; what is there is what was.
            assert!(events.starts_with(&read), "damage of the log that nobody noticed");
            Answer::Harmless
        }
        _ => Answer::Noticed,
    }
}

fn outcome(run: &Path, result: &Value) -> Answer {
    let Ok(mut read) = read_result::<Value>(run) else { return Answer::Noticed };
    // A key for a checksum that is no longer called so is one more key, and no more.
    read.as_object_mut().expect("an object").retain(|key, _| result.get(key).is_some());
    assert_eq!(&read, result, "damage of the result that nobody noticed");
    Answer::Harmless
}

/// The same through the program: whatever is damaged, it ends with a documented code and without a panic.
fn through_the_program(run: &Path, times: usize) {
    let mut rng = random(99);
    let names = ["checkpoint.0", "checkpoint.1", "config.toml", "events.jsonl", "lock"];
    let copy = run.with_file_name("damaged");
    for i in 0..times {
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).expect("a folder");
        for name in names {
            fs::copy(run.join(name), copy.join(name)).expect("copy");
        }
        let path = copy.join(names[i % names.len()]);
        let mut bytes = fs::read(&path).expect("a file");
        let byte = rng.below(bytes.len());
        bytes[byte] ^= 1 << rng.below(8);
        fs::write(&path, bytes).expect("write");
        let directory = copy.parent().expect("a parent");
        for command in ["resume", "report"] {
            let child = start(gdas(directory).args([command, &copy.display().to_string()]));
            let (status, error) = super::stage::finish(child);
            assert!(matches!(status.code(), Some(0..=2)), "{}: {status}: {error}", path.display());
        }
    }
    figure(format_args!("damage of any file, seen through the program: {times} of {times} without a panic"));
}
