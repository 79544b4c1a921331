use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use gdas_nasbench::Table;
use gdas_report::RunData;
use serde_json::json;

use crate::cli::RunsDir;
use crate::output;

/// Write a page about a run, or one that compares several
///
/// The page is one HTML file that needs no network: cells, curves, alpha per edge, cost, configuration.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas report digits-1                                  writes runs/digits-1/report.html
  gdas report digits-1 digits-2 --out comparison
  gdas report photos                                    search and training of an automatic run
  gdas report cifar10-1 --table nasbench201.csv --files")]
pub(crate) struct Report {
    /// Names of runs, or paths to their directories
    #[arg(required = true, value_name = "RUN")]
    names: Vec<String>,
    /// Directory to write to [default: the run's own; `report` for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write every figure as SVG and PNG and every number as CSV beside the page
    #[arg(long)]
    files: bool,
    /// Results of NAS-Bench-201 in any known form, to rank the cells found
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    #[command(flatten)]
    runs: RunsDir,
    /// Print the files written as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Report) -> anyhow::Result<()> {
    let named = command.names.iter().map(|name| command.runs.run(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let paths: Vec<PathBuf> = named.into_iter().map(|run| run.path).collect();
    let mut runs = paths.iter().map(|path| RunData::read(path)).collect::<Result<Vec<_>, _>>()?;
    if runs.len() > 1 {
        // Compared are the searches and trainings, also those of automatic runs.
        runs = runs.into_iter().flat_map(parts).collect();
    }
    disambiguate(&mut runs);
    let table = command.table.as_ref().map(Table::open).transpose()?;
    let out = match (&command.out, paths.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [alone]) => alone.clone(),
        (None, _) => PathBuf::from("report"),
    };
    let written = gdas_report::write(&out, &runs, table.as_ref(), command.files)
        .with_context(|| format!("cannot write the report to {}; choose another place with --out", out.display()))?;
    if command.json {
        return output::json(&json!({ "files": written }));
    }
    output::line(written[0].display())?;
    if written.len() > 1 {
        output::note(format_args!("and {} figures and tables beside it", written.len() - 1));
    }
    Ok(())
}

/// The stages of an automatic run, as runs of their own; any other run as it is.
fn parts(run: RunData) -> Vec<RunData> {
    if run.stages.is_empty() { vec![run] } else { run.stages }
}

/// Runs of the same name, from different directories, are called by their paths.
fn disambiguate(runs: &mut [RunData]) {
    let names: Vec<String> = runs.iter().map(|run| run.info.name.clone()).collect();
    for run in runs {
        if names.iter().filter(|name| **name == run.info.name).count() > 1 {
            run.info.name = run.info.path.display().to_string();
        }
    }
}
