//! Promise 1: killed at any moment and resumed, the result has the same bits.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::{self, SEARCH, TRAINING, figure, random, same, signal, start, succeed};
use crate::command::{gdas, result};

/// One kind of run, to be killed again and again.
struct Victim<'a> {
    what: &'a str,
    /// How long one takes that is left alone.
    whole: Duration,
    /// The command that begins the run of this name, or goes on with it where it has begun.
    go_on: &'a dyn Fn(&str) -> Command,
    /// What it may end with; `reproduce` fails in the end where the table lacks a cell that was found.
    codes: &'a [i32],
    /// Compares one that got through with one that was left alone; is told its name and what happened to it.
    compare: &'a dyn Fn(&str, &str),
}

impl Victim<'_> {
    /// Starts run after run, kills each at random moments, goes on with it, and compares it when it gets through, until
    /// so many kills have struck.
    fn kill(&self, kills: usize) {
        let mut rng = random(self.what.len() as u64);
        let (mut killed, mut runs) = (0, 0);
        while killed < kills {
            let name = format!("round{runs}");
            loop {
                let mut child = start(&mut (self.go_on)(&name));
                sleep(stage::part(&mut rng, self.whole));
                // The signal finds nobody where the run has ended by itself.
                let over = child.try_wait().expect("a child").is_some();
                if !over && killed < kills {
                    signal(&child, "-KILL");
                    killed += 1;
                }
                let (status, error) = stage::finish(child);
                if let Some(code) = status.code() {
                    assert!(self.codes.contains(&code), "{}: code {code}: {error}", self.what);
                    break;
                }
            }
            (self.compare)(&name, &format!("{} {name}, after {killed} kills in all", self.what));
            runs += 1;
        }
        figure(format_args!(
            "{}: {killed} of {killed} random kills, {runs} runs, all bit-identical to undisturbed ones",
            self.what
        ));
    }
}

/// The command that begins `NAME/run` in a directory, or goes on with it.
fn begin_or_resume(directory: &Path, arguments: &[&str], name: &str) -> Command {
    let mut command = gdas(directory);
    if directory.join(name).join("run/config.toml").is_file() {
        command.args(["resume", &format!("{name}/run"), "--quiet"]);
    } else {
        command.args(arguments).args(["--runs", name]);
    }
    command
}

/// Kills a search `kills` times in all.
pub(crate) fn search(kills: usize) {
    search_or_training("search", SEARCH, kills);
}

/// Kills a training `kills` times in all.
pub(crate) fn training(kills: usize) {
    search_or_training("training", TRAINING, kills);
}

fn search_or_training(what: &str, arguments: &[&str], kills: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let whole = stage::undisturbed(dir.path(), arguments);
    let victim = Victim {
        what,
        whole,
        go_on: &|name| begin_or_resume(dir.path(), arguments, name),
        codes: &[0],
        compare: &|name, context| same(dir.path(), &format!("{name}/run"), context),
    };
    victim.kill(kills);
}

/// Kills automatic runs. What they plan depends on the speed of the machine, so the search of each is compared with an
/// undisturbed one of the plan that it made. The training keeps to the clock; that two processes that go on with one end alike is
/// a test of `gdas-auto`.
pub(crate) fn auto(kills: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let compare = |name: &str, context: &str| {
        let run = dir.path().join(name).join("run");
        let plan = run.join("search/config.toml").display().to_string();
        let runs = format!("{name}-undisturbed");
        succeed(gdas(dir.path()).args(["search", "--config", &plan, "--name", "search", "--quiet", "--runs", &runs]));
        let found = result(&run.join("search"));
        assert_eq!(found, result(&dir.path().join(runs).join("search")), "search of {context}");
        for task in ["search", "train"] {
            assert_eq!(result(&run)[task], result(&run.join(task)), "{task} of {context}");
        }
        for file in ["network.onnx", "network.safetensors", "network.py"] {
            assert!(run.join(file).is_file(), "{file}");
        }
    };
    let arguments = ["auto", "--search", "true", "--budget", "10s", "--name", "run", "--quiet"];
    let victim = Victim {
        what: "auto",
        whole: Duration::from_secs(9),
        go_on: &|name| begin_or_resume(dir.path(), &arguments, name),
        codes: &[0],
        compare: &compare,
    };
    victim.kill(kills);
}

