use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::commands::Cli;

/// Print a script that completes gdas commands in your shell
#[derive(Args)]
#[command(after_help = "Examples:
  gdas completions bash > ~/.local/share/bash-completion/completions/gdas
  gdas completions zsh > ~/.zfunc/_gdas
  gdas completions fish > ~/.config/fish/completions/gdas.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(command: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "gdas", &mut script);
    Ok(crate::output::line(String::from_utf8_lossy(&script).trim_end())?)
}
