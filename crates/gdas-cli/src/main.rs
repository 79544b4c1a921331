//! The `gdas` command.

fn main() {}
