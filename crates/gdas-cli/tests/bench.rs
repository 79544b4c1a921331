//! `gdas bench` and `gdas reproduce` on the small tables of the library's tests.

mod command;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use command::{gdas, outcome, succeed};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdas-nasbench/tests/fixtures/benchmark").join(name)
}

/// Every cell, with numbers that differ.
fn write_table(path: &Path) {
    const OPERATIONS: [&str; 5] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
    let mut csv = "index,architecture,cifar10_test_200,cifar10_valid_12\n".to_owned();
    for number in 0..15_625usize {
        let op = |edge: u32| OPERATIONS[number / 5usize.pow(edge) % 5];
        let cell = format!("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|", op(0), op(1), op(2), op(3), op(4), op(5));
        let accuracy = 60.0 + (number * 7919 % 15_625) as f64 / 500.0;
        writeln!(csv, "{number},{cell},{accuracy:.3},{:.3}", accuracy - 10.0).expect("text");
    }
    fs::write(path, csv).expect("write");
}

#[test]
fn a_table_is_converted_and_asked() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let from = fixture("nats.pickle.pbz2").display().to_string();
    succeed(dir.path(), &["bench", "convert", &from, "small.safetensors"]);
    let cases: [&[&str]; 9] = [
        &["bench", "query", "0", "--table", "small.safetensors", "--seed", "777"],
        &["bench", "query", "1", "--table", "small.safetensors", "--json"],
        &["bench", "query", "9", "--table", "small.safetensors"],
        &["bench", "query", "|none~0|", "--table", "small.safetensors"],
        &["bench", "query", "0", "--table", "absent.safetensors"],
        &["bench", "best", "--table", "small.safetensors", "--max-parameters", "0.5"],
        &["bench", "best", "--table", "small.safetensors", "--max-parameters", "0.000001"],
        &["bench", "rank", "2", "--table", "small.safetensors", "--dataset", "cifar100", "--by", "train-seconds"],
        &["bench", "rank", "2", "--table", "small.safetensors", "--epochs", "90"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    insta::assert_snapshot!(text.join("\n"));
    let stats = succeed(dir.path(), &["bench", "stats", "--table", "small.safetensors"]);
    assert!(stats.starts_with("4 cells, 4 of them unique"), "{stats}");
    succeed(dir.path(), &["bench", "convert", "small.safetensors", "small.csv"]);
    let csv = fs::read_to_string(dir.path().join("small.csv")).expect("read");
    assert_eq!(csv.lines().count(), 5);
}

#[test]
fn a_reproduction_is_planned_shared_and_reported() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write_table(&dir.path().join("table.csv"));
    let plan = succeed(dir.path(), &["reproduce", "sweep", "--plan", "--seeds", "4", "--queries", "20"]);
    assert_eq!(plan.lines().count(), 20);
    assert!(!dir.path().join("sweep").exists(), "a plan does nothing");
    fs::create_dir(dir.path().join("sweep")).expect("create");
    fs::write(dir.path().join("sweep/plan.jsonl"), &plan).expect("write");
    let part = |part: &str| succeed(dir.path(), &["reproduce", "sweep", "--table", "table.csv", "--shard", part]);
    assert_eq!(part("0/2"), "", "the first part has nothing to report yet");
    let last = part("1/2");
    assert!(last.contains("random *: 4 searches on cifar10"), "{last}");
    let again = succeed(dir.path(), &["reproduce", "sweep", "--table", "table.csv", "--report-only"]);
    assert_eq!(last, again);
    let simulated =
        succeed(dir.path(), &["bench", "simulate", "--table", "table.csv", "--seeds", "4", "--queries", "20"]);
    assert_eq!(simulated, again, "jobs in files and in memory come to the same");
    let other =
        gdas(dir.path()).args(["reproduce", "sweep", "--table", "table.csv", "--seeds", "5"]).output().expect("run");
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("is of another plan"));
}

