//! Broken and hostile input for the readers of genotypes, configurations and run directories; see `fuzz/attack.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod fuzz {
    pub(crate) mod attack;
    pub(crate) mod mutate;
    pub(crate) mod seeds;
    pub(crate) mod targets;
    mod tests;
}
