use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::Position;
use super::event::whole_lines;
use super::storage::Storage;
use super::{Checkpoint, Event, Observer, RunError, control, lock, phase, seal};

pub(super) const CONFIG: &str = "config.toml";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const RESULT: &str = "result.json";
const CHECKPOINTS: [&str; 2] = ["checkpoint.0", "checkpoint.1"];

/// A run directory locked by this process.
///
/// ```
/// # let temporary = tempfile::tempdir()?;
/// # let path = temporary.path().join("digits");
/// use gdas::run::{Array, Checkpoint, RunDir};
///
/// let mut run = RunDir::create(&path, "epochs = 3\n")?;
/// let mut checkpoint = Checkpoint::new(&serde_json::json!({ "step": 7 }))?;
/// checkpoint.insert("alpha", Array::f32(&[2], vec![0.5, -0.5]));
/// run.save(&checkpoint)?;
/// drop(run);
///
/// let mut run = RunDir::open(&path)?;
/// let loaded = run.load()?.expect("one was saved");
/// assert_eq!(loaded.checkpoint, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunDir {
    path: PathBuf,
    storage: Storage,
    log: File,
    log_length: u64,
    /// The newest valid checkpoint; the next save goes to the other slot.
    newest: Newest,
    /// Hash of `config.toml`; stored in every checkpoint to detect damage of that file.
    config: blake3::Hash,
    _lock: File,
}

#[derive(Clone, Copy)]
enum Newest {
    NotLooked,
    Absent,
    At { slot: usize, generation: u64 },
}

/// A loaded checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// The newest valid checkpoint.
    pub checkpoint: Checkpoint,
    /// Number of the checkpoint in the run.
    pub generation: u64,
    /// Warnings about damaged files, for the user.
    pub warnings: Vec<String>,
}

/// Report on a saved checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// Number of the checkpoint in the run.
    pub generation: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Duration of the save in seconds; for the log only.
    pub seconds: f64,
}

impl Saved {
    /// The event for the log.
    pub fn event(self, epoch: usize, step: u64) -> Event {
        let Self { generation, bytes, seconds } = self;
        Event::Checkpoint { epoch, step, generation, bytes, seconds }
    }
}

impl RunDir {
    /// Creates a run directory (and its parents) with this resolved configuration.
    ///
    /// # Errors
    /// If there is a run already, another process works there, or the directory cannot be written.
    pub fn create(path: impl Into<PathBuf>, config: &str) -> Result<Self, RunError> {
        Self::create_on(Storage::disk(), path, config)
    }

