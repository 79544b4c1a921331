//! State shared by the stages of an automatic run.

use burn::tensor::Device;

use gdas::Error;
use gdas::data::Dataset;
use gdas::run::{AutoPart, Event, Interrupt, Observer, RunDir};

use crate::budget::{Budget, Watched};
use crate::config::AutoConfig;

pub(crate) struct Work<'a> {
    pub(crate) config: &'a AutoConfig,
    pub(crate) dataset: &'a Dataset,
    pub(crate) run: &'a mut RunDir,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) device: &'a Device,
    pub(crate) budget: &'a Budget,
    /// Highest validation accuracy so far.
    pub(crate) best_accuracy: Option<f64>,
}

impl Work<'_> {
    /// Reports and logs the current activity, and the run in the directory that does it.
    pub(crate) fn report(&mut self, part: AutoPart, doing: String, run: Option<&str>) -> Result<(), Error> {
        let event = Event::AutoProgress {
            part,
            doing,
            run: run.map(str::to_owned),
            best_accuracy: self.best_accuracy,
            used_seconds: self.budget.used(),
            left_seconds: self.budget.left(),
        };
        self.observer.event(&event);
        Ok(self.run.log(&event)?)
    }

    /// The observer of a stage.
    pub(crate) fn watched(&mut self) -> Watched<'_> {
        Watched { observer: self.observer, budget: self.budget, run: self.run }
    }

    /// Estimated seconds for the final test, the export and the rest, for a training with this time per step.
    pub(crate) fn seconds_after_training(&self, seconds_per_step: f64, batch_size: usize) -> f64 {
        let images = self.dataset.test_images().map_or(0, |test| test.len());
        // A forward pass takes about a third of a step; mirrored images need a second one.
        let passes = if self.dataset.flip { 2.0 } else { 1.0 };
        let test = passes * 0.35 * seconds_per_step * images as f64 / batch_size as f64;
        test + (0.01 * self.budget.total()).clamp(0.3, 10.0)
    }
}
