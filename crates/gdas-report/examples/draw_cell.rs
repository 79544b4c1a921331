//! Draws a genotype, given as text or by a published name, in the terminal and as `cell-N.svg`.
//!
//! `cargo run --release -p gdas-report --example draw_cell -- GDAS_V1`
#![allow(clippy::print_stdout)]

use std::path::Path;

use gdas::space::Genotype;
use gdas_report::{TerminalStyle, genotype_pictures};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "GDAS_V1".into());
    draw(&text, Path::new("."))
}

fn draw(text: &str, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let genotype = match Genotype::named(text) {
        Some(genotype) => genotype,
        None => text.parse()?,
    };
    for (index, picture) in genotype_pictures(&genotype, false)?.into_iter().enumerate() {
        println!("{}\n{}", picture.title, picture.to_text(TerminalStyle::default()));
        std::fs::write(folder.join(format!("cell-{index}.svg")), picture.to_svg())?;
    }
    Ok(())
}

#[test]
fn it_draws_every_cell() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    draw("GDAS_V1", folder.path())?;
    for index in 0..2 {
        assert!(std::fs::read_to_string(folder.path().join(format!("cell-{index}.svg")))?.contains("</svg>"));
    }
    Ok(())
}
