//! Quoting of words for a shell.

use std::borrow::Cow;
use std::path::Path;

/// `text` as one word of a POSIX shell: unchanged if it has no special characters, else in single quotes.
///
/// ```
/// use gdas::shell::word;
///
/// assert_eq!(word("runs/digits-1"), "runs/digits-1");
/// assert_eq!(word("|none~0|"), "'|none~0|'");
/// assert_eq!(word("Ada's cats"), r"'Ada'\''s cats'");
/// ```
pub fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c) || cfg!(windows) && c == '\\';
    if !text.is_empty() && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else if cfg!(windows) {
        Cow::Owned(format!("\"{text}\""))
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

/// As [`word`] for a path.
pub fn path(path: &Path) -> String {
    word(&path.to_string_lossy()).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    /// A shell reads back what was quoted, whatever it is.
    #[test]
    fn a_shell_reads_every_word_back() {
        let words = [
            "",
            "plain",
            "a b",
            "|none~0|+|none~0|none~1|",
            "it's",
            "''",
            "$HOME",
            "`id`",
            "$(id)",
            "a\"b",
            "a\\b",
            "~",
            "~/x",
            "#x",
            "*",
            "?",
            "[a]",
            "{a,b}",
            "a&b",
            "a;b",
            "a>b",
            "!x",
            "a\nb",
            "\u{fc}mlaut",
            "a=b",
            "(x)",
        ];
        for text in words {
            let script = format!("printf %s {}", super::word(text));
            let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{script}");
        }
    }
}
