//! `gdas bench` and `gdas reproduce` on the small tables of the library's tests.

mod command;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use command::{gdas, outcome, succeed};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdas/tests/fixtures/benchmark").join(name)
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
    succeed(dir.path(), &["bench", "convert", &from, "small.arrow"]);
    let cases: [&[&str]; 9] = [
        &["bench", "query", "0", "--table", "small.arrow", "--seed", "777"],
        &["bench", "query", "1", "--table", "small.arrow", "--json"],
        &["bench", "query", "9", "--table", "small.arrow"],
        &["bench", "query", "|none~0|", "--table", "small.arrow"],
        &["bench", "query", "0", "--table", "absent.arrow"],
        &["bench", "best", "--table", "small.arrow", "--max-parameters", "0.5"],
        &["bench", "best", "--table", "small.arrow", "--max-parameters", "0.000001"],
        &["bench", "rank", "2", "--table", "small.arrow", "--dataset", "cifar100", "--by", "train-seconds"],
        &["bench", "rank", "2", "--table", "small.arrow", "--epochs", "90"],
    ];
    let text: Vec<String> = cases.iter().map(|arguments| outcome(dir.path(), arguments)).collect();
    insta::assert_snapshot!(text.join("\n"));
    let stats = succeed(dir.path(), &["bench", "stats", "--table", "small.arrow"]);
    assert!(stats.starts_with("4 cells, 4 of them unique"), "{stats}");
    succeed(dir.path(), &["bench", "convert", "small.arrow", "small.csv"]);
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
