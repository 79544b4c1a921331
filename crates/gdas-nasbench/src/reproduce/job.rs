//! Execution of jobs, and their result files.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Job, Plan, ReproduceError, Shard};
use crate::algorithms::Improvement;
use crate::{Table, cell_of, genotype_of};
use gdas::files;
use gdas::space::Genotype;

/// Result of a search on the table or of a training search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    /// The job.
    pub job: Job,
    /// The cell found, in the benchmark's text form.
    pub genotype: String,
    /// Time of the search in seconds: simulated for a table algorithm, measured for a training search.
    pub seconds: f64,
    /// Whether the time is nominal, as the table has no times.
    #[serde(default)]
    pub nominal_seconds: bool,
    /// Name of the images of a training search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Number of trainings queried (0 for a training search).
    #[serde(default)]
    pub queries: usize,
    /// The successive best cells.
    #[serde(default)]
    pub trace: Vec<Improvement>,
}

impl JobResult {
    /// Path of the result file of a job.
    pub fn path(folder: &Path, job: &Job) -> PathBuf {
        folder.join("results").join(format!("{}.json", job.id))
    }

    /// Reads the result of a job; `None` if there is none yet.
    pub fn read(folder: &Path, job: &Job) -> Result<Option<Self>, ReproduceError> {
        let path = Self::path(folder, job);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(ReproduceError::Io { path, cause }),
        };
        let wrong = |line, reason: String| ReproduceError::Damaged { path: path.clone(), line, reason };
        let result: Self = serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?;
        if result.job != *job {
            return Err(wrong(1, "it is the result of another job".to_owned()));
        }
        Ok(Some(result))
    }

    fn write(&self, folder: &Path) -> Result<(), ReproduceError> {
        let path = Self::path(folder, &self.job);
        let text = serde_json::to_string(self)
            .map_err(|error| ReproduceError::Search { job: self.job.id.clone(), reason: error.to_string() })?;
        write_whole(&path, (text + "\n").as_bytes())
    }
}

/// Numbers of jobs done and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Jobs done by this call.
    pub done: usize,
    /// Jobs done before.
    pub before: usize,
    /// Jobs not done because of a stop request.
    pub left: usize,
}

/// Result of a training search.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The cell.
    pub genotype: Genotype,
    /// Time of the search in seconds.
    pub seconds: f64,
    /// Name of the images that it trained on.
    pub images: String,
}

/// Runs a training search in the given run directory. `None` if it was stopped and can be resumed.
pub type TrainingSearch<'a> = dyn Fn(&Job, &Path) -> Result<Option<Trained>, String> + Sync + 'a;

/// Executes the jobs of the shard that have no result yet. Table algorithms run in parallel; training searches run one
/// after another with all cores, by `search`. `stop` is polled before every job.
pub fn execute(
    folder: &Path,
    plan: &Plan,
    shard: Shard,
    table: &Table,
    search: &TrainingSearch<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<JobCounts, ReproduceError> {
    let results = folder.join("results");
    fs::create_dir_all(&results).map_err(ReproduceError::io(&results))?;
    let mut progress = JobCounts::default();
    let (mut lookups, mut trainings) = (Vec::new(), Vec::new());
    for job in shard.select(plan) {
        // A damaged result is reported before any job runs.
        if JobResult::read(folder, job)?.is_some() {
            progress.before += 1;
        } else if job.table_algorithm().is_some() {
            lookups.push(job);
        } else {
            trainings.push(job);
        }
    }
    let done: Vec<bool> = lookups
        .par_iter()
        .map(|job| {
            if stop() {
                return Ok(false);
            }
            look_up(job, table)?.write(folder).map(|()| true)
        })
        .collect::<Result<_, ReproduceError>>()?;
    progress.done += done.iter().filter(|done| **done).count();
    progress.left += done.iter().filter(|done| !**done).count();
    for job in trainings {
        let run = folder.join("runs").join(&job.id);
        let wrong = |reason: String| ReproduceError::Search { job: job.id.clone(), reason };
        let found = if stop() { None } else { search(job, &run).map_err(wrong)? };
        let Some(Trained { genotype, seconds, images }) = found else {
            progress.left += 1;
            continue;
        };
        cell_of(&genotype).map_err(|error| wrong(error.to_string()))?;
        let job = job.clone();
        let genotype = genotype.to_string();
        let images = Some(images);
        JobResult { job, genotype, seconds, nominal_seconds: false, images, queries: 0, trace: Vec::new() }
            .write(folder)?;
        progress.done += 1;
    }
    Ok(progress)
}

/// Does all jobs of a plan of table algorithms in memory, in parallel, without a folder.
pub fn look_up_all(plan: &Plan, table: &Table) -> Result<Vec<JobResult>, ReproduceError> {
    plan.jobs.par_iter().map(|job| look_up(job, table)).collect()
}

fn look_up(job: &Job, table: &Table) -> Result<JobResult, ReproduceError> {
    let settings = |reason: &str| ReproduceError::Settings(format!("job {}: {reason}", job.id));
    let algorithm = job.table_algorithm().ok_or_else(|| settings("it is not of a table algorithm"))?;
    let budget = job.budget.ok_or_else(|| settings("a table algorithm needs a budget"))?;
    let outcome = algorithm.run(table, job.dataset, budget, job.seed)?;
    Ok(JobResult {
        job: job.clone(),
        genotype: genotype_of(table.cell(outcome.best)?).to_string(),
        seconds: outcome.seconds,
        nominal_seconds: outcome.nominal_seconds,
        images: None,
        queries: outcome.queries,
        trace: outcome.trace,
    })
}

/// Writes a file: readers see all of it or none, also when two processes do the same job (their results are the same).
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReproduceError> {
    files::replace(path, |out| out.write_all(bytes))
        .map_err(|cause| ReproduceError::Io { path: path.to_owned(), cause })
}
