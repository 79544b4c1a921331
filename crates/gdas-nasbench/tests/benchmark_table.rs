//! The table against the CSV file of all 15,625 cells, and the published results of the table's search algorithms.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::time::Instant;

use gdas_nasbench::algorithms::{BUDGET_SECONDS, TableAlgorithm};
use gdas_nasbench::{Budget, Curves, Dataset, Limits, Quantity, Seeds, Setting, Table};

/// The file, which is not part of the repository; says so where it is absent.
fn csv() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nasbench201.csv");
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

#[test]
fn queries_equal_the_csv_for_every_cell() {
    let Some(path) = csv() else { return };
    let table = Table::open(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    let columns: Vec<(Setting, Quantity)> = lines
        .next()
        .unwrap()
        .split(',')
        .skip(2)
        .map(|name| {
            let (rest, epochs) = name.rsplit_once('_').unwrap();
            let (dataset, split) = rest.rsplit_once('_').unwrap();
            let dataset = match (dataset, split) {
                ("cifar10", "valid") => Dataset::Cifar10Valid,
                (other, _) => other.parse().unwrap(),
            };
            let quantity = if split == "valid" { Quantity::ValidAccuracy } else { Quantity::TestAccuracy };
            (Setting::new(dataset, epochs.parse().unwrap()), quantity)
        })
        .collect();
    let mut compared = 0;
    for (index, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(table.find(fields[1]).unwrap(), index);
        for ((setting, quantity), field) in columns.iter().zip(&fields[2..]) {
            let found = table.query(index, *setting, Seeds::Mean).unwrap().get(*quantity).unwrap();
            assert_eq!(found as f32, field.parse::<f32>().unwrap(), "cell {index}, {setting}");
            compared += 1;
        }
    }
    assert_eq!((table.len(), compared), (15_625, 9 * 15_625));
}

#[test]
fn the_known_maxima_are_found() {
    let Some(path) = csv() else { return };
    let table = Table::open(path).unwrap();
    for (dataset, maximum) in [(Dataset::Cifar10, 94.37), (Dataset::Cifar100, 73.51), (Dataset::ImageNet16, 47.31)] {
        let setting = Setting::new(dataset, 200);
        let (index, accuracy) = table.best(setting, Quantity::TestAccuracy, &Limits::default()).unwrap().unwrap();
        assert!((accuracy - maximum).abs() < 0.005, "{dataset}: {accuracy}");
        let rank = table.rank(index, setting, Quantity::TestAccuracy).unwrap();
        assert_eq!((rank.rank, rank.of), (1, 15_625));
        let spread = table.spread(setting, Quantity::TestAccuracy).unwrap();
        // Two cells share the best accuracy on CIFAR-10; the first of them counts as the best.
        assert!(index <= spread.largest && spread.quartiles[4] == accuracy);
        assert_eq!(table.rank(spread.smallest, setting, Quantity::TestAccuracy).unwrap().value, spread.quartiles[0]);
    }
}

#[test]
fn the_compact_file_and_the_csv_hold_the_same() {
    let Some(path) = csv() else { return };
    let folder = tempfile::tempdir().unwrap();
    let table = Table::open(&path).unwrap();
    let compact = folder.path().join("table.safetensors");
    table.write(&compact, Curves::All).unwrap();
    let start = Instant::now();
    let opened = Table::open(&compact).unwrap();
    let open_time = start.elapsed();
    let again = folder.path().join("again.csv");
    opened.write_csv(&again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&path).unwrap());
    // No quantity that the CSV lacks has been made up.
    let record = opened.query(7, Setting::new(Dataset::Cifar10, 200), Seeds::Mean).unwrap();
    assert_eq!(record.iter().map(|(quantity, _)| quantity).collect::<Vec<_>>(), [Quantity::TestAccuracy]);
    let setting = Setting::new(Dataset::Cifar10, 200);
    let start = Instant::now();
    let sum: f64 = (0..table.len())
        .map(|index| opened.query(index, setting, Seeds::Mean).unwrap().get(Quantity::TestAccuracy).unwrap())
        .sum();
    let each = start.elapsed() / 15_625;
    assert!(sum > 0.0);
    eprintln!("opened in {open_time:?}, {each:?} a query, {} bytes", std::fs::metadata(&compact).unwrap().len());
    assert!(each.as_micros() < 50, "a query took {each:?}");
}

/// Means over the seeds stay within the published deviation of the published means, on CIFAR-10's test images
/// (Dong and Yang, "NAS-Bench-201", table 5: RS 93.70 ± 0.36, REA 93.92 ± 0.30, REINFORCE 93.85 ± 0.37).
#[test]
fn searches_meet_the_published_figures_and_repeat_exactly() {
    let Some(path) = csv() else { return };
    let table = Table::open(path).unwrap();
    let test = table.means(Setting::new(Dataset::Cifar10, 200), Quantity::TestAccuracy);
    let budget = Budget::Seconds(BUDGET_SECONDS);
    let published = [
        (TableAlgorithm::Random, 93.70, 0.36),
        (TableAlgorithm::Evolution, 93.92, 0.30),
        (TableAlgorithm::Reinforce, 93.85, 0.37),
    ];
    for (algorithm, mean, deviation) in published {
        let outcomes = algorithm.run_seeds(&table, Dataset::Cifar10, budget, 0..200).unwrap();
        let found = outcomes.iter().map(|outcome| test[outcome.best].unwrap()).sum::<f64>() / outcomes.len() as f64;
        assert!((found - mean).abs() <= deviation, "{algorithm}: {found:.2} instead of {mean} ± {deviation}");
        assert!(outcomes.iter().all(|outcome| outcome.seconds <= BUDGET_SECONDS && outcome.nominal_seconds));
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = one_thread.install(|| algorithm.run_seeds(&table, Dataset::Cifar10, budget, 0..20)).unwrap();
        assert_eq!(again, outcomes[..20]);
    }
}
