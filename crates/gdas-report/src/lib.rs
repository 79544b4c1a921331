//! Reports of runs: drawings of cells, charts, a self-contained HTML page, and event files for TensorBoard.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod cell;
pub mod chart;
mod compare;
mod csv;
mod curves;
mod epoch;
pub mod heat;
pub mod html;
pub mod layout;
mod network;
mod numbers;
mod parallel;
pub mod picture;
mod pixels;
mod png;
mod predictions;
pub mod reliability;
pub mod reproduced;
pub mod run_data;
pub mod svg;
pub mod tensorboard;
pub mod terminal;
mod trials;

use std::path::{Path, PathBuf};

use gdas_nasbench::Table;

pub use cell::{cell_picture, genotype_pictures, write_cells};
pub use chart::{Chart, Series};
pub use epoch::Epoch;
pub use picture::{Picture, PictureError};
pub use png::{PngError, png};
pub use predictions::predictions_csv;
pub use run_data::RunData;
pub use tensorboard::TensorBoard;
pub use terminal::TerminalStyle;
pub use trials::Trial;

/// Writes a report to a directory (created if it does not exist) and returns the paths of the files, the page
/// (`report.html`) first. With `files`, also all figures as SVG and PNG and all data as CSV.
pub fn write(
    directory: &Path,
    runs: &[RunData],
    table: Option<&Table>,
    files: bool,
) -> Result<Vec<PathBuf>, std::io::Error> {
    std::fs::create_dir_all(directory)?;
    let mut written = Vec::new();
    let mut put = |name: &str, content: &[u8]| -> Result<(), std::io::Error> {
        let path = directory.join(name);
        std::fs::write(&path, content)?;
        written.push(path);
        Ok(())
    };
    put("report.html", html::page(runs, table).as_bytes())?;
    if files {
        let alone = runs.len() == 1;
        let parts: Vec<&RunData> = runs.iter().flat_map(RunData::parts).collect();
        let figures = parts.iter().flat_map(|run| html::figures(run, table));
        for figure in html::comparison_figures(runs).into_iter().chain(figures) {
            put(&format!("{}.svg", figure.name), figure.svg.as_bytes())?;
            put(&format!("{}.png", figure.name), &png(&figure.svg).map_err(std::io::Error::other)?)?;
        }
        for run in parts {
            let name = html::file_name(&run.info.name);
            put(&format!("{name}-epochs.csv"), run.epochs_csv().as_bytes())?;
            if run.alpha_count() > 0 {
                put(&format!("{name}-alphas.csv"), run.alphas_csv().as_bytes())?;
            }
            if let Ok(Some(record)) = &run.test {
                // Of one run the name goes without saying.
                let name = if alone { "predictions.csv".to_owned() } else { format!("{name}-predictions.csv") };
                put(&name, predictions_csv(record, &run.class_names()).as_bytes())?;
            }
        }
        if runs.len() > 1 {
            put("comparison.csv", html::comparison_csv(runs).as_bytes())?;
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
