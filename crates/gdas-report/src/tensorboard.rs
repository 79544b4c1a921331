//! Event files of a run's scalars for TensorBoard.
//!
//! An event file is a sequence of records (`TFRecord`): length, checksum of the length, a protocol buffer
//! (`tensorflow.Event`), its checksum. Both checksums are masked CRC-32C; see
//! <https://www.tensorflow.org/tutorials/load_data/tfrecord>.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gdas::config::space_of;
use gdas::run::{AlphaTable, EpochMetrics, Event, StepMetrics, read_config};
use gdas::space::Space;
use gdas_exchange::export::protobuf::Message;

/// Directory of the event files within a run directory.
const DIRECTORY: &str = "tensorboard";
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".gdas";

/// Writer of event files in a run directory, one per process.
///
/// A run resumed from a checkpoint repeats steps. The earlier files are then truncated to the checkpoint, and the new one
/// contains a session start for a TensorBoard that has read them already, so that no step appears twice.
#[derive(Debug)]
pub struct TensorBoard {
    run: PathBuf,
    directory: PathBuf,
    file: Option<File>,
    space: Option<Arc<Space>>,
}

impl TensorBoard {
    /// A writer for the run at `path`; files are created when it starts.
    pub fn new(path: &Path) -> Self {
        Self { run: path.to_path_buf(), directory: path.join(DIRECTORY), file: None, space: None }
    }

    /// Writes the scalars of an event.
    ///
    /// # Errors
    /// If the files cannot be written, or earlier ones cannot be read.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { step, space, .. } => {
                // If the names of the operations are unavailable, columns are numbered.
                let whole = read_config(&self.run).ok().and_then(|text| space_of(&text).ok());
                self.space = whole.or_else(|| Space::find(space));
                self.start(*step)
            }
            Event::Step(StepMetrics { step, metrics, .. }) => self.scalars(
                *step,
                &[
                    ("step/train_loss", metrics.train_loss),
                    ("step/train_accuracy", metrics.train_accuracy),
                    ("step/held_out_loss", metrics.held_out_loss),
                    ("step/held_out_accuracy", metrics.held_out_accuracy),
                ],
            ),
            Event::Epoch(EpochMetrics { step, metrics, alphas, parameter_free, .. }) => {
                let alphas = self.alphas(alphas);
                let mut scalars = vec![
                    ("loss/train", metrics.train_loss),
                    ("loss/held_out", metrics.held_out_loss),
                    ("accuracy/train", metrics.train_accuracy),
                    ("accuracy/held_out", metrics.held_out_accuracy),
                    ("schedule/tau", metrics.tau),
                    ("schedule/learning_rate", metrics.learning_rate),
                    ("cell/parameter_free", *parameter_free),
                ];
                scalars.extend(alphas.iter().map(|(tag, value)| (tag.as_str(), *value)));
                self.scalars(*step, &scalars)
            }
            Event::TrainEpoch(epoch) => {
                let mut scalars = vec![
                    ("loss/train", epoch.train_loss),
                    ("accuracy/train", epoch.train_accuracy),
                    ("schedule/learning_rate", epoch.learning_rate),
                    ("schedule/drop_path", epoch.drop_path),
                ];
                let tested = [
                    ("loss/test", epoch.test_loss),
                    ("accuracy/test", epoch.test_accuracy),
                    ("accuracy/test_top5", epoch.test_top5),
                    ("loss/validation", epoch.validation_loss),
                    ("accuracy/validation", epoch.validation_accuracy),
                ];
                scalars.extend(tested.into_iter().filter_map(|(tag, value)| Some((tag, value?))));
                self.scalars(epoch.step, &scalars)
            }
            _ => Ok(()),
        }
    }

    /// Logit and probability of every operation of every edge.
    fn alphas(&self, tables: &[AlphaTable]) -> Vec<(String, f64)> {
        let mut scalars = Vec::new();
        for (t, table) in tables.iter().enumerate() {
            let cell = self.space.as_ref().and_then(|space| space.cells.get(t));
            for (e, (logits, probabilities)) in table.alphas.iter().zip(table.probabilities()).enumerate() {
                let edge = cell.and_then(|cell| cell.edges().get(e).map(|edge| format!("{}-{}", edge.from, edge.to)));
                let edge = edge.unwrap_or_else(|| e.to_string());
                for (k, p) in probabilities.into_iter().enumerate() {
                    let operation =
                        cell.and_then(|cell| cell.operations.get(k)).map(|operation| operation.name.clone());
                    let operation = operation.unwrap_or_else(|| k.to_string());
                    let place = format!("{}/{edge}/{operation}", table.name);
                    scalars.push((format!("alpha/{place}"), f64::from(logits[k])));
                    scalars.push((format!("probability/{place}"), p));
                }
            }
        }
        scalars
    }

    fn start(&mut self, step: u64) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut number = 0;
        for (at, path) in files(&self.directory)? {
            number = number.max(at + 1);
            cut(&path, step)?;
        }
        // TensorBoard reads the files of a directory in alphabetical order.
        let path = self.directory.join(format!("{PREFIX}{number:010}{SUFFIX}"));
        self.file = Some(OpenOptions::new().create_new(true).append(true).open(path)?);
        self.write(&Message::new().text(3, "brain.Event:2"))?;
        if step > 0 {
            // SessionLog.START: invalidates the later steps that were read before.
            let session = Message::new().int(1, 1);
            self.write(&Message::new().int(2, step as i64 + 1).message(7, &session))?;
        }
        Ok(())
    }

    fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> io::Result<()> {
        let summary = Message::new().each(scalars, |summary, (tag, value)| {
            summary.message(1, &Message::new().text(1, tag).float(2, *value as f32))
        });
        self.write(&Message::new().int(2, step as i64).message(5, &summary))
    }

    fn write(&mut self, event: &Message) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // The time of day is only informative, as in the event log.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let bytes = [Message::new().double(1, time).into_bytes(), event.clone().into_bytes()].concat();
        file.write_all(&record(&bytes))
    }
}

