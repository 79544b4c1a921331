use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::commands::Cli;

/// Print the manual page
#[derive(Args)]
#[command(after_help = "Examples:
  gdas man | man -l -
  gdas man --all ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
}

pub(crate) fn run(command: &Man) -> anyhow::Result<()> {
    if let Some(directory) = &command.all {
        std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
            .with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(crate::output::line(String::from_utf8_lossy(&page).trim_end())?)
}
