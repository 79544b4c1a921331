//! Plans, result files and the table beside the published one, on a small table of made-up numbers.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use gdas::space::Genotype;
use gdas_nasbench::algorithms::TableAlgorithm;
use gdas_nasbench::reproduce::{
    Job, JobResult, Plan, ReproduceError, Shard, Trained, aggregate, csv, execute, markdown, text, write_report,
};
use gdas_nasbench::{Budget, Dataset, Table, genotype_of};

/// All 15,625 cells; a cell with more 3x3 convolutions is better, by an amount that differs from cell to cell.
fn table(folder: &Path) -> Table {
    let mut csv = "index,architecture,cifar10_test_200,cifar10_valid_12\n".to_owned();
    for number in 0..15_625usize {
        let cell = std::array::from_fn(|edge| (number / 5usize.pow(edge as u32) % 5) as u8);
        let good = cell.iter().map(|operation| if *operation == 3 { 1.0 } else { 0.0 }).sum::<f64>();
        let accuracy = 80.0 + 2.0 * good + (number % 97) as f64 / 97.0;
        writeln!(csv, "{number},{},{accuracy:.4},{:.4}", genotype_of(cell), accuracy - 10.0).unwrap();
    }
    let path = folder.join("table.csv");
    std::fs::write(&path, csv).unwrap();
    Table::open(path).unwrap()
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.add_table(TableAlgorithm::Random, &[Dataset::Cifar10], 6, Budget::Queries(120));
    plan.add_table(TableAlgorithm::Local, &[Dataset::Cifar10], 6, Budget::Queries(120));
    plan.add_search("gdas", &[Dataset::Cifar10], 2, "quick");
    plan
}

fn found() -> Genotype {
    genotype_of([3, 3, 3, 1, 3, 3])
}

fn trained(seconds: f64) -> Trained {
    Trained { genotype: found(), seconds, images: "copies.tar.xz".to_owned() }
}

const NEVER: fn() -> bool = || false;

fn results(folder: &Path, plan: &Plan) -> Vec<JobResult> {
    plan.jobs.iter().filter_map(|job| JobResult::read(folder, job).unwrap()).collect()
}

#[test]
fn parts_done_by_several_make_the_same_results_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let plan = plan();
    let search = |_: &Job, _: &Path| Ok(Some(trained(12.5)));
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let progress = execute(&whole, &plan, Shard::default(), &table, &search, &NEVER).unwrap();
    assert_eq!((progress.done, progress.before, progress.left), (14, 0, 0));
    for index in 0..3 {
        execute(&parts, &plan, Shard { index, of: 3 }, &table, &search, &NEVER).unwrap();
    }
    assert_eq!(results(&whole, &plan), results(&parts, &plan));
    // Once more: nothing is left to do, and the searches that train are not begun again.
    let never = |job: &Job, _: &Path| Err(format!("{} was done before", job.id));
    let progress = execute(&parts, &plan, Shard::default(), &table, &never, &NEVER).unwrap();
    assert_eq!((progress.done, progress.before), (0, 14));
}

#[test]
fn a_stop_leaves_whole_results_only_and_the_rest_follows() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let plan = plan();
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 5;
    let search = |_: &Job, _: &Path| Ok(Some(trained(1.0)));
    let first = execute(folder.path(), &plan, Shard::default(), &table, &search, &stop).unwrap();
    assert_eq!((first.done, first.left), (5, 9));
    assert_eq!(results(folder.path(), &plan).len(), 5);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("results")).unwrap().collect();
    assert_eq!(files.len(), 5);
    let second = execute(folder.path(), &plan, Shard::default(), &table, &search, &NEVER).unwrap();
    assert_eq!((second.done, second.before, second.left), (9, 5, 0));
    // A search that was stopped inside counts as left.
    let other = folder.path().join("other");
    let stopped = |_: &Job, _: &Path| Ok(None);
    assert_eq!(execute(&other, &plan, Shard::default(), &table, &stopped, &NEVER).unwrap().left, 2);
}

#[test]
fn a_damaged_or_foreign_result_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let mut plan = Plan::default();
    plan.add_table(TableAlgorithm::Random, &[Dataset::Cifar10], 2, Budget::Queries(5));
    let search = |_: &Job, _: &Path| Ok(None);
    execute(folder.path(), &plan, Shard::default(), &table, &search, &NEVER).unwrap();
    let path = JobResult::path(folder.path(), &plan.jobs[0]);
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    let error = execute(folder.path(), &plan, Shard::default(), &table, &search, &NEVER).unwrap_err().to_string();
    assert!(error.contains("random-cifar10-0000.json, line 1") && error.contains("remove the file"), "{error}");
    std::fs::copy(JobResult::path(folder.path(), &plan.jobs[1]), &path).unwrap();
    let error = JobResult::read(folder.path(), &plan.jobs[0]).unwrap_err().to_string();
    assert!(error.contains("another job"), "{error}");
}

