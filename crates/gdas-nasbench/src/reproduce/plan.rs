//! The list of jobs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReproduceError;
use crate::algorithms::TableAlgorithm;
use crate::{Budget, Dataset};

/// One search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Unique in the plan, and the name of its files.
    pub id: String,
    /// Name of the algorithm: of a [`TableAlgorithm`], or of a search with shared weights.
    pub algorithm: String,
    /// The data set searched on.
    pub dataset: Dataset,
    /// The seed.
    pub seed: u64,
    /// Budget of a table algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Preset of a training search; a row with another preset than `paper` is labelled as shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

impl Job {
    /// The table algorithm; `None` for a training search.
    pub fn table_algorithm(&self) -> Option<TableAlgorithm> {
        TableAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == self.algorithm)
    }
}

/// All jobs, in an order that depends on the settings alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The jobs.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Adds a table algorithm's searches with seeds `0..seeds` on each data set.
    pub fn add_table(&mut self, algorithm: TableAlgorithm, datasets: &[Dataset], seeds: u64, budget: Budget) {
        for &dataset in datasets {
            self.jobs.extend((0..seeds).map(|seed| Job {
                id: format!("{algorithm}-{dataset}-{seed:04}"),
                algorithm: algorithm.name().to_owned(),
                dataset,
                seed,
                budget: Some(budget),
                preset: None,
            }));
        }
    }

    /// Adds training searches with seeds `0..seeds` on each data set.
    pub fn add_search(&mut self, algorithm: &str, datasets: &[Dataset], seeds: u64, preset: &str) {
        for &dataset in datasets {
            self.jobs.extend((0..seeds).map(|seed| Job {
                id: format!("{algorithm}-{preset}-{dataset}-{seed:04}"),
                algorithm: algorithm.to_owned(),
                dataset,
                seed,
                budget: None,
                preset: Some(preset.to_owned()),
            }));
        }
    }

    /// The plan as JSON lines.
    pub fn to_lines(&self) -> String {
        // A job is text and numbers, which always serialise.
        self.jobs.iter().filter_map(|job| serde_json::to_string(job).ok()).map(|line| line + "\n").collect()
    }

    /// Reads JSON lines; `path` names them in errors.
    pub fn from_lines(lines: &str, path: &Path) -> Result<Self, ReproduceError> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut ids = BTreeSet::new();
        for (i, line) in lines.lines().enumerate() {
            let wrong = |reason: String| ReproduceError::Damaged { path: path.to_owned(), line: i + 1, reason };
            let job: Job = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            // The id becomes a file name.
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if job.id.is_empty() || job.id.starts_with('.') || !job.id.chars().all(plain) {
                return Err(wrong(format!("`{}` cannot name a job", job.id)));
            }
            if !ids.insert(job.id.clone()) {
                return Err(wrong(format!("job {} comes twice", job.id)));
            }
            jobs.push(job);
        }
        Ok(Self { jobs })
    }

    /// The plan of a folder.
    pub fn read(folder: &Path) -> Result<Self, ReproduceError> {
        let path = folder.join("plan.jsonl");
        let lines = std::fs::read_to_string(&path).map_err(ReproduceError::io(&path))?;
        Self::from_lines(&lines, &path)
    }

    /// Writes the plan to a folder.
    ///
    /// # Errors
    /// If the folder has another plan, or cannot be written.
    pub fn store(&self, folder: &Path) -> Result<(), ReproduceError> {
        std::fs::create_dir_all(folder).map_err(ReproduceError::io(folder))?;
        let path = folder.join("plan.jsonl");
        if !path.exists() {
            return super::job::write_whole(&path, self.to_lines().as_bytes());
        }
        let known = Self::read(folder)?;
        if known == *self {
            return Ok(());
        }
        let place = known.jobs.iter().zip(&self.jobs).position(|(a, b)| a != b);
        let difference = match place {
            Some(i) => format!("job {} there, {} here", known.jobs[i].id, self.jobs[i].id),
            None => format!("{} jobs there, {} here", known.jobs.len(), self.jobs.len()),
        };
        Err(ReproduceError::OtherPlan { path, difference })
    }
}

/// The share of the plan for one of several processes: jobs `index`, `index + of`, `index + 2 of`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Index of the shard, from 0.
    pub index: usize,
    /// Number of shards.
    pub of: usize,
}

impl Default for Shard {
    /// The whole plan.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Shard {
    /// The jobs of this shard.
    pub fn select<'p>(&self, plan: &'p Plan) -> impl Iterator<Item = &'p Job> + use<'p> {
        plan.jobs.iter().skip(self.index).step_by(self.of.max(1))
    }
}

impl FromStr for Shard {
    type Err = ReproduceError;

    /// Parses `INDEX/COUNT`, counted from 0 like array jobs.
    fn from_str(text: &str) -> Result<Self, ReproduceError> {
        let parts = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err(ReproduceError::Settings(format!(
                "`{text}` is not a shard: expected INDEX/COUNT such as 0/4 or 3/4"
            ))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}
