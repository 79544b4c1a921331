//! The `gdas` command as a library: flags become a validated configuration, one library call does the work, an exit code
//! ends it. [`main`] is the whole program; [`embed`] runs one command within another program, such as Python.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod describe;
#[cfg(test)]
mod documentation;
pub mod embed;
mod exit;
mod flags;
mod host;
mod images;
mod letters;
mod live;
mod named;
mod output;
mod overall;
mod per_class;
mod progress;
#[cfg(test)]
mod python;
mod quantities;
mod serve;
mod show;
mod shown;
mod signals;
mod trace;
mod watch;

use std::ffi::OsString;

/// Runs the program with these arguments, the first of which is its name, and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    match commands::parse(arguments) {
        Ok(cli) => exit::report(trace::install().map_err(Into::into).and_then(|()| commands::run(cli))),
        Err(error) => exit::parse_error(&error),
    }
}
