//! Reading the event log of a run while another process writes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::event::{parse, whole_lines};
use super::{Event, RunError};

/// Number of bytes before the current position that are compared to detect a log that was truncated and extended.
const MARK: usize = 256;

/// Reader of the new events of a run's log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Number of bytes read.
    reached: u64,
    /// The last bytes read.
    mark: Vec<u8>,
}

/// New events since the previous call.
#[derive(Debug, Default)]
pub struct News {
    /// Whether the log was truncated, as by a resumed run: earlier events are void, and `events` starts from the beginning.
    pub restarted: bool,
    /// Events with the time at which each was logged, in seconds since 1970.
    pub events: Vec<(f64, Event)>,
}

impl Follower {
    /// A follower of the run at `path`, from the first event.
    pub fn new(path: &Path) -> Self {
        Self { path: path.join("events.jsonl"), reached: 0, mark: Vec::new() }
    }

    /// Events logged since the previous call. An incomplete line is left for the next call.
    ///
    /// # Errors
    /// If the log cannot be read, or a complete line is not an event.
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
