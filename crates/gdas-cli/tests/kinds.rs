//! Commands on runs of every kind, and on names that are none.

mod command;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use command::{outcome, result, succeed};
use serde_json::Value;

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|";

/// A directory with a search `found`, a training `net` of what it found and an automatic run `photos`, made once.
static RUNS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("temporary directory");
    succeed(dir.path(), &["search", "--preset", "smoke", "--quiet", "--name", "found"]);
    succeed(dir.path(), &["train", "found", "--preset", "smoke", "--quiet", "--name", "net"]);
    succeed(dir.path(), &["auto", "--search", "true", "--budget", "10s", "--quiet", "--name", "photos"]);
    fs::write(dir.path().join("zero.png"), include_bytes!("fixtures/zero.png")).expect("write");
    dir
});

fn json(directory: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(directory, arguments)).expect("JSON")
}

#[test]
fn predict_evaluate_and_export_use_the_network_of_an_automatic_run() {
    let dir = RUNS.path();
    for arguments in [&["evaluate", "RUN", "--json"][..], &["predict", "RUN", "zero.png", "--json"]] {
        let with = |run: &'static str| {
            let words: Vec<&str> = arguments.iter().map(|word| if *word == "RUN" { run } else { *word }).collect();
            let mut value = json(dir, &words);
            value.as_object_mut().expect("an object").remove("run");
            value
        };
        assert_eq!(with("photos"), with("photos/train"));
    }
    succeed(dir, &["export", "photos", "--to", "whole.safetensors"]);
    succeed(dir, &["export", "photos/train", "--to", "stage.safetensors"]);
    let digest = |name: &str| json(dir, &["import", name, "--runs", "imported", "--json"])["digest"].clone();
    assert_eq!(digest("whole.safetensors"), digest("stage.safetensors"));
}

#[test]
fn a_search_has_no_network_and_says_how_to_get_one() {
    for arguments in [
        &["predict", "found", "zero.png"][..],
        &["evaluate", "found"],
        &["evaluate", "runs/found"],
        &["export", "found", "--to", "x.onnx"],
    ] {
        let text = outcome(RUNS.path(), arguments);
        assert!(text.contains("exit code 1") && text.contains("train it first: gdas train runs/found"), "{text}");
    }
}

#[test]
fn an_unfinished_run_is_to_be_gone_on_with_first() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for task in ["search", "auto"] {
        let run = dir.path().join("runs").join(task);
        fs::create_dir_all(&run).expect("create");
        fs::write(run.join("config.toml"), format!("task = \"{task}\"\n")).expect("write");
        let text = outcome(dir.path(), &["predict", task, "x.png"]);
        assert!(text.contains(&format!("gdas resume runs/{task}")), "{text}");
    }
}

#[test]
fn the_cell_of_an_automatic_run_is_known_to_all_commands() {
    let dir = RUNS.path();
    let cell = result(&dir.join("runs/photos/train"))["genotype"].as_str().expect("a genotype").to_owned();
    assert_eq!(succeed(dir, &["genotype", "parse", "photos"]).trim(), cell);
    assert!(succeed(dir, &["genotype", "describe", "photos"]).starts_with(&cell));
    assert!(succeed(dir, &["cost", "photos"]).starts_with(&cell));
    let config: toml::Table = succeed(dir, &["train", "photos", "--print-config"]).parse().expect("TOML");
    assert_eq!((config["genotype"].as_str(), config["data"].as_str()), (Some(cell.as_str()), Some("digits")));
}

/// Also the training of a training, which has its data in its configuration.
#[test]
fn what_is_trained_again_is_trained_on_the_data_of_the_run() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for task in ["search", "train", "auto"] {
        let run = dir.path().join("runs").join(task);
        fs::create_dir_all(run.join("search")).expect("create");
        let text = format!(
            "task = \"{task}\"\ndata = \"photos/\"\nimage_size = 24\nspace = \"nas-bench-201\"\ngenotype = \"{CELL}\"\n"
        );
        fs::write(run.join("config.toml"), text).expect("write");
        let config: toml::Table = succeed(dir.path(), &["train", task, "--print-config"]).parse().expect("TOML");
        assert_eq!((config["data"].as_str(), config["image_size"].as_integer()), (Some("photos/"), Some(24)), "{task}");
    }
}

