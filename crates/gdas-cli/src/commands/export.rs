use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gdas::Device;
use gdas::train::TrainedModel;
use gdas_exchange::export::{metadata, to_burn_module, to_burn_record, to_onnx, to_pytorch, to_safetensors};
use gdas_report::genotype_pictures;

use crate::cli::RunsDir;
use crate::exit::Usage;
use crate::flags::WeightsFlag;
use crate::output::note;

/// Write a trained network for other programs
///
/// Images go in as float32, normalised: subtract `mean` and divide by `std`, both of pixels in 0..255 and both in the
/// file's metadata, as are the names of the classes.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas export photos-2 --to network.onnx
  gdas export photos-2 --to weights.safetensors
  gdas export photos-2 --to network.py           a PyTorch module that loads weights.safetensors
  gdas export photos-2 --to network.bpk          a record of Burn
  gdas export photos-2 --to network.rs           a Rust module that loads network.bpk
  gdas export photos-2 --to genotype.json
  gdas export photos-2 --to cell.dot")]
pub(crate) struct Export {
    /// Name of a training or an automatic run, or path to its directory
    run: String,
    /// File to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Format [default: by the file's name]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    weights: WeightsFlag,
    #[command(flatten)]
    runs: RunsDir,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// ONNX, for ONNX Runtime and others
    Onnx,
    /// Weights alone
    Safetensors,
    /// Source of a PyTorch module
    Pytorch,
    /// A record of Burn (burnpack)
    BurnRecord,
    /// Source of a Rust module on burn::nn
    Burn,
    /// The genotype
    Json,
    /// The cells, for Graphviz
    Dot,
}

impl Format {
    fn of(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "onnx" => Some(Self::Onnx),
            "safetensors" => Some(Self::Safetensors),
            "py" => Some(Self::Pytorch),
            "bpk" => Some(Self::BurnRecord),
            "rs" => Some(Self::Burn),
            "json" => Some(Self::Json),
            "dot" | "gv" => Some(Self::Dot),
            _ => None,
        }
    }
}

pub(crate) fn run(command: &Export) -> anyhow::Result<()> {
    let Some(format) = command.format.or_else(|| Format::of(&command.to)) else {
        let message = format!("{} does not tell its format; name one with --format", command.to.display());
        return Err(Usage(message).into());
    };
    let path = command.runs.run(&command.run)?.trained()?;
    let model = TrainedModel::open_weights(&path, command.weights.choice(), &Device::flex())?;
    let genotype = model.genotype.to_string();
    let metadata = metadata(&model);
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let bytes = match format {
        Format::Onnx => to_onnx(&model.graph, &model.export_weights(), &metadata)?,
        Format::Safetensors => to_safetensors(&model.graph, &model.export_weights(), &metadata)?,
        Format::Pytorch => to_pytorch(&model.graph, &genotype)?.into_bytes(),
        Format::BurnRecord => to_burn_record(&model.graph, &model.export_weights(), &metadata)?,
        Format::Burn => to_burn_module(&model.graph, &genotype)?.into_bytes(),
        Format::Json => serde_json::to_vec_pretty(&model.genotype)?,
        Format::Dot => {
            let pictures = genotype_pictures(&model.genotype, false)?;
            let drawings: String = pictures.into_iter().map(|picture| picture.to_dot()).collect();
            format!("// {genotype}\n{drawings}").into_bytes()
        }
    };
    gdas::files::replace(&command.to, |out| out.write_all(&bytes))
        .with_context(|| format!("cannot write {}", command.to.display()))?;
    note(format_args!("{}: {} bytes", command.to.display(), bytes.len()));
    Ok(())
}
