use std::io::{self, IsTerminal};

use clap::Args;

use crate::cli::RunsDir;
use crate::{output, signals, watch};

/// Watch a run in the terminal while another process works in it
///
/// Shows curves, alpha per edge, the cell of now, temperature, learning rate and time left. Keys: q quits, p pauses
/// the run or lets it go on, s stops it with everything saved. Without a terminal it prints where the run stands.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas watch digits-1
  gdas watch digits-1 > standing.txt")]
pub(crate) struct Watch {
    /// Name of the run, or path to its directory
    run: String,
    #[command(flatten)]
    runs: RunsDir,
}

pub(crate) fn run(command: &Watch) -> anyhow::Result<()> {
    let mut view = watch::View::new(command.runs.run(&command.run)?.path);
    view.look()?;
    if io::stdout().is_terminal() {
        let interrupt = signals::install()?;
        watch::interact(&mut view, &interrupt)
    } else {
        Ok(output::line(watch::text(&view).trim_end())?)
    }
}
