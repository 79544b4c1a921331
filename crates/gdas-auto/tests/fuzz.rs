//! Broken and hostile configurations of automatic runs; see `../../gdas/tests/fuzz/attack.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod fuzz {
    #[path = "../../../gdas/tests/fuzz/attack.rs"]
    pub(crate) mod attack;
    #[path = "../../../gdas/tests/fuzz/mutate.rs"]
    pub(crate) mod mutate;
    pub(crate) mod targets;
    #[path = "../../../gdas/tests/fuzz/tests.rs"]
    mod tests;
}