    /// As [`create`](Self::create), with all writes through `storage`.
    pub fn create_on(storage: Storage, path: impl Into<PathBuf>, config: &str) -> Result<Self, RunError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(RunError::io("create", &path))?;
        let lock = lock::acquire(&path)?;
        if path.join(CONFIG).exists() {
            return Err(RunError::Exists(path));
        }
        // The configuration is written last: it makes the directory a run.
        let log = storage.append(&path.join(EVENTS))?;
        log.set_len(0).map_err(RunError::io("empty", &path.join(EVENTS)))?;
        let config = seal::seal_config(config);
        storage.replace(&path.join(CONFIG), &[config.as_bytes()])?;
        let config = blake3::hash(config.as_bytes());
        Ok(Self { path, storage, log, log_length: 0, newest: Newest::Absent, config, _lock: lock })
    }

    /// Opens the run at `path` to resume it.
    ///
    /// # Errors
    /// If there is no run, another process works in it, or it cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        Self::open_on(Storage::disk(), path)
    }

    /// As [`open`](Self::open), with all writes through `storage`.
    pub fn open_on(storage: Storage, path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        if !path.join(CONFIG).is_file() {
            return Err(RunError::Missing(path));
        }
        let lock = lock::acquire(&path)?;
        control::forget(&path)?;
        let events = path.join(EVENTS);
        let log = storage.append(&events)?;
        let log_length = log.metadata().map_err(RunError::io("read", &events))?.len();
        let file = path.join(CONFIG);
        let config = blake3::hash(&fs::read(&file).map_err(RunError::io("read", &file))?);
        Ok(Self { path, storage, log, log_length, newest: Newest::NotLooked, config, _lock: lock })
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration, as TOML.
    pub fn config(&self) -> Result<String, RunError> {
        read_config(&self.path)
    }

    /// Whether the run is finished: its result has been written.
    pub fn is_finished(&self) -> bool {
        self.path.join(RESULT).is_file()
    }

    /// Appends an event to the log, with the time of day.
    pub fn log(&mut self, event: &Event) -> Result<(), RunError> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: f64,
            #[serde(flatten)]
            event: &'a Event,
        }
        // A clock before 1970 is no reason to stop a run, as the time is only informative.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| (d.as_secs_f64() * 1e3).round() / 1e3);
        let line = serde_json::to_vec(&Line { time, event })
            .map_err(|e| RunError::Content(format!("cannot write an event: {e}")))?;
        let mut line = seal::seal_event(line);
        line.push(b'\n');
        let path = self.path.join(EVENTS);
        if self.is_gone() {
            return Err(RunError::Gone(self.path.clone()));
        }
        if let Err(error) = self.storage.write(&self.log, &path, &line) {
            // Remove the incomplete line, so that the log stays readable.
            let _ = self.log.set_len(self.log_length);
            return Err(error);
        }
        self.log_length += line.len() as u64;
        Ok(())
    }

    /// Whether the open event log is no longer the one in the directory.
    fn is_gone(&self) -> bool {
        let there = match fs::metadata(self.path.join(EVENTS)) {
            Ok(there) => there,
            Err(error) => return error.kind() == io::ErrorKind::NotFound,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let place = |file: &fs::Metadata| (file.dev(), file.ino());
            self.log.metadata().is_ok_and(|ours| place(&ours) != place(&there))
        }
        // On other systems a directory cannot be deleted or moved while a file in it is open.
        #[cfg(not(unix))]
        {
            let _ = there;
            false
        }
    }

    /// Saves a checkpoint to the slot of the older one; the previous checkpoint is kept.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<Saved, RunError> {
        phase::enter("saving");
        let start = Instant::now();
        if self.is_gone() {
            return Err(RunError::Gone(self.path.clone()));
        }
        if matches!(self.newest, Newest::NotLooked) {
            self.newest = scan(&self.path)?.map_or(Newest::Absent, |found| found.at());
        }
        let (slot, generation) = match self.newest {
            Newest::At { slot, generation } => (1 - slot, generation + 1),
            Newest::Absent | Newest::NotLooked => (0, 0),
        };
        self.storage.sync(&self.log, &self.path.join(EVENTS))?;
        let bytes = checkpoint.encode(Position { generation, log_length: self.log_length }, self.config)?;
        self.storage.replace(&self.path.join(CHECKPOINTS[slot]), &[&bytes])?;
        self.newest = Newest::At { slot, generation };
        Ok(Saved { generation, bytes: bytes.len() as u64, seconds: start.elapsed().as_secs_f64() })
    }

    /// Reads the newest valid checkpoint and truncates the event log to its position, so that repeated steps are not logged
    /// twice. `None` if there is no checkpoint.
    ///
    /// # Errors
    /// If there are checkpoints but no valid one, or one has an unknown format version.
    pub fn load(&mut self) -> Result<Option<Loaded>, RunError> {
        let Some(found) = scan(&self.path)? else {
            self.newest = Newest::Absent;
            self.cut_log(0)?;
            return Ok(None);
        };
        self.newest = found.at();
        let mut warnings = found.warnings();
        if found.config.is_some_and(|config| config != self.config) {
            let file = self.path.join(CONFIG);
            warnings.push(format!(
                "{} is not as it was when the checkpoint was saved; unless somebody changed it on purpose it is damaged",
                file.display()
            ));
        }
        warnings.extend(self.cut_log(found.position.log_length)?);
        Ok(Some(Loaded { checkpoint: found.checkpoint, generation: found.position.generation, warnings }))
    }

    /// As [`load`](Self::load); warnings about damage go to the observer and the log.
    pub fn take_up(&mut self, observer: &mut dyn Observer) -> Result<Option<Checkpoint>, RunError> {
        let Some(loaded) = self.load()? else { return Ok(None) };
        for message in loaded.warnings {
            self.warn(observer, message)?;
        }
        Ok(Some(loaded.checkpoint))
    }

    /// Reports warnings to the observer and the log.
    pub fn warn(&mut self, observer: &mut dyn Observer, message: String) -> Result<(), RunError> {
        let warning = Event::Warning { message };
        observer.event(&warning);
        self.log(&warning)
    }

    fn cut_log(&mut self, length: u64) -> Result<Option<String>, RunError> {
        let path = self.path.join(EVENTS);
        let mut warning = None;
        let mut length = length;
        if self.log_length < length {
            let bytes = fs::read(&path).map_err(RunError::io("read", &path))?;
            length = whole_lines(&bytes) as u64;
            warning = Some(format!("{} has lost its end; the run itself is not affected", path.display()));
        }
        self.log.set_len(length).map_err(RunError::io("shorten", &path))?;
        self.log_length = length;
        Ok(warning)
    }

    /// Writes a file of this name to the directory atomically; on an error the old one remains.
    pub fn write_file(&self, name: &str, content: &[u8]) -> Result<PathBuf, RunError> {
        let path = self.path.join(name);
        self.storage.replace(&path, &[content])?;
        Ok(path)
    }

    /// Writes `result.json`, which marks the run as finished.
    pub fn write_result(&self, result: &impl Serialize) -> Result<PathBuf, RunError> {
        let text = serde_json::to_string_pretty(result)
            .map_err(|e| RunError::Content(format!("the result cannot be written: {e}")))?;
        self.write_file(RESULT, seal::seal_result(&text).as_bytes())
    }
}

