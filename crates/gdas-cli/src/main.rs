//! The `gdas` command: flags become a validated configuration, one library call does the work, an exit code ends it.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod describe;
#[cfg(test)]
mod documentation;
mod exit;
mod flags;
mod images;
mod live;
mod named;
mod output;
mod overall;
mod per_class;
mod progress;
mod quantities;
mod serve;
mod show;
mod signals;
mod trace;
mod watch;

use std::process::ExitCode;

/// The search allocates and frees from several threads; mimalloc keeps them out of each other's way.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::parse(std::env::args_os()) {
        Ok(cli) => exit::report(trace::install().map_err(Into::into).and_then(|()| commands::run(cli))),
        Err(error) => exit::parse_error(&error),
    }
}
