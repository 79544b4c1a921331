//! Runs and their images at other places than where they began.
#![cfg(unix)]

mod command;

use std::fs;
use std::path::Path;

use command::{gdas, outcome, result, stripes, succeed};

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";

const TRAIN: &[&str] = &["train", CELL, "--preset", "smoke", "--data", "photos", "--name", "net", "--quiet"];

const SEARCH: &[&str] = &["search", "--preset", "smoke", "--data", "photos", "--name", "found", "--quiet"];

/// A folder with images and with runs that were stopped in their midst.
fn project(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    stripes(&folder.join("photos"), 30);
    for (arguments, phase) in [(TRAIN, "training step"), (SEARCH, "alpha step")] {
        let raise = format!("15@{phase}#2");
        let status = gdas(folder).args(arguments).env("GDAS_RAISE", raise).status().expect("the program starts");
        assert_eq!(status.code(), Some(75), "stopped");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copy");
        }
    }
}

/// Goes on with both runs from a directory that is neither's, and compares what comes out with undisturbed runs.
fn goes_on(runs: &Path, extra: &[&str]) {
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    stripes(&elsewhere.path().join("photos"), 30);
    for (name, whole) in [("net", TRAIN), ("found", SEARCH)] {
        let run = runs.join(name);
        let place = run.display().to_string();
        succeed(elsewhere.path(), &[&["resume", &place, "--quiet"], extra].concat());
        succeed(elsewhere.path(), whole);
        assert_eq!(result(&run), result(&elsewhere.path().join("runs").join(name)), "the same result");
    }
}

#[test]
fn runs_and_images_moved_together_go_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (old, new) = (dir.path().join("old"), dir.path().join("new/place"));
    project(&old);
    fs::create_dir_all(dir.path().join("new")).expect("a folder");
    fs::rename(&old, &new).expect("moved");
    goes_on(&new.join("runs"), &[]);

    // What reads the images of a run finds them, too; a training of what a search found takes its images.
    let again = dir.path().join("yet/another/place");
    fs::create_dir_all(again.parent().expect("a parent")).expect("a folder");
    fs::rename(&new, &again).expect("moved");
    let (net, found) = (again.join("runs/net"), again.join("runs/found"));
    let text = succeed(dir.path(), &["evaluate", &net.display().to_string(), "--json"]);
    assert!(text.contains("\"same_data\":true"), "{text}");
    let found = found.display().to_string();
    succeed(dir.path(), &["train", &found, "--preset", "smoke", "--name", "again", "--quiet"]);
    assert_eq!(result(&dir.path().join("runs/again"))["data"], "photos");
}

#[test]
fn a_run_copied_away_from_its_images_goes_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (project_folder, copied) = (dir.path().join("project"), dir.path().join("some/where/else"));
    project(&project_folder);
    copy(&project_folder.join("runs"), &copied);
    goes_on(&copied, &[]);
}

#[test]
fn images_that_lie_elsewhere_now_are_named_and_remembered() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let folder = dir.path().join("project");
    project(&folder);
    let pictures = dir.path().join("pictures");
    fs::rename(folder.join("photos"), &pictures).expect("moved");
    for command in ["resume", "evaluate"] {
        let text = outcome(&folder, &[command, "net"]);
        assert!(text.contains("exit code 1") && text.contains("--data PATH") && text.contains("DIR/photos"), "{text}");
    }
    let text = outcome(&folder, &["train", "found", "--preset", "smoke"]);
    assert!(text.contains("exit code 1"), "{text}");

    // Other images are refused, and nothing is lost by it.
    let others = dir.path().join("others");
    stripes(&others, 31);
    let text = outcome(&folder, &["resume", "net", "--data", &others.display().to_string()]);
    assert!(text.contains("exit code 1") && text.contains("digest") && text.contains("not those"), "{text}");

    goes_on(&folder.join("runs"), &["--data", &pictures.display().to_string()]);
    let text = succeed(&folder, &["evaluate", "net", "--json"]);
    assert!(text.contains("\"same_data\":true"), "{text}");
    // Another data set can be evaluated on, and is told apart.
    let text = succeed(&folder, &["evaluate", "net", "--json", "--data", &others.display().to_string()]);
    assert!(text.contains("\"same_data\":false"), "{text}");
}

/// Images that changed before the first checkpoint are noticed, too.
#[test]
fn images_that_changed_in_their_place_are_noticed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    project(dir.path());
    for name in ["checkpoint.0", "checkpoint.1"] {
        let _ = fs::remove_file(dir.path().join("runs/net").join(name));
    }
    fs::remove_file(dir.path().join("photos/down/3.png")).expect("an image");
    for run in ["net", "found"] {
        let text = outcome(dir.path(), &["resume", run]);
        assert!(text.contains("exit code 1") && text.contains("not those"), "{text}");
    }
}

#[test]
fn an_automatic_run_moved_with_its_images_goes_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::create_dir_all(&old).expect("a folder");
    stripes(&old.join("photos"), 20);
    let arguments = ["auto", "--search", "true", "--data", "photos", "--budget", "10s", "--name", "all", "--quiet"];
    let status = gdas(&old).args(arguments).env("GDAS_RAISE", "15@weight step#9").status().expect("the program starts");
    assert_eq!(status.code(), Some(75), "stopped");
    fs::rename(&old, &new).expect("moved");
    let run = new.join("runs/all");
    succeed(dir.path(), &["resume", &run.display().to_string(), "--quiet"]);
    assert!(run.join("network.onnx").is_file());
    fs::rename(&new, &old).expect("moved back");
    succeed(dir.path(), &["evaluate", &old.join("runs/all/train").display().to_string()]);
}

/// Seeds that are larger than TOML's numbers.
#[test]
fn a_seed_of_64_bits_is_kept_to_the_end() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let seed = u64::MAX.to_string();
    let arguments = ["search", "--preset", "smoke", "--seed", &seed, "--name", "run", "--quiet"];
    let status = gdas(dir.path()).args(arguments).env("GDAS_RAISE", "15@alpha step#2").status().expect("starts");
    assert_eq!(status.code(), Some(75), "stopped");
    succeed(dir.path(), &["resume", "run", "--quiet"]);
    let found = result(&dir.path().join("runs/run"));
    assert_eq!(found["seed"].as_u64(), Some(u64::MAX));
    succeed(dir.path(), &["train", "run", "--preset", "smoke", "--seed", &seed, "--name", "net", "--quiet"]);
    assert_eq!(result(&dir.path().join("runs/net"))["seed"].as_u64(), Some(u64::MAX));
    let other = outcome(dir.path(), &["search", "--preset", "smoke", "--seed", "18446744073709551616"]);
    assert!(other.contains("exit code 2"), "{other}");
}