/// The resolved configuration of the run at `path`, as TOML.
///
/// # Errors
/// If there is no run, or the file does not match its checksum.
pub fn read_config(path: &Path) -> Result<String, RunError> {
    let file = path.join(CONFIG);
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RunError::Missing(path.to_path_buf())),
        read => read.map_err(RunError::io("read", &file))?,
    };
    seal::open_config(&text).map(str::to_owned).map_err(|_| RunError::Damaged {
        path: file,
        reason: "its checksum does not match its content; if somebody changed it on purpose, its first line, which \
                 holds the checksum, must go"
            .to_owned(),
    })
}

/// The result of the finished run at `path`.
///
/// # Errors
/// If there is none, it does not match its checksum, or it has another type.
pub fn read_result<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    serde_json::from_str(&read_result_text(path)?).map_err(|error| damaged_result(path, error))
}

/// The result of the finished run at `path`, as JSON.
///
/// # Errors
/// If there is none, or it does not match its checksum.
pub fn read_result_text(path: &Path) -> Result<String, RunError> {
    let file = path.join(RESULT);
    let text = fs::read_to_string(&file).map_err(RunError::io("read", &file))?;
    seal::open_result(&text).map_err(|_| damaged_result(path, "its checksum does not match its content"))
}

fn damaged_result(path: &Path, what: impl std::fmt::Display) -> RunError {
    let reason = format!("{what}; remove the file, and `gdas resume` writes it again from the last checkpoint");
    RunError::Damaged { path: path.join(RESULT), reason }
}

/// Reads the newest valid checkpoint of the run at `path` without locking or changing it.
///
/// # Errors
/// As [`RunDir::load`].
pub fn read_checkpoint(path: &Path) -> Result<Option<Loaded>, RunError> {
    if !path.join(CONFIG).is_file() {
        return Err(RunError::Missing(path.to_path_buf()));
    }
    Ok(scan(path)?.map(|found| Loaded {
        generation: found.position.generation,
        warnings: found.warnings(),
        checkpoint: found.checkpoint,
    }))
}

fn scan(run: &Path) -> Result<Option<Found>, RunError> {
    let mut newest: Option<Found> = None;
    let mut damage = Vec::new();
    for (slot, name) in CHECKPOINTS.iter().enumerate() {
        let path = run.join(name);
        let read = match fs::read(&path) {
            Ok(bytes) => Checkpoint::decode(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(RunError::io("read", &path)(error)),
        };
        match read {
            Ok((checkpoint, position, config)) => {
                if newest.as_ref().is_none_or(|found| found.position.generation < position.generation) {
                    newest = Some(Found { slot, checkpoint, position, config, damage: Vec::new() });
                }
            }
            Err(error @ RunError::Version { .. }) => return Err(error),
            Err(error) => damage.push(error.to_string()),
        }
    }
    match newest {
        Some(found) => Ok(Some(Found { damage, ..found })),
        None if damage.is_empty() => Ok(None),
        None => Err(RunError::NoIntactCheckpoint { path: run.to_path_buf(), reasons: damage }),
    }
}

struct Found {
    slot: usize,
    checkpoint: Checkpoint,
    position: Position,
    config: Option<blake3::Hash>,
    damage: Vec<String>,
}

impl Found {
    fn warnings(&self) -> Vec<String> {
        let whole = CHECKPOINTS[self.slot];
        self.damage.iter().map(|damage| format!("{damage}; resuming from {whole}, which is valid")).collect()
    }

    fn at(&self) -> Newest {
        Newest::At { slot: self.slot, generation: self.position.generation }
    }
}
