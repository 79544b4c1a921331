use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use gdas::run::{EpochMetrics, Event, Interrupt, RunInfo};
use gdas_nasbench::algorithms::{BUDGET_SECONDS, TableAlgorithm};
use gdas_nasbench::reproduce::{self, Job, JobResult, Plan, Shard, Trained};
use gdas_nasbench::{Budget, Dataset, Table};

use super::bench::parse;
use crate::exit::{Preempted, Usage};
use crate::output::{line, note};
use crate::signals;

/// Time between two looks at a process that is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Make the comparison of NAS-Bench-201's paper again
///
/// Every search is a job with one result file in DIR, so the work may be stopped, gone on with, and shared by any
/// number of processes and machines; jobs that are done are not done again.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas reproduce comparison --table nb201.csv                      all table algorithms, 500 seeds, and the report
  gdas reproduce comparison --table nb201.csv --search gdas --preset quick --search-seeds 3
  gdas reproduce comparison --table nb201.csv --search gdas --data cifar10=cifar10-jpeg.tar.xz
  gdas reproduce comparison --plan                                 print the jobs as JSON lines, do nothing
  gdas reproduce comparison --table nb201.csv --shard 3/16         one sixteenth of the jobs, as an array job does
  gdas reproduce comparison --table nb201.csv --report-only        the table of what has been done so far")]
pub(crate) struct Reproduce {
    /// The folder: plan, results, runs and report
    directory: PathBuf,
    /// NAS-Bench-201's table, as for `gdas bench`
    #[arg(long, value_name = "FILE", required_unless_present = "plan")]
    table: Option<PathBuf>,
    /// Table algorithm: random, evolution, reinforce, bohb or local; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_parser = parse::<TableAlgorithm>)]
    algorithm: Vec<TableAlgorithm>,
    /// Seeds of each table algorithm
    #[arg(long, value_name = "N", default_value = "500")]
    seeds: u64,
    /// Data set to search on; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["cifar10"], value_parser = parse::<Dataset>)]
    dataset: Vec<Dataset>,
    /// Simulated seconds of a table search
    #[arg(long, value_name = "N", default_value_t = BUDGET_SECONDS, conflicts_with = "queries")]
    seconds: f64,
    /// Trainings of a table search, instead of a time
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    /// Search that trains with shared weights (`gdas search --algorithm NAME`); may be given several times
    #[arg(long, value_name = "NAME")]
    search: Vec<String>,
    /// Seeds of each search that trains
    #[arg(long, value_name = "N", default_value = "3")]
    search_seeds: u64,
    /// Preset of the searches that train; their rows are labelled with it
    #[arg(long, value_name = "NAME", default_value = "quick")]
    preset: String,
    /// Where a data set's images lie, for the searches that train [default: known data sets]
    #[arg(long, value_name = "DATASET=PATH", value_parser = images)]
    data: Vec<(Dataset, PathBuf)>,
    /// Print the jobs as JSON lines and do nothing
    #[arg(long)]
    plan: bool,
    /// Do only this part of the jobs: INDEX/COUNT, counted from 0
    #[arg(long, value_name = "INDEX/COUNT", default_value_t = Shard::default(), value_parser = parse::<Shard>)]
    shard: Shard,
    /// Do no job; only write the report of what is there
    #[arg(long, conflicts_with = "plan")]
    report_only: bool,
}

pub(crate) fn run(command: &Reproduce) -> anyhow::Result<()> {
    let folder = &command.directory;
    // A folder that has a plan keeps it, so that workers need not repeat its flags.
    let plan = if command.asks_for_nothing() && folder.join("plan.jsonl").is_file() {
        Plan::read(folder)?
    } else {
        command.to_plan()
    };
    if command.plan {
        return Ok(line(plan.to_lines().trim_end())?);
    }
    let table = command.table.as_ref().context(Usage("a table is needed: --table FILE".to_owned()))?;
    let opened = Table::open(table)?;
    plan.store(folder)?;
    if !command.report_only {
        let interrupt = signals::install()?;
        let stop = || interrupt.is_requested();
        let progress = reproduce::execute(
            folder,
            &plan,
            command.shard,
            &opened,
            &|job, run| train(job, run, &command.data, &interrupt),
            &stop,
        )?;
        note(format_args!(
            "part {}: {} jobs done, {} were done before, {} left",
            command.shard, progress.done, progress.before, progress.left
        ));
        if progress.left > 0 {
            return Err(Preempted("the same command".to_owned()).into());
        }
    }
    let mut results = Vec::new();
    for job in &plan.jobs {
        results.extend(JobResult::read(folder, job)?);
    }
    if results.len() < plan.jobs.len() {
        note(format_args!("{} of {} jobs have results so far", results.len(), plan.jobs.len()));
        // One of several workers: the last one reports.
        if !command.report_only {
            return Ok(());
        }
    }
    let rows = reproduce::aggregate(&results, &opened)?;
    let report = reproduce::write_report(folder, &rows)?;
    gdas_report::reproduced::write(&report, &rows).with_context(|| format!("cannot draw into {}", report.display()))?;
    line(reproduce::text(&rows).trim_end())?;
    note(format_args!("tables and plots: {}", report.display()));
    Ok(())
}

