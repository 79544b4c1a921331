//! The one place where outcomes become exit codes.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

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
pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return DONE.into() };
    if is_broken_pipe(&error) {
        // Whoever read our output has seen enough.
        return DONE.into();
    }
    // If even standard error is gone, only the exit code is left to tell.
    let _ = if error.is::<Preempted>() {
        writeln!(io::stderr(), "{error}")
    } else {
        writeln!(io::stderr(), "error: {error:#}")
    };
    code(&error).into()
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
pub(crate) fn parse_error(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { USAGE.into() } else { DONE.into() }
}