#[test]
fn a_plan_reads_back_and_a_folder_keeps_to_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan();
    assert_eq!(Plan::from_lines(&plan.to_lines(), Path::new("plan.jsonl")).unwrap(), plan);
    plan.store(folder.path()).unwrap();
    plan.store(folder.path()).unwrap();
    let mut other = plan.clone();
    other.jobs.pop();
    let error = other.store(folder.path()).unwrap_err();
    assert!(matches!(&error, ReproduceError::OtherPlan { difference, .. } if difference == "14 jobs there, 13 here"));
    let escape = plan.to_lines().replace("random-cifar10-0000", "../random");
    let error = Plan::from_lines(&escape, Path::new("p")).unwrap_err().to_string();
    assert!(error.contains("p, line 1") && error.contains("cannot name a job"), "{error}");
    let twice = plan.to_lines().replace("random-cifar10-0001", "random-cifar10-0000");
    assert!(Plan::from_lines(&twice, Path::new("p")).unwrap_err().to_string().contains("comes twice"));
    for wrong in ["3", "3/3", "4/3", "a/2", "-1/2"] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
    let shard: Shard = "1/4".parse().unwrap();
    assert_eq!(shard.select(&plan).map(|job| job.seed).collect::<Vec<_>>(), [1, 5, 3, 1]);
}

#[test]
fn the_rows_hold_means_deviations_ranks_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let plan = plan();
    let search = |job: &Job, _: &Path| Ok(Some(trained(10.0 + 2.0 * job.seed as f64)));
    execute(folder.path(), &plan, Shard::default(), &table, &search, &NEVER).unwrap();
    let rows = aggregate(&results(folder.path(), &plan), &table).unwrap();
    assert_eq!(rows.iter().map(|row| row.searches).collect::<Vec<_>>(), [6, 6, 2]);
    let gdas = &rows[2];
    // Both seeds found the same cell: five 3x3 convolutions and a skip connection.
    let index = table.find(&found().to_string()).unwrap();
    let expected = 90.0 + (index % 97) as f64 / 97.0;
    let score = gdas.scores[1].unwrap();
    assert!((score.mean - expected).abs() < 1e-3 && score.deviation < 1e-9);
    assert_eq!(gdas.scores.map(|score| score.is_some()), [false, true, false, false, false, false]);
    assert_eq!((gdas.seconds.mean, gdas.seconds.deviation), (11.0, 1.0));
    let better = (0..15_625usize)
        .filter(|number| {
            let good = (0..6).filter(|edge| number / 5usize.pow(*edge) % 5 == 3).count();
            80.0 + 2.0 * good as f64 + (number % 97) as f64 / 97.0 > expected + 1e-9
        })
        .count();
    assert_eq!(gdas.ranks, [better + 1, better + 1]);
    assert_eq!(gdas.notes, ["shortened: preset quick", "trained on the images of copies.tar.xz"]);
    assert!(rows[0].notes[0].contains("101.3 s"));
    // The mean of the best so far ends at the mean that the table shows.
    let last = rows[1].trajectory.last().unwrap().1;
    assert!((last - rows[1].scores[1].unwrap().mean).abs() < 1e-6);
    // Local search climbs this smooth table better than random search does.
    assert!(rows[1].scores[1].unwrap().mean > rows[0].scores[1].unwrap().mean);

    let table_text = text(&rows);
    assert!(table_text.contains("gdas (quick) *: 2 searches on cifar10"), "{table_text}");
    assert!(table_text.contains("93.61 ± 0.09"), "{table_text}");
    let lines = csv(&rows);
    let columns = lines.lines().next().unwrap().split(',').count();
    assert_eq!(columns, 4 + 6 * 4 + 6);
    // Figures that nobody could check are left out.
    assert!(table_text.contains("ReLIZO") && table_text.contains("LLMatic"), "{table_text}");
    assert!(!table_text.contains("70.93") && table_text.contains("93.70 ± 0.36\n"), "{table_text}");
    // Only the note may hold commas, and it is quoted.
    for line in lines.lines().skip(1) {
        assert_eq!(line.split('"').next().unwrap().split(',').count(), columns);
    }
    let widths: Vec<_> = markdown(&rows).lines().take(5).map(|line| line.matches('|').count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
    write_report(folder.path(), &rows).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("report")).unwrap().count(), 3);
}
