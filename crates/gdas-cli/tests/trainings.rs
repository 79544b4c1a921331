//! Trainings through the built program: which weights are handed out, and the numbers that are said of them.

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{gdas, outcome, result, stripes, succeed};
use serde_json::Value;

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// What `train` printed as "test accuracy".
fn printed(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("test accuracy"));
    line.unwrap_or_else(|| panic!("no test accuracy in {text}")).trim()
}

/// Two classes of two pictures, none of which can be spared as a test image: the answer has to be right, or to say what
/// was held out.
#[test]
fn a_training_without_test_images_says_so_and_knows_its_images() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/no-test-images");
    let mut folders: Vec<PathBuf> = vec![dir.path().join("pairs"), dir.path().join("single")];
    stripes(&folders[0], 2);
    stripes(&folders[1], 1);
    if case.is_dir() {
        folders.push(case);
    } else {
        eprintln!("skipped in part: {} is not here", case.display());
    }
    for (i, folder) in folders.iter().enumerate() {
        let (name, data) = (format!("net{i}"), folder.display().to_string());
        let arguments = ["train", CELL, "--preset", "digits", "--data", &data, "--epochs", "30", "--name", &name];
        let output = gdas(dir.path()).args(arguments).output().expect("the program starts");
        let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{log}");
        let run = dir.path().join("runs").join(&name);
        let outcome_of = result(&run);
        let mut images = vec!["predict".to_owned(), name.clone(), "--json".to_owned()];
        let mut files = files(folder);
        files.sort();
        images.extend(files.iter().map(|path| path.display().to_string()));
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let answers = succeed(dir.path(), &images);
        let right = answers.lines().map(json).zip(&files).filter(|(answer, file)| {
            file.parent()
                .and_then(Path::file_name)
                .is_some_and(|class| class.to_string_lossy() == answer["class"].as_str().unwrap_or_default())
        });
        let right = right.count();
        if outcome_of["test_accuracy"].is_null() {
            assert_eq!(printed(&text), "no test images");
            assert!(log.contains("no test images") && !log.contains("test 0.00 %"), "{log}");
            assert_eq!(right, files.len(), "{answers}");
            let shown = succeed(dir.path(), &["runs", "show", &name]);
            assert!(shown.contains("no test images"), "{shown}");
            succeed(dir.path(), &["report", &name, "--out", "page"]);
            let page = fs::read_to_string(dir.path().join("page/report.html")).expect("a page");
            assert!(page.contains("no test images"), "the report says so");
            let evaluated = json(&succeed(dir.path(), &["evaluate", &name, "--json"]));
            assert!(evaluated["accuracy"].is_null() && evaluated["images"] == 0, "{evaluated}");
        } else {
            assert!(log.contains("held out"), "{log}");
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|suffix| suffix == "png") {
            all.push(path);
        }
    }
    all
}