#[test]
fn an_automatic_run_is_shown_as_what_it_is() {
    let dir = RUNS.path();
    let train = json(dir, &["runs", "show", "photos/train", "--json"]);
    let whole = json(dir, &["runs", "show", "photos", "--json"]);
    assert_eq!((&whole["task"], &whole["stage"]), (&"auto".into(), &"train".into()));
    assert_eq!(whole["stages"][1]["epochs"], train["epochs"]);
    for key in ["data", "space", "epochs", "epochs_done", "accuracy", "genotype"] {
        assert_eq!(whole[key], train[key], "{key}");
    }
    assert!(whole["epoch_log"].as_array().expect("epochs").len() >= 6, "{whole}");

    let list = succeed(dir, &["runs", "list"]);
    let line = list.lines().find(|line| line.starts_with("photos ")).expect("a line");
    // The length of the last training follows the clock.
    let epochs = format!("train {}/{}", train["epochs_done"], train["epochs"]);
    assert!(
        line.contains("finished  auto") && line.contains(&epochs) && line.contains(" %") && line.contains('|'),
        "{line}"
    );

    let show = succeed(dir, &["runs", "show", "photos"]);
    for part in
        ["auto on nas-bench-201, digits", "search    finished, ", "training  finished, ", "photos/search\nepoch"]
    {
        assert!(show.contains(part), "{part}: {show}");
    }
    let watch = succeed(dir, &["watch", "photos"]);
    for part in ["photos/train", "auto on nas-bench-201, digits", "stage              train", "finished"] {
        assert!(watch.contains(part), "{part}: {watch}");
    }
    for text in [&show, &watch, &list] {
        assert!(!text.contains("on ,") && !text.contains("0 of 0") && !text.contains("0/0"), "{text}");
    }

    succeed(dir, &["report", "photos", "--out", "pages", "--files"]);
    let page = fs::read_to_string(dir.join("pages/report.html")).expect("a page");
    assert!(page.contains("<h1>automatic run: photos</h1>") && !page.contains("runs compared"));
    assert!(page.contains("<h2>Search</h2>") && page.contains("<h2>Training</h2>") && !page.contains("0 of 0"));
    for name in ["photos-search-loss.svg", "photos-train-loss.svg", "photos-train-epochs.csv"] {
        assert!(dir.join("pages").join(name).is_file(), "{name}");
    }
    // Beside another run its stages are compared.
    succeed(dir, &["report", "photos", "net", "--out", "both"]);
    let page = fs::read_to_string(dir.join("both/report.html")).expect("a page");
    assert!(page.contains("3 runs compared") && page.contains("<td>photos/search</td>"));
}

#[test]
fn a_name_that_is_nothing_is_told_so_with_names_like_it() {
    let dir = RUNS.path();
    let commands: [&[&str]; 14] = [
        &["resume", "NAME"],
        &["train", "NAME"],
        &["evaluate", "NAME"],
        &["predict", "NAME", "zero.png"],
        &["export", "NAME", "--to", "x.onnx"],
        &["runs", "show", "NAME"],
        &["runs", "delete", "NAME", "--yes"],
        &["report", "NAME"],
        &["watch", "NAME"],
        &["cost", "NAME"],
        &["score", "NAME", "--data", "digits"],
        &["genotype", "parse", "NAME"],
        &["genotype", "validate", "NAME"],
        &["genotype", "describe", "NAME"],
    ];
    for arguments in commands {
        for (name, expected) in [
            ("photo", "`photo` is neither a run in runs, nor a file, nor a genotype; did you mean `photos`"),
            ("runs/foundd", "`runs/foundd` is neither a run in runs, nor a file, nor a genotype; did you mean `found`"),
            ("zzz", "`zzz` is neither a run in runs, nor a file, nor a genotype; `gdas runs list` shows"),
            ("runs", "`runs` is a folder without a run in it"),
        ] {
            let words: Vec<&str> = arguments.iter().map(|word| if *word == "NAME" { name } else { *word }).collect();
            let text = outcome(dir, &words);
            assert!(text.contains("exit code 1") && text.contains(expected), "{text}");
        }
    }
    let elsewhere = outcome(dir, &["train", "photos", "--runs", "nowhere"]);
    assert!(elsewhere.contains("there are no runs in nowhere, --runs looks elsewhere"), "{elsewhere}");
    for (name, what) in
        [("GDAS_V1", "is a genotype, and this needs a run"), ("zero.png", "is a file, and this needs a run")]
    {
        let text = outcome(dir, &["resume", name]);
        assert!(text.contains("exit code 1") && text.contains(what), "{text}");
    }
}