/// Rivals with shared weights: every row runs at the shortened preset, says so, and goes on after a stop to the same end.
#[test]
fn rivals_that_train_are_labelled_stopped_and_gone_on_with() {
    const RIVALS: [&str; 6] = ["gdas", "darts-v1", "darts-v2", "setn", "enas", "rsps"];
    let dir = tempfile::tempdir().expect("temporary directory");
    write_table(&dir.path().join("table.csv"));
    let mut arguments =
        vec!["--table", "table.csv", "--preset", "smoke", "--search-seeds", "1", "--data", "cifar10=digits"];
    arguments.extend(RIVALS.iter().flat_map(|rival| ["--search", rival]));
    let whole = succeed(dir.path(), &[&["reproduce", "whole"], &arguments[..]].concat());
    for rival in RIVALS {
        assert!(whole.contains(&format!("{rival} (smoke) *: 1 searches on cifar10")), "{rival}: {whole}");
        let note = format!("* {rival}: shortened: preset smoke; trained on the images of digits.");
        assert!(whole.contains(&note), "{note}\n{whole}");
    }
    assert!(whole.contains("84.07 ± 3.61"), "published figures stand beside: {whole}");
    // Every one of the searches is stopped on its way, and gone on with by the next call.
    let parts = [&["reproduce", "parts"], &arguments[..]].concat();
    let stopped = gdas(dir.path()).args(&parts).env("GDAS_RAISE", "15@disk#8").output().expect("run");
    assert_eq!(stopped.status.code(), Some(75), "{}", String::from_utf8_lossy(&stopped.stderr));
    for rival in RIVALS {
        let run = dir.path().join(format!("parts/runs/{rival}-smoke-cifar10-0000"));
        let log = fs::read_to_string(run.join("events.jsonl")).expect("a log");
        assert!(log.contains("\"interrupted\"") && !run.join("result.json").exists(), "{rival}: {log}");
    }
    succeed(dir.path(), &parts);
    for rival in RIVALS {
        let result = |folder: &str| {
            let path = dir.path().join(folder).join(format!("results/{rival}-smoke-cifar10-0000.json"));
            let text = fs::read_to_string(&path).expect("a result");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            value["genotype"].as_str().expect("text").to_owned()
        };
        let digest = |folder: &str| {
            let run = dir.path().join(folder).join(format!("runs/{rival}-smoke-cifar10-0000"));
            command::result(&run)["digest"].as_str().expect("text").to_owned()
        };
        assert_eq!((result("whole"), digest("whole")), (result("parts"), digest("parts")), "{rival}");
    }
}

/// Every file of a folder with its content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// The means of the table are those over all cells with the operation there, and the run stays as it was.
#[test]
fn effects_of_operations_stand_beside_the_table() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write_table(&dir.path().join("table.csv"));
    succeed(dir.path(), &["search", "--preset", "smoke", "--name", "run", "--quiet"]);
    let before = content(&dir.path().join("runs/run"));
    let of_run = ["bench", "effects", "run", "--table", "table.csv", "--cells", "2"];
    let json: serde_json::Value =
        serde_json::from_str(&succeed(dir.path(), &[&of_run[..], &["--json"]].concat())).expect("JSON");
    let mean = |edge: u32, operation: usize| {
        let with: Vec<usize> = (0..15_625).filter(|n| n / 5usize.pow(edge) % 5 == operation).collect();
        with.iter().map(|n| 60.0 + (n * 7919 % 15_625) as f64 / 500.0).sum::<f64>() / with.len() as f64
    };
    for (edge, operation) in [(0, 0), (3, 4), (5, 2)] {
        let found = json["table"][edge as usize][operation].as_f64().expect("a number");
        assert!((found - mean(edge, operation)).abs() < 1e-3, "edge {edge}, operation {operation}: {found}");
    }
    assert_eq!(json["chosen"]["table"]["agreement_with_table"], 1.0);
    let text = succeed(dir.path(), &of_run);
    for part in ["0 to 3  none", "chosen by", "sum of the slopes", "2 cells, checkpoint"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(content(&dir.path().join("runs/run")), before, "the run is only read");
}

#[test]
fn a_ranking_is_correlated_with_the_table_and_changes_no_run() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write_table(&dir.path().join("table.csv"));
    succeed(dir.path(), &["search", "--preset", "smoke", "--name", "run", "--quiet"]);
    let before = content(&dir.path().join("runs/run"));
    let of_run = ["bench", "correlate", "run", "--table", "table.csv", "--cells", "12", "--images", "64"];
    let text = succeed(dir.path(), &[&of_run[..], &["--pairs", "pairs.csv", "--svg", "pairs.svg"]].concat());
    for part in ["shared-weights; run checkpoint", "12, drawn with seed 0", "Kendall's tau-b", "Spearman's rho"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(content(&dir.path().join("runs/run")), before, "the run is only read");
    assert!(fs::read_to_string(dir.path().join("pairs.svg")).expect("a file").matches("<circle").count() == 12);
    // Half of it, gone on with, is the whole; and a repetition says the same.
    let whole = fs::read_to_string(dir.path().join("pairs.csv")).expect("a file");
    let lines: Vec<&str> = whole.lines().take(7).collect();
    let half = lines.join("\n") + "\n";
    fs::write(dir.path().join("half.csv"), half).expect("write");
    assert_eq!(succeed(dir.path(), &[&of_run[..], &["--pairs", "half.csv"]].concat()), text);
    assert_eq!(fs::read_to_string(dir.path().join("half.csv")).expect("a file"), whole);
    // Another ranking must not be mixed in.
    let proxy =
        ["bench", "correlate", "--ranker", "synflow", "--data", "digits", "--table", "table.csv", "--cells", "3"];
    let mixed = outcome(dir.path(), &[&proxy[..], &["--pairs", "pairs.csv"]].concat());
    assert!(mixed.contains("exit code 1") && mixed.contains("another ranking"), "{mixed}");
    for ranker in ["synflow", "snip", "grad-norm", "naswot", "jacob-cov"] {
        let mut arguments = proxy.to_vec();
        arguments[3] = ranker;
        arguments.extend(["--batch-size", "8", "--json"]);
        let value: serde_json::Value = serde_json::from_str(&succeed(dir.path(), &arguments)).expect("JSON");
        assert_eq!((value["cells"].as_u64(), value["pairs"].as_array().map(Vec::len)), (Some(3), Some(3)), "{value}");
    }
    let missing = outcome(dir.path(), &["bench", "correlate", "--table", "table.csv"]);
    assert!(missing.contains("exit code 2"), "a run is needed: {missing}");
}

