//! What the program says: help, results, complaints and exit codes.

mod command;

use std::fs;

use command::{gdas, outcome, succeed};

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|";

/// Every command and subcommand, found by asking the program.
fn all_commands() -> Vec<Vec<String>> {
    let here = std::path::Path::new(".");
    let mut found = Vec::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(path) = open.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = succeed(here, &arguments);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            open.push(path.iter().cloned().chain([name.to_string()]).collect());
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn every_command_has_help_with_examples() {
    let commands = all_commands();
    assert!(commands.len() > 8, "{commands:?}");
    for path in commands {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = succeed(std::path::Path::new("."), &arguments);
        assert!(help.contains("Examples:\n  gdas "), "gdas {path:?} has no examples");
        let name = if path.is_empty() { "gdas".to_string() } else { path.join("-") };
        insta::assert_snapshot!(format!("help-{name}"), help);
    }
}

#[test]
fn wrong_usage_ends_with_code_2() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("my.toml"), "seed = 1\nepoch = 3\n").expect("write");
    fs::write(dir.path().join("bad.toml"), "seed = \n").expect("write");
    fs::write(dir.path().join("range.toml"), "\n\ntau_min = 20\n").expect("write");
    let cases: [&[&str]; 23] = [
        &["serch"],
        &["train"],
        &["train", "GDAS_V1", "--preset", "slow"],
        &["train", "GDAS_V1", "--drop-path", "1"],
        &["search", "--epoch", "3"],
        &["search", "--epochs", "many"],
        &["search", "--epochs", "0"],
        &["search", "--preset", "fast"],
        &["search", "--space", "darts"],
        &["search", "--alpha-betas", "0.5"],
        &["search", "--config", "my.toml"],
        &["search", "--config", "bad.toml"],
        &["search", "--config", "range.toml"],
        &["search", "--config", "absent.toml"],
        &["search", "--name", "a/b"],
        &["search", "--devices", "0"],
        &["search", "--devices", "9", "--batch-size", "8"],
        &["search", "--devices", "64", "--device", "auto"],
        &["search", "--precision", "half"],
        &["search", "--precision", "float16"],
        &["auto", "--data", "digits", "--precision", "bfloat16"],
        &["train", "GDAS_V1", "--precision", "bfloat16"],
        &["genotype", "validate", CELL, "--space", "darts"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    assert!(text.iter().all(|text| text.contains("\nexit code 2\n")), "{text:#?}");
    insta::assert_snapshot!(text.join("\n"));
    assert!(!dir.path().join("runs").exists(), "a mistake leaves nothing behind");
}

#[test]
fn failures_end_with_code_1() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("cell.txt"), "|nor_conv_3x3~0|+|nor_conv_3x3~0").expect("write");
    fs::write(dir.path().join("cut.npz"), b"PK\x03\x04").expect("write");
    let cases: [&[&str]; 13] = [
        &["search", "--data", "cifar-11"],
        &["search", "--data", "cut.npz"],
        &["search", "--data", "cell.txt"],
        &["data", "inspect", "mnist", "--directory", "."],
        &["data", "fetch", "imagenet16-120", "--directory", "."],
        &["resume", "nothing"],
        &["runs", "show", "nothing"],
        &["genotype", "parse", "|conv~0|"],
        &["genotype", "parse", "|nor_conv_3x3~1|+|none~0|none~1|+|none~0|none~1|none~2|"],
        &["genotype", "parse", "cell.txt"],
        &["genotype", "validate", CELL, "--space", "nasnet"],
        &["genotype", "describe", ""],
        &["man", "--all", "cell.txt/man"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    assert!(text.iter().all(|text| text.contains("\nexit code 1\n")), "{text:#?}");
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn data_sets_are_listed_and_looked_into() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let list = outcome(dir.path(), &["data", "list", "--directory", "."]);
    let inspect = outcome(dir.path(), &["data", "inspect", "digits"]);
    insta::assert_snapshot!(format!("{list}\n{inspect}"));
    let json = succeed(dir.path(), &["data", "inspect", "digits", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(summary["train"].as_u64().zip(summary["test"].as_u64()).map(|(a, b)| a + b), Some(1797));
}

#[test]
fn images_are_explained_and_damaged_ones_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let zero = include_bytes!("fixtures/zero.png");
    for class in ["a", "b"] {
        for part in ["training_set", "test_set"] {
            let folder = dir.path().join("photos").join(part).join(class);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("1.dat"), zero).expect("write");
        }
    }
    let photos = dir.path().join("photos");
    fs::write(photos.join("training_set/a/cut.png"), &zero[..zero.len() / 2]).expect("write");
    fs::write(photos.join("test_set/b/empty.png"), b"").expect("write");
    fs::write(photos.join("notes.txt"), b"none").expect("write");
    let text = outcome(dir.path(), &["data", "inspect", "photos"]);
    assert!(text.contains("2 of 6 image files cannot be used:\n  test_set/b/empty.png: "), "{text}");
    assert!(text.contains("\n  training_set/a/cut.png: ") && text.contains("exit code 1"), "{text}");
    let text = succeed(dir.path(), &["data", "inspect", "photos", "--skip-damaged", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&summary["train"], &summary["test"]), (&2.into(), &2.into()));
    let warnings = summary["warnings"].to_string();
    for part in ["2 of 6 image files cannot be used and are left out", "1 .txt", "exact copies of training images"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    // A folder that is called like a known set.
    fs::create_dir(dir.path().join("digits")).expect("a folder");
    let text = outcome(dir.path(), &["data", "inspect", "digits"]);
    assert!(text.contains("exit code 0") && text.contains("for the local files, give `./digits`"), "{text}");
    // A run says it first, and not among its results.
    let score = ["score", CELL, "--data", "photos", "--skip-damaged", "--proxy", "synflow", "--json"];
    let text = succeed(dir.path(), &score);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    let text = outcome(dir.path(), &score);
    assert!(text.contains("photos: 2 training images, 2 test images; 8x8, grey"), "{text}");
    assert!(text.contains("2 classes (training+test): a 1+1, b 1+1\nwarning: "), "{text}");
}

#[test]
fn genotypes_are_read_checked_and_drawn() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("cell.txt"), format!("{CELL}\n")).expect("write");
    let cases: [&[&str]; 6] = [
        &["genotype", "parse", "GDAS_V1"],
        &["genotype", "parse", "cell.txt", "--json"],
        &["genotype", "validate", "cell.txt"],
        &["genotype", "describe", "cell.txt"],
        &["genotype", "describe", "cell.txt", "--classes", "100", "--json"],
        &["genotype", "describe", "DARTS_V2"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    assert!(text.iter().all(|text| text.contains("\nexit code 0\n")), "{text:#?}");
    insta::assert_snapshot!(text.join("\n"));
}

/// What people have: logs, files of published cells, what other commands wrote.
#[test]
fn genotypes_are_found_in_logs_and_files() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let pairs = |name: &str| format!("[{}]", vec![format!("('{name}', 0), ('{name}', 1)"); 4].join(", "));
    let python = |name: &str, concat: &str| {
        let pairs = pairs(name);
        format!("Genotype(normal={pairs}, normal_concat={concat}, reduce={pairs}, reduce_concat=range(2, 6))")
    };
    let (first, last) = (python("max_pool_3x3", "range(2, 6)"), python("sep_conv_3x3", "range(2, 6)"));
    let log = format!("06/27 epoch 0\n06/27 genotype = {first}\n06/28 epoch 49\n06/28 genotype = {last}\n06/28 end\n");
    fs::write(dir.path().join("search.log"), log).expect("write");
    fs::write(dir.path().join("genotypes.py"), format!("A = {first}\n\nB = {last}\n")).expect("write");
    fs::write(dir.path().join("partly.txt"), python("sep_conv_3x3", "[4, 5]")).expect("write");
    fs::write(dir.path().join("marked.txt"), format!("\u{feff}{CELL}\r\n")).expect("write");
    let json = succeed(dir.path(), &["genotype", "parse", CELL, "--json"]);
    fs::write(dir.path().join("cell.json"), json).expect("write");
    let wide = "name = \"wide\"\n[skeleton]\nwiring = \"residual\"\n[[operation]]\nname = \"conv_5x5\"\n\
                layers = [\"relu\", { conv = 5 }, \"norm\"]\n[[cell]]\nname = \"cell\"\nnodes = 1\n\
                operations = [\"skip_connect\", \"conv_5x5\"]\n";
    fs::write(dir.path().join("wide.toml"), wide).expect("write");
    fs::write(dir.path().join("wrong.toml"), wide.replace("nodes = 1", "nodes = 0")).expect("write");
    let cases: [&[&str]; 11] = [
        &["genotype", "parse", "search.log"],
        &["genotype", "parse", "genotypes.py"],
        &["genotype", "parse", "genotypes.py:B"],
        &["genotype", "parse", "genotypes.py:C"],
        &["genotype", "parse", "partly.txt"],
        &["genotype", "parse", "marked.txt"],
        &["genotype", "parse", "cell.json"],
        &["genotype", "describe", "|conv_5x5~0|", "--space", "wide.toml"],
        &["genotype", "parse", "|nor_conv_3x3~0|", "--space", "wide.toml", "--json"],
        &["genotype", "parse", "|conv_5x5~0|", "--space", "wrong.toml"],
        &["search", "--space", "absent.toml"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn costs_are_counted_part_by_part() {
    let dir = tempfile::tempdir().expect("temporary directory");
    insta::assert_snapshot!(succeed(dir.path(), &["cost", "GDAS_V1"]));
    let json = succeed(dir.path(), &["cost", CELL, "--classes", "100", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.get("latency").is_none());
    let timed = succeed(dir.path(), &["cost", CELL, "--channels", "4", "--cells", "1", "--latency", "--json"]);
    let timed: serde_json::Value = serde_json::from_str(&timed).expect("JSON");
    assert!(timed["latency"]["network"]["median"].as_f64().expect("a time") > 0.0);
    // Three sizes of each of the three operations that compute something.
    assert_eq!(timed["latency"]["operations"].as_array().expect("operations").len(), 9);
    let sum: u64 = json["parts"].as_array().expect("parts").iter().filter_map(|p| p["cost"]["params"].as_u64()).sum();
    assert_eq!(json["total"]["params"].as_u64(), Some(sum));
}

#[test]
fn the_doctor_looks_at_this_machine() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let json: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &["doctor", "--json"])).expect("JSON");
    assert!(json["threads"].as_u64().is_some_and(|threads| threads > 0), "{json}");
    assert!(json["data"].as_array().is_some_and(|data| data.contains(&"digits".into())), "{json}");
    assert!(succeed(dir.path(), &["doctor"]).contains("vector units"));
}

#[test]
fn the_configuration_can_be_looked_at_first() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let text = outcome(dir.path(), &["search", "--data", "cifar10", "--preset", "paper", "--print-config"]);
    insta::assert_snapshot!(text);
    // What is printed is a file that gives the same again, and a flag wins over it.
    fs::write(dir.path().join("all.toml"), text.split_once("--- stdout\n").expect("output").1).expect("write");
    let again = succeed(dir.path(), &["search", "--config", "all.toml", "--print-config"]);
    assert!(text.ends_with(&again), "{again}");
    let changed = succeed(dir.path(), &["search", "--config", "all.toml", "--seed", "7", "--print-config"]);
    assert_eq!(changed, again.replace("seed = 0", "seed = 7"));
}

#[test]
fn completions_and_manual_pages_are_made() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(dir.path(), &["completions", shell]);
        assert!(script.contains("alpha-weight-decay"), "{shell}");
    }
    assert!(succeed(dir.path(), &["man"]).contains(".SH SYNOPSIS"));
    succeed(dir.path(), &["man", "--all", "pages"]);
    let page = fs::read_to_string(dir.path().join("pages/gdas-search.1")).expect("a page per command");
    assert!(page.contains("Temperature of the draw"));
}

