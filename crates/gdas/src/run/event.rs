use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, StepMetrics, TrainEpochMetrics, TrainStepMetrics};
use super::{Judgement, RunError, seal};

/// How a search goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// Alpha is nearly uniform, late in the search.
    Flat,
    /// Alpha's cell has parameters on few edges or none.
    ParameterFree,
}

/// A part of an automatic run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoPart {
    /// Steps are timed, to plan what follows.
    Planning,
    /// A cell is searched.
    Search,
    /// A network is trained briefly, to compare it with others.
    Trial,
    /// The network that was chosen is trained.
    Training,
    /// Its files are written.
    Export,
}

/// An event of a run. Epochs and steps count from zero; accuracies and shares are fractions.
///
/// Fields that come from a clock (`seconds`, `steps_per_second`, `eta_seconds`) are for the reader of the log alone
/// and enter no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run starts, or goes on.
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
        /// Images that the weights learn from.
        train_images: usize,
        /// Images that alpha learns from (search) or that test the network (train).
        held_out_images: usize,
        /// Images that choose the epoch (train).
        #[serde(default)]
        validation_images: usize,
        /// Epochs of the whole run.
        epochs: usize,
        /// Steps of one epoch.
        steps_per_epoch: usize,
        /// Learned numbers of the (super-)network.
        parameters: usize,
        /// Seed of all randomness.
        seed: u64,
        /// Threads at work.
        threads: usize,
        /// Steps done before: zero for a new run, more for one that goes on.
        step: u64,
    },
    /// A sampled step of a search.
    Step(StepMetrics),
    /// An epoch of a search is over.
    Epoch(EpochMetrics),
    /// A sampled step of training from scratch.
    TrainStep(TrainStepMetrics),
    /// An epoch of training from scratch is over.
    TrainEpoch(TrainEpochMetrics),
    /// The search ends before its last epoch.
    EarlyStop {
        /// The epoch after which it ends.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// Which rule held, and which cell is reported.
        reason: String,
    },
    /// The steps are done; candidates for the cell are judged, one event before each.
    Judging {
        /// Steps done in the whole run.
        step: u64,
        /// How many.
        candidates: usize,
        /// Judged so far.
        #[serde(default)]
        done: usize,
        /// Time left for the others.
        #[serde(default)]
        eta_seconds: f64,
    },
    /// A cell is chosen among them.
    Judged(Judgement),
    /// The search goes wrong in a known way. It goes on all the same.
    Alarm {
        /// The epoch with which it begins.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// What goes wrong.
        alarm: Alarm,
        /// What that means, and what can be done.
        message: String,
    },
    /// A checkpoint is durable.
    Checkpoint {
        /// The epoch it was taken in.
        epoch: usize,
        /// Steps done in the whole run.
        step: u64,
        /// Its number among the checkpoints of this run.
        generation: u64,
        /// Size of the file.
        bytes: u64,
        /// Time it took.
        seconds: f64,
    },
    /// Something that the user should know and that stops nothing.
    Warning {
        /// What, and what to do about it.
        message: String,
    },
    /// The run stops before its end because it was asked to, with a checkpoint of this very step.
    Interrupted {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The run waits, because it was asked to, with a checkpoint of this very step.
    Paused {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The run goes on after a pause.
    Continued {
        /// Steps done in the whole run.
        step: u64,
    },
    /// The network that a training hands out was tested, and how it answered each image is written.
    Tested {
        /// Steps done in the whole run; zero of a test after its end.
        step: u64,
        /// Number of test images.
        images: u64,
        /// Expected calibration error, in 0..=1.
        calibration_error: f64,
        /// Speed of the test.
        images_per_second: f64,
        /// Time for one image alone, the median of several tries, in seconds; not measured where it is long.
        latency_seconds: Option<f64>,
    },
    /// The run is at its end.
    Finished {
        /// Steps done in the whole run.
        step: u64,
        /// The cell found (search) or trained.
        genotype: String,
        /// Its accuracy on the held-out (search) or test (train) images.
        accuracy: Option<f64>,
        /// Time since this process started the run or took it up again.
        seconds: f64,
    },
    /// An automatic run begins with a part of its work.
    AutoProgress {
        /// Which part.
        part: AutoPart,
        /// What it does now, in words.
        doing: String,
        /// The run that does it, by its directory in that of the automatic run, as in `tried/1-2`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// Highest validation accuracy of the networks tried so far.
        best_accuracy: Option<f64>,
        /// Time used of the budget.
        used_seconds: f64,
        /// Time left of it.
        left_seconds: f64,
    },
    /// An event of a newer version of gdas.
    #[serde(other)]
    Unknown,
}

/// One line for people.
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
            // The log's own form says the most of what has no sentence yet.
            other => f.write_str(&serde_json::to_string(other).map_err(|_| fmt::Error)?),
        }
    }
}

/// Receives the events of a run as they happen; the `gdas` program draws its progress display from them.
///
/// Any `FnMut(&Event)` is one.
pub trait Observer {
    /// Something happened.
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

/// Reads an event log. A last line without its end is the mark of a killed process and is left out.
///
/// # Errors
/// The file cannot be read, or a whole line of it is no event; the message names the line.
pub fn read_events(path: &Path) -> Result<Vec<Event>, RunError> {
    let bytes = fs::read(path).map_err(RunError::io("read", path))?;
    let whole = &bytes[..whole_lines(&bytes)];
    let lines = whole.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            parse(line).map_err(|what| {
                let text = format!("line {} {what}; take it out to read the others", number + 1);
                RunError::io("read", path)(io::Error::new(io::ErrorKind::InvalidData, text))
            })
        })
        .collect()
}

/// An event, or what else its time is read with; the error says what the line is instead.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    seal::check_event(line).map_err(|_| "is damaged: its checksum does not match".to_owned())?;
    serde_json::from_slice(line).map_err(|error| format!("is no event: {error}"))
}

/// Length of `bytes` up to the end of its last complete line.
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
