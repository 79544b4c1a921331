//! How a genotype is shown: its text, what it costs, and its picture.

use std::fmt;
use std::io::{self, IsTerminal};

use clap::Args;
use gdas::cost::{self, Cost};
use gdas::graph::{Graph, Shape};
use gdas::network::{NetworkConfig, NetworkError, Stem, derive};
use gdas::space::{Genotype, Space, Wiring};
use gdas_report::{TerminalStyle, genotype_pictures};

/// The network that a genotype is built into when it is trained or counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Channels of the first stage.
    pub(crate) channels: usize,
    /// Cells per stage.
    pub(crate) cells: usize,
    /// Height and width of the images.
    pub(crate) pixels: usize,
    /// Channels of the images.
    pub(crate) image_channels: usize,
    /// Number of classes.
    pub(crate) classes: usize,
}

impl Size {
    /// The published size of networks of this space on CIFAR-10.
    pub(crate) fn published(space: &Space) -> Self {
        let (channels, cells) = if space.skeleton.wiring == Wiring::Residual { (16, 5) } else { (36, 6) };
        Self { channels, cells, pixels: 32, image_channels: 3, classes: 10 }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { channels, cells, pixels, classes, .. } = self;
        write!(f, "C = {channels}, N = {cells}, {classes} classes, {pixels}x{pixels} pixels")
    }
}

/// The size of a network as flags.
#[derive(Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// Channels of the first stage (C) [default: 16 in NAS-Bench-201, else 36]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    channels: Option<u16>,
    /// Cells per stage (N) [default: 5 in NAS-Bench-201, else 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    cells: Option<u16>,
    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", default_value = "32", value_parser = clap::value_parser!(u16).range(8..=224))]
    image_size: u16,
    /// Number of classes
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    classes: u32,
}

impl NetworkFlags {
    /// The size they ask for, the published one where they do not.
    pub(crate) fn size(&self, space: &Space) -> Size {
        let published = Size::published(space);
        Size {
            channels: self.channels.map_or(published.channels, usize::from),
            cells: self.cells.map_or(published.cells, usize::from),
            pixels: self.image_size.into(),
            classes: self.classes as usize,
            ..published
        }
    }
}

/// Parameters and multiply-adds of the network of this genotype.
pub(crate) fn network_cost(genotype: &Genotype, size: Size) -> Result<Cost, NetworkError> {
    Ok(cost::network(&network(genotype, size)?))
}

/// The network of this genotype as it is used after training.
pub(crate) fn network(genotype: &Genotype, size: Size) -> Result<Graph, NetworkError> {
    let config = NetworkConfig {
        image: Shape::new(size.pixels, size.pixels, size.image_channels),
        classes: size.classes,
        channels: size.channels,
        stem: Stem::for_size(size.pixels),
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    derive(&genotype.space.derived_blocks(size.cells), &config, genotype)
}

/// The cells as drawn in a terminal.
pub(crate) fn drawing(genotype: &Genotype) -> anyhow::Result<String> {
    drawing_in(genotype, TerminalStyle { ascii: !unicode(), colour: colour(), width: 100 })
}

/// The cells as drawn in this style.
pub(crate) fn drawing_in(genotype: &Genotype, style: TerminalStyle) -> anyhow::Result<String> {
    let pictures = genotype_pictures(genotype, false)?;
    let alone = pictures.len() == 1;
    let text = pictures.into_iter().map(|picture| {
        let title = if alone { String::new() } else { format!("{}\n", picture.title) };
        format!("{title}{}", picture.without_none().to_text(style))
    });
    Ok(text.collect::<Vec<_>>().join("\n").trim_end().to_string())
}

/// Whether the locale can show more than ASCII; one that is not set is taken to.
pub(crate) fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_none_or(|value| {
        let value = value.to_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Whether standard output is a terminal whose user wants colours.
fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
