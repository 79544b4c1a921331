//! A trained network.

use std::path::PathBuf;
use std::sync::Arc;

use gdas::Device;
use gdas::run::Interrupt;
use gdas::train::{TrainedModel, WeightChoice};
use gdas_exchange::export::{metadata, to_pytorch, to_safetensors};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use crate::dataset::Images;
use crate::run::failure;
use crate::worker::watched;
use crate::{failed, wrong};

/// The network of a training, with its weights in memory.
#[pyclass(module = "gdas._gdas", frozen)]
pub(crate) struct Network {
    model: TrainedModel,
    path: PathBuf,
}

#[pymethods]
impl Network {
    /// `weights`: `last`, `best`, or nothing for the program's choice.
    #[new]
    #[pyo3(signature = (run, weights))]
    fn new(py: Python, run: &str, weights: Option<&str>) -> PyResult<Self> {
        let choice = match weights {
            None => None,
            Some("last") => Some(WeightChoice::Last),
            Some("best") => Some(WeightChoice::Best),
            Some(other) => return Err(wrong(format!("weights are `last` or `best`, not `{other}`"))),
        };
        let path = gdas_cli::embed::trained(run).map_err(failure)?;
        let model = py.detach(|| TrainedModel::open_weights(&path, choice, &Device::flex())).map_err(failed)?;
        Ok(Self { model, path })
    }

    /// What the network is, as JSON.
    fn describe(&self) -> String {
        let model = &self.model;
        json!({
            "run": self.path, "genotype": model.genotype.to_string(), "space": model.genotype.space.name,
            "classes": model.classes, "image": [model.image.height, model.image.width, model.image.channels],
            "mean": model.statistics.mean, "std": model.statistics.std, "weights": model.origin.to_string(),
            "test_flip": model.test_flip,
        })
        .to_string()
    }

    /// Probabilities `[images, classes]` as bytes of float32; the images are used up.
    #[pyo3(signature = (images, flip))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        mut images: PyRefMut<Images>,
        flip: Option<bool>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (given, image) = (images.take(), self.model.image);
        if (given.height, given.width, given.channels) != (image.height, image.width, image.channels) {
            return Err(wrong(format!(
                "the images have {}x{} pixels and {} channels, the network takes {}x{} and {}",
                given.height, given.width, given.channels, image.height, image.width, image.channels
            )));
        }
        let flip = flip.unwrap_or(self.model.test_flip);
        let interrupt = Interrupt::default();
        let given = Arc::new(given);
        let predicted = watched(py, &interrupt, |_, ()| Ok(()), |_| self.model.predict(&given, flip, &interrupt))?;
        let rows = predicted.ok_or_else(|| PyKeyboardInterrupt::new_err("stopped"))?;
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|p| p.to_ne_bytes()).collect();
        Ok(PyBytes::new(py, &bytes))
    }

    /// Source of a PyTorch module of the same network.
    fn torch_source(&self) -> PyResult<String> {
        to_pytorch(&self.model.graph, &self.model.genotype.to_string()).map_err(failed)
    }

    /// Weights and running statistics as a safetensors file, by the names of the PyTorch module.
    fn safetensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let metadata = metadata(&self.model);
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let bytes = to_safetensors(&self.model.graph, &self.model.export_weights(), &metadata).map_err(failed)?;
        Ok(PyBytes::new(py, &bytes))
    }
}