/// The number that `train` prints is that of `evaluate`, of `result.json`, of the report and of `runs show`, for a plain
/// training, one with a moving average and mirrored tests, and one that chooses an epoch.
#[test]
fn every_command_gives_one_number_for_one_network() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let small = ["--preset", "smoke", "--epochs", "3", "--max-steps-per-epoch", "12"];
    let kinds: [(&str, &[&str]); 3] = [
        ("plain", &["--ema-decay", "0", "--batch-size", "48"]),
        ("average", &["--ema-decay", "0.9", "--test-flip", "true"]),
        ("chosen", &["--ema-decay", "0", "--validation", "0.1", "--batch-size", "130"]),
    ];
    for (name, extra) in kinds {
        let arguments = [&["train", CELL, "--name", name, "--quiet"], &small[..], extra].concat();
        let text = succeed(dir.path(), &arguments);
        let run = dir.path().join("runs").join(name);
        let kept = result(&run);
        let accuracy = kept["test_accuracy"].as_f64().expect("a number");
        let percent = format!("{:.2} %", accuracy * 100.0);
        assert!(printed(&text).starts_with(&percent), "{name}: {text}");
        let evaluated = json(&succeed(dir.path(), &["evaluate", name, "--json"]));
        assert_eq!(evaluated["accuracy"], kept["test_accuracy"], "{name}");
        assert_eq!(evaluated["loss"], kept["test_loss"], "{name}");
        // A run of an early build has no record of its test: `evaluate` makes it as the training did, and other tests leave it.
        let record = run.join("test.safetensors");
        let recorded = fs::read(&record).expect("a record of the test");
        fs::remove_file(&record).expect("removed");
        let flipped = if name == "average" { "--test-flip=false" } else { "--test-flip=true" };
        succeed(dir.path(), &["evaluate", name, flipped]);
        assert!(!record.exists(), "{name}: another test than the training's is not recorded");
        succeed(dir.path(), &["evaluate", name, "--predictions", "answers.csv"]);
        assert_eq!(fs::read(&record).expect("a record"), recorded, "{name}");
        let answers = fs::read_to_string(dir.path().join("answers.csv")).expect("answers");
        assert_eq!(answers.lines().count() as u64, evaluated["images"].as_u64().expect("a number") + 1, "{name}");
        let shown = json(&succeed(dir.path(), &["runs", "show", name, "--json"]));
        assert_eq!(shown["accuracy"], kept["test_accuracy"], "{name}");
        succeed(dir.path(), &["report", name, "--out", "page"]);
        let page = fs::read_to_string(dir.path().join("page/report.html")).expect("a page");
        assert!(page.contains(&percent), "{name}");

        // What is exported is what was measured: taken in again, it gives the same number.
        let file = format!("{name}.safetensors");
        succeed(dir.path(), &["export", name, "--to", &file]);
        let again = format!("{name}-again");
        succeed(dir.path(), &["import", &file, "--name", &again]);
        let flip = if name == "average" { "--test-flip=true" } else { "--test-flip=false" };
        let imported = json(&succeed(dir.path(), &["evaluate", &again, "--data", "digits", flip, "--json"]));
        assert_eq!(imported["accuracy"], kept["test_accuracy"], "{name}");

        let best = outcome(dir.path(), &["evaluate", name, "--weights", "best", "--json"]);
        let last = json(&succeed(dir.path(), &["evaluate", name, "--weights", "last", "--json"]));
        if name == "chosen" {
            assert!(best.contains("exit code 0") && best.contains("chosen by its validation accuracy"), "{best}");
            assert_eq!(last["weights"], "the last");
            assert!(page.contains("chosen by its validation accuracy") && text.contains("chosen by its"), "{text}");
        } else {
            assert!(best.contains("exit code 1") && best.contains("there are no best weights"), "{best}");
            assert_eq!(last["accuracy"], kept["test_accuracy"], "{name}");
        }
    }
}

