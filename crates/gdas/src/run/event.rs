use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, StepMetrics, TrainEpochMetrics, TrainStepMetrics};
use super::{Judgement, RunError, seal};

/// A failure mode of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// Alpha is nearly uniform late in the search.
    Flat,
    /// The derived cell has parameters on few edges or none.
    ParameterFree,
}

/// A part of an automatic run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoPart {
    /// The time of steps is measured for planning.
    Planning,
    /// The search for a cell.
    Search,
    /// A short training of a candidate network.
    Trial,
    /// The final training.
    Training,
    /// The export of the network.
    Export,
}

/// An event of a run. Epochs and steps count from zero; accuracies and shares are fractions.
///
/// Measured times (`seconds`, `steps_per_second`, `eta_seconds`, `after_seconds`) are informative and affect no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run starts or resumes.
    Started {
        /// "search" or "train".
        task: String,
        /// Version of gdas.
        version: String,
        /// Name of the algorithm, as in the configuration.
        algorithm: String,
        /// Name of the search space.
        space: String,
        /// Name of the data set.
        data: String,
        /// Number of classes.
        classes: usize,
        /// Number of images for the weights.
        train_images: usize,
        /// Number of images for alpha (search) or for the test (train).
        held_out_images: usize,
        /// Number of validation images (train).
        #[serde(default)]
        validation_images: usize,
        /// Number of epochs of the whole run.
        epochs: usize,
        /// Number of steps per epoch.
        steps_per_epoch: usize,
        /// Number of parameters of the network or supernet.
        parameters: usize,
        /// Seed of all randomness.
        seed: u64,
        /// Number of threads.
        threads: usize,
        /// Number of steps done before; zero for a new run.
        step: u64,
    },
    /// Metrics of a step of a search, at the log interval.
    Step(StepMetrics),
    /// End of an epoch of a search.
    Epoch(EpochMetrics),
    /// Metrics of a step of a training, at the log interval.
    TrainStep(TrainStepMetrics),
    /// End of an epoch of a training.
    TrainEpoch(TrainEpochMetrics),
    /// The search stops early.
    EarlyStop {
        /// The last epoch.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// The rule that triggered, and the cell that is reported.
        reason: String,
    },
    /// Progress of judging candidate cells after the last step, one event before each.
    Judging {
        /// Steps done in the whole run.
        step: u64,
        /// Number of candidates.
        candidates: usize,
        /// Number judged so far.
        #[serde(default)]
        done: usize,
        /// Estimated time left in seconds.
        #[serde(default)]
        eta_seconds: f64,
    },
    /// A cell was chosen by judges.
    Judged(Judgement),
    /// A failure mode was detected; the search continues.
    Alarm {
        /// The epoch in which it was detected.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// The failure mode.
        alarm: Alarm,
        /// Explanation and advice.
        message: String,
    },
    /// A checkpoint was saved.
    Checkpoint {
        /// The epoch of the checkpoint.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// Number of the checkpoint in the run.
        generation: u64,
        /// Size of the file in bytes.
        bytes: u64,
        /// Duration of the save in seconds.
        seconds: f64,
    },
    /// A warning; the run continues.
    Warning {
        /// The warning, with advice.
        message: String,
    },
    /// The run stops on request, with a checkpoint of this step.
    Interrupted {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The run pauses on request, with a checkpoint of this step.
    Paused {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The run continues after a pause.
    Continued {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The final network of a training was tested, and the answers are stored.
    Tested {
        /// Steps done in the whole run; zero for a test after its end.
        step: u64,
        /// Number of test images.
        images: u64,
        /// Expected calibration error, in 0..=1.
        calibration_error: f64,
        /// Speed of the test.
        images_per_second: f64,
        /// Median time for a single image, in seconds; absent for slow networks.
        latency_seconds: Option<f64>,
    },
    /// The run is finished.
    Finished {
        /// Steps done in the whole run.
        step: u64,
        /// The cell found (search) or trained.
        genotype: String,
        /// Accuracy on the held-out (search) or test images (train).
        accuracy: Option<f64>,
        /// Time since this process started or resumed the run, in seconds.
        seconds: f64,
    },
    /// An automatic run starts a part of its work.
    AutoProgress {
        /// The part.
        part: AutoPart,
        /// Description of the current activity.
        doing: String,
        /// Directory of the run that does it, relative to that of the automatic run, such as `tried/1-2`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// Highest validation accuracy of the networks tried so far.
        best_accuracy: Option<f64>,
        /// Used part of the budget in seconds.
        used_seconds: f64,
        /// Remaining part of the budget in seconds.
        left_seconds: f64,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

/// Formats the event as one line for display.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        match self {
            Self::Started { task, space, data, epochs, steps_per_epoch, seed, .. } => {
                write!(f, "{task} in {space} on {data}: {epochs} epochs of {steps_per_epoch} steps, seed {seed}")
            }
            Self::Step(step) => write!(
                f,
                "step {}: training loss {:.3}, held-out accuracy {:.1} %",
                step.step,
                step.metrics.train_loss,
                percent(step.metrics.held_out_accuracy)
            ),
            Self::TrainStep(step) => {
                let accuracy = percent(step.train_accuracy);
                write!(f, "step {}: training loss {:.3}, accuracy {accuracy:.1} %", step.step, step.train_loss)
            }
            Self::Epoch(EpochMetrics { epoch, epochs, metrics, genotype, .. }) => write!(
                f,
                "epoch {} of {epochs}: training loss {:.3}, held-out accuracy {:.1} %, {genotype}",
                epoch + 1,
                metrics.train_loss,
                percent(metrics.held_out_accuracy)
            ),
            Self::TrainEpoch(TrainEpochMetrics {
                epoch, epochs, train_loss, train_accuracy, test_accuracy, ..
            }) => {
                let accuracy = percent(*train_accuracy);
                write!(f, "epoch {} of {epochs}: training loss {train_loss:.3}, accuracy {accuracy:.1} %", epoch + 1)?;
                test_accuracy.map_or(Ok(()), |accuracy| write!(f, ", test accuracy {:.1} %", percent(accuracy)))
            }
            Self::EarlyStop { reason, .. } => write!(f, "early stop: {reason}"),
            Self::Judging { candidates, done, .. } => write!(f, "judging: {done} of {candidates} cells done"),
            Self::Checkpoint { step, bytes, .. } => write!(f, "checkpoint after step {step}, {bytes} bytes"),
            Self::Warning { message } => write!(f, "warning: {message}"),
            Self::Interrupted { step } => write!(f, "stopped after step {step}"),
            Self::Paused { step } => write!(f, "paused after step {step}"),
            Self::Continued { step } => write!(f, "continued after step {step}"),
            Self::Tested { images, calibration_error, images_per_second, .. } => write!(
                f,
                "tested on {images} images, {images_per_second:.0} a second: calibration error {:.1} %",
                percent(*calibration_error)
            ),
            Self::Finished { genotype, accuracy, seconds, .. } => {
                write!(f, "finished in {seconds:.1} s: {genotype}")?;
                accuracy.map_or(Ok(()), |accuracy| write!(f, ", accuracy {:.1} %", percent(accuracy)))
            }
            Self::AutoProgress { doing, best_accuracy, left_seconds, .. } => {
                write!(f, "{doing}, {left_seconds:.0} s left")?;
                best_accuracy.map_or(Ok(()), |accuracy| write!(f, ", best so far {:.1} %", percent(accuracy)))
            }
            // Other events are shown as in the log.
            other => f.write_str(&serde_json::to_string(other).map_err(|_| fmt::Error)?),
        }
    }
}

/// Receives the events of a run as they occur, for example to display progress.
///
/// Implemented for every `FnMut(&Event)`.
pub trait Observer {
    /// Called with every event.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// An observer that ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event) {}
}

/// Reads an event log. An incomplete last line, left by a killed process, is ignored.
///
/// # Errors
/// If the file cannot be read, or a complete line is not an event; the message names the line.
pub fn read_events(path: &Path) -> Result<Vec<Event>, RunError> {
    let bytes = fs::read(path).map_err(RunError::io("read", path))?;
    let whole = &bytes[..whole_lines(&bytes)];
    let lines = whole.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            parse(line).map_err(|what| {
                let text = format!("line {} {what}; remove it to read the others", number + 1);
                RunError::io("read", path)(io::Error::new(io::ErrorKind::InvalidData, text))
            })
        })
        .collect()
}

