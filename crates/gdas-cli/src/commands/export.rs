use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use gdas::Device;
use gdas::config::Auto;
use gdas::data::Subset;
use gdas::train::TrainedModel;
use gdas_exchange::export::{
    Int8Network, PixelInput, PixelLayout, PixelType, metadata, model_to_onnx, python_usage, rust_usage, to_burn_module,
    to_burn_record, to_onnx, to_pytorch, to_safetensors,
};
use gdas_report::genotype_pictures;

use crate::cli::RunsDir;
use crate::commands::search;
use crate::exit::{Preempted, Usage};
use crate::flags::WeightsFlag;
use crate::images::{self, Damaged};
use crate::output::{self, note, percent};
use crate::signals;

/// Write a trained network for other programs
///
/// An ONNX file takes pixels as they are, 0..255, in batches of any size; its outputs are `logits` and `probabilities`.
/// The other formats take float32, normalised: subtract `mean` and divide by `std`, both of pixels in 0..255. These two
/// and the names of the classes are in the metadata of every file that has weights.
#[derive(Args)]
#[command(after_help = "Examples:
  gdas export photos-2 --to network.onnx
  gdas export photos-2 --to small.onnx --int8    of 8 bits
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
    #[command(flatten)]
    onnx: OnnxFlags,
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

/// Flags of ONNX files: their inputs, and how precise they are.
#[derive(Args)]
#[command(next_help_heading = "ONNX")]
struct OnnxFlags {
    /// Images that the file takes; what normalises them is inside, but for `normalized` [default: uint8]
    #[arg(long, value_name = "KIND")]
    input: Option<Input>,
    /// Order of the axes of the images [default: nchw]
    #[arg(long, value_name = "ORDER")]
    layout: Option<Layout>,
    /// Average the scores of each image and its mirror image in the file, in twice the time [default: as the training's
    /// tests did]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    test_flip: Option<bool>,
    /// Weights and activations of 8 bits, for small devices; training images calibrate them, test images say what it costs
    #[arg(long)]
    int8: bool,
    /// Training images that calibrate the 8-bit network
    #[arg(long, value_name = "N", requires = "int8", default_value = "256", value_parser = clap::value_parser!(u32).range(1..))]
    calibration_images: u32,
    /// Where the images of the training lie now, for --int8
    #[arg(long, value_name = "NAME|PATH", requires = "int8")]
    data: Option<String>,
    #[command(flatten)]
    damaged: Damaged,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Input {
    /// Bytes in 0..255
    Uint8,
    /// float32 in 0..255
    Float,
    /// float32, normalised by `mean` and `std` of the metadata
    Normalized,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// Batch, channels, height, width
    Nchw,
    /// Batch, height, width, channels
    Nhwc,
}

impl OnnxFlags {
    /// The first flag that was given, in words.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--input", self.input.is_some()),
            ("--layout", self.layout.is_some()),
            ("--test-flip", self.test_flip.is_some()),
            ("--int8", self.int8),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// What the file takes; `None` for normalised images.
    fn pixels(&self, model: &TrainedModel) -> Result<Option<PixelInput>, Usage> {
        let kind = match self.input {
            None | Some(Input::Uint8) => PixelType::Uint8,
            Some(Input::Float) => PixelType::Float32,
            Some(Input::Normalized)
                if self.layout == Some(Layout::Nhwc) || self.test_flip == Some(true) || self.int8 =>
            {
                let message = "--input normalized is NCHW, without mirror images and in float32; leave it out, or --layout, \
                               --test-flip and --int8";
                return Err(Usage(message.to_owned()));
            }
            Some(Input::Normalized) => return Ok(None),
        };
        let layout = match self.layout {
            None | Some(Layout::Nchw) => PixelLayout::ChannelsFirst,
            Some(Layout::Nhwc) => PixelLayout::ChannelsLast,
        };
        Ok(Some(PixelInput { kind, layout, flip: self.test_flip.unwrap_or(model.test_flip) }))
    }
}

pub(crate) fn run(command: &Export) -> anyhow::Result<()> {
    let Some(format) = command.format.or_else(|| Format::of(&command.to)) else {
        let message = format!("{} does not tell its format; name one with --format", command.to.display());
        return Err(Usage(message).into());
    };
    if let (Some(flag), false) = (command.onnx.given(), matches!(format, Format::Onnx)) {
        return Err(Usage(format!("{flag} is for ONNX files; {} is none", command.to.display())).into());
    }
    let path = command.runs.run(&command.run)?.trained()?;
    let model = TrainedModel::open_weights(&path, command.weights.choice(), &Device::flex())?;
    let genotype = model.genotype.to_string();
    let about = metadata(&model);
    let about: Vec<(&str, &str)> = about.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut input = None;
    let bytes = match format {
        Format::Onnx => {
            input = command.onnx.pixels(&model)?;
            match input {
                Some(input) if command.onnx.int8 => int8(command, &path, &model, input)?,
                Some(input) => model_to_onnx(&model, input, None)?,
                None => to_onnx(&model.graph, &model.export_weights(), &about)?,
            }
        }
        Format::Safetensors => to_safetensors(&model.graph, &model.export_weights(), &about)?,
        Format::Pytorch => to_pytorch(&model.graph, &genotype)?.into_bytes(),
        Format::BurnRecord => to_burn_record(&model.graph, &model.export_weights(), &about)?,
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
    if let Some(input) = input {
        output::line(usage(&command.to, &model, input))?;
    }
    Ok(())
}

/// The network in 8 bits. What that costs in accuracy, measured on the test images, goes to standard error.
fn int8(command: &Export, path: &Path, model: &TrainedModel, input: PixelInput) -> anyhow::Result<Vec<u8>> {
    let interrupt = signals::install()?;
    search::use_threads(Auto::Auto)?;
    let stopped = || Preempted("the same command".to_owned());
    let dataset = images::of_model(path, model, command.onnx.data.as_deref(), command.onnx.damaged)?;
    let calibration = Subset::all(&dataset.train).mixed().first(command.onnx.calibration_images as usize);
    let network = Int8Network::new(model, &calibration, &interrupt)?.ok_or_else(stopped)?;
    let (bytes, float) = (model_to_onnx(model, input, Some(&network))?, model_to_onnx(model, input, None)?);
    note(format_args!("calibrated with {} training images", calibration.len()));
    let percent_of_size = 100.0 * bytes.len() as f64 / float.len() as f64;
    note(format_args!("size      int8 {} bytes, float32 {} ({percent_of_size:.0} %)", bytes.len(), float.len()));
    let Some(test) = dataset.test_images() else {
        note("accuracy  not measured: there are no test images; --data names others");
        return Ok(bytes);
    };
    let small = network.evaluate(&test, input.flip, &interrupt).ok_or_else(stopped)?.accuracy;
    let large = model.evaluate(&test, input.flip, &interrupt).ok_or_else(stopped)?.accuracy;
    note(format_args!("accuracy  int8 {}, float32 {}, on {} test images", percent(small), percent(large), test.len()));
    Ok(bytes)
}

/// How to use an ONNX file that takes pixels.
pub(crate) fn usage(file: &Path, model: &TrainedModel, input: PixelInput) -> String {
    let (file, image) = (file.display().to_string(), model.image);
    let size = [image.height, image.width, image.channels];
    format!(
        "\nin Python (pip install numpy onnxruntime pillow):\n\n{}\nin Rust (cargo add image serde_json tract-onnx):\n\n{}",
        indented(&python_usage(&file, input)),
        indented(&rust_usage(&file, size, input)),
    )
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| if line.is_empty() { all + "\n" } else { all + "    " + line + "\n" })
}
