//! The blocks of README and book that are marked `run`, run one after another in a directory per page.
#![cfg(unix)]

#[path = "command/book.rs"]
mod book;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the pages take for granted: images of one's own, in two classes.
fn prepare(folder: &Path) {
    for (partition, count) in [("train", 40), ("test", 8)] {
        for class in ["cat", "dog"] {
            let folder = folder.join("photos").join(partition).join(class);
            fs::create_dir_all(&folder).expect("a folder");
            for n in 0..count {
                fs::write(folder.join(format!("{n}.png")), include_bytes!("fixtures/zero.png")).expect("write");
            }
        }
    }
    fs::create_dir_all(folder.join("new")).expect("a folder");
    fs::write(folder.join("new/cat.png"), include_bytes!("fixtures/zero.png")).expect("write");
}

/// Searches and trainings get the preset `smoke`, a few steps of the same, where the page names none.
fn shortened(line: &str) -> String {
    let words = book::words(line);
    let long = line.starts_with("gdas ") && matches!(words.first().map(String::as_str), Some("search" | "train"));
    let command = line.split(" #").next().unwrap_or(line).trim_end();
    if long && !line.contains("--preset") && !line.contains("--print-config") {
        format!("{command} --preset smoke")
    } else {
        command.to_owned()
    }
}

#[test]
fn what_is_marked_as_run_runs() {
    let program = Path::new(env!("CARGO_BIN_EXE_gdas"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().expect("a folder").to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .expect("a path");
    let mut count = 0;
    for (page, text) in book::pages() {
        let blocks = book::blocks(&text, &page);
        if blocks.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().expect("temporary directory");
        prepare(folder.path());
        for block in blocks {
            let script: Vec<String> = block.script.lines().map(shortened).collect();
            let output = Command::new("sh")
                .args(["-eu", "-c", &script.join("\n")])
                .current_dir(folder.path())
                .env("PATH", &path)
                .env_remove("GDAS_DATA")
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .output()
                .expect("a shell");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {}\n{error}", block.place, script.join("\n"));
            count += script.iter().filter(|line| line.starts_with("gdas ")).count();
        }
    }
    assert!(count > 15, "only {count} commands were run: the blocks are not found");
}
