//! The event log of a run, read while another process writes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::event::{parse, whole_lines};
use super::{Event, RunError};

/// Bytes before the current position that are compared, to detect a log that was cut back and grew again.
const MARK: usize = 256;

/// Reads new events of a run's log at every call.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Bytes read.
    reached: u64,
    /// The last of them.
    mark: Vec<u8>,
}

/// New events since the previous call.
#[derive(Debug, Default)]
pub struct News {
    /// Whether the log was cut back (a run was resumed from an earlier point): what was read before no longer counts,
    /// and `events` begin at the beginning.
    pub restarted: bool,
    /// Events, each with the time of day at which it was logged, in seconds since 1970.
    pub events: Vec<(f64, Event)>,
}

impl Follower {
    /// Follows the run at `path`, from the first event.
    pub fn new(path: &Path) -> Self {
        Self { path: path.join("events.jsonl"), reached: 0, mark: Vec::new() }
    }

    /// What has been logged since the last look. A line that is not yet whole waits for the next one.
    ///
    /// # Errors
    /// The log cannot be read, or a whole line of it is no event.
    pub fn news(&mut self) -> Result<News, RunError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(News::default()),
            Err(error) => return Err(RunError::io("read", &self.path)(error)),
        };
        let mut bytes = Vec::new();
        let start = self.reached - self.mark.len() as u64;
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(RunError::io("read", &self.path))?;
        let restarted = !bytes.starts_with(&self.mark);
        if restarted {
            (self.reached, self.mark) = (0, Vec::new());
            bytes.clear();
            let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
            read.map_err(RunError::io("read", &self.path))?;
        }
        let whole = whole_lines(&bytes).max(self.mark.len());
        let mut events = Vec::new();
        for line in bytes[self.mark.len()..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            #[derive(serde::Deserialize)]
            struct Line {
                #[serde(default)]
                time: f64,
                #[serde(flatten)]
                event: Event,
            }
            let Line { time, event } = parse(line).map_err(|what| {
                let text = format!("a line {what}");
                RunError::io("read", &self.path)(io::Error::new(io::ErrorKind::InvalidData, text))
            })?;
            events.push((time, event));
        }
        self.reached += (whole - self.mark.len()) as u64;
        self.mark = bytes[whole.saturating_sub(MARK)..whole].to_vec();
        Ok(News { restarted, events })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_event_is_told_once_and_a_cut_begins_anew() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = dir.path().join("events.jsonl");
        let line = |text: &str| format!("{{\"time\":1.5,\"event\":\"warning\",\"message\":\"{text}\"}}\n");
        let told = |follower: &mut Follower| {
            let news = follower.news().expect("readable");
            let text = |(time, event)| match event {
                Event::Warning { message } => format!("{time} {message}"),
                other => format!("{other:?}"),
            };
            (news.restarted, news.events.into_iter().map(text).collect::<Vec<_>>())
        };
        let mut follower = Follower::new(dir.path());
        assert_eq!(told(&mut follower), (false, vec![]));
        fs::write(&log, line("a") + &line("b")[..20]).expect("write");
        assert_eq!(told(&mut follower), (false, vec!["1.5 a".into()]));
        assert_eq!(told(&mut follower), (false, vec![]));
        fs::write(&log, line("a") + &line("b")).expect("write");
        assert_eq!(told(&mut follower), (false, vec!["1.5 b".into()]));
        // Cut back to `a` and grown to more than before between two looks.
        let again = line("a") + &line("c") + &line("d");
        fs::write(&log, &again).expect("write");
        assert_eq!(told(&mut follower), (true, vec!["1.5 a".into(), "1.5 c".into(), "1.5 d".into()]));
        fs::write(&log, again + &line(&"long".repeat(200)) + &line("e")).expect("write");
        assert_eq!(told(&mut follower).1.len(), 2);
        fs::write(&log, "nonsense\n").expect("write");
        assert!(follower.news().is_err());
    }
}
