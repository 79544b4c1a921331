//! The network of a run's cell.

use super::run_data::RunData;
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::space::Wiring;
use gdas_kernels::graph::{Graph, Shape};

/// The network of a run's cell, with its size.
#[derive(Clone, Debug)]
pub(crate) struct RunNetwork {
    pub(crate) graph: Graph,
    pub(crate) channels: usize,
    /// Cells per stage.
    pub(crate) cells: usize,
    /// Height and width of its images.
    pub(crate) image: usize,
    pub(crate) classes: usize,
}

impl RunData {
    /// The network of a training; for a search, the network of published size with its cell.
    pub(crate) fn network(&self) -> Option<RunNetwork> {
        let genotype = self.genotype()?;
        let space = &genotype.space;
        let number = |key: &str| self.setting(key).and_then(|text| text.parse::<usize>().ok());
        let (published_channels, published_cells) = match space.skeleton.wiring {
            Wiring::Residual => (16, 5),
            Wiring::TwoInputs { .. } => (36, 6),
        };
        let own = self.info.task == "train";
        let channels = number("channels").filter(|_| own).unwrap_or(published_channels);
        let cells = number("cells").filter(|_| own).unwrap_or(published_cells);
        let image = number("image_size").unwrap_or(32);
        let classes = self.classes()?;
        // A modified file must not lead to a huge network.
        if !(1..=1024).contains(&channels) || !(1..=64).contains(&cells) || !(8..=224).contains(&image) {
            return None;
        }
        let config = NetworkConfig {
            image: Shape::new(image, image, 3),
            classes,
            channels,
            stem: Stem::for_size(image),
            affine: true,
            track: true,
            auxiliary: false,
            drop_path: false,
        };
        let graph = derive(&space.derived_blocks(cells), &config, &genotype).ok()?;
        Some(RunNetwork { graph, channels, cells, image, classes })
    }
}