impl Reproduce {
    fn asks_for_nothing(&self) -> bool {
        self.algorithm.is_empty()
            && self.search.is_empty()
            && self.seeds == 500
            && self.queries.is_none()
            && self.seconds == BUDGET_SECONDS
            && self.dataset == [Dataset::Cifar10]
    }

    fn to_plan(&self) -> Plan {
        let mut plan = Plan::default();
        let budget = self.queries.map_or(Budget::Seconds(self.seconds), Budget::Queries);
        let all = self.algorithm.is_empty() && self.search.is_empty();
        let algorithms = if all { &TableAlgorithm::ALL[..] } else { &self.algorithm };
        for &algorithm in algorithms {
            plan.add_table(algorithm, &self.dataset, self.seeds, budget);
        }
        for algorithm in &self.search {
            plan.add_search(algorithm, &self.dataset, self.search_seeds, &self.preset);
        }
        plan
    }
}

/// `cifar10=PATH`.
fn images(text: &str) -> Result<(Dataset, PathBuf), String> {
    let (dataset, path) = text.split_once('=').ok_or("expected DATASET=PATH")?;
    Ok((parse(dataset)?, path.into()))
}

/// Does a search that trains as a process of its own, so that its memory is gone when it ends: `gdas search`, or
/// `gdas resume` where the run was begun before.
fn train(
    job: &Job,
    run: &Path,
    images: &[(Dataset, PathBuf)],
    interrupt: &Interrupt,
) -> Result<Option<Trained>, String> {
    if !wait_for_others(run, interrupt) {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program);
    if run.join("config.toml").is_file() {
        child.arg("resume").arg(run);
    } else {
        let parent = run.parent().unwrap_or(Path::new("."));
        let images = images.iter().find(|(dataset, _)| *dataset == job.dataset).map(|(_, path)| path.as_os_str());
        child.args(["search", "--algorithm", &job.algorithm, "--data"]);
        child.arg(images.unwrap_or(job.dataset.name().as_ref()));
        child.args(["--seed", &job.seed.to_string(), "--name", &job.id, "--quiet"]).arg("--runs").arg(parent);
        child.args(job.preset.iter().flat_map(|preset| ["--preset", preset]));
        // What is reproduced is the published method, also where a short preset would choose better.
        child.args(["--selection", "argmax"]);
    }
    // Standard output is for the report.
    let status = supervise(child.stdout(Stdio::null()), interrupt).map_err(|error| error.to_string())?;
    match status.code() {
        Some(0) => {}
        Some(75) => return Ok(None),
        _ => return Err(format!("the search ended with {status}; see {}", run.display())),
    }
    let info = RunInfo::read(run).map_err(|error| error.to_string())?;
    let text = info.genotype.ok_or("the search came to no genotype")?;
    let genotype = text.parse().map_err(|error: gdas::space::GenotypeError| error.to_string())?;
    Ok(Some(Trained { genotype, seconds: seconds(run)?, images: info.data }))
}

/// Waits while another process works in the run: perhaps the search that an earlier, killed process had begun, which
/// is just saving. False if a stop was asked for.
fn wait_for_others(run: &Path, interrupt: &Interrupt) -> bool {
    let holder = || RunInfo::read(run).ok().and_then(|info| info.holder);
    if let Some(holder) = holder() {
        note(format_args!("{} is in use by {holder}; waiting for it", run.display()));
    }
    while holder().is_some() {
        if interrupt.is_requested() {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Runs a search to its end. It stops, with everything saved, when its standard input ends: because a stop was asked
/// for here, or because this process is gone, however that came about.
fn supervise(child: &mut Command, interrupt: &Interrupt) -> std::io::Result<ExitStatus> {
    let mut child = child.stdin(Stdio::piped()).env(signals::STOP_WITH_STDIN, "1").spawn()?;
    let mut lifeline = child.stdin.take();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt.is_requested() {
            lifeline = None;
        }
        // A stop is also asked for by closing what the child waits at; it must live until then.
        let _ = &lifeline;
        std::thread::sleep(LOOK);
    }
}

/// How long the epochs of a run took, whenever it was stopped and resumed.
fn seconds(run: &Path) -> Result<f64, String> {
    let mut epochs = BTreeMap::new();
    for event in RunInfo::events(run).map_err(|error| error.to_string())? {
        if let Event::Epoch(EpochMetrics { epoch, step, steps_per_second, .. }) = event {
            epochs.insert(epoch, step as f64 / (epoch + 1) as f64 / steps_per_second);
        }
    }
    Ok(epochs.values().sum())
}
