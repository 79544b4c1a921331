//! The clock enters no result: it may jump by years.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::stage::{self, SEARCH, TRAINING, figure, same, start};
use crate::command::gdas;

/// Where Debian keeps the library that fakes the clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Runs while the clock jumps years ahead and back some hundred times a second.
pub(crate) fn jumps(times: usize) {
    if !Path::new(FAKETIME).is_file() {
        eprintln!("skipped: libfaketime is not installed");
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    for (task, arguments) in [("search", SEARCH), ("train", TRAINING)] {
        let folder = dir.path().join(task);
        fs::create_dir(&folder).expect("a folder");
        stage::undisturbed(&folder, arguments);
        for i in 0..times {
            let clock = folder.join("clock");
            fs::write(&clock, "+0").expect("write");
            let runs = format!("runs{i}");
            let mut command = gdas(&folder);
            command.args(arguments).args(["--runs", &runs]);
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
            // Every other time the monotonic clock, which never jumps in truth, jumps too.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", if i % 2 == 0 { "1" } else { "0" });
            let mut child = start(&mut command);
            let mut years = ["-50y", "+100y", "-1y", "+0"].iter().cycle();
            while child.try_wait().expect("a child").is_none() {
                fs::write(&clock, years.next().expect("a cycle")).expect("write");
                sleep(Duration::from_millis(7));
            }
            let (status, error) = stage::finish(child);
            assert!(status.success(), "{status}: {error}");
            same(&folder, &format!("{runs}/run"), "with a clock that jumps");
        }
    }
    figure(format_args!("a clock that jumps by years: {0} of {0} runs bit-identical", 2 * times));
}