#[test]
fn no_runs_is_no_error() {
    let dir = tempfile::tempdir().expect("temporary directory");
    insta::assert_snapshot!(outcome(dir.path(), &["runs", "list"]), @r"
    gdas runs list
    exit code 0
    --- stderr
    no runs in runs; `gdas search` starts one, --runs looks elsewhere
    ");
}

/// `gdas completions bash | head -1` is no failure.
#[cfg(unix)]
#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut child = gdas(dir.path())
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_report_is_written_beside_the_run() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let run = dir.path().join("runs").join("mine");
    fs::create_dir_all(&run).expect("create");
    fs::write(run.join("config.toml"), "task = \"search\"\nspace = \"nas-bench-201\"\nseed = 1\n").expect("write");
    let epoch = format!(
        "{{\"event\":\"epoch\",\"epoch\":0,\"epochs\":2,\"step\":10,\"train_loss\":2.0,\"train_accuracy\":0.2,\
         \"held_out_loss\":2.1,\"held_out_accuracy\":0.25,\"tau\":10.0,\"learning_rate\":0.025,\
         \"alphas\":[{{\"name\":\"cell\",\"alphas\":[[0,0,0,0,0],[0,0,0,0,1],[0,0,0,0,0],[0,0,0,0,0],[0,0,0,0,0],[0,0,0,0,0]]}}],\
         \"genotype\":\"{CELL}\",\"parameter_free\":0.5,\"redraws\":0,\"steps_per_second\":3.0,\"eta_seconds\":1.0}}\n"
    );
    fs::write(run.join("events.jsonl"), epoch).expect("write");
    let said = succeed(dir.path(), &["report", "mine", "--files"]);
    assert_eq!(said.trim(), std::path::Path::new("runs").join("mine").join("report.html").display().to_string());
    let page = fs::read_to_string(run.join("report.html")).expect("a page");
    assert!(page.contains(CELL) && page.contains("25.00 %"));
    assert!(run.join("mine-cell.svg").is_file() && run.join("mine-alphas.csv").is_file());
    let error = outcome(dir.path(), &["report", "nothing"]);
    assert!(error.contains("exit code 1") && error.contains("nothing"), "{error}");
}
