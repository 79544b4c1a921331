use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use gdas::run;

use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::output;

/// Delete runs, with everything in their directories
///
/// Asks first, unless --yes is given. A run that a process works in is not deleted, nor is a stage of an automatic run
/// without the rest.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas runs delete digits-1
  gdas runs delete digits-1 digits-2 --yes")]
pub(crate) struct Delete {
    /// Names of runs, or paths to their directories
    #[arg(required = true, value_name = "RUN")]
    names: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    directory: RunsDir,
}

pub(super) fn run(command: &Delete) -> anyhow::Result<()> {
    // All names are looked up first: one that is wrong deletes nothing.
    let paths = command.names.iter().map(|name| command.directory.place(name)).collect::<anyhow::Result<Vec<_>>>()?;
    if !command.yes && !confirmed(&paths)? {
        output::note("nothing was deleted");
        return Ok(());
    }
    for path in paths {
        run::delete(&path)?;
        output::line(format_args!("deleted {}", path.display()))?;
    }
    Ok(())
}

/// Asks the user at the terminal.
fn confirmed(paths: &[PathBuf]) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Usage("nobody is there to be asked; --yes deletes without asking".to_owned()).into());
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut error = io::stderr().lock();
    write!(
        error,
        "Delete {} with all files in {}? [y/N] ",
        names.join(", "),
        if names.len() > 1 { "them" } else { "it" }
    )?;
    error.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