/// Epoch by epoch the cell of the log, what the table has of it, and alpha's entropy; as text, CSV, JSON and in the report.
#[test]
fn a_search_is_followed_through_the_table() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write_table(&dir.path().join("table.csv"));
    let search = ["search", "--preset", "smoke", "--name", "run", "--quiet", "--epochs", "4"];
    succeed(dir.path(), &[&search[..], &["--alpha-learning-rate", "0.3"]].concat());
    let run = dir.path().join("runs/run");
    let before = content(&run);
    let asked = ["bench", "trajectory", "run", "--table", "table.csv"];
    let json: serde_json::Value =
        serde_json::from_str(&succeed(dir.path(), &[&asked[..], &["--json"]].concat())).expect("JSON");
    let log = fs::read_to_string(run.join("events.jsonl")).expect("a log");
    let logged: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let logged: Vec<_> = logged.into_iter().filter(|event| event["event"] == "epoch").collect();
    let told = json["epochs"].as_array().expect("a list");
    assert_eq!((logged.len(), told.len()), (4, 4));
    for (event, epoch) in logged.iter().zip(told) {
        assert_eq!((&event["genotype"], &event["epoch"]), (&epoch["cell"], &epoch["epoch"]));
        assert_eq!(event["parameter_free"], epoch["parameter_free"]);
        // As the table was written.
        let number = epoch["index"].as_u64().expect("a known cell");
        let accuracy = 60.0 + (number * 7919 % 15_625) as f64 / 500.0;
        let found = &epoch["table"]["cifar10"];
        assert!((found["value"].as_f64().expect("a number") - accuracy).abs() < 1e-3, "{epoch}");
        assert_eq!(found["rank"].as_u64(), Some(15_625 - number * 7919 % 15_625), "{epoch}");
        assert_eq!(epoch["table"]["cifar100"], serde_json::Value::Null);
        let rows = event["alphas"][0]["alphas"].as_array().expect("edges");
        let entropies = rows.iter().map(|row| {
            let exponentials: Vec<f64> =
                row.as_array().expect("logits").iter().map(|a| a.as_f64().expect("a logit").exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            exponentials.iter().map(|e| -e / sum * (e / sum).ln()).sum::<f64>() / 5f64.ln()
        });
        let entropy = entropies.sum::<f64>() / 6.0;
        assert!((epoch["entropy"].as_f64().expect("a number") - entropy).abs() < 1e-6, "{epoch}: {entropy}");
    }
    let csv = succeed(dir.path(), &[&asked[..], &["--csv"]].concat());
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[0],
        "epoch,cell,index,cifar10,cifar10_rank,cifar100,cifar100_rank,imagenet16_120,imagenet16_120_rank,\
         parameter_free,entropy,held_out_accuracy"
    );
    assert!(lines.iter().all(|line| line.split(',').count() == 12), "{csv}");
    assert!(lines[4].starts_with(&format!("3,{},", told[3]["cell"].as_str().expect("text"))), "{csv}");
    let text = succeed(dir.path(), &asked);
    assert_eq!(text.lines().count(), 1 + 4 + 2, "{text}");
    assert!(
        text.starts_with("epoch  cifar10  rank") && text.contains("test_accuracy (%) after trainings of 200 epochs"),
        "{text}"
    );
    assert_eq!(content(&run), before, "the run is only read");
    succeed(dir.path(), &["report", "run", "--table", "table.csv", "--out", "page"]);
    let page = fs::read_to_string(dir.path().join("page/report.html")).expect("a page");
    assert!(page.contains("run-trajectory-accuracy") && page.contains("run-trajectory-rank"));

    succeed(dir.path(), &["search", "--preset", "smoke", "--space", "nasnet", "--name", "other", "--quiet"]);
    let refused = outcome(dir.path(), &["bench", "trajectory", "other", "--table", "table.csv"]);
    assert!(refused.contains("exit code 2") && refused.contains("searches in nasnet"), "{refused}");
    let nothing = outcome(dir.path(), &[&asked[..], &["--epochs", "12"]].concat());
    assert!(nothing.contains("exit code 1") && nothing.contains("--epochs"), "{nothing}");
}

#[test]
fn cells_are_scored_and_ranked_without_training() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let good = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|";
    let poor = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|";
    let arguments = ["score", poor, good, "--data", "digits", "--channels", "4", "--cells", "1", "--batch-size", "16"];
    let text = succeed(dir.path(), &arguments);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("cell") && lines[0].ends_with("jacob-cov") && lines.len() == 3, "{text}");
    assert!(lines[1].starts_with(good) && lines[2].starts_with(poor), "the better one first: {text}");
    let json = succeed(dir.path(), &[&arguments[..], &["--proxy", "naswot", "--json"]].concat());
    let first: serde_json::Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert!(first["scores"]["naswot"].as_f64().is_some_and(f64::is_finite), "{json}");
}
