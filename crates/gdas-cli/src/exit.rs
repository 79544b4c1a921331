//! The one place where outcomes become exit codes.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use clap::error::ErrorKind;
use gdas::config::ConfigError;

/// Everything done.
const DONE: u8 = 0;
/// Something went wrong on the way.
const FAILED: u8 = 1;
/// The command itself makes no sense: unknown flag, value out of range.
const USAGE: u8 = 2;
/// Stopped by a signal, with everything saved: `gdas resume` goes on. (BSD's `EX_TEMPFAIL`: try again later.)
const PREEMPTED: u8 = 75;

/// A mistake in how the program was called, other than those that clap finds.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The work was interrupted and can be resumed; holds the command that does.
#[derive(Debug)]
pub(crate) struct Preempted(pub(crate) String);

impl fmt::Display for Preempted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stopped with everything saved; go on with: {}", self.0)
    }
}

impl std::error::Error for Preempted {}

/// Says what went wrong, if anything did, and with which code to end.
pub(crate) fn report(result: anyhow::Result<()>) -> u8 {
    let Err(error) = result else { return DONE };
    if is_broken_pipe(&error) {
        // Whoever read our output has seen enough.
        return DONE;
    }
    // If even standard error is gone, only the exit code is left to tell.
    let _ = if error.is::<Preempted>() {
        writeln!(io::stderr(), "{error}")
    } else {
        writeln!(io::stderr(), "error: {}", message(&error))
    };
    code(&error)
}

/// An error with its causes, each once. Errors of the library name their cause in their own text, so that they are
/// whole wherever they are shown; those of other libraries leave that to the reader of the chain.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Preempted>() {
        PREEMPTED
    } else if error.is::<Usage>() || error.is::<ConfigError>() {
        USAGE
    } else {
        FAILED
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints clap's help, version or complaint.
pub(crate) fn parse_error(error: &clap::Error) -> u8 {
    if error.kind() == ErrorKind::ValueValidation {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let text = error.render();
        let text = if colour { text.ansi().to_string() } else { text.to_string() };
        let _ = write!(io::stderr(), "{}", plainly(&text));
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { USAGE } else { DONE }
}

/// What the standard library says of a value that is no number, in words that say what is expected.
pub(crate) fn plainly(text: &str) -> String {
    const WORDS: [(&str, &str); 5] = [
        ("invalid digit found in string", "expected a whole number, zero or more"),
        ("cannot parse integer from empty string", "expected a whole number, zero or more"),
        ("number too large to fit in target type", "the number is too large"),
        ("invalid float literal", "expected a number"),
        ("cannot parse float from empty string", "expected a number"),
    ];
    WORDS.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("cannot read {0}: {1}")]
        WithCause(&'static str, #[source] io::Error),
        #[error("cannot read {0}")]
        Silent(&'static str, #[source] io::Error),
        #[error(transparent)]
        Transparent(Box<Layered>),
        #[error("stage {0}: {1}")]
        Nested(&'static str, #[source] Box<Layered>),
    }

    fn lost() -> io::Error {
        io::Error::from(io::ErrorKind::NotFound)
    }

    #[test]
    fn every_cause_is_said_once_however_errors_are_layered() {
        let whole = format!("cannot read x: {}", lost());
        for (error, expected) in [
            (Layered::WithCause("x", lost()), whole.clone()),
            (Layered::Silent("x", lost()), whole.clone()),
            (Layered::Transparent(Layered::WithCause("x", lost()).into()), whole.clone()),
            (Layered::Nested("y", Layered::WithCause("x", lost()).into()), format!("stage y: {whole}")),
            (Layered::Nested("y", Layered::Silent("x", lost()).into()), format!("stage y: {whole}")),
        ] {
            let error = anyhow::Error::from(error);
            assert_eq!(message(&error), expected);
            assert_eq!(message(&error.context("outside")), format!("outside: {expected}"));
        }
    }
}