/// Files and results that hold a genotype, and what the program prints of one.
#[test]
fn what_holds_a_genotype_is_read_wherever_one_is() {
    let dir = RUNS.path();
    let cell = result(&dir.join("runs/net"))["genotype"].as_str().expect("a genotype").to_owned();
    let keep = |name: &str, arguments: &[&str]| fs::write(dir.join(name), succeed(dir, arguments)).expect("write");
    keep("describe.txt", &["genotype", "describe", "net"]);
    keep("parse.txt", &["genotype", "parse", "net"]);
    keep("parse.json", &["genotype", "parse", "net", "--json"]);
    keep("describe.json", &["genotype", "describe", "net", "--json"]);
    keep("show.json", &["runs", "show", "net", "--json"]);
    keep("cost.json", &["cost", "net", "--json"]);
    succeed(dir, &["export", "net", "--to", "exported.json"]);
    let names = [
        "parse.txt",
        "describe.txt",
        "parse.json",
        "describe.json",
        "show.json",
        "cost.json",
        "exported.json",
        "runs/net/result.json",
        "runs/found/result.json",
        "runs/found/events.jsonl",
    ];
    for name in names {
        assert_eq!(succeed(dir, &["genotype", "parse", name]).trim(), cell, "{name}");
    }
    let json = fs::read_to_string(dir.join("exported.json")).expect("a file");
    assert_eq!(succeed(dir, &["genotype", "parse", &json]).trim(), cell);
    assert_eq!(succeed(dir, &["cost", "runs/net/result.json"]), succeed(dir, &["cost", &cell]));
    let whole = result(&dir.join("runs/photos"))["train"]["genotype"].as_str().expect("a genotype").to_owned();
    assert_eq!(succeed(dir, &["genotype", "parse", "runs/photos/result.json"]).trim(), whole);
}

/// Every format that holds weights, of a training and of an automatic run; also the files that the latter leaves.
#[test]
fn what_goes_out_comes_back() {
    let dir = RUNS.path();
    for run in ["net", "photos"] {
        let evaluated = |name: &str| {
            let value = json(dir, &["evaluate", name, "--data", "digits", "--json"]);
            (value["accuracy"].clone(), value["loss"].clone())
        };
        let expected = evaluated(run);
        let mut files: Vec<String> =
            ["onnx", "safetensors", "bpk"].iter().map(|ending| format!("{run}-out.{ending}")).collect();
        for file in &files {
            succeed(dir, &["export", run, "--to", file]);
        }
        if run == "photos" {
            files.extend(["runs/photos/network.onnx", "runs/photos/network.safetensors"].map(str::to_owned));
        }
        for (number, file) in files.iter().enumerate() {
            let name = format!("{run}-back-{number}");
            succeed(dir, &["import", file, "--name", &name]);
            // An imported network is tested in batches of its own size, so the loss is summed in another order.
            let (accuracy, loss) = evaluated(&name);
            assert_eq!(accuracy, expected.0, "{file}");
            let apart = (loss.as_f64().unwrap() - expected.1.as_f64().unwrap()).abs();
            assert!(apart < 1e-9, "{file}: {loss}, where the run has {}", expected.1);
            let classes = json(dir, &["predict", &name, "zero.png", "--json"]);
            assert_eq!(classes, json(dir, &["predict", run, "zero.png", "--json"]), "{file}");
            // What was imported can be exported, and shown as what it is.
            succeed(dir, &["export", &name, "--to", "again.onnx"]);
            assert_eq!(json(dir, &["runs", "show", &name, "--json"])["task"], "import");
        }
        // The other formats hold the cells alone.
        let cell = succeed(dir, &["genotype", "parse", run]);
        for ending in ["py", "rs", "json", "dot"] {
            let file = format!("{run}-out.{ending}");
            succeed(dir, &["export", run, "--to", &file]);
            let text = outcome(dir, &["import", &file]);
            assert!(text.contains("exit code 1") && text.contains("contains no weights"), "{text}");
            assert_eq!(succeed(dir, &["genotype", "parse", &file]), cell, "{file}");
        }
    }
    // What an imported network was trained on is not known: it is not trained on something else.
    let text = outcome(dir, &["train", "net-back-0"]);
    assert!(text.contains("exit code 2") && text.contains("name images with --data"), "{text}");
}

