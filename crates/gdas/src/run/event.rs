use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Judgement, RunError, seal};
use crate::alpha::Alpha;
use crate::budget::Standing;

/// The logits of one alpha table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlphaTable {
    /// Which kind of cell they belong to, as in "normal".
    pub name: String,
    /// One row per edge, one logit per operation.
    pub alphas: Vec<Vec<f32>>,
}

impl AlphaTable {
    /// Rounded to `f32`: for readers of the log, not for going on.
    pub fn new(name: &str, alpha: &Alpha) -> Self {
        let row = |row: &[f64]| row.iter().map(|&a| a as f32).collect();
        Self { name: name.to_owned(), alphas: alpha.rows().map(row).collect() }
    }
}

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
    Step {
        /// The epoch it belongs to.
        epoch: usize,
        /// Its number in the whole run.
        step: u64,
        /// Cross-entropy of the training batch.
        train_loss: f64,
        /// Accuracy on the training batch.
        train_accuracy: f64,
        /// Cross-entropy of the held-out batch.
        held_out_loss: f64,
        /// Accuracy on the held-out batch.
        held_out_accuracy: f64,
        /// Temperature of the draw.
        tau: f64,
        /// Learning rate of the weights.
        learning_rate: f64,
        /// Operation drawn per edge in the weight step, one row per alpha table.
        picked: Vec<Vec<usize>>,
        /// Speed since the step logged before.
        steps_per_second: f64,
    },
    /// An epoch of a search is over.
    Epoch {
        /// Its number.
        epoch: usize,
        /// Epochs of the whole run.
        epochs: usize,
        /// Steps done in the whole run.
        step: u64,
        /// Mean cross-entropy of the training batches.
        train_loss: f64,
        /// Mean accuracy on the training batches.
        train_accuracy: f64,
        /// Mean cross-entropy of the held-out batches.
        held_out_loss: f64,
        /// Mean accuracy on the held-out batches.
        held_out_accuracy: f64,
        /// Temperature of the draw in this epoch.
        tau: f64,
        /// Learning rate of its last step.
        learning_rate: f64,
        /// Whether alpha rested in this epoch, while the weights learned.
        #[serde(default)]
        alpha_rests: bool,
        /// Alpha at its end.
        alphas: Vec<AlphaTable>,
        /// Expected costs beside their bounds at its end.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        costs: Vec<Standing>,
        /// The cell derived from alpha at its end.
        genotype: String,
        /// Share of that cell's edges whose operation has no parameters (skip, pool, none).
        parameter_free: f64,
        /// Draws repeated because they were not finite.
        redraws: u64,
        /// Speed of this epoch.
        steps_per_second: f64,
        /// Time left at this speed.
        eta_seconds: f64,
    },
    /// An epoch of training from scratch is over.
    TrainEpoch {
        /// Its number.
        epoch: usize,
        /// Epochs of the whole run.
        epochs: usize,
        /// Steps done in the whole run.
        step: u64,
        /// Mean cross-entropy of the training batches.
        train_loss: f64,
        /// Mean accuracy on the training batches.
        train_accuracy: f64,
        /// Cross-entropy of the test images, where this epoch was tested.
        test_loss: Option<f64>,
        /// Top-1 accuracy on the test images.
        test_accuracy: Option<f64>,
        /// Top-5 accuracy on the test images, where there are more than five classes.
        test_top5: Option<f64>,
        /// Cross-entropy of the validation images, where there are some and this epoch was validated.
        #[serde(default)]
        validation_loss: Option<f64>,
        /// Top-1 accuracy on them.
        #[serde(default)]
        validation_accuracy: Option<f64>,
        /// Learning rate of its last step.
        learning_rate: f64,
        /// Share of paths dropped in this epoch.
        drop_path: f64,
        /// Speed of this epoch.
        steps_per_second: f64,
        /// Time left at this speed.
        eta_seconds: f64,
    },
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
    /// An automatic run begins with a part of its work. It is only reported, not logged.
    AutoProgress {
        /// Which part.
        part: AutoPart,
        /// What it does now, in words.
        doing: String,
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
            Self::Step { step, train_loss, held_out_accuracy, .. } => {
                write!(
                    f,
                    "step {step}: training loss {train_loss:.3}, held-out accuracy {:.1} %",
                    percent(*held_out_accuracy)
                )
            }
            Self::Epoch { epoch, epochs, train_loss, held_out_accuracy, genotype, .. } => write!(
                f,
                "epoch {} of {epochs}: training loss {train_loss:.3}, held-out accuracy {:.1} %, {genotype}",
                epoch + 1,
                percent(*held_out_accuracy)
            ),
            Self::TrainEpoch { epoch, epochs, train_loss, train_accuracy, test_accuracy, .. } => {
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
