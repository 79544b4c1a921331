//! The `gdas` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The search allocates and frees from several threads; mimalloc keeps them out of each other's way.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gdas_cli::main(std::env::args_os()).into()
}
