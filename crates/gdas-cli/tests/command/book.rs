//! The commands that README and book show.
#![allow(dead_code, unreachable_pub, reason = "shared by tests that use some of it")]

use std::path::{Path, PathBuf};

/// A line of a block of code that calls the program, or such a call within a sentence.
#[derive(Clone, Debug)]
pub struct Shown {
    /// File and line.
    pub place: String,
    /// As words, without `gdas`.
    pub words: Vec<String>,
    /// The line.
    pub text: String,
    /// Whether it stands in a block that is run.
    pub run: bool,
    /// Whether it stands within a sentence, where it may be a part of a command.
    pub inline: bool,
}

/// A fenced block whose info string says `run`.
pub struct Block {
    /// File and line.
    pub place: String,
    /// Its lines.
    pub script: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// README and every page of the book, by name; the command reference is the program's own text.
pub fn pages() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    let docs = std::fs::read_dir(root().join("docs")).expect("docs");
    paths.extend(
        docs.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    paths.sort();
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a page").replace("\r\n", "\n");
    paths.iter().map(|path| (name(path), read(path))).filter(|(name, _)| name != "commands.md").collect()
}

/// Everything that calls the program.
pub fn shown() -> Vec<Shown> {
    let mut all = Vec::new();
    for (page, text) in pages() {
        let mut fence: Option<bool> = None;
        for (number, line) in text.lines().enumerate() {
            let place = format!("{page}:{}", number + 1);
            if let Some(info) = line.trim_start().strip_prefix("```") {
                fence = if fence.is_some() { None } else { Some(is_run(info)) };
                continue;
            }
            let code = fence.is_some() || line.starts_with("    ");
            if code {
                let call = line.trim().strip_prefix("$ ").unwrap_or(line.trim());
                let call =
                    call.strip_prefix("cargo run --release -- ").map_or(call.to_owned(), |rest| format!("gdas {rest}"));
                if let Some(words) = call.starts_with("gdas ").then(|| words(&call)) {
                    let run = fence == Some(true);
                    all.push(Shown { place, words, text: call, run, inline: false });
                }
            } else {
                for span in line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("gdas ")) {
                    let (words, text) = (words(span), span.to_owned());
                    all.push(Shown { place: place.clone(), words, text, run: false, inline: true });
                }
            }
        }
    }
    all
}

/// The blocks of a page that are run, in order.
pub fn blocks(text: &str, page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            blocks.extend(open.take());
            if !inside && is_run(info) {
                open = Some(Block { place: format!("{page}:{}", number + 1), script: String::new() });
            }
            inside = !inside;
        } else if let Some(block) = &mut open {
            block.script += line;
            block.script.push('\n');
        }
    }
    blocks
}

fn is_run(info: &str) -> bool {
    info.split([' ', ',']).any(|word| word == "run")
}

/// The words of a command, as a shell has them: quotes, no comment, no redirection. What follows three spaces is a remark, too.
pub fn words(line: &str) -> Vec<String> {
    let line = line.trim().strip_prefix("gdas ").unwrap_or(line);
    let (mut words, mut word, mut quote, mut spaces) = (Vec::new(), None::<String>, None, 0);
    for c in line.chars() {
        spaces = if c == ' ' && quote.is_none() { spaces + 1 } else { 0 };
        match (quote, c) {
            (None, '#' | '>' | '|') if word.is_none() => break,
            (None, ' ') if spaces == 3 => break,
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(q), c) if q == c => quote = None,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
