use clap::Args;
use gdas::run::RunDir;

use crate::cli::{Display, RunsDir};

/// Go on with an interrupted run, exactly where it was
#[derive(Args)]
#[command(after_help = "Examples:
  gdas resume digits-1
  gdas resume runs/digits-1 --json")]
pub(crate) struct Resume {
    /// Name of the run, or path to its directory
    run: String,
    #[command(flatten)]
    runs: RunsDir,
    #[command(flatten)]
    display: Display,
}

pub(crate) fn run(command: &Resume) -> anyhow::Result<()> {
    let _run = RunDir::open(command.runs.find(&command.run))?;
    anyhow::bail!("the search itself is not part of this build yet")
}
