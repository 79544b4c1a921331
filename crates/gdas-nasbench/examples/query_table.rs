//! Asks NAS-Bench-201's table about cells, without training any.
//!
//! `cargo run --release -p gdas-nasbench --example query_table -- nasbench201.csv`; without a file, the tests' little one.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};

use gdas_nasbench::{BenchmarkError, Quantity, Seeds, Table};

fn show(path: &Path) -> Result<usize, BenchmarkError> {
    let table = Table::open(path)?;
    println!("{}: {} cells", table.source(), table.len());
    let mut shown = 0;
    for index in 0..table.len().min(3) {
        for setting in table.settings() {
            // A small table knows some cells in some settings alone.
            let record = match table.query(index, setting, Seeds::Mean) {
                Err(BenchmarkError::NoResults { .. }) => continue,
                other => other?,
            };
            if let Some(accuracy) = record.get(Quantity::TestAccuracy) {
                println!("cell {index}, {setting}: {accuracy:.2} % of the test images");
                shown += 1;
            }
        }
    }
    Ok(shown)
}

fn main() -> Result<(), BenchmarkError> {
    let little = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/benchmark/v1_1.pth");
    show(&std::env::args().nth(1).map_or_else(little, PathBuf::from))?;
    Ok(())
}

#[test]
fn it_runs() {
    let little = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/benchmark/v1_1.pth");
    assert!(show(&little).is_ok_and(|shown| shown > 0));
}