/// Parses a line of the log as an event or as another type; the error describes the line.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    seal::check_event(line).map_err(|_| "is damaged: its checksum does not match".to_owned())?;
    serde_json::from_slice(line).map_err(|error| format!("is not an event: {error}"))
}

/// Length of `bytes` up to the end of the last complete line.
pub(super) fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the log are what other programs read; the order is what people read.
    #[test]
    fn keys_of_metrics_stay_and_old_logs_are_read() {
        let lines = [
            r#"{"event":"step","epoch":1,"step":12,"train_loss":1.5,"train_accuracy":0.5,"held_out_loss":2.0,"held_out_accuracy":0.25,"tau":9.5,"learning_rate":0.025,"picked":[[0,4]],"steps_per_second":3.0}"#,
            r#"{"event":"epoch","epoch":1,"epochs":2,"step":12,"train_loss":1.5,"train_accuracy":0.5,"held_out_loss":2.0,"held_out_accuracy":0.25,"tau":9.5,"learning_rate":0.025,"alpha_rests":false,"alphas":[{"name":"cell","alphas":[[0.5,-0.25]]}],"genotype":"|none~0|","parameter_free":0.5,"redraws":0,"steps_per_second":3.0,"eta_seconds":4.0}"#,
            r#"{"event":"train_epoch","epoch":1,"epochs":2,"step":12,"train_loss":1.5,"train_accuracy":0.5,"test_loss":null,"test_accuracy":0.75,"test_top5":null,"validation_loss":null,"validation_accuracy":0.5,"learning_rate":0.025,"drop_path":0.1,"steps_per_second":3.0,"eta_seconds":4.0}"#,
        ];
        for line in lines {
            let event: Event = serde_json::from_str(line).expect("an event");
            assert_eq!(serde_json::to_string(&event).expect("JSON"), line);
            // Earlier builds had no such keys.
            let old = line.replace(r#""alpha_rests":false,"#, "");
            let old = old.replace(r#""validation_loss":null,"validation_accuracy":0.5,"#, "");
            let mut parsed: Event = serde_json::from_str(&old).expect("an event of an earlier build");
            if let Event::TrainEpoch(epoch) = &mut parsed {
                assert_eq!(epoch.validation_accuracy.take(), None);
                epoch.validation_accuracy = Some(0.5);
            }
            assert_eq!(parsed, event);
        }
        let missing = lines[0].replace(r#""tau":9.5,"#, "");
        let error = serde_json::from_str::<Event>(&missing).expect_err("a key is missing").to_string();
        assert!(error.contains("tau"), "{error}");
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_bad_one_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("events.jsonl");
        let good = r#"{"time":1.5,"event":"warning","message":"m"}"#;
        fs::write(&path, format!("{good}\n{{\"event\":\"from_the_future\",\"x\":1}}\n{{\"event\":\"fini"))
            .expect("write");
        let events = read_events(&path).expect("readable");
        assert_eq!(events, [Event::Warning { message: "m".to_string() }, Event::Unknown]);

        fs::write(&path, format!("{good}\nnonsense\n")).expect("write");
        let error = read_events(&path).expect_err("a bad line").to_string();
        assert!(error.contains("events.jsonl") && error.contains("line 2"), "{error}");
    }
}
