use std::path::PathBuf;

use clap::Args;
use gdas::config::{Auto, to_toml};
use gdas::data::Statistics;
use gdas::{Device, cost, shell};
use gdas_exchange::import::{ImportOptions, StateDict, UNKNOWN_DATA, import};
use serde_json::json;

use crate::cli::RunsDir;
use crate::commands::{genotype, search};
use crate::exit::Usage;
use crate::flags;
use crate::images::{self, Damaged};
use crate::output::{self, note, table};

/// Take in a network that was trained elsewhere, as if it had been trained here
///
/// The weights are a safetensors file, a state dictionary that PyTorch saved (read as data, nothing in it is run), an
/// ONNX file or a record of Burn, named as `gdas export` names them, or as AutoDL names those of NAS-Bench-201's network.
/// Channels, cells and the number of classes are read off the arrays. A file that `gdas export` wrote says all the rest
/// itself.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas import weights.safetensors
  gdas import runs/photos/network.onnx
  gdas import cell-7.pth --genotype cell.txt --data cifar10
  gdas import net.pth --genotype cell.txt --image-size 32 --mean 125.3,123.0,113.9 --std 63.0,62.1,66.7")]
pub(crate) struct Import {
    /// File with the weights
    weights: PathBuf,
    /// The cells: text (also that of DARTS and AutoDL), a published name, a file (text, JSON or result.json), or a run
    #[arg(long, value_name = "GENOTYPE")]
    genotype: Option<String>,
    #[command(flatten)]
    space: genotype::SpaceFlag,
    /// The data that it was trained on: gives image size, mean, deviation and classes where the file does not
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(8..=224))]
    image_size: Option<u16>,
    /// What was subtracted from pixels in 0..255, per channel
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_hyphen_values = true, requires = "std")]
    mean: Option<Vec<f32>>,
    /// What they were divided by then
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_hyphen_values = true, requires = "mean")]
    std: Option<Vec<f32>>,
    /// Names of the classes, in the order of the classifier's rows [default: the data's, or numbers]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Option<Vec<String>>,
    /// Name of the run [default: the file's name and a number]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    damaged: Damaged,
    #[command(flatten)]
    runs: RunsDir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Import) -> anyhow::Result<()> {
    let dict = StateDict::read(&command.weights)?;
    let mut given = ImportOptions {
        image_size: command.image_size.map(|n| [usize::from(n); 2]),
        statistics: command.mean.clone().zip(command.std.clone()).map(|(mean, std)| Statistics {
            mean,
            std,
            published: false,
        }),
        classes: command.classes.clone(),
        ..ImportOptions::default()
    };
    if let Some(text) = &command.genotype {
        given.genotype = Some(command.runs.genotype(text, &command.space)?);
    }
    if let Some(data) = &command.data {
        let size = command.image_size.map_or(Auto::Auto, |n| Auto::Is(n.into()));
        search::use_threads(Auto::Auto)?;
        let dataset = images::open(data, size, command.damaged, false)?.noted();
        given.image_size.get_or_insert([dataset.train.height, dataset.train.width]);
        given.statistics.get_or_insert(dataset.statistics);
        given.classes.get_or_insert(dataset.classes);
        given.data = Some(flags::lasting(data));
    }
    let network = import(dict, &given).map_err(|error| match error {
        gdas_exchange::import::ImportError::Unknown { what, advice } => {
            let flags = "--genotype, --data, --image-size, --mean and --std say it";
            anyhow::Error::from(Usage(format!("the file does not say {what}; {advice} ({flags})")))
        }
        other => other.into(),
    })?;
    let stem = command.weights.file_stem().map_or_else(|| "import".into(), |stem| stem.to_string_lossy());
    let config = format!(
        "# Taken in by `gdas import`: genotype, channels, cells and stem are those of the network; how it was trained\n\
         # is not known here, so the other keys say nothing about it.\n{}",
        to_toml(&network.config)?
    );
    let mut run = command.runs.create(command.name.as_deref(), &stem, &config)?;
    let result = network.save(&mut run, &Device::flex())?;
    let path = shell::path(run.path());
    if command.json {
        let mut value = serde_json::to_value(&result)?;
        value["run"] = json!(run.path());
        return output::json(&value);
    }
    let (height, width) = (network.graph.shape(0).height, network.graph.shape(0).width);
    let rows = [
        ("genotype", result.genotype.clone()),
        ("network", format!("C = {}, N = {}", network.config.channels, network.config.cells)),
        (
            "",
            format!(
                "{} parameters, {} multiply-adds",
                cost::readable(result.params),
                cost::readable(result.multiply_adds)
            ),
        ),
        ("images", format!("{height}x{width}, {} classes", result.classes.len())),
        ("files in", run.path().display().to_string()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_string(), value]).collect();
    output::line(table(&rows))?;
    if network.config.data == UNKNOWN_DATA {
        note("`gdas evaluate` will need --data, as none was named");
    }
    Ok(output::line(format_args!("\nnext: gdas evaluate {path}\n      gdas predict {path} IMAGES..."))?)
}
