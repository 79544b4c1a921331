//! What a user sees of a search: cells as pictures, curves, and one self-contained page.

pub mod cell;
pub mod chart;
mod csv;
pub mod html;
pub mod layout;
pub mod picture;
pub mod run_data;
pub mod svg;
pub mod tensorboard;
pub mod terminal;

use std::path::{Path, PathBuf};

use crate::benchmark::Table;

pub use cell::{cell_picture, genotype_pictures};
pub use chart::{Chart, Series};
pub use picture::{Picture, PictureError};
pub use run_data::RunData;
pub use tensorboard::TensorBoard;
pub use terminal::TerminalStyle;

/// Writes a report into a directory (made if it does not exist) and returns what was written, the page
/// (`report.html`) first. With `files` every figure comes as SVG and every number as CSV, too.
pub fn write(
    directory: &Path,
    runs: &[RunData],
    table: Option<&Table>,
    files: bool,
) -> Result<Vec<PathBuf>, std::io::Error> {
    std::fs::create_dir_all(directory)?;
    let mut written = Vec::new();
    let mut put = |name: &str, content: &str| -> Result<(), std::io::Error> {
        let path = directory.join(name);
        std::fs::write(&path, content)?;
        written.push(path);
        Ok(())
    };
    put("report.html", &html::page(runs, table))?;
    if files {
        for run in runs {
            for figure in html::figures(run) {
                put(&format!("{}.svg", figure.name), &figure.svg)?;
            }
            let name = html::file_name(&run.info.name);
            put(&format!("{name}-epochs.csv"), &run.epochs_csv())?;
            if !run.alpha_charts().is_empty() {
                put(&format!("{name}-alphas.csv"), &run.alphas_csv())?;
            }
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