/// The event files of a directory with their numbers, in order.
fn files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Truncates a file to its records of steps up to `step`; also removes an incomplete record of a killed process.
fn cut(path: &Path, step: u64) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let mut end = 0;
    while let Some(event) = read_record(&bytes[end..]) {
        if step_of(event).is_some_and(|at| at > step) {
            break;
        }
        end += event.len() + 16;
    }
    if end < bytes.len() { OpenOptions::new().write(true).open(path)?.set_len(end as u64) } else { Ok(()) }
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length).to_le_bytes(), bytes, &masked_crc(bytes).to_le_bytes()].concat()
}

/// The content of the record at the start of `bytes`, if it is complete and undamaged.
fn read_record(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.first_chunk::<8>()?;
    let number = |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
    if number(8)? != masked_crc(length) {
        return None;
    }
    let end = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(12)?;
    let content = bytes.get(12..end)?;
    (number(end)? == masked_crc(content)).then_some(content)
}

/// The step (field 2) of an event written by this module, in which it is the second field.
fn step_of(event: &[u8]) -> Option<u64> {
    let rest = event.get(9..)?;
    let (0x10, mut bytes) = (*rest.first()?, rest[1..].iter()) else { return None };
    let (mut step, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.next()?;
        step |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(step);
        }
        shift += 7;
    }
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), computed bit by bit, as there are only a few kilobytes per epoch.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalogue, and RFC 3720's.
    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    fn step(step: u64) -> Event {
        Event::Step(StepMetrics { step, ..StepMetrics::default() })
    }

    fn started(step: u64) -> Event {
        let text = format!(
            "{{\"event\":\"started\",\"task\":\"search\",\"version\":\"\",\"algorithm\":\"gdas\",\"space\":\"nasnet\",\
             \"data\":\"\",\"classes\":1,\"train_images\":1,\"held_out_images\":1,\"epochs\":1,\"steps_per_epoch\":9,\
             \"parameters\":1,\"seed\":0,\"threads\":1,\"step\":{step}}}"
        );
        serde_json::from_str(&text).expect("an event")
    }

    fn steps(path: &Path) -> Vec<u64> {
        let mut steps = Vec::new();
        for (_, file) in files(&path.join(DIRECTORY)).expect("readable") {
            let bytes = fs::read(file).expect("readable");
            let mut at = 0;
            while let Some(event) = read_record(&bytes[at..]) {
                at += event.len() + 16;
                steps.extend(step_of(event));
            }
            assert_eq!(at, bytes.len(), "only whole records");
        }
        steps
    }

    #[test]
    fn no_step_is_there_twice_after_a_resume() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut board = TensorBoard::new(dir.path());
        board.event(&started(0)).expect("writable");
        for at in [1, 2, 200, 300] {
            board.event(&step(at)).expect("writable");
        }
        // Killed in the midst of a record.
        let (_, file) = files(&dir.path().join(DIRECTORY)).expect("readable").remove(0);
        let torn = [fs::read(&file).expect("readable"), vec![7; 5]].concat();
        fs::write(&file, torn).expect("writable");

        let mut board = TensorBoard::new(dir.path());
        board.event(&started(200)).expect("writable");
        board.event(&step(201)).expect("writable");
        // 201 is there as the start of the session and as a step.
        assert_eq!(steps(dir.path()), [1, 2, 200, 201, 201]);
        let mut board = TensorBoard::new(dir.path());
        board.event(&started(0)).expect("writable");
        assert_eq!(steps(dir.path()), [] as [u64; 0]);
    }

    #[test]
    fn damage_ends_the_reading() {
        let mut bytes = record(b"content");
        assert_eq!(read_record(&bytes), Some(&b"content"[..]));
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(read_record(&bytes), None, "{at}");
            bytes[at] ^= 1;
        }
        assert_eq!(read_record(&[]), None);
    }
}
