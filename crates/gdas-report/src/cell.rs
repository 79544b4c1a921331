//! Drawings of genotypes.

use std::path::PathBuf;

use super::picture::{Picture, PictureError};
use gdas::Error;
use gdas::run::RunDir;
use gdas::space::{CellGenotype, CellOutput, CellSpace, Genotype, GenotypeError};

/// The picture of one cell. Edges are labelled with the operation's published name, or its short label if `short`.
pub fn cell_picture(title: &str, space: &CellSpace, cell: &CellGenotype, short: bool) -> Result<Picture, PictureError> {
    let states = space.inputs + space.nodes;
    let mut labels: Vec<String> = match space.inputs {
        1 => vec!["in".into()],
        2 => vec!["c[k-2]".into(), "c[k-1]".into()],
        n => (0..n).map(|i| format!("in {i}")).collect(),
    };
    // States are numbered as in the genotype's text.
    labels.extend((space.inputs..states).map(|state| state.to_string()));
    let mut edges: Vec<((usize, usize), &str)> = Vec::new();
    for (node, choices) in cell.nodes.iter().enumerate() {
        for choice in choices {
            let name = if short { &choice.operation.label } else { &choice.operation.name };
            edges.push(((choice.input, space.inputs + node), name));
        }
    }
    match space.output {
        CellOutput::Last => labels[states - 1] = "out".into(),
        CellOutput::Concat => {
            labels.push("out".into());
            edges.extend((space.inputs..states).map(|state| ((state, states), "")));
        }
    }
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    Picture::cell(title, &labels, space.inputs, edges)
}

/// One picture per cell of the genotype, titled by the cell's name in its space.
pub fn genotype_pictures(genotype: &Genotype, short: bool) -> Result<Vec<Picture>, GenotypeError> {
    let space = &genotype.space;
    genotype.check(space)?;
    let cells = space.cells.iter().zip(&genotype.cells);
    let pictures = cells.map(|(of, cell)| {
        let title = if space.cells.len() == 1 { of.name.clone() } else { format!("{} cell", of.name) };
        cell_picture(&title, of, cell, short)
            .map_err(|error| GenotypeError::Misfit { space: space.name.clone(), reason: error.to_string() })
    });
    pictures.collect()
}

/// Writes a drawing of each cell of a genotype, `{cell}.svg`, to the run directory. Existing drawings are kept. Returns the
/// paths.
///
/// # Errors
/// If the genotype does not fit its space, or a file cannot be written.
pub fn write_cells(run: &RunDir, genotype: &Genotype) -> Result<Vec<PathBuf>, Error> {
    let pictures = genotype_pictures(genotype, false).map_err(|error| Error::Unsuitable(error.to_string()))?;
    let files = pictures.iter().zip(&genotype.space.cells).map(|(picture, cell)| {
        let file = format!("{}.svg", cell.name);
        let path = run.path().join(&file);
        if path.is_file() { Ok(path) } else { Ok(run.write_file(&file, picture.to_svg().as_bytes())?) }
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::EdgeClass;

    #[test]
    fn benchmark_genotype() {
        let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
        let pictures = genotype_pictures(&text.parse().unwrap(), false).unwrap();
        let picture = &pictures[0];
        let labels: Vec<_> = picture.nodes.iter().map(|n| n.label.as_str()).collect();
        assert_eq!(labels, ["in", "1", "2", "out"]);
        let last = picture.edges.last().unwrap();
        assert_eq!((last.from, last.to, last.label.as_str()), (2, 3, "nor_conv_1x1"));
    }

    #[test]
    fn each_cell_becomes_a_file_of_its_name_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path().join("run"), "task = \"search\"\n").unwrap();
        let genotype = Genotype::named("GDAS_V1").unwrap();
        std::fs::write(run.path().join("normal.svg"), "kept").unwrap();
        let files = write_cells(&run, &genotype).unwrap();
        assert_eq!(files, [run.path().join("normal.svg"), run.path().join("reduction.svg")]);
        assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), "kept");
        assert!(std::fs::read_to_string(&files[1]).unwrap().contains("</svg>"));
    }

    #[test]
    fn published_genotypes_are_drawn_with_their_concatenation() {
        for name in Genotype::names() {
            let pictures = genotype_pictures(&Genotype::named(name).unwrap(), true).unwrap();
            assert_eq!(pictures.len(), 2);
            for picture in pictures {
                assert_eq!(picture.edges.len(), 8 + 4);
                let structure = picture.edges.iter().filter(|e| e.class == EdgeClass::Structure).count();
                assert_eq!(structure, 4);
            }
        }
    }

    /// Short labels must lead to the same colours as full names.
    #[test]
    fn labels_and_names_share_their_class() {
        for operation in gdas::space::operations::all() {
            assert_eq!(EdgeClass::of(&operation.label), EdgeClass::of(&operation.name), "{}", operation.name);
        }
    }
}
