//! `gdas watch` in a pseudo-terminal: it draws, keys reach it, and it leaves the terminal as it was.
#![cfg(target_os = "linux")]

mod command;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use command::succeed;

/// A shell in a terminal of 80 columns and 24 lines, kept by util-linux's `script`.
struct Terminal {
    script: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn watching(run: &str, directory: &Path) -> Option<Self> {
        let shell = format!(
            "stty cols 80 rows 24; stty -a; echo BEFORE; {} watch {run}; echo ended with $?; stty -a; echo AFTER",
            env!("CARGO_BIN_EXE_gdas")
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &shell, "/dev/null"])
            .current_dir(directory)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut pipe = script.stdout.take().expect("a pipe");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Self { script, output, seen: String::new() })
    }

    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        while !self.seen.contains(text) {
            assert!(Instant::now() < end, "no {text:?} in {}", self.seen);
            if let Ok(more) = self.output.recv_timeout(Duration::from_millis(100)) {
                self.seen += &String::from_utf8_lossy(&more);
            }
        }
    }

    fn press(&mut self, key: &[u8]) {
        let pipe = self.script.stdin.as_mut().expect("a pipe");
        pipe.write_all(key).and_then(|()| pipe.flush()).expect("the terminal listens");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn watch_leaves_the_terminal_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    succeed(dir.path(), &["search", "--preset", "smoke", "--name", "seen", "--quiet"]);
    // `q`, and Ctrl-C, which a terminal in raw mode hands over as a key.
    for key in [b"q", b"\x03"] {
        let Some(mut terminal) = Terminal::watching("seen", dir.path()) else {
            eprintln!("skipped: `script` of util-linux is missing");
            return;
        };
        terminal.wait_for("\x1b[?1049h");
        terminal.wait_for("finished");
        terminal.press(key);
        terminal.wait_for("AFTER");
        let (before, rest) = terminal.seen.split_once("BEFORE").expect("before");
        let (screen, after) = rest.split_once("ended with 0").expect("exit code 0");
        assert!(screen.contains("\x1b[?1049l"), "the alternate screen is left on");
        assert!(screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l"), "the cursor is hidden");
        let settings = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let after = after.trim_end().trim_end_matches("AFTER");
        assert!(settings(before).contains(&"icanon".to_owned()));
        assert_eq!(settings(before), settings(after), "settings of the terminal");
    }
}
