//! Draws a genotype, given as text or by a published name, in the terminal and as `cell-N.svg`.
//!
//! `cargo run --release -p gdas --example draw_cell -- GDAS_V1`
#![allow(clippy::print_stdout)]

use gdas::report::{TerminalStyle, genotype_pictures};
use gdas::space::Genotype;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "GDAS_V1".into());
    let genotype = match Genotype::named(&text) {
        Some(genotype) => genotype,
        None => text.parse()?,
    };
    for (index, picture) in genotype_pictures(&genotype, false)?.into_iter().enumerate() {
        println!("{}\n{}", picture.title, picture.to_text(TerminalStyle::default()));
        std::fs::write(format!("cell-{index}.svg"), picture.to_svg())?;
    }
    Ok(())
}
