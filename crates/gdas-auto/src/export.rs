//! Export of the resulting network.

use std::path::PathBuf;

use burn::tensor::Device;

use gdas::Error;
use gdas::run::RunDir;
use gdas::train::TrainedModel;
use gdas_exchange::export::{PixelInput, metadata, model_to_onnx, to_pytorch, to_safetensors};

use crate::stage::unsuitable;

/// The ONNX file of a network.
pub(crate) fn onnx(model: &TrainedModel) -> Result<Vec<u8>, Error> {
    let input = PixelInput { flip: model.test_flip, ..PixelInput::default() };
    model_to_onnx(model, input, None).map_err(unsuitable)
}

/// Writes the network of the training in `train` in all formats; returns the names of the files.
pub(crate) fn export(run: &RunDir, device: &Device) -> Result<Vec<PathBuf>, Error> {
    let model = TrainedModel::open_path(&run.path().join("train"), device)?;
    let weights = model.export_weights();
    let genotype = model.genotype.to_string();
    let metadata = metadata(&model);
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let files = [
        ("network.onnx", onnx(&model)?),
        ("network.safetensors", to_safetensors(&model.graph, &weights, &metadata).map_err(unsuitable)?),
        ("network.py", to_pytorch(&model.graph, &genotype).map_err(unsuitable)?.into_bytes()),
    ];
    for (name, bytes) in &files {
        run.write_file(name, bytes)?;
    }
    Ok(files.iter().map(|(name, _)| PathBuf::from(name)).collect())
}