/// Kills `reproduce` while its searches run; the searches must go with it, and the next call must go on.
pub(crate) fn reproduce(kills: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let arguments = reproduce_arguments(dir.path());
    let prepared = |name: &str| {
        let folder = dir.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(dir.path().join("table.csv"), folder.join("table.csv")).expect("copy");
        let mut command = gdas(&folder);
        command.args(&arguments);
        command
    };
    let began = Instant::now();
    stage::run(&mut prepared("undisturbed"));
    let expected = outcome(&dir.path().join("undisturbed"));
    let victim = Victim {
        what: "reproduce",
        whole: began.elapsed(),
        go_on: &prepared,
        codes: &[0, 1],
        compare: &|name, context| assert_eq!(outcome(&dir.path().join(name)), expected, "{context}"),
    };
    victim.kill(kills);
}

/// Kills a search before each single thing that it does to the disk: every open, write, sync and rename.
pub(crate) fn disk_operations(at_most: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut arguments = SEARCH.to_vec();
    let epochs = arguments.iter().position(|a| *a == "--epochs").expect("the flag") + 1;
    arguments[epochs] = "2";
    stage::undisturbed(dir.path(), &arguments);
    // Far apart where there are to be few, at each where there may be many.
    let step = if at_most < 100 { 17 } else { 1 };
    let mut killed = 0;
    for number in (1..).step_by(step).take(at_most) {
        let name = format!("runs{number}");
        let raise = format!("9@disk#{number}");
        let (status, error) =
            stage::run(gdas(dir.path()).args(&arguments).args(["--runs", &name]).env("GDAS_RAISE", raise));
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "{error}");
        killed += 1;
        let run = format!("{name}/run");
        if dir.path().join(&run).join("config.toml").is_file() {
            succeed(gdas(dir.path()).args(["resume", &run, "--quiet"]));
        } else {
            succeed(gdas(dir.path()).args(&arguments).args(["--runs", &name]));
        }
        same(dir.path(), &run, &format!("killed before disk operation {number}"));
        fs::remove_dir_all(dir.path().join(name)).expect("remove");
    }
    assert!(killed > 5, "{killed}");
    figure(format_args!("search: {killed} of {killed} kills before chosen disk operations, all bit-identical"));
}

/// A table of three cells, so that `reproduce` has something to open.
pub(crate) fn table(directory: &Path) {
    let cells = [
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    ];
    let mut text = "index,architecture,cifar10_test_200,cifar10_valid_12\n".to_string();
    for (index, cell) in cells.iter().enumerate() {
        let _ = writeln!(text, "{index},{cell},{}.5,{}.5", 90 - index, 80 - index);
    }
    fs::write(directory.join("table.csv"), text).expect("write");
}

/// `reproduce` of one search that trains, on images of its own.
pub(crate) fn reproduce_arguments(directory: &Path) -> Vec<String> {
    table(directory);
    for class in ["a", "b"] {
        let folder = directory.join("images").join(class);
        fs::create_dir_all(&folder).expect("a folder");
        for n in 0..40 {
            fs::write(folder.join(format!("{n}.png")), include_bytes!("../fixtures/zero.png")).expect("write");
        }
    }
    let images = directory.join("images").display().to_string();
    ["reproduce", "comparison", "--table", "table.csv", "--search", "gdas", "--preset", "smoke", "--search-seeds", "2"]
        .into_iter()
        .map(str::to_owned)
        .chain(["--data".to_owned(), format!("cifar10={images}")])
        .collect()
}

/// The digests of the searches of a folder.
pub(crate) fn outcome(directory: &Path) -> Vec<Value> {
    let runs = directory.join("comparison/runs");
    let mut names: Vec<_> = fs::read_dir(&runs).expect("runs").map(|entry| entry.expect("a run").path()).collect();
    names.sort();
    let digests: Vec<Value> = names.iter().map(|run| result(run)["digest"].clone()).collect();
    assert_eq!(digests.len(), 2);
    digests
}