/// Ten pictures of one class and two of the other: epochs show both equally often when that is asked for, and accuracy by
/// class is in the result, in `evaluate` and in its CSV.
#[test]
fn classes_of_different_sizes_are_balanced_and_counted_apart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    stripes(&dir.path().join("pictures/train"), 10);
    stripes(&dir.path().join("pictures/test"), 4);
    for n in 2..10 {
        fs::remove_file(dir.path().join(format!("pictures/train/down/{n}.png"))).expect("removed");
    }
    let train = |name: &str, sampling: &str| {
        let arguments =
            ["train", CELL, "--preset", "smoke", "--data", "pictures", "--sampling", sampling, "--name", name];
        let output = gdas(dir.path()).args(arguments).output().expect("the program starts");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        assert!(log.contains("--sampling balanced"), "the advice is given: {log}");
        result(&dir.path().join("runs").join(name))
    };
    let (plain, balanced) = (train("plain", "uniform"), train("balanced", "balanced"));
    assert_ne!(plain["digest"], balanced["digest"]);
    let classes = balanced["test_classes"].as_array().expect("classes");
    let correct: u64 = classes.iter().filter_map(|class| class["correct"].as_u64()).sum();
    assert_eq!(Some(correct as f64 / 8.0), balanced["test_accuracy"].as_f64());
    let interval: Vec<f64> = serde_json::from_value(balanced["test_interval"].clone()).expect("two numbers");
    let accuracy = balanced["test_accuracy"].as_f64().expect("a number");
    assert!(interval[0] <= accuracy && accuracy <= interval[1] && interval[1] - interval[0] > 0.2, "{interval:?}");

    let evaluated = json(&succeed(dir.path(), &["evaluate", "balanced", "--json", "--confusion", "matrix.csv"]));
    assert_eq!(
        (&evaluated["classes"], &evaluated["interval"]),
        (&balanced["test_classes"], &balanced["test_interval"])
    );
    let matrix: Vec<Vec<u64>> = serde_json::from_value(evaluated["confusion"].clone()).expect("a matrix");
    assert_eq!((matrix.iter().flatten().sum::<u64>(), matrix[0][0] + matrix[1][1]), (8, correct));
    let csv = fs::read_to_string(dir.path().join("matrix.csv")).expect("written");
    assert_eq!(csv.lines().nth(2), Some(format!("down,{},{}", matrix[1][0], matrix[1][1]).as_str()));
    let text = succeed(dir.path(), &["evaluate", "balanced"]);
    assert!(
        text.contains("95 % interval") && text.contains("most often taken for") && text.contains("class \\ answer")
    );
    succeed(dir.path(), &["report", "balanced", "--out", "page"]);
    let page = fs::read_to_string(dir.path().join("page/report.html")).expect("a page");
    assert!(page.contains("<h2>Classes</h2>") && page.contains("Confusion matrix") && page.contains("95 % interval"));
    let row = format!("<tr><td>down</td><td>{}</td><td>{}</td></tr>", matrix[1][0], matrix[1][1]);
    assert!(page.contains(&row), "{row}");
    let wrong = outcome(dir.path(), &["train", CELL, "--sampling", "fair", "--name", "wrong"]);
    assert!(wrong.contains("exit code 2") && wrong.contains("balanced"), "{wrong}");
}

/// ONNX files of every kind: what flags do, what is printed, and that a damaged wish is an error.
#[test]
fn onnx_files_take_pixels_and_eight_bits_say_what_they_cost() {
    let dir = tempfile::tempdir().expect("temporary directory");
    succeed(dir.path(), &["train", CELL, "--preset", "smoke", "--name", "net", "--quiet"]);
    let text = succeed(dir.path(), &["export", "net", "--to", "plain.onnx"]);
    assert!(text.contains("InferenceSession(\"plain.onnx\")") && text.contains("tract_onnx"), "{text}");
    let small = outcome(dir.path(), &["export", "net", "--to", "small.onnx", "--int8", "--calibration-images", "20"]);
    let line = small.lines().find(|line| line.starts_with("accuracy")).expect("the accuracy is printed");
    let evaluated = json(&succeed(dir.path(), &["evaluate", "net", "--json"]));
    let float = format!("float32 {:.2} %", evaluated["accuracy"].as_f64().expect("a number") * 100.0);
    assert!(line.contains("int8 ") && line.contains(&float) && line.contains("on 359 test images"), "{line}");
    let size = |name: &str| fs::metadata(dir.path().join(name)).expect("a file").len();
    assert!(size("small.onnx") < size("plain.onnx"), "{} of {}", size("small.onnx"), size("plain.onnx"));
    let refused = outcome(dir.path(), &["import", "small.onnx"]);
    assert!(refused.contains("exit code 1") && refused.contains("rounded to 8 bits"), "{refused}");
    succeed(dir.path(), &["export", "net", "--to", "bare.onnx", "--input", "normalized"]);
    for (arguments, reason) in [
        (["--to", "x.safetensors", "--int8", "--layout", "nchw"], "--layout is for ONNX files"),
        (["--to", "x.onnx", "--int8", "--input", "normalized"], "--input normalized is NCHW"),
        (["--to", "x.onnx", "--int8", "--data", "absent"], "absent"),
    ] {
        let said = outcome(dir.path(), &[&["export", "net"], &arguments[..]].concat());
        assert!(!said.contains("exit code 0") && said.contains(reason), "{said}");
        assert!(!dir.path().join("x.onnx").exists());
    }
}
