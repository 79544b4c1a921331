//! Flags that commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use gdas::run::{RunDir, RunError, delete, is_run};

use crate::exit::Usage;
use crate::host;

/// How much to say, and to whom.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub(crate) struct Display {
    /// Write events and results to standard output as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Where runs are kept.
#[derive(Args, Clone)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunsDir {
    /// Directory that holds all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

impl RunsDir {
    /// A new run under the name that the user gave, or under the data's name and a number.
    pub(crate) fn create(&self, name: Option<&str>, data: &str, config: &str) -> anyhow::Result<RunDir> {
        let run = match name {
            Some(name) => {
                let path = self.runs.join(checked_name(name)?);
                if host::overwrites() && is_run(&path) {
                    delete(&path)?;
                }
                RunDir::create(path, config)?
            }
            None => create_numbered(&self.runs, data, config)?,
        };
        host::began(run.path());
        Ok(run)
    }
}

/// A name that stays within the directory of runs.
fn checked_name(name: &str) -> Result<&str, Usage> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']);
    if plain {
        Ok(name)
    } else {
        Err(Usage(format!("`{name}` cannot be the name of a run; --runs says where runs go")))
    }
}

/// Takes the first free name of `digits-1`, `digits-2`, ...
fn create_numbered(runs: &Path, data: &str, config: &str) -> Result<RunDir, RunError> {
    let stem: String = data
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    let stem = if stem.is_empty() { "run" } else { &stem };
    let mut number = 1;
    loop {
        match RunDir::create(runs.join(format!("{stem}-{number}")), config) {
            Err(RunError::Exists(_) | RunError::Locked { .. }) => number += 1,
            other => return other,
        }
    }
}
