//! Images from memory, and image files named one by one.

use std::path::PathBuf;
use std::sync::Arc;

use gdas::data::{Dataset as Data, Images as Partition};
use gdas_data::{LabelledFile, Options, open_files};
use pyo3::prelude::*;
use serde_json::json;

use crate::{failed, wrong};

/// Images of one size that are handed over piece by piece.
#[pyclass(module = "gdas._gdas")]
pub(crate) struct Images {
    pub(crate) images: Partition,
}

#[pymethods]
impl Images {
    #[new]
    fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { images: Partition::empty(height, width, channels) }
    }

    /// Adds images: bytes `[n, height, width, channels]`.
    fn append(&mut self, pixels: &[u8]) -> PyResult<()> {
        let size = self.images.image_len();
        if size == 0 || !pixels.len().is_multiple_of(size) {
            return Err(wrong(format!("{} bytes are no whole images of {size} bytes", pixels.len())));
        }
        let images = &mut self.images;
        images.pixels.try_reserve(pixels.len()).map_err(failed)?;
        images.pixels.extend_from_slice(pixels);
        images.labels.resize(images.pixels.len() / size, 0);
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.images.len()
    }
}

impl Images {
    /// Gives the images away.
    pub(crate) fn take(&mut self) -> Partition {
        let Partition { height, width, channels, .. } = self.images;
        std::mem::replace(&mut self.images, Partition::empty(height, width, channels))
    }

    fn labelled(&mut self, labels: Vec<u32>) -> PyResult<Arc<Partition>> {
        if labels.len() != self.images.len() {
            return Err(wrong(format!("{} labels for {} images", labels.len(), self.images.len())));
        }
        Ok(Arc::new(Partition { labels, ..self.take() }))
    }
}

/// A data set in memory.
#[pyclass(module = "gdas._gdas", frozen)]
pub(crate) struct Dataset {
    pub(crate) dataset: Data,
}

#[pymethods]
impl Dataset {
    /// The images become the data set's own. Without test images a share `hold_out` of each class is held out.
    #[staticmethod]
    #[pyo3(signature = (name, classes, train, train_labels, test, test_labels, hold_out, flip))]
    fn from_images(
        name: &str,
        classes: Vec<String>,
        mut train: PyRefMut<Images>,
        train_labels: Vec<u32>,
        test: Option<PyRefMut<Images>>,
        test_labels: Vec<u32>,
        hold_out: f64,
        flip: bool,
    ) -> PyResult<Self> {
        let train = train.labelled(train_labels)?;
        let test = test.map(|mut test| test.labelled(test_labels)).transpose()?;
        let dataset = Data::in_memory(name, classes, train, test).map_err(wrong)?;
        Ok(Self { dataset: Data { flip, ..dataset.hold_out(hold_out) } })
    }

    /// `files`: path, class, and whether it is a test image.
    #[staticmethod]
    #[pyo3(signature = (name, files, image_size, skip_damaged, hold_out, flip))]
    fn from_files(
        py: Python,
        name: &str,
        files: Vec<(PathBuf, String, bool)>,
        image_size: Option<usize>,
        skip_damaged: bool,
        hold_out: f64,
        flip: bool,
    ) -> PyResult<Self> {
        let files: Vec<LabelledFile> =
            files.into_iter().map(|(path, class, test)| LabelledFile { path, class, test }).collect();
        let options = Options { image_size, skip_damaged, hold_out, ..Options::default() };
        let dataset = py.detach(|| open_files(name, &files, &options)).map_err(failed)?;
        Ok(Self { dataset: Data { flip, ..dataset } })
    }

    /// What the data set holds, as JSON.
    fn describe(&self) -> String {
        let Data { name, classes, train, test, notes, flip, held_out, .. } = &self.dataset;
        json!({
            "name": name, "classes": classes, "train": train.len(), "test": test.as_ref().map_or(0, |test| test.len()),
            "shape": [train.height, train.width, train.channels], "notes": notes, "flip": flip, "held_out": held_out,
        })
        .to_string()
    }

    /// Digest of every pixel, label and class name.
    fn digest(&self, py: Python) -> String {
        py.detach(|| self.dataset.digest())
    }
}