/// Whatever a run is called and wherever it is: a shell takes the hints as they stand.
#[cfg(unix)]
#[test]
fn hints_can_be_pasted() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for name in ["Ada's cats & dogs", "plain", "$HOME", "a|b", "-x", "two  spaces"] {
        let runs = "all runs";
        let flag = format!("--name={name}");
        let search = ["search", "--preset", "smoke", "--runs", runs, &flag, "--quiet"];
        let text = succeed(dir.path(), &search);
        let taken = outcome(dir.path(), &search);
        let hints =
            text.lines().filter_map(|line| line.trim_start().trim_start_matches("next: ").strip_prefix("gdas "));
        let taken = taken.split('`').skip(1).step_by(2).filter_map(|part| part.strip_prefix("gdas "));
        let hints: Vec<&str> = hints.chain(taken).collect();
        assert_eq!(hints.len(), 3, "{text}");
        for hint in hints {
            let hint = if hint.starts_with("train") { format!("{hint} --print-config") } else { hint.to_owned() };
            let output = Command::new("sh")
                .current_dir(dir.path())
                .args(["-c", &format!("{} {hint}", env!("CARGO_BIN_EXE_gdas"))])
                .output()
                .expect("a shell");
            assert!(output.status.success(), "{hint}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn runs_are_sorted_filtered_and_deleted() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let runs = dir.path().join("runs");
    let make = |name: &str, task: &str, accuracy: f64| {
        let run = runs.join(name);
        fs::create_dir_all(&run).expect("create");
        fs::write(run.join("config.toml"), format!("task = \"{task}\"\ndata = \"photos\"\n")).expect("write");
        let event = format!(
            "{{\"event\":\"finished\",\"step\":1,\"genotype\":\"{CELL}\",\"accuracy\":{accuracy},\"seconds\":1.0}}\n"
        );
        fs::write(run.join("events.jsonl"), event).expect("write");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    make("a-10", "search", 0.5);
    make("a-9", "train", 0.9);
    make("b", "search", 0.7);
    fs::write(runs.join("b/result.json"), "{}").expect("write");
    let names = |arguments: &[&str]| -> Vec<String> {
        let text = succeed(dir.path(), &[&["runs", "list"], arguments].concat());
        text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    assert_eq!(names(&[]), ["a-9", "a-10", "b"]);
    assert_eq!(names(&["--reverse"]), ["b", "a-10", "a-9"]);
    assert_eq!(names(&["--sort", "accuracy"]), ["a-9", "b", "a-10"]);
    assert_eq!(names(&["--sort", "time"]), ["b", "a-9", "a-10"]);
    assert_eq!(names(&["--task", "search"]), ["a-10", "b"]);
    assert_eq!(names(&["--state", "finished"]), ["b"]);
    assert_eq!(names(&["--match", "A-"]), ["a-9", "a-10"]);
    assert_eq!(names(&["--match", "PHOTO", "--state", "stopped", "--sort", "accuracy"]), ["a-9", "a-10"]);
    assert!(outcome(dir.path(), &["runs", "list", "--task", "auto"]).contains("no such runs in runs"));
    assert!(outcome(dir.path(), &["runs", "list", "--sort", "size"]).contains("exit code 2"));

    let unasked = outcome(dir.path(), &["runs", "delete", "b"]);
    assert!(unasked.contains("exit code 2") && unasked.contains("--yes") && runs.join("b").exists(), "{unasked}");
    let wrong = outcome(dir.path(), &["runs", "delete", "b", "c", "--yes"]);
    assert!(wrong.contains("exit code 1") && runs.join("b").exists(), "a wrong name deletes nothing: {wrong}");
    let folder = outcome(dir.path(), &["runs", "delete", "runs", "--yes"]);
    assert!(folder.contains("exit code 1") && runs.exists(), "what is no run is not deleted: {folder}");
    assert_eq!(succeed(dir.path(), &["runs", "delete", "b", "a-9", "--yes"]), "deleted runs/b\ndeleted runs/a-9\n");
    assert_eq!(names(&[]), ["a-10"]);
    // A run whose files are damaged can be deleted, too.
    fs::write(runs.join("a-10/config.toml"), "damaged").expect("write");
    fs::write(runs.join("a-10/events.jsonl"), "damaged\n").expect("write");
    succeed(dir.path(), &["runs", "delete", "a-10", "-y"]);
    assert_eq!(fs::read_dir(&runs).expect("a directory").count(), 0);
}

#[test]
fn a_run_at_work_is_not_deleted() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("runs/busy");
    let busy = gdas::run::RunDir::create(&path, "task = \"search\"\n").expect("a run");
    let text = outcome(dir.path(), &["runs", "delete", "busy", "--yes"]);
    assert!(text.contains("exit code 1") && text.contains("is in use by process") && path.exists(), "{text}");
    drop(busy);
    succeed(dir.path(), &["runs", "delete", "busy", "--yes"]);
    assert!(!path.exists());
}

/// A value that begins like a flag is told what is wrong with it, whatever the flag.
#[test]
fn a_negative_value_is_told_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let cases: [(&[&str], &str); 14] = [
        (&["auto", "--budget", "-5m"], "`-5m` is no time"),
        (&["auto", "--budget=-5m"], "`-5m` is no time"),
        (&["auto", "--budget", "5"], "must be between 10 seconds and 30 days"),
        (&["auto", "--budget", "5 parsecs"], "is no time; write it as in 90s"),
        (&["auto", "--seed", "-1"], "expected a whole number, zero or more"),
        (&["search", "--seed", "-1"], "expected a whole number, zero or more"),
        (&["search", "--seed", "1.5"], "expected a whole number, zero or more"),
        (&["search", "--epochs", "-3"], "expected a whole number, zero or more"),
        (&["search", "--learning-rate", "-0.1"], "`learning_rate` is -0.1, but must be"),
        (&["search", "--learning-rate", "fast"], "expected a number"),
        (&["search", "--alpha-betas", "-0.5,0.9"], "`alpha_betas`"),
        (&["train", "GDAS_V1", "--batch-size", "-8"], "expected a whole number, zero or more"),
        (&["cost", "GDAS_V1", "--channels", "-16"], "-16 is not in 1..=1024"),
        (&["serve", "--port", "-1"], "-1 is not in 0..=65535"),
    ];
    for (arguments, expected) in cases {
        let text = outcome(dir.path(), arguments);
        assert!(text.contains("exit code 2") && text.contains(expected) && !text.contains("unexpected"), "{text}");
    }
    // What is a flag is still one.
    let flag = outcome(dir.path(), &["search", "--name", "--quiet"]);
    assert!(flag.contains("a value is required for '--name <NAME>'"), "{flag}");
}

/// Clauses of an error that stand in it twice.
fn said_twice(text: &str) -> Vec<String> {
    let error = text.split("--- stderr\n").nth(1).unwrap_or_default();
    let clauses: Vec<&str> = error.split([':', ';', '\n']).map(str::trim).filter(|clause| clause.len() > 14).collect();
    let twice = clauses.iter().enumerate().filter(|(i, clause)| clauses[..*i].contains(clause));
    twice.map(|(_, clause)| (*clause).to_owned()).collect()
}

/// Whatever fails: files that are not there, are folders, are no runs, cannot be written or hold something else.
#[test]
fn every_cause_of_an_error_is_said_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("file"), "nothing of use").expect("write");
    fs::write(dir.path().join("broken.zip"), b"PK\x03\x04").expect("write");
    fs::create_dir_all(dir.path().join("folder/class")).expect("create");
    let damaged = dir.path().join("runs/damaged");
    fs::create_dir_all(&damaged).expect("create");
    fs::write(damaged.join("config.toml"), "task = \"train\"\n").expect("write");
    fs::write(damaged.join("events.jsonl"), "nonsense\n").expect("write");
    fs::write(damaged.join("checkpoint.0"), "nonsense").expect("write");
    fs::write(damaged.join("result.json"), "nonsense").expect("write");
    let cases: [&[&str]; 31] = [
        &["search", "--config", "absent.toml"],
        &["search", "--config", "folder"],
        &["search", "--data", "file"],
        &["search", "--data", "folder"],
        &["search", "--data", "broken.zip"],
        &["search", "--data", "absent"],
        &["search", "--preset", "smoke", "--runs", "file"],
        &["search", "--preset", "smoke", "--runs", "file/deep"],
        &["auto", "--data", "absent"],
        &["data", "inspect", "absent"],
        &["data", "inspect", "broken.zip"],
        &["import", "absent.pth"],
        &["import", "folder"],
        &["import", "file"],
        &["import", "broken.zip"],
        &["genotype", "parse", "file"],
        &["genotype", "parse", "|conv~0|"],
        &["train", "absent"],
        &["resume", "damaged"],
        &["evaluate", "damaged"],
        &["predict", "damaged", "absent.png"],
        &["export", "damaged", "--to", "absent/x.onnx"],
        &["report", "damaged"],
        &["report", "damaged", "--out", "file"],
        &["watch", "damaged"],
        &["runs", "show", "damaged"],
        &["runs", "list", "--runs", "file"],
        &["bench", "query", "1", "--table", "absent.csv"],
        &["bench", "query", "1", "--table", "file"],
        &["bench", "convert", "absent.csv", "x.safetensors"],
        &["man", "--all", "file/man"],
    ];
    for arguments in cases {
        let text = outcome(dir.path(), arguments);
        assert!(text.contains("exit code 1") || text.contains("exit code 2"), "{text}");
        assert_eq!(said_twice(&text), Vec::<String>::new(), "{text}");
    }
}
